/** Messages on an established connection. */

import { messages } from '../../src/conformance/scenarios/messages.js';
import { testScenarios } from './run.js';

testScenarios(messages);
