/** Registered memory, and RDMA into it. */

import { registration } from '../../src/conformance/scenarios/registration.js';
import { testScenarios } from './run.js';

testScenarios(registration);
