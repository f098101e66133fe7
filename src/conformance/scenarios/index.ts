/** All scenarios, by family of rules. */

import type { Scenario } from '../scenario.js';
import { accepting } from './accepting.js';
import { anyCarrier } from './any-carrier.js';
import { capabilities } from './capabilities.js';
import { closing } from './closing.js';
import { connecting } from './connecting.js';
import { errors } from './errors.js';
import { exhaustion } from './exhaustion.js';
import { killed } from './killed.js';
import { listening } from './listening.js';
import { malice } from './malice.js';
import { messages } from './messages.js';
import { options } from './options.js';
import { overlapped } from './overlapped.js';
import { rdmaRead } from './rdma-read.js';
import { registration } from './registration.js';
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
  rdmaRead,
  options,
  closing,
  errors,
  sequence,
  exhaustion,
  killed,
  malice,
].flat();
