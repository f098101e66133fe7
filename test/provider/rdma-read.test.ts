/** WSPRdmaRead. */

import { rdmaRead } from '../../src/conformance/scenarios/rdma-read.js';
import { testScenarios } from './run.js';

testScenarios(rdmaRead);
