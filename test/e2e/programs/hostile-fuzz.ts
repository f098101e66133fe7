/**
 * `hostile-fuzz.js dial PORT SEED CASES`: links with the process that listens at the port, again and again, and spoils
 * one field after the other, until the victim has looked at so many. What it does on a link depends on the seed, the
 * number of the link, and how fast the victim looks.
 */

import { loadPlatform } from '../../../src/platform/index.js';
import { ARENA_SIZE } from '../../../src/providers/shared-memory/arena.js';
import { type EstablishedLink, LinkEndpoint } from '../../../src/providers/shared-memory/endpoint.js';
import { Rendezvous } from '../../../src/providers/shared-memory/rendezvous.js';
import { realTime } from '../../support/real-time.js';
import { Attacker, Tally } from './hostile-cases.js';
import { HostileLink } from './hostile-link.js';
import { Random } from './hostile-values.js';
import { reported } from './support.js';

const [role, ...numbers] = process.argv.slice(2);
const [port, seed, wanted] = numbers.map(Number) as [number, number, number];
const platform = loadPlatform();
const rendezvous = new Rendezvous({ environment: process.env, platform });

/** A link survives so many turns at most. */
const turnsMax = 12;
const secret = Buffer.from(['what', 'only', 'the', 'victim', 'knows'].join('-'));

const tally = new Tally();
const closed = { violation: 0, reset: 0, orderly: 0, unclear: 0 };
let links = 0;
let ended = 0;
const faults: string[] = [];

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function attack(established: EstablishedLink): Promise<void> {
  established.socket.on('error', () => {});
  established.socket.resume();
  const link = new HostileLink(platform, established);
  const attacker = new Attacker(link, new Random(seed + 7919 * links), tally, role === 'dial' ? port : 0);
  let turns = 0;
  while (turns++ < turnsMax && attacker.turn());
  // A link that has survived is used up only after everything before has had its consequences.
  if (!link.ended && link.faults.length === 0) link.probe();
  links++;
  if (link.ended) {
    link.read();
    ended++;
  }
  for (const way of ['violation', 'reset', 'orderly', 'unclear'] as const) closed[way] += link.closed[way];
  for (const fault of link.faults) faults.push(`link ${links} of seed ${seed}: ${fault}`);
  if (links % 16 === 0 && link.contains(secret)) faults.push(`link ${links} of seed ${seed}: a secret of the victim`);
  established.socket.destroy();
  if (links % 32 === 0) (globalThis as { gc?: () => void }).gc?.();
  await turn();
}

const endpoint = new LinkEndpoint({
  ...realTime,
  platform,
  rendezvous,
  arenaSize: ARENA_SIZE,
  onLink: (link) => void attack(link),
});
const alive = setInterval(() => {}, 60_000);
const from = performance.now();
while (tally.total < wanted && faults.length === 0) {
  const [entry] = rendezvous.list(port);
  if (entry === undefined) break;
  const established = await endpoint.dial(entry.token).catch(() => null);
  // The victim may still hold the link of the last round for a moment.
  if (established === null) await turn();
  else await attack(established);
}
clearInterval(alive);
endpoint.close();
rendezvous.close();
await reported('attacked', {
  total: tally.total,
  flipped: tally.flipped,
  cases: Object.fromEntries(tally.cases),
  links,
  ended,
  closed,
  faults: faults.slice(0, 10),
  milliseconds: performance.now() - from,
});
process.exit(0);
