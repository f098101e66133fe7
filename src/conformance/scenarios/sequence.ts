/** Any calls in any order: nothing throws, every error is one of the function's own, and everything ends once. */

import assert from 'node:assert/strict';
import {
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  errorName,
  FD_ACCEPT,
  FD_CONNECT,
  INVALID_SOCKET,
  MEM_READWRITE,
  type ProviderSocket,
  WSA_IO_PENDING,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import type { ProviderBench } from '../bench.js';
import { calls, isAllowed } from '../calls.js';
import { notify, numbers, poll, region } from '../memory.js';
import type { Node } from '../node.js';
import { type Scenario, scenario } from '../scenario.js';

const names = Object.keys(calls);
const steps = 500;
const seeds = 12;

/** What each side of a walk has made, closed ones included. */
class Side {
  readonly listeners: ProviderSocket[] = [];
  /** Sockets that connect, and accepted ones. */
  readonly others: ProviderSocket[] = [];
  constructor(readonly node: Node) {}
}

/** One random walk: what two switches might do, and what none should. */
class Walk {
  readonly #bench: ProviderBench;
  readonly #random: (below: number) => number;
  readonly #sides: readonly Side[];
  readonly #ports = [41_000, 41_001, 41_002];
  readonly #memory = region(64);
  /** Operations that have been started. */
  readonly started: WSAOVERLAPPED[] = [];

  constructor(bench: ProviderBench, random: (below: number) => number) {
    this.#bench = bench;
    this.#random = random;
    this.#sides = [new Side(bench.server), new Side(bench.client)];
  }

  #some<T>(list: readonly T[]): T {
    return list[this.#random(list.length)]!;
  }

  async step(): Promise<void> {
    const side = this.#some(this.#sides);
    const { node, listeners, others } = side;
    node.errno.value = 0;
    const kind = this.#random(16);
    if (kind === 0) this.#listen(side);
    else if (kind < 3) this.#connect(side);
    else if (kind < 6 && listeners.length > 0) this.#accept(side);
    else if (kind < 11 && others.length > 0) this.#transfer(node, this.#some(others));
    else if (kind < 13) await this.#bench.settle();
    else this.#anything(side);
  }

  #listen({ node, listeners }: Side): void {
    const socket = node.bound(this.#some(this.#ports));
    node.table.WSPListen(socket, 1 + this.#random(4), node.errno);
    node.select(socket, FD_ACCEPT);
    listeners.push(socket);
  }

  #connect({ node, others }: Side): void {
    const { socket } = node.select(node.bound(this.#bench.port()), FD_CONNECT);
    node.connectCall(socket, this.#some(this.#sides).node.name(this.#some(this.#ports)));
    others.push(socket);
  }

  #accept({ node, listeners, others }: Side): void {
    const socket = this.#some(listeners);
    const verdict = this.#some([CF_ACCEPT, CF_ACCEPT, CF_ACCEPT, CF_ACCEPT, CF_REJECT, CF_DEFER, 9]);
    const other = this.#random(10) === 0 ? this.#some(listeners) : null;
    const { WSPAccept, WSPCloseSocket } = node.table;
    const condition = (): number => {
      // Now and then in the middle of it.
      if (other !== null) WSPCloseSocket(other, { value: 0 });
      return verdict;
    };
    const accepted = WSPAccept(socket, null, null, condition, null, node.errno);
    if (accepted !== INVALID_SOCKET) others.push(accepted);
    else assert.ok(isAllowed('WSPAccept', accepted, node.errno.value), errorName(node.errno.value));
  }

  #transfer(node: Node, socket: ProviderSocket): void {
    const handle = node.registerMemory(socket, this.#memory, 0, 64, MEM_READWRITE, node.errno);
    if (handle === null) return;
    const overlapped = this.#some([notify, poll])();
    const part = { len: 1 + this.#random(32), buf: this.#memory, offset: 8 * this.#random(4) };
    const result = this.#random(2) === 0 ? node.send(socket, part, overlapped) : node.recv(socket, part, overlapped);
    if (result === 0 || node.errno.value === WSA_IO_PENDING) this.started.push(overlapped);
  }

  #anything({ node, listeners, others }: Side): void {
    const all = [...listeners, ...others];
    if (all.length === 0) return;
    const what = this.#some(names);
    const result = calls[what]!(node, this.#some(all));
    const { value } = node.errno;
    assert.ok(isAllowed(what, result, value), `${what}: ${String(result)} ${errorName(value)}`);
  }
}

export const sequence: readonly Scenario[] = Array.from({ length: seeds }, (_, i) => {
  const seed = i + 1;
  return scenario(`WSD-OVL-23 WSD-ERR-1 WSD-CLS-12 any calls in any order: seed ${seed}`, async (bench) => {
    const walk = new Walk(bench, numbers(seed));
    for (let i = 0; i < steps; i++) await walk.step();
    bench.client.stop();
    bench.server.stop();
    await bench.settle();
    assert.ok(walk.started.length > 0, 'it came to something');
    assert.ok(walk.started.every(({ Internal }) => Internal !== WSS_OPERATION_IN_PROGRESS));
  });
});
