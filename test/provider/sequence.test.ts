/** Any calls in any order. */

import { sequence } from '../../src/conformance/scenarios/sequence.js';
import { testScenarios } from './run.js';

testScenarios(sequence);
