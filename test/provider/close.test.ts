/** The end of connections, sockets and providers. */

import { closing } from '../../src/conformance/scenarios/closing.js';
import { testScenarios } from './run.js';

testScenarios(closing);
