/** What is declared is there. */

import { capabilities } from '../../src/conformance/scenarios/capabilities.js';
import { testScenarios } from './run.js';

testScenarios(capabilities);
