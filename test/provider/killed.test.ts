/** Real processes that are killed at one step after the other. */

import { killed } from '../../src/conformance/scenarios/killed.js';
import { testScenarios } from './run.js';

testScenarios(killed);
