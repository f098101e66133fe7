/** How every function of a provider fails. */

import { errors } from '../../src/conformance/scenarios/errors.js';
import { testScenarios } from './run.js';

testScenarios(errors);
