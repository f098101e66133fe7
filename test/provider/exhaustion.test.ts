/** Handles, memory and descriptors that run out. */

import { exhaustion } from '../../src/conformance/scenarios/exhaustion.js';
import { testScenarios } from './run.js';

testScenarios(exhaustion);
