/** Attacks that need a link for themselves: lies about what was taken, and requests that are never answered. */

import { RING_SIZE, SLOTS } from '../../../src/providers/shared-memory/arena.js';
import { REQUEST_PENDING, requestWord } from '../../../src/providers/shared-memory/records.js';
import { TYPE_DATA } from '../../../src/session/header.js';
import type { Tally } from './hostile-cases.js';
import type { HostileConnection, HostileLink } from './hostile-link.js';
import type { Random } from './hostile-values.js';

/** A connection that is agreed; null if the victim does not answer. */
export function opened(link: HostileLink, slot: number, port: number): HostileConnection | null {
  const { one } = link.request(slot, port);
  link.publish();
  const reached = (condition: () => boolean): boolean =>
    link.wait(() => {
      link.read();
      return condition() || link.faults.length > 0;
    });
  if (!reached(() => one.state === 'open')) return null;
  link.negotiate(one);
  link.publish();
  return reached(() => one.agreed) ? one : null;
}

/** More than a ring holds, so that the victim has to look at the tail. */
const enough = RING_SIZE + 4 * 65_536;
/** Milliseconds without a byte after which the victim counts as waiting for room. */
const stall = 20;

/** Says that more, or less, or something else was taken of what the victim has sent. */
export function lie(link: HostileLink, random: Random, tally: Tally, port: number): void {
  const one = opened(link, 1, port);
  if (one === null) return;
  const truth = link.received;
  const lies = [truth - 8, truth - RING_SIZE, truth + RING_SIZE, truth + 1, -1, 0x7fffffff, -0x80000000, random.word()];
  link.lie = random.pick(lies) | 0;
  let progress = performance.now();
  let back = 0;
  while (!link.ended && one.bytesBack < enough && performance.now() - progress < stall) {
    for (let k = 0; k < 8 && one.credit > 0 && one.state === 'open'; k++) link.message(one, TYPE_DATA, 16_384);
    link.publish();
    if (!link.settle()) break;
    if (one.bytesBack > back || back === 0) progress = performance.now();
    back = one.bytesBack;
  }
  tally.add('arena.receiveTail');
  link.lie = null;
  link.read();
}

/** Milliseconds: longer than the victim waits before it would withdraw. */
const silence = 300;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/**
 * Leaves requests of the victim unanswered, with nonsense in their words, so that it cannot withdraw them. That it has
 * tried shows when they are put right: then they are withdrawn.
 */
export function stayMute(link: HostileLink, random: Random, tally: Tally): void {
  const word = (one: HostileConnection): number => (link.layout.peerRequests >> 2) + (one.id & (SLOTS - 1));
  link.wait(() => {
    link.read();
    return link.requests.length > 0;
  });
  const mute = link.requests.splice(0);
  for (const one of mute) Atomics.store(link.words, word(one), random.word() | 2);
  Atomics.wait(sleeper, 0, 0, silence);
  for (const one of mute) Atomics.store(link.words, word(one), requestWord(one.generation, REQUEST_PENDING));
  for (const one of mute) {
    // The slot may be in use again at once.
    const withdrawn = (): boolean =>
      Atomics.load(link.words, word(one)) !== requestWord(one.generation, REQUEST_PENDING);
    if (!link.wait(withdrawn)) link.fault('a request is not withdrawn');
    else tally.add('arena.peerRequests');
    link.forget(one);
  }
  link.read();
  for (const one of link.requests.splice(0)) link.forget(one);
}
