/**
 * `hostile-fuzz.js dial PORT SEED CASES`: links with the process that listens at the port, again and again, and spoils
 * one field after the other, until the victim has looked at so many. `hostile-fuzz.js listen PORT SEED CASES` says that it
 * listens there, and does the same to whoever connects. What it does on a link depends on the seed, the number of the
 * link, and how fast the victim looks.
 */

import { loadPlatform } from '../../../src/platform/index.js';
import { ARENA_SIZE } from '../../../src/providers/shared-memory/arena.js';
import { type EstablishedLink, LinkEndpoint } from '../../../src/providers/shared-memory/endpoint.js';
import { Rendezvous } from '../../../src/providers/shared-memory/rendezvous.js';
import { realTime } from '../../support/real-time.js';
import { Attacker, Tally } from './hostile-cases.js';
import { HostileLink } from './hostile-link.js';
import { secret } from './hostile-secret.js';
import { lie, stayMute } from './hostile-specials.js';
import { Random } from './hostile-values.js';
import { onOrder, report, reported } from './support.js';

const [role, ...numbers] = process.argv.slice(2);
const [port, seed, wanted] = numbers.map(Number) as [number, number, number];
const dialling = role === 'dial';
const platform = loadPlatform();
const rendezvous = new Rendezvous({ environment: process.env, platform });

/** A link survives so many turns at most. */
const turnsMax = 16;
/** Every so many links one is lied to, or left without an answer. */
const specialEvery = 24;

const ways = ['violation', 'reset', 'orderly', 'unclear'] as const;
const closed = { violation: 0, reset: 0, orderly: 0, unclear: 0 };
const tally = new Tally();
let links = 0;
let ended = 0;
const faults: string[] = [];

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const done = (): boolean => tally.total >= wanted || faults.length > 0;

async function attack(established: EstablishedLink): Promise<void> {
  established.socket.on('error', () => {});
  established.socket.resume();
  const link = new HostileLink(platform, established);
  const random = new Random(seed + 7919 * links);
  if (links % specialEvery === 1) {
    if (dialling) lie(link, random, tally, port);
    else stayMute(link, random, tally);
  } else {
    const attacker = new Attacker(link, random, tally, dialling ? port : 0);
    for (let turns = 0; turns < turnsMax && attacker.turn(); turns++);
  }
  // A link that has survived is used up only after everything before has had its consequences.
  if (!link.ended && link.faults.length === 0) link.probe();
  links++;
  if (link.ended) {
    link.read();
    ended++;
  }
  for (const way of ways) closed[way] += link.closed[way];
  for (const fault of link.faults) faults.push(`link ${links}: ${fault}`);
  if (links % 16 === 0 && link.contains(secret)) faults.push(`link ${links}: a secret of the victim`);
  established.socket.destroy();
  if (links % 32 === 0) (globalThis as { gc?: () => void }).gc?.();
  await turn();
}

let finish: () => void = () => {};
const finished = new Promise<void>((resolve) => {
  finish = resolve;
});
const onLink = (link: EstablishedLink): void => {
  if (done()) link.socket.destroy();
  else void attack(link).then(() => done() && finish());
};
const endpoint = new LinkEndpoint({ ...realTime, platform, rendezvous, arenaSize: ARENA_SIZE, onLink });
const alive = setInterval(() => {}, 60_000);
const from = performance.now();
if (dialling) {
  while (!done()) {
    const [entry] = rendezvous.list(port);
    if (entry === undefined) break;
    const established = await endpoint.dial(entry.token).catch(() => null);
    // The victim may still hold the link of the last round for a moment.
    if (established === null) await turn();
    else await attack(established);
  }
} else {
  endpoint.publish();
  rendezvous.register(port, '127.0.0.1');
  report('listening', { port });
  await finished;
  rendezvous.unregister(port, '127.0.0.1');
}
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
onOrder('stop', () => {
  clearInterval(alive);
  endpoint.close();
  rendezvous.close();
  process.exit(0);
});
