/** All scenarios, by family of rules. */

import type { Scenario } from '../scenario.js';
import { accepting } from './accepting.js';
import { anyCarrier } from './any-carrier.js';
import { capabilities } from './capabilities.js';
import { closing } from './closing.js';
import { connecting } from './connecting.js';
import { duplication } from './duplication.js';
import { errors } from './errors.js';
import { exhaustion } from './exhaustion.js';
import { killed } from './killed.js';
import { listening } from './listening.js';
import { malice } from './malice.js';
import { messages } from './messages.js';
import { options } from './options.js';
import { overlapped } from './overlapped.js';
import { rdma } from './rdma.js';
import { registration } from './registration.js';
import { registrationCache } from './registration-cache.js';
import { sequence } from './sequence.js';
import { sockets } from './sockets.js';
import { startup } from './startup.js';

export const scenarios: readonly Scenario[] = [
  startup,
  capabilities,
  sockets,
  listening,
  connecting,
  accepting,
  anyCarrier,
  messages,
  overlapped,
  registration,
  rdma,
  registrationCache,
  options,
  closing,
  duplication,
  errors,
  sequence,
  exhaustion,
  killed,
  malice,
].flat();
