/** What a provider shows of itself, and how it is started. */

import { startup } from '../../src/conformance/scenarios/startup.js';
import { testScenarios } from './run.js';

testScenarios(startup);
