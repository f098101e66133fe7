/** A worker thread for the tests: publishes, says its token, and dials on request. */

import { parentPort, workerData } from 'node:worker_threads';
import { loadPlatform } from '../../src/platform/index.js';
import { LinkEndpoint } from '../../src/providers/shared-memory/endpoint.js';
import { Rendezvous } from '../../src/providers/shared-memory/rendezvous.js';
import { realTime } from '../support/real-time.js';

const { directory } = workerData as { directory: string };
const platform = loadPlatform();
const rendezvous = new Rendezvous({ environment: { SOCKETS_DIRECT_DIR: directory }, platform });
const endpoint = new LinkEndpoint({
  ...realTime,
  platform,
  rendezvous,
  arenaSize: 1 << 20,
  establishTimeoutMs: 60_000,
  onLink: (link) => {
    link.socket.resume();
    parentPort!.postMessage({ linked: link.peerToken });
  },
});
endpoint.publish();
parentPort!.on('message', (message: { dial: string }) => {
  endpoint.dial(message.dial).then(
    (link) => link.socket.resume(),
    () => {},
  );
});
parentPort!.postMessage({ token: endpoint.token });
