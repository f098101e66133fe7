/** Socket options, control codes and quality of service. */

import { options } from '../../src/conformance/scenarios/options.js';
import { testScenarios } from './run.js';

testScenarios(options);
