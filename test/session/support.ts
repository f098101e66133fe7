/**
 * Two sessions joined by a wire in memory. Everything that may happen next is a step; who calls `step` decides on the order,
 * so that one seed gives one history. The wire keeps the order of messages in each direction and nothing else.
 */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  HEADER_SIZE,
  type LargeMethod,
  Session,
  type SessionOffer,
  type SessionOptions,
  type SessionOwner,
  type SessionWire,
} from '../../src/session/index.js';
import { type MemoryRegion, type WSABUF, WSAECONNRESET } from '../../src/spi/index.js';
import { Rdma, type RdmaBehaviour, type RdmaHost } from './rdma.js';

/** Runs of a property; more by the environment, for a longer search. */
export const numRuns = Number(process.env.SOCKETS_DIRECT_TEST_RUNS ?? 60);

/** Bytes of every stream: position p has the value pattern[p % pattern.length], and no two positions look alike for long. */
const pattern = Buffer.allocUnsafe(1_000_003);
for (let i = 0, x = 1; i < pattern.length; i++) {
  x = (Math.imul(x, 1_103_515_245) + 12_345) | 0;
  pattern[i] = x >>> 16;
}

export function streamBytes(position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const from = (position + at) % pattern.length;
    at += pattern.copy(bytes, at, from, Math.min(from + length - at, pattern.length));
  }
  return bytes;
}

export function region(size: number): MemoryRegion {
  const memory = new ArrayBuffer((size + 7) & ~7);
  return { bytes: new Uint8Array(memory, 0, size), words: new Int32Array(memory) };
}

/** One write of a program, and what has become of it. */
interface Write {
  readonly chunks: readonly Buffer[];
  readonly length: number;
  /** Calls of `done`, with their errors. */
  readonly results: number[];
  taken: boolean;
}

export type Message = Uint8Array | 'closed';

/** A session with the program above it and the connection below it, both simulated. */
export class Side implements SessionWire, SessionOwner, RdmaHost {
  readonly session: Session;
  readonly offer: SessionOffer;
  peer!: Side;
  /** Messages under way to this side, oldest first. */
  readonly inbox: Message[] = [];
  readonly posted: WSABUF[] = [];
  /** Work for later turns. */
  readonly tasks: (() => void)[] = [];
  readonly events: string[] = [];
  readonly writes: Write[] = [];
  readonly shutdowns: number[] = [];
  readonly received: Buffer[] = [];
  /** Positions in the stream behind each urgent byte. */
  readonly urgentWritten: number[] = [];
  readonly urgentReceived: number[] = [];
  /** Called with each delivered chunk. */
  onChunk: ((chunk: Buffer) => void) | null = null;
  receivedBytes = 0;
  writtenBytes = 0;
  messagesSent = 0;
  /** Most messages that were ever under way to this side. */
  outstandingMax = 0;
  companionOpen = true;
  readonly rdma: Rdma;
  #outgoing: WSABUF | null = null;
  #deliverable = false;

  constructor(options: SessionOptions, behaviour: RdmaBehaviour) {
    this.offer = options.offer;
    this.rdma = new Rdma(this, behaviour);
    this.session = new Session(this, this, options);
    this.#post(options.offer.postedBuffers);
  }

  get peerRdma(): Rdma {
    return this.peer.rdma;
  }

  #post(count: number): void {
    const size = HEADER_SIZE + this.offer.payloadSize;
    const stride = (size + 63) & ~63;
    const memory = region(count * stride);
    for (let i = 0; i < count; i++) this.posted.push({ len: size, buf: memory, offset: i * stride });
  }

  // ---- the connection below

  getSendBuffer(length: number): WSABUF | null {
    if (!this.companionOpen) return null;
    assert.equal(this.#outgoing, null, 'the last buffer has been sent');
    assert.ok(length <= HEADER_SIZE + this.peer.offer.payloadSize, 'a message fits the buffers of the peer');
    this.#outgoing = { len: length, buf: region(length + 64), offset: 64 };
    return this.#outgoing;
  }

  send(length: number): void {
    const { buf, offset } = this.#outgoing!;
    this.#outgoing = null;
    this.messagesSent++;
    this.peer.inbox.push(buf.bytes.slice(offset, offset + length));
    this.peer.outstandingMax = Math.max(this.peer.outstandingMax, this.peer.inbox.length);
    assert.ok(
      this.peer.inbox.length <= this.peer.posted.length,
      'there is a posted buffer for every message under way',
    );
  }

  repost(buffer: WSABUF): void {
    assert.ok(!this.posted.includes(buffer), 'a buffer is posted once');
    this.posted.push(buffer);
  }

  postMore(count: number): number {
    this.#post(count);
    return count;
  }

  /** No memory is to be had for other buffers. */
  outOfMemory = false;

  replaceMemory(buffer: WSABUF): boolean {
    if (this.outOfMemory) return false;
    buffer.buf = region(buffer.len);
    buffer.offset = 0;
    return true;
  }

  /** Hands over the oldest message: a buffer is filled and completes. */
  deliver(): void {
    const message = this.inbox.shift()!;
    if (!this.companionOpen) return;
    if (message === 'closed') {
      this.companionOpen = false;
      this.rdma.cut();
      this.session.lost(WSAECONNRESET);
      return;
    }
    const buffer = this.posted.shift()!;
    buffer.buf.bytes.set(message, buffer.offset);
    this.session.receive(buffer, message.length);
  }

  // ---- the program above

  write(...lengths: number[]): void {
    const chunks = lengths.map((length) => {
      const chunk = streamBytes(this.writtenBytes, length);
      this.writtenBytes += length;
      return chunk;
    });
    const write: Write = { chunks, length: lengths.reduce((sum, n) => sum + n, 0), results: [], taken: false };
    this.writes.push(write);
    let returned = false;
    const done = (error: number): void => {
      assert.ok(returned, 'done is not called before write has returned');
      write.results.push(error);
      spoil(chunks);
    };
    write.taken = chunks.length === 1 ? this.session.write(chunks[0]!, done) : this.session.writev(chunks, done);
    returned = true;
    if (write.taken) spoil(chunks);
  }

  writeUrgent(length: number): void {
    const chunk = streamBytes(this.writtenBytes, length);
    this.writtenBytes += length;
    this.urgentWritten.push(this.writtenBytes);
    const write: Write = { chunks: [chunk], length, results: [], taken: false };
    this.writes.push(write);
    let returned = false;
    write.taken = this.session.writeUrgent(chunk, (error) => {
      assert.ok(returned, 'done is not called before writeUrgent has returned');
      write.results.push(error);
      spoil([chunk]);
    });
    returned = true;
    if (write.taken) spoil([chunk]);
  }

  shutdown(): void {
    let returned = false;
    this.session.shutdown((error) => {
      assert.ok(returned, 'done comes in a later turn');
      this.shutdowns.push(error);
    });
    returned = true;
  }

  onNegotiated(): void {
    this.events.push('negotiated');
  }

  onData(chunk: Buffer): void {
    assert.ok(!this.ended, 'no data after the end');
    assert.ok(chunk.length > 0);
    this.received.push(chunk);
    this.receivedBytes += chunk.length;
    this.onChunk?.(chunk);
  }

  onUrgent(chunk: Buffer): void {
    this.onData(chunk);
    this.urgentReceived.push(this.receivedBytes);
  }

  onEnd(): void {
    this.events.push('end');
  }

  onError(wsaError: number): void {
    this.events.push(`error ${wsaError}`);
  }

  onViolation(what: string): void {
    this.events.push(`violation: ${what}`);
    this.session.lost(WSAECONNRESET);
    this.closeCompanion();
  }

  onFinished(): void {
    this.events.push('finished');
    this.closeCompanion();
  }

  onDeliverable(): void {
    if (this.#deliverable) return;
    this.#deliverable = true;
    this.tasks.push(() => {
      this.#deliverable = false;
      this.session.deliverStored();
    });
  }

  onWriteWaiting(): void {
    this.tasks.push(() => this.session.acceptWaiting());
  }

  defer(done: (error: number) => void, error: number): void {
    this.tasks.push(() => done(error));
  }

  /** WSPCloseSocket: what was sent before arrives before the peer is told. */
  closeCompanion(): void {
    if (!this.companionOpen) return;
    this.companionOpen = false;
    this.rdma.cut();
    this.peer.inbox.push('closed');
  }

  // ---- what must hold

  get ended(): boolean {
    return this.events.some((event) => event === 'end' || event.startsWith('error'));
  }

  times(event: string): number {
    return this.events.filter((one) => one.startsWith(event)).length;
  }

  /** What has been delivered is what the peer has written, byte for byte, from its beginning. */
  checkReceived(): void {
    const bytes = Buffer.concat(this.received);
    assert.ok(bytes.length <= this.peer.writtenBytes, 'no more than was written');
    assert.ok(bytes.equals(streamBytes(0, bytes.length)), 'every byte once and in order');
  }

  checkWrites(): void {
    for (const { taken, results } of this.writes) {
      assert.equal(results.length, taken ? 0 : 1, 'done is called once, and only if write returned false');
    }
  }
}

/** The memory is the program's again, which may use it for something else at once. */
function spoil(chunks: readonly Buffer[]): void {
  for (const chunk of chunks) chunk.fill(0xee);
}

export interface PairOptions {
  readonly offers: readonly [SessionOffer, SessionOffer];
  readonly copyMax: number;
  readonly gatherMax: number;
  readonly acceptMax: number;
  /** Larger writes go by RDMA, if the peer's offer has `large`. */
  readonly largeThreshold?: number;
  readonly rdma?: RdmaBehaviour;
}

export const usual: PairOptions = {
  offers: [
    { postedBuffers: 8, postedBuffersMax: 8, payloadSize: 4096 },
    { postedBuffers: 8, postedBuffersMax: 8, payloadSize: 4096 },
  ],
  copyMax: 1024,
  gatherMax: 16384,
  acceptMax: 65536,
};

/** A pair of sessions; `a` is the initiator and has sent its negotiation message. */
export class Pair {
  readonly a: Side;
  readonly b: Side;
  readonly sides: readonly [Side, Side];

  constructor({ offers, rdma, ...rest }: PairOptions = usual) {
    const behaviour = rdma ?? { readMax: 65_536, immediate: false };
    const [a, b] = offers.map((offer, i) => new Side({ offer, initiator: i === 0, ...rest }, behaviour)) as [
      Side,
      Side,
    ];
    a.peer = b;
    b.peer = a;
    this.a = a;
    this.b = b;
    this.sides = [a, b];
    a.session.start();
  }

  /** Takes one of the steps that are possible; false if there is none. */
  step(choice: number): boolean {
    const steps = this.sides.flatMap((side) => {
      const possible: (() => void)[] = [];
      if (side.inbox.length > 0) possible.push(() => side.deliver());
      if (side.tasks.length > 0) possible.push(() => side.tasks.shift()!());
      return possible;
    });
    steps[choice % steps.length]?.();
    return steps.length > 0;
  }

  /** Takes steps until nothing is left to do, which must come to an end. */
  settle(random: () => number = () => 0): void {
    for (let steps = 0; this.step(random()); steps++) {
      assert.ok(steps < 200_000, `this never ends: ${this.a.messagesSent} and ${this.b.messagesSent} messages`);
    }
  }

  /** Two sessions that have negotiated; nothing is under way. */
  static negotiated(options: PairOptions = usual): Pair {
    const pair = new Pair(options);
    pair.settle();
    assert.ok(pair.a.session.negotiated && pair.b.session.negotiated);
    return pair;
  }
}

/** A generator of choices, the same for the same seed. */
export function choices(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 1;
  };
}

// ---- what properties run over

const offer = fc
  .record({
    postedBuffers: fc.integer({ min: 4, max: 32 }),
    more: fc.nat(8),
    payloadSize: fc.integer({ min: 1024, max: 16384 }),
    large: fc.constantFrom<LargeMethod | undefined>(undefined, 'read', 'write'),
  })
  .map(({ postedBuffers, more, payloadSize, large }): SessionOffer => {
    const offer = { postedBuffers, postedBuffersMax: postedBuffers + more, payloadSize: payloadSize & ~7 };
    return large === undefined ? offer : { ...offer, large };
  });

export const pairOptions: fc.Arbitrary<PairOptions> = fc.record({
  offers: fc.tuple(offer, offer),
  copyMax: fc.constantFrom(0, 1, 512, 4096),
  gatherMax: fc.constantFrom(0, 4096, 65536),
  acceptMax: fc.constantFrom(0, 65536, 2_621_440),
  largeThreshold: fc.constantFrom(0, 20_000, Number.POSITIVE_INFINITY),
  rdma: fc.record({ readMax: fc.constantFrom(1000, 65_536, 300_000), immediate: fc.boolean() }),
});

const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1000, max: 20_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 204_800 }) },
);

export type Act =
  | { readonly kind: 'write'; readonly sizes: readonly number[] }
  | { readonly kind: 'readStart' | 'readStop' | 'shutdown' | 'close' | 'reset' }
  | { readonly kind: 'steps'; readonly count: number };

const writeAct = fc
  .oneof(
    size.map((n) => [n]),
    fc.array(fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 0, max: 5000 }) }, { weight: 1, arbitrary: size }), {
      minLength: 1,
      maxLength: 6,
    }),
  )
  .map((sizes): Act => ({ kind: 'write', sizes }));
const stepsAct = fc.nat(40).map((count): Act => ({ kind: 'steps', count }));

/** Acts of the two programs, with steps in between. */
export function acts(
  ...more: readonly ('readStart' | 'readStop' | 'shutdown' | 'close' | 'reset')[]
): fc.Arbitrary<[0 | 1, Act][]> {
  const act = fc.oneof(
    { weight: 6, arbitrary: writeAct },
    { weight: 4, arbitrary: stepsAct },
    { weight: 3, arbitrary: fc.constantFrom<Act>({ kind: 'readStart' }, { kind: 'readStop' }) },
    ...(more.length > 0 ? [{ weight: 1, arbitrary: fc.constantFrom(...more).map((kind): Act => ({ kind })) }] : []),
  );
  return fc.array(fc.tuple(fc.constantFrom<0 | 1>(0, 1), act), { maxLength: 40, size: 'max' });
}

export function perform(pair: Pair, script: readonly [0 | 1, Act][], random: () => number): void {
  for (const [which, act] of script) {
    const side = pair.sides[which];
    if (act.kind === 'write') side.write(...act.sizes);
    else if (act.kind === 'steps') for (let i = 0; i < act.count; i++) pair.step(random());
    else if (act.kind === 'shutdown') side.shutdown();
    else side.session[act.kind]();
  }
}
