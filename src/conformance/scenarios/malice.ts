/** Strangers, and peers that lie: the others are served as before, and no byte is written where none may be. */

import assert from 'node:assert/strict';
import {
  INVALID_SOCKET,
  type ProviderSocket,
  WSA_IO_PENDING,
  WSAEWOULDBLOCK,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import type { ProviderBench } from '../bench.js';
import { buffer, notify, numbers, poll, text } from '../memory.js';
import type { Posted, Selected } from '../node.js';
import { type Scenario, scenario } from '../scenario.js';
import type { Malice, RawConnection } from '../subject.js';
import { turns } from '../waiting.js';

/** Strangers that are there at the same time. */
const crowd = 20;
/** How often a liar overwrites something, and how much at a time. */
const rounds = 400;
const words = 8;
/** Turns of the event loop after each time: whether everything has been looked at, nobody can tell any more. */
const liarTurns = 3;

/** An honest connection beside the attack, and the listener that is attacked. */
class Scene {
  readonly malice: Malice;
  readonly port: number;
  readonly listener: Selected;
  readonly #raw: RawConnection[] = [];
  #honest!: { mine: ProviderSocket; theirs: ProviderSocket };
  #said = 0;

  private constructor(readonly bench: ProviderBench) {
    this.malice = bench.rig.malice!;
    this.port = bench.port();
    this.listener = bench.server.listen(this.port, 64);
  }

  static async open(bench: ProviderBench): Promise<Scene> {
    const scene = new Scene(bench);
    scene.#honest = await bench.connected();
    return scene;
  }

  /** The honest connection carries a message both ways, and a new one is made. */
  async assertServed(): Promise<void> {
    const { bench } = this;
    const { mine, theirs } = this.#honest;
    for (const [from, socket, to, peer] of [
      [bench.client, mine, bench.server, theirs],
      [bench.server, theirs, bench.client, mine],
    ] as const) {
      const { at, overlapped } = to.post(peer, 64, poll());
      const message = `honest ${this.#said++}`;
      from.say(socket, message, poll());
      await bench.until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'an honest message');
      assert.equal(overlapped.Internal, 0);
      assert.equal(text(at, overlapped.InternalHigh), message);
    }
    const more = await bench.connected();
    bench.client.close(more.mine);
    bench.server.close(more.theirs);
  }

  async stranger(...said: readonly Uint8Array[]): Promise<RawConnection> {
    const raw = await this.malice.stranger!(this.port);
    for (const bytes of said) raw.write(bytes);
    this.#raw.push(raw);
    return raw;
  }

  /** Whoever has asked for a connection gets it. */
  acceptAll(): readonly ProviderSocket[] {
    const { server } = this.bench;
    server.enumerate(this.listener);
    const accepted: ProviderSocket[] = [];
    for (;;) {
      const socket = server.accept(this.listener);
      if (socket !== INVALID_SOCKET) accepted.push(socket);
      // Others are those of strangers that have gone.
      else if (server.failure(socket) === WSAEWOULDBLOCK) return accepted;
    }
  }

  /** Strangers go, and whom they were taken for is closed. */
  async clear(): Promise<void> {
    for (const raw of this.#raw.splice(0)) raw.close();
    await this.bench.settle();
    for (const socket of this.acceptAll()) this.bench.server.close(socket);
  }
}

/** A receive buffer with memory on both sides of it that must stay as it is. */
class Guarded {
  readonly #memory: Uint8Array;
  readonly overlapped: WSAOVERLAPPED = notify();

  constructor(bench: ProviderBench, socket: ProviderSocket) {
    const { server } = bench;
    const memory = server.memory(socket, 192);
    this.#memory = memory.memory.bytes;
    this.#memory.fill(0xa5);
    assert.equal(server.failure(server.recv(socket, buffer(memory, 64, 64), this.overlapped)), WSA_IO_PENDING);
  }

  assertIntact(): void {
    for (const [from, to] of [
      [0, 64],
      [128, 192],
    ] as const) {
      assert.ok(
        this.#memory.subarray(from, to).every((byte) => byte === 0xa5),
        'nothing is written beside a buffer',
      );
    }
    assert.ok(this.overlapped.InternalHigh <= 64);
  }
}

const masks = [0x01, 0xff];

/** How many {@link variant}s there are of so many bytes. */
const variantsOf = (length: number): number => length * (1 + masks.length);

/** The bytes cut off at one of them, or with one of them changed. */
function variant(bytes: Uint8Array, i: number): Uint8Array {
  const at = i % bytes.length;
  const mask = masks[Math.floor(i / bytes.length) - 1];
  if (mask === undefined) return bytes.subarray(0, at);
  const changed = Uint8Array.from(bytes);
  changed[at]! ^= mask;
  return changed;
}

const options = { part: 'malice' } as const;

export const malice: readonly Scenario[] = [
  scenario(
    'WSD-LSN-6 WSD-ACC-4 strangers that say nothing, or nonsense, are nobody: no request, no event, others are served',
    async (bench) => {
      const scene = await Scene.open(bench);
      const random = numbers(11);
      for (let i = 0; i < crowd; i++) {
        const nonsense = Uint8Array.from({ length: i % 2 === 0 ? 0 : 1 << (i % 14) }, () => random(256));
        await scene.stranger(nonsense);
      }
      await bench.settle();
      assert.equal(bench.server.enumerate(scene.listener).lNetworkEvents, 0);
      assert.deepEqual(scene.acceptAll(), []);
      await scene.assertServed();
      await scene.clear();
      await scene.assertServed();
    },
    { ...options, hooks: ['stranger'] },
  ),

  scenario(
    'WSD-LSN-6 WSD-ACC-32 requests that are cut off at any byte, or wrong in one, do no harm',
    async (bench) => {
      const scene = await Scene.open(bench);
      const greet = (): Uint8Array => scene.malice.greeting!(scene.port);
      const count = variantsOf(greet().length);
      for (let i = 0; i < count; i += crowd) {
        for (let k = i; k < Math.min(i + crowd, count); k++) await scene.stranger(variant(greet(), k));
        await bench.settle();
        for (const socket of scene.acceptAll()) new Guarded(bench, socket);
        await scene.clear();
      }
      await scene.assertServed();
    },
    { ...options, hooks: ['greeting'] },
  ),

  scenario(
    'WSD-MEM-7 WSD-MEM-31 WSD-OVL-23 messages that are wrong in any byte end at most their own connection, and touch posted buffers only',
    async (bench) => {
      const scene = await Scene.open(bench);
      const { server } = bench;
      const onlyJoins = scene.malice.greetingOnlyJoins === true;
      for (const message of scene.malice.messages!()) {
        const count = variantsOf(message.length);
        for (let i = 0; i < count; i += crowd) {
          const size = Math.min(crowd, count - i);
          const raw: RawConnection[] = [];
          while (raw.length < size) raw.push(await scene.stranger(scene.malice.greeting!(scene.port)));
          await bench.settle();
          const accepted = scene.acceptAll();
          assert.equal(accepted.length, onlyJoins ? 0 : size, 'all are accepted: what they have asked with is right');
          // Whoever has only joined must not reach what others have posted either.
          const other = onlyJoins ? await bench.connected() : null;
          const guarded = [...accepted, ...(other === null ? [] : [other.theirs])].flatMap((s) => [
            new Guarded(bench, s),
            new Guarded(bench, s),
          ]);
          for (const [k, one] of raw.entries()) one.write(variant(message, i + k));
          await bench.settle();
          for (const one of raw) one.close();
          if (other !== null) {
            for (const _ of [1, 2]) bench.client.say(other.mine, 'honest', poll());
          }
          const isOver = (): boolean =>
            guarded.every(({ overlapped }) => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS);
          await bench.until(isOver, 'all of them have ended');
          for (const one of guarded) one.assertIntact();
          if (other === null) continue;
          bench.client.close(other.mine);
          server.close(other.theirs);
        }
        await scene.clear();
      }
      await scene.assertServed();
      assert.ok(server.completions.length > 0);
    },
    { ...options, hooks: ['messages'] },
  ),

  scenario(
    'WSD-MEM-7 WSD-COMP-12 a peer that spoils the memory which it shares is cut off at most: others are served, no byte goes astray',
    async (bench) => {
      const scene = await Scene.open(bench);
      const random = numbers(23);
      let liar = await scene.malice.liar!(scene.port);
      let guarded: Guarded[] = [];
      for (let round = 0; round < rounds; round++) {
        if (liar.ended) liar = await scene.malice.liar!(scene.port);
        for (let i = 0; i < words; i++) liar.spoil(random);
        await turns(liarTurns);
        guarded = [...guarded, ...scene.acceptAll().map((socket) => new Guarded(bench, socket))].slice(-crowd);
        for (const one of guarded) one.assertIntact();
        if (round % 100 === 0) await scene.assertServed();
      }
      liar.close();
      await scene.assertServed();
    },
    { ...options, hooks: ['liar'] },
  ),

  scenario(
    'WSD-OVL-23 WSD-NEG-8 a message that is larger than the buffer posted for it is written neither beside nor into another one',
    async (bench) => {
      const { server, client } = bench;
      const { mine, theirs } = await bench.connected();
      const guarded = new Guarded(bench, theirs);
      const next: Posted = bench.posted(theirs, 256);
      client.say(mine, Buffer.alloc(200, 'x'), poll());
      await bench.until(() => guarded.overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'its end');
      guarded.assertIntact();
      assert.notEqual(guarded.overlapped.Internal, 0, 'a message that was cut off is no message');
      assert.ok(next.at.buf.bytes.every((byte) => byte === 0));
      server.close(theirs);
    },
    options,
  ),
];
