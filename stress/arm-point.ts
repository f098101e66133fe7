/**
 * Preload: makes the process die, stop, or stand still exactly at a point (`points.ts`), so that no test has to guess a time.
 * It has to be loaded before the first socket is made.
 *
 * STRESS_POINT is the point as JSON, STRESS_SIGNAL the signal (SIGKILL by default), STRESS_NOTE a file for the last words.
 * With STRESS_STALL, milliseconds, there is no signal: the event loop is blocked for so long, and the test is told of it.
 */

import { writeFileSync } from 'node:fs';
import type { WSABUF } from '../src/spi/index.js';
import { packageModule } from './package-under-test.js';
import type { LastWords, Owner, Point } from './points.js';

type Method = (this: object, ...args: unknown[]) => unknown;
type Methods = Record<string, Method>;

const sharedMemory = 'providers/shared-memory';
const { HEADER_SIZE, TYPE_DATA } = await packageModule<typeof import('../src/session/header.js')>('session/header');
const { Session } = await packageModule<typeof import('../src/session/session.js')>('session/session');
const { PeerLink } = await packageModule<typeof import('../src/providers/shared-memory/link.js')>(
  `${sharedMemory}/link`,
);

async function ownerOf(owner: Owner): Promise<Methods> {
  const exported = async (path: string, name: string): Promise<Methods> =>
    (await packageModule<Record<string, { prototype: Methods }>>(path))[name].prototype;
  switch (owner) {
    case 'HandshakeChannel':
      return exported(`${sharedMemory}/handshake-channel`, 'HandshakeChannel');
    case 'LargeReceive':
      return exported('session/large-receive', 'LargeReceive');
    case 'LargeSend':
      return exported('session/large-send', 'LargeSend');
    case 'Links':
      return exported(`${sharedMemory}/links`, 'Links');
    case 'Listener':
      return exported(`${sharedMemory}/listener`, 'Listener');
    case 'PeerLink':
      return PeerLink.prototype as unknown as Methods;
    case 'Platform': {
      const { loadPlatform } = await packageModule<typeof import('../src/platform/index.js')>('platform/index');
      return loadPlatform() as unknown as Methods;
    }
    case 'ProviderConnection':
      return exported(`${sharedMemory}/connection`, 'Connection');
    case 'Session':
      return Session.prototype as unknown as Methods;
    case 'SwitchConnection':
      return exported('switch/connection', 'Connection');
  }
}

/** Replaces a method. What is hooked has to exist, else a step would silently never come. */
function wrap(owner: Methods, name: string, body: (original: Method, self: object, args: unknown[]) => unknown): void {
  const original = owner[name];
  if (typeof original !== 'function') throw new Error(`there is no method ${name}`);
  owner[name] = function (this: object, ...args: unknown[]) {
    return body(original, this, args);
  };
}

const { STRESS_POINT, STRESS_SIGNAL = 'SIGKILL', STRESS_NOTE = '', STRESS_STALL } = process.env;
const point = JSON.parse(STRESS_POINT!) as Point;

let session: { readonly bytesSent: number } | null = null;
let link: { readonly hasWaiting: boolean; readonly hasRecords: boolean } | null = null;
/** What the link was last asked room for. */
let wire: WSABUF | null = null;

/** Bytes of the program on the wire. A session counts them when WSPSend has returned, which may be too late here. */
function bytesOnWire(): number {
  const counted = session?.bytesSent ?? 0;
  if (point.method !== 'commit' || point.phase !== 'after' || wire === null) return counted;
  const isData = (wire.buf.words[wire.offset >> 2] & 0xff) === TYPE_DATA;
  return isData ? counted + wire.len - HEADER_SIZE : counted;
}

function strike(): void {
  if (STRESS_STALL !== undefined) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(STRESS_STALL));
    process.send!({ kind: 'stalled', hasRecords: link?.hasRecords });
    return;
  }
  const words: LastWords = {
    time: performance.timeOrigin + performance.now(),
    sent: bytesOnWire(),
    waiting: link?.hasWaiting ?? false,
  };
  if (STRESS_NOTE !== '') writeFileSync(STRESS_NOTE, JSON.stringify(words));
  process.kill(process.pid, STRESS_SIGNAL);
}

let hits = 0;

function reached(args: unknown[]): boolean {
  const [first] = args as [number | { type?: number } | undefined];
  if (point.message !== undefined && first !== point.message && (first as { type?: number })?.type !== point.message)
    return false;
  hits++;
  return hits === (point.hit ?? 1);
}

const owner = await ownerOf(point.owner);
let inside = point.within === undefined;
if (point.within !== undefined) {
  wrap(owner, point.within, (original, self, args) => {
    inside = true;
    try {
      return original.apply(self, args);
    } finally {
      inside = false;
    }
  });
}
wrap(owner, point.method, (original, self, args) => {
  if (!inside || !reached(args)) return original.apply(self, args);
  if (point.phase === 'before') {
    strike();
    return original.apply(self, args);
  }
  const result = original.apply(self, args);
  strike();
  return result;
});

const sessionMethods = Session.prototype as unknown as Methods;
for (const name of ['start', 'receive']) {
  wrap(sessionMethods, name, (original, self, args) => {
    session = self as typeof session;
    return original.apply(self, args);
  });
}
wrap(PeerLink.prototype as unknown as Methods, 'begin', (original, self, args) => {
  link = self as typeof link;
  const result = original.apply(self, args);
  wire = args[1] as WSABUF;
  return result;
});
