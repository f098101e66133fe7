/** Two links over one piece of plain memory, whose loops, doorbells and programs a test drives by hand. */

import assert from 'node:assert/strict';
import { notify, region } from '../../src/conformance/memory.js';
import { ARENA_SIZE, arenaLayout, type Side, SLOTS } from '../../src/providers/shared-memory/arena.js';
import { Connection } from '../../src/providers/shared-memory/connection.js';
import type { ConnectionOwner, PeerMoves } from '../../src/providers/shared-memory/connection-face.js';
import { type LinkOwner, PeerLink } from '../../src/providers/shared-memory/link.js';
import type { LinkMemory } from '../../src/providers/shared-memory/link-memory.js';
import { RdmaRegistrations } from '../../src/providers/shared-memory/memory.js';
import { type Pollable, Poller } from '../../src/providers/shared-memory/poller.js';
import { RegistrationCache } from '../../src/providers/shared-memory/registration-cache.js';
import {
  AF_INET,
  EventObject,
  INVALID_SOCKET,
  type SOCKADDR,
  type SwitchHandle,
  type WSABUF,
  type WSAOVERLAPPED,
  type WSPUPCALLTABLEEX,
} from '../../src/spi/index.js';
import { scheduler } from '../support/real-time.js';

export const callee: SOCKADDR = { sa_family: AF_INET, address: '127.0.0.1', port: 80 };
export const caller: SOCKADDR = { sa_family: AF_INET, address: '127.0.0.1', port: 50_000 };

/** Nothing moves here. */
const moves: PeerMoves = { expect: () => {}, giveUp: () => false };

/** Takes turns only when told to. */
class HandPoller extends Poller {
  readonly links = new Set<Pollable>();

  constructor() {
    super({ now: () => 0, scheduler, yieldProcessor: () => {} });
  }

  override kick(link: Pollable): void {
    if (link.awake) return;
    link.wake();
    link.awake = true;
    this.links.add(link);
  }

  override ring(link: Pollable): void {
    if (link.awake) return;
    this.kick(link);
    link.poll();
  }

  override remove(link: Pollable): void {
    link.awake = false;
    this.links.delete(link);
  }

  turn(): void {
    for (const link of [...this.links]) {
      if (!link.poll() && link.sleep()) this.remove(link);
    }
  }
}

/** What the switch is told. Completions come in the order in which they were reported. */
export interface Completion {
  readonly overlapped: WSAOVERLAPPED;
  readonly error: number;
  readonly bytes: number;
}

/** An up-call table that records completions; everything else is not expected on a link. */
export function completionsTable(
  completions: Completion[],
  onCompletion?: (one: Completion) => void,
): WSPUPCALLTABLEEX {
  const none = (): never => assert.fail('this up-call is not expected here');
  return {
    WPUCloseEvent: none,
    WPUCloseSocketHandle: none,
    WPUCreateEvent: () => new EventObject(),
    WPUCreateSocketHandle: () => INVALID_SOCKET,
    WPUFDIsSet: none,
    WPUGetProviderPath: none,
    WPUModifyIFSHandle: none,
    WPUPostMessage: none,
    WPUQueryBlockingCallback: none,
    WPUQuerySocketHandleContext: none,
    WPUQueueApc: none,
    WPUResetEvent: none,
    WPUSetEvent: none,
    WPUOpenCurrentThread: none,
    WPUCloseThread: none,
    WPUCompleteOverlappedRequest: (_s, overlapped, error, bytes) => {
      overlapped.InternalHigh = bytes;
      overlapped.Internal = error;
      const one = { overlapped, error, bytes };
      completions.push(one);
      onCompletion?.(one);
      return 0;
    },
  };
}

/** A connection with its socket's part, and what it was told. */
export class Party implements ConnectionOwner {
  readonly switchHandle: SwitchHandle = { spi: 'SwitchHandle' };
  readonly cache: RegistrationCache;
  readonly rdma: RdmaRegistrations;
  reason: string | null = null;
  readonly completions: Completion[] = [];
  readonly connects: (readonly [number, string | null])[] = [];
  readonly connection: Connection;
  onCompletion: ((one: Completion) => void) | null = null;
  readonly received: Buffer[] = [];
  readonly #buffers = new Map<WSAOVERLAPPED, WSABUF>();

  constructor(link: PeerLink, initiator: boolean, violated = (): void => {}) {
    const upcalls = completionsTable(this.completions, (one) => {
      const buffer = this.#buffers.get(one.overlapped);
      if (buffer !== undefined && one.error === 0) {
        this.received.push(Buffer.from(buffer.buf.bytes.slice(buffer.offset, buffer.offset + one.bytes)));
      }
      this.onCompletion?.(one);
    });
    const connection = new Connection(this, { upcalls, scheduler, moves, violated }, link, initiator);
    this.connection = connection;
    const { memory } = link;
    this.cache = new RegistrationCache((buffer) => memory?.addressOf(buffer) ?? null);
    this.rdma = new RdmaRegistrations(
      this.cache,
      memory && {
        expose: (...entry) => memory.expose(connection.id, ...entry),
        hide: (reference) => memory.hide(reference),
        hideSurely: (reference) => memory.hideSurely(reference),
      },
    );
  }

  connectEnded(wsaError: number, reason: string | null): void {
    this.connects.push([wsaError, reason]);
  }

  connectElsewhere(): boolean {
    return false;
  }

  linkChanged(): void {}

  connectionEnding(): void {
    this.rdma.hideAll();
  }

  post(count: number, size = 4096): void {
    for (let i = 0; i < count; i++) {
      const overlapped = notify();
      const buffer = { len: size, buf: region(size), offset: 0 };
      this.#buffers.set(overlapped, buffer);
      this.connection.post(buffer, overlapped);
    }
  }

  /** Sends a message as WSPSend does; false if it waits for wire. */
  send(bytes: Uint8Array, overlapped: WSAOVERLAPPED | null = null): boolean {
    const { link, id } = this.connection;
    const buffer: WSABUF = { len: 0, buf: region(0), offset: 0 };
    link.begin(bytes.length, buffer);
    buffer.buf.bytes.set(bytes, buffer.offset);
    return link.commit(bytes.length, id, overlapped);
  }
}

export interface Request {
  readonly link: PeerLink;
  readonly id: number;
  readonly generation: number;
  readonly callee: SOCKADDR;
  readonly caller: SOCKADDR;
}

/** One event loop with its end of the link. */
export class Loop implements LinkOwner {
  readonly poller = new HandPoller();
  readonly requests: Request[] = [];
  readonly ends: string[] = [];
  /** Connections that broke the rules. */
  violations = 0;
  link!: PeerLink;
  peer!: Loop;
  /** The doorbell has rung, and the loop has not come to it. */
  bell = false;

  connectRequest(link: PeerLink, id: number, generation: number, called: SOCKADDR, calling: SOCKADDR): void {
    this.requests.push({ link, id, generation, callee: called, caller: calling });
  }

  violated(): void {
    this.violations++;
  }

  resumeRequest(): void {
    throw new Error('a connection comes from another process');
  }

  ended(_link: PeerLink, cause: string): void {
    this.ends.push(cause);
  }

  /** False if there is nothing to do. */
  turn(): boolean {
    if (!this.bell && this.poller.links.size === 0) return false;
    if (this.bell) {
      this.bell = false;
      this.link.rung();
    }
    this.poller.turn();
    return true;
  }

  /** Turns of this loop alone until it sleeps. */
  rest(): void {
    for (let turns = 0; this.turn(); turns++) assert.ok(turns < 10_000, 'the loop comes to rest');
  }

  /** Starts a connect, as Links does. */
  connect(): Party {
    const party = new Party(this.link, true, () => this.violated());
    const slot = this.link.open(party.connection);
    assert.ok(slot !== null);
    party.connection.id = slot.id;
    party.connection.generation = slot.generation;
    this.link.sendConnect(slot.id, slot.generation, callee, caller);
    return party;
  }

  /** Accepts the oldest request, as WSPAccept does; null if it was withdrawn. */
  accept(): Party | null {
    const { id, generation } = this.requests.shift()!;
    const party = new Party(this.link, false, () => this.violated());
    party.connection.id = id;
    party.connection.generation = generation;
    return this.link.accept(id, generation, party.connection) ? party : null;
  }
}

export interface Joined {
  readonly arena: ArrayBuffer;
  readonly words: Int32Array;
  readonly a: Loop;
  readonly b: Loop;
  /** Turns of both loops until both sleep. */
  run(): void;
  /** A connection from `a` to `b`. */
  connected(): [Party, Party];
}

/**
 * A link between `a`, which is side 0, and `b`, over the arena, whose control words must be zero. `memoryOf`: how either
 * side reads memory of the other; without it only over the ring.
 */
export function join(arena = new ArrayBuffer(ARENA_SIZE), memoryOf?: (side: Side) => LinkMemory): Joined {
  const a = new Loop();
  const b = new Loop();
  a.peer = b;
  b.peer = a;
  for (const [side, loop] of [a, b].entries()) {
    loop.link = new PeerLink({
      arena,
      side: side === 0 ? 0 : 1,
      memory: memoryOf?.(side === 0 ? 0 : 1) ?? null,
      poller: loop.poller,
      owner: loop,
      ringDoorbell: () => {
        loop.peer.bell = true;
        return true;
      },
    });
  }
  const run = (): void => {
    for (let turns = 0; [a, b].map((loop) => loop.turn()).includes(true); turns++) {
      assert.ok(turns < 10_000, 'both loops come to rest');
    }
  };
  return {
    arena,
    words: new Int32Array(arena, 0, 1024),
    a,
    b,
    run,
    connected: () => {
      const one = a.connect();
      run();
      const other = b.accept();
      assert.ok(other !== null);
      run();
      assert.deepEqual(one.connects, [[0, null]]);
      return [one, other];
    },
  };
}

/** Makes an arena as good as new. */
export function clear(arena: ArrayBuffer, slots: number): void {
  new Uint8Array(arena, 0, 4096).fill(0);
  for (const side of [0, 1] as const) new Int32Array(arena, arenaLayout(side).myRequests, SLOTS).fill(0, 0, slots);
}
