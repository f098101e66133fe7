/** Strangers, and peers that lie. */

import { malice } from '../../src/conformance/scenarios/malice.js';
import { testScenarios } from './run.js';

testScenarios(malice);
