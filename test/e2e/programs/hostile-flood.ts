/**
 * `hostile-flood.js PORT MILLISECONDS`: asks for connections, withdraws requests and closes connections, as fast as the
 * victim takes it.
 */

import { loadPlatform } from '../../../src/platform/index.js';
import { ARENA_SIZE, SLOTS } from '../../../src/providers/shared-memory/arena.js';
import { LinkEndpoint } from '../../../src/providers/shared-memory/endpoint.js';
import { Rendezvous } from '../../../src/providers/shared-memory/rendezvous.js';
import { realTime } from '../../support/real-time.js';
import { HostileLink } from './hostile-link.js';
import { report, reported } from './support.js';

const [port, milliseconds] = process.argv.slice(2).map(Number) as [number, number];
const platform = loadPlatform();
const rendezvous = new Rendezvous({ environment: process.env, platform });
const endpoint = new LinkEndpoint({ ...realTime, platform, rendezvous, arenaSize: ARENA_SIZE, onLink: () => {} });
const alive = setInterval(() => {}, 60_000);

const counts = { requests: 0, withdrawn: 0, closes: 0 };

/** So many records at a time: more than a turn of the victim takes. */
const batch = 1000;
/** Slots of requests that are withdrawn are used again at once: nobody answers those. */
const withdrawnSlots = 30_000;

const [entry] = rendezvous.list(port);
const established = await endpoint.dial(entry!.token);
established.socket.on('error', () => {}).resume();
const link = new HostileLink(platform, established);
report('flooding');
const end = performance.now() + milliseconds;
let slot = 0;
while (performance.now() < end && !link.ended && link.faults.length === 0) {
  for (let k = 0; k < batch; k++) {
    const kind = k % 3;
    if (kind === 0) {
      do slot = (slot % (withdrawnSlots - 1)) + 1;
      while (link.connections.has(link.side * SLOTS + slot));
      link.request(slot, port);
      counts.requests++;
    } else if (kind === 1) {
      const { one } = link.request(withdrawnSlots + k, port);
      link.setRequest(withdrawnSlots + k, 0);
      link.forget(one);
      counts.withdrawn++;
    } else {
      link.request(withdrawnSlots + k, 9);
    }
  }
  link.publish();
  link.settle();
  for (const one of link.connections.values()) {
    if (one.state !== 'open' && one.state !== 'told') continue;
    if (one.state === 'open' && !one.negotiationSent && one.generation % 4 === 0) link.negotiate(one);
    link.close(one);
    counts.closes++;
  }
}
if (!link.ended && link.faults.length === 0) link.probe();
await reported('flooded', { ...counts, ended: link.ended, faults: link.faults });
clearInterval(alive);
endpoint.close();
rendezvous.close();
process.exit(0);
