/** Two providers that reach each other, used through their tables as two switches use them. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import {
  FD_CONNECT,
  FD_CONNECT_BIT,
  INVALID_SOCKET,
  type ProviderSocket,
  type SOCKADDR,
  WSAEWOULDBLOCK,
} from '../spi/index.js';
import { notify } from './memory.js';
import { Node, type Posted, type Selected } from './node.js';
import { Peer, type PeerOptions } from './processes.js';
import type { Capability, Rig, Subject } from './subject.js';
import { settle, until, usualPatience } from './waiting.js';

/** A server and a client of one rig. */
export class ProviderBench {
  readonly rig: Rig;
  readonly subject: Subject;
  /** Milliseconds after which what a scenario waits for counts as never. */
  readonly patience: number;
  readonly server: Node;
  readonly client: Node;
  #next: Node | null = null;
  #port: number;
  readonly #peers: Peer[] = [];

  constructor(rig: Rig, subject: Subject, patience = usualPatience) {
    this.rig = rig;
    this.subject = subject;
    this.patience = patience;
    this.#port = rig.firstPort ?? 40_000;
    this.server = new Node(rig.server);
    this.client = new Node(rig.client);
  }

  /** Another process on the client's host, which duplication needs. */
  get next(): Node {
    const { next } = this.rig;
    assert.ok(next !== undefined, 'a provider that declares duplication needs a third party in its rig');
    this.#next ??= new Node(next);
    return this.#next;
  }

  /** What must hold at the end of every scenario. */
  checkEnd(): void {
    for (const node of [this.server, this.client, this.#next]) node?.checkEnd();
  }

  /** Whether the provider declares it. */
  has(capability: Capability): boolean {
    return this.subject.capabilities[capability];
  }

  until(condition: () => boolean, what: string): Promise<void> {
    return this.rig.until === undefined ? until(condition, what, this.patience) : this.rig.until(condition, what);
  }

  settle(): Promise<void> {
    return this.rig.settle === undefined ? settle() : this.rig.settle();
  }

  servedByTcpip(address: string): Promise<boolean> {
    return this.rig.servedByTcpip === undefined ? canBind(address) : this.rig.servedByTcpip(address);
  }

  /** A port that nobody has used. */
  port(): number {
    return this.#port++;
  }

  /** A connect of the client to a port of the server that goes on. */
  connecting(port: number): Selected {
    return this.client.connect(this.server.name(port), this.port());
  }

  /** Waits for the end of a connect and returns its error. */
  async outcome(selected: Selected, node = this.client): Promise<number> {
    await this.until(() => selected.event.signalled, 'the connect has ended');
    const events = node.enumerate(selected);
    assert.equal(events.lNetworkEvents, FD_CONNECT);
    return events.iErrorCode[FD_CONNECT_BIT]!;
  }

  /** The error of a connect, whether it is known at once or later; 0 if it succeeds. */
  async attempt(to: SOCKADDR, node = this.client): Promise<number> {
    const selected = node.select(node.bound(this.port()), FD_CONNECT);
    const result = node.connectCall(selected.socket, to);
    if (result === 0) return 0;
    const error = node.failure(result);
    return error === WSAEWOULDBLOCK ? this.outcome(selected, node) : error;
  }

  /** A listener of the server and a request of the client that has arrived there. */
  async requested(backlog = 8): Promise<{ listener: Selected; connecting: Selected; port: number; from: SOCKADDR }> {
    const port = this.port();
    const from = this.port();
    const listener = this.server.listen(port, backlog);
    const connecting = this.client.connect(this.server.name(port), from);
    await this.until(() => listener.event.signalled, 'the request has arrived');
    return { listener, connecting, port, from: this.client.name(from) };
  }

  /** One more request for a listener, after it has arrived. The listener's record is empty before it. */
  async another(listener: Selected, port: number): Promise<Selected> {
    this.server.enumerate(listener);
    const connecting = this.connecting(port);
    await this.until(() => listener.event.signalled, 'one more request has arrived');
    return connecting;
  }

  /** A connection: the client's socket and the server's. */
  async connected(): Promise<{ mine: ProviderSocket; theirs: ProviderSocket }> {
    const { listener, connecting } = await this.requested();
    this.server.enumerate(listener);
    const theirs = this.server.accept(listener);
    assert.ok(theirs !== INVALID_SOCKET);
    assert.equal(await this.outcome(connecting), 0);
    this.server.close(listener.socket);
    for (const node of [this.server, this.client]) node.log.length = 0;
    return { mine: connecting.socket, theirs };
  }

  /** Posts a receive buffer of the server's socket. */
  posted(theirs: ProviderSocket, size = 4096, overlapped = notify()): Posted {
    return this.server.post(theirs, size, overlapped);
  }

  /** Waits for so many completions of the server. */
  async received(count: number): Promise<void> {
    await this.until(() => this.server.completions.length >= count, `${count} receives have completed`);
  }

  /** A further party, in a process of its own. It ends with the bench. */
  peer(options: PeerOptions = {}): Peer {
    const peer = new Peer(this.subject, this.rig, { connectBudget: this.patience }, options);
    this.#peers.push(peer);
    return peer;
  }

  async close(): Promise<void> {
    try {
      this.client.stop();
      this.server.stop();
      this.#next?.stop();
      await Promise.all(this.#peers.map((peer) => peer.kill()));
    } finally {
      this.rig.close();
    }
  }
}

/** Whether TCP/IP of this host has the address. */
async function canBind(address: string): Promise<boolean> {
  const server = createServer().listen({ host: address, port: 0 });
  const event = await Promise.race([
    once(server, 'listening').then(() => 'listening'),
    once(server, 'error').then(() => 'error'),
  ]);
  server.close();
  return event === 'listening';
}
