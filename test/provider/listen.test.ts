/** WSPListen and its queue. */

import { listening } from '../../src/conformance/scenarios/listening.js';
import { testScenarios } from './run.js';

testScenarios(listening);
