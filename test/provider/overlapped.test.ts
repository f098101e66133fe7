/** Overlapped operations. */

import { overlapped } from '../../src/conformance/scenarios/overlapped.js';
import { testScenarios } from './run.js';

testScenarios(overlapped);
