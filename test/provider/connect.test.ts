/** WSPConnect: pending, its outcomes, and what ends it early. */

import { connecting } from '../../src/conformance/scenarios/connecting.js';
import { testScenarios } from './run.js';

testScenarios(connecting);
