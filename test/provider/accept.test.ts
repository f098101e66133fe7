/** WSPAccept, its condition function, and what the peer is told. */

import { accepting } from '../../src/conformance/scenarios/accepting.js';
import { testScenarios } from './run.js';

testScenarios(accepting);
