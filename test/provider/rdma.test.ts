/** RDMA reads, and large RDMA. */

import { rdma } from '../../src/conformance/scenarios/rdma.js';
import { testScenarios } from './run.js';

testScenarios(rdma);
