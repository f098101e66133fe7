/** A peer process for the tests: `peer.js <role> <directory> ...`. */

import { Worker } from 'node:worker_threads';
import { loadPlatform } from '../../src/platform/index.js';
import { LinkEndpoint } from '../../src/providers/shared-memory/endpoint.js';
import { Rendezvous } from '../../src/providers/shared-memory/rendezvous.js';
import { realTime } from '../support/real-time.js';

const [role, directory, ...more] = process.argv.slice(2) as [string, string, ...string[]];
const platform = loadPlatform();
const rendezvous = new Rendezvous({ environment: { SOCKETS_DIRECT_DIR: directory }, platform });
const say = (message: object): void => {
  process.send!(message);
};

if (role === 'serve') {
  // Stays, answers each link with its own pid in the first word, and reports the end of links.
  const endpoint = new LinkEndpoint({
    ...realTime,
    platform,
    rendezvous,
    arenaSize: 1 << 20,
    onLink: (link) => {
      Atomics.store(new Int32Array(link.arena), 0, process.pid);
      platform.ringDoorbell(link.descriptor);
      link.socket.on('close', () => say({ closed: link.peerToken }));
      link.socket.resume();
    },
  });
  endpoint.publish();
  for (const port of more) rendezvous.register(Number(port), '127.0.0.1');
  process.on('message', (message: { dial: string } | 'exit') => {
    if (message === 'exit') process.exit();
    endpoint.dial(message.dial).then(
      (link) => say({ linked: link.side }),
      (error: unknown) => say({ failed: String(error) }),
    );
  });
  say({ token: endpoint.token });
} else if (role === 'churn') {
  // Registers and unregisters one port many times; afterwards says how often its own entry was missing.
  const endpoint = new LinkEndpoint({ ...realTime, platform, rendezvous, arenaSize: 1 << 20, onLink: () => {} });
  endpoint.publish();
  say({ token: endpoint.token });
  process.once('message', () => {
    let lost = 0;
    for (let i = 0; i < 200; i++) {
      rendezvous.register(7000, '127.0.0.1');
      if (!rendezvous.list(7000).some((entry) => entry.token === rendezvous.token)) lost++;
      rendezvous.unregister(7000);
    }
    say({ lost });
    process.disconnect();
  });
} else if (role === 'threads') {
  // Starts a worker that serves, and terminates it when told to.
  const worker = new Worker(new URL('worker.js', import.meta.url), { workerData: { directory } });
  worker.once('message', (message: { token: string }) => say(message));
  process.on('message', () => {
    worker.terminate().then(() => say({ terminated: true }));
  });
}
