/** What holds for every carrier, TCP/IP too. */

import { anyCarrier } from '../../src/conformance/scenarios/any-carrier.js';
import { testScenarios } from './run.js';

testScenarios(anyCarrier);
