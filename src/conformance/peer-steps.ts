/** What a peer in another process can be told to do, one step at a time. */

import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import {
  FD_CONNECT,
  FD_CONNECT_BIT,
  INVALID_SOCKET,
  MEM_WRITE,
  type ProviderSocket,
  WSAEWOULDBLOCK,
} from '../spi/index.js';
import { name, notify, poll, region, text } from './memory.js';
import type { Node, Posted, Selected } from './node.js';
import { until, usualPatience } from './waiting.js';

/** A completed receive: error, and the message as text. */
export type Received = readonly [error: number, message: string];

/** Messages that a flood sends in one turn of the event loop. */
const burst = 20;

export class PeerSteps {
  readonly #node: Node;
  readonly #posted: Posted[] = [];
  readonly #opened: number[] = [];
  #listener: Selected | null = null;
  #connecting: Selected | null = null;
  #connection: ProviderSocket | null = null;

  constructor(node: Node) {
    this.#node = node;
  }

  address(): string {
    return this.#node.address;
  }

  listen(port: number): void {
    this.#listener = this.#node.listen(port);
  }

  async requested(): Promise<void> {
    await until(() => this.#listener!.event.signalled, 'a request has arrived', usualPatience);
    this.#node.enumerate(this.#listener!);
  }

  async accept(): Promise<void> {
    await this.requested();
    const accepted = this.#node.accept(this.#listener!);
    assert.ok(accepted !== INVALID_SOCKET);
    this.#connection = accepted;
  }

  async dieInCondition(): Promise<void> {
    await this.requested();
    this.#node.accept(this.#listener!, () => {
      process.kill(process.pid, 'SIGKILL');
      return 0;
    });
  }

  /** How WSPAccept fails now. */
  failToAccept(): number {
    return this.#node.failure(this.#node.accept(this.#listener!, () => assert.fail('there is nobody to ask about')));
  }

  connect(address: string, port: number, from: number): void {
    this.#connecting = this.#node.connect(name(port, address), from);
  }

  /** Connects, and tells how that ended: 0, or an error. */
  async attempt(address: string, port: number, from: number): Promise<number> {
    const selected = this.#node.select(this.#node.bound(from), FD_CONNECT);
    const result = this.#node.connectCall(selected.socket, name(port, address));
    const error = result === 0 ? 0 : this.#node.failure(result);
    if (error !== WSAEWOULDBLOCK) return error;
    this.#connecting = selected;
    return this.outcome();
  }

  async outcome(): Promise<number> {
    const connecting = this.#connecting!;
    await until(() => connecting.event.signalled, 'the connect has ended', usualPatience);
    const error = this.#node.enumerate(connecting).iErrorCode[FD_CONNECT_BIT]!;
    if (error === 0) this.#connection = connecting.socket;
    return error;
  }

  post(size: number): void {
    this.#posted.push(this.#node.post(this.#connection!, size));
  }

  /** Descriptor of RDMA memory that the other side may write, as numbers. */
  expose(size: number): readonly number[] {
    const descriptor = new Uint8Array(64);
    const length = { value: 64 };
    const { errno } = this.#node;
    const memory = region(size);
    assert.equal(this.#node.registerRdma(this.#connection!, memory, 0, size, MEM_WRITE, descriptor, length, errno), 0);
    return [...descriptor.subarray(0, length.value)];
  }

  say(message: string): void {
    this.#node.say(this.#connection!, message, poll());
  }

  /** Waits until so many receives have completed. */
  async received(count: number): Promise<readonly Received[]> {
    const isDone = ({ overlapped }: Posted): boolean => overlapped.Internal !== 0x103;
    await until(() => this.#posted.filter(isDone).length >= count, `${count} receives`, usualPatience);
    return this.#posted
      .filter(isDone)
      .map(({ overlapped, at }) => [overlapped.Internal, text(at, overlapped.InternalHigh)]);
  }

  dieInCompletion(): void {
    this.#node.onUpcall = (what) => {
      if (what.startsWith('complete')) process.kill(process.pid, 'SIGKILL');
    };
  }

  /** Sends numbered messages, at most so many, some in every turn. */
  flood(count: number): void {
    let sent = 0;
    const turn = (): void => {
      for (let i = 0; i < burst && sent < count; i++) this.#node.say(this.#connection!, `message ${sent++}`, notify());
      if (sent < count) setImmediate(turn);
    };
    turn();
  }

  /** Opens files until the process has no descriptor left. */
  exhaustDescriptors(): number {
    for (;;) {
      try {
        this.#opened.push(openSync('/dev/null', 'r'));
      } catch {
        return this.#opened.length;
      }
    }
  }

  releaseDescriptors(): void {
    for (const descriptor of this.#opened.splice(0)) closeSync(descriptor);
  }
}
