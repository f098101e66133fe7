/** Making and binding sockets, and their network events. */

import { sockets } from '../../src/conformance/scenarios/sockets.js';
import { testScenarios } from './run.js';

testScenarios(sockets);
