/** The registration cache, by what its callback says. */

import { registrationCache } from '../../src/conformance/scenarios/registration-cache.js';
import { testScenarios } from './run.js';

testScenarios(registrationCache);
