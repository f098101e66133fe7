/**
 * A listening socket: merges what TCP/IP and the SANs bring into the accept queue of the TCP/IP provider, and joins it with
 * the accepts of the program (WSD-ACC-1, WSD-ACC-3, WSD-ACC-35).
 */

import type { TcpipArrival, TcpipDescriptor } from '../providers/tcpip/index.js';
import { toWsaError } from '../providers/tcpip/index.js';
import {
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  type ConditionFunction,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type Out,
  SOCK_STREAM,
  type SOCKADDR,
  WSA_OPERATION_ABORTED,
  WSAECONNREFUSED,
  WSAEINVAL,
  WSAEWOULDBLOCK,
  WSATRY_AGAIN,
} from '../spi/index.js';
import type { AcceptHandler, MovableConnection, MovedListener, SwitchSocket } from '../switch/index.js';
import type { Host } from './host.js';
import { Pending } from './pending.js';
import type { Stream } from './stream.js';
import { TcpStream } from './tcp-stream.js';

/** Milliseconds for which a connection that waits may keep the listening from going on in another process. */
const silencePatience = 5000;

/** What an accept gets: the TCP/IP descriptor of the new socket, and what carries it. */
export interface Accepted {
  readonly descriptor: TcpipDescriptor;
  readonly stream: Stream;
  /** Of `Host.now`: when the connection was established. */
  readonly since: number;
}

/** One accept, WSAAccept or AcceptEx that waits. */
export class AcceptCall {
  readonly pending: Pending<Accepted>;
  readonly condition: ConditionFunction | null;
  readonly callbackData: unknown;
  cancelled = false;
  /** Its condition has said CF_DEFER. */
  hasDeferred = false;

  constructor(
    syscall: string,
    signal: AbortSignal | undefined,
    condition: ConditionFunction | null,
    callbackData: unknown,
    cancel: (call: AcceptCall) => void,
  ) {
    this.condition = condition;
    this.callbackData = callbackData;
    this.pending = new Pending<Accepted>(syscall, signal, () => {
      this.cancelled = true;
      cancel(this);
    });
  }

  /** Asks the program. An accept whose answer is not yes is over (WSD-ACC-19). */
  ask(caller: SOCKADDR, callee: SOCKADDR): number {
    const { pending, condition } = this;
    if (condition === null) return CF_ACCEPT;
    let verdict: unknown;
    try {
      verdict = condition({ ...caller }, null, null, null, { ...callee }, null, { value: 0 }, this.callbackData);
    } catch (error) {
      pending.fail(error);
    }
    if (pending.settled) return CF_REJECT;
    if (verdict === CF_ACCEPT) return CF_ACCEPT;
    if (verdict === CF_DEFER) {
      this.hasDeferred = true;
      pending.reject(WSATRY_AGAIN);
      return CF_DEFER;
    }
    pending.reject(verdict === CF_REJECT ? WSAECONNREFUSED : WSAEINVAL);
    return CF_REJECT;
  }
}

interface SanArrival {
  readonly connection: MovableConnection;
  /** The accept whose condition function has said yes, so that it is not asked again. */
  readonly approvedBy: AcceptCall | null;
}

/** A connection that waits for an accept. */
export interface Waiter {
  readonly descriptor: TcpipDescriptor;
  /** Null: TCP/IP carries it. */
  readonly connection: MovableConnection | null;
  readonly since: number;
}

function keyOf({ address, port }: SOCKADDR): string {
  return `${address} ${port}`;
}

export class Listener implements AcceptHandler {
  /** The program is being asked, so it must not accept or close here (WSAEINPROGRESS). */
  asking = false;
  /** Called when an accept may get a connection. */
  onacceptable: (() => void) | null = null;
  readonly #host: Host;
  readonly #tcpip: TcpipDescriptor;
  readonly #san: SwitchSocket;
  /** SO_CONDITIONAL_ACCEPT. */
  readonly #conditional: boolean;
  /** Accepts of the program, in order. */
  #waiting: AcceptCall[] = [];
  /** SAN requests that are accepted and not negotiated yet, by caller, with the call whose condition said yes. */
  readonly #negotiating = new Map<string, AcceptCall | null>();
  /** Those that are negotiated and wait, by descriptor. */
  readonly #sanArrivals = new Map<TcpipDescriptor, SanArrival>();
  /** When each arrival came. */
  readonly #since = new WeakMap<TcpipDescriptor, number>();
  /** A request waits at a SAN provider for another WSPAccept. */
  #deferred = false;
  /** Caller of the request that the program itself has deferred: nobody but the program decides on it. */
  #deferredCaller: string | null = null;
  #closed = false;
  /** It goes on in another process, where new requests are to wait. */
  #moving = false;
  #onidle: (() => void) | null = null;
  /** Connections that are being fetched from the process in which they have arrived. */
  #coming = false;
  readonly #errno: Out<number> = { value: 0 };

  constructor(host: Host, tcpip: TcpipDescriptor, san: SwitchSocket, conditional: boolean) {
    this.#host = host;
    this.#tcpip = tcpip;
    this.#san = san;
    this.#conditional = conditional;
  }

  /** 0 or a Winsock error. */
  listen(backlog: number): number {
    const room = Math.max(1, backlog);
    const status = this.#san.listen(room, this, room);
    return status === 0 ? this.#attend(room) : toWsaError(status);
  }

  #attend(room: number): number {
    const queue = this.#tcpip.queue!;
    queue.room = room;
    queue.onarrival = ({ socket }) => {
      if (!this.#since.has(socket)) this.#since.set(socket, this.#host.now());
      this.#dispatch();
      if (this.isAcceptable) this.onacceptable?.();
    };
    return 0;
  }

  // ---- what the SANs bring

  /** In the call stack of a provider's WSPAccept (WSD-ACC-8): the peer is told what is returned here. */
  condition(caller: SOCKADDR, callee: SOCKADDR): number {
    if (this.#closed) return CF_REJECT;
    if (this.#moving) {
      this.#deferred = true;
      return CF_DEFER;
    }
    const key = keyOf(caller);
    // Those before it wait for what is being negotiated.
    const call = this.#waiting[this.#negotiating.size];
    let verdict: number;
    if (call !== undefined) verdict = this.#ask(call, caller, callee);
    else verdict = this.#conditional || key === this.#deferredCaller || this.#isFull ? CF_DEFER : CF_ACCEPT;
    if (verdict === CF_DEFER) {
      this.#deferred = true;
      if (call !== undefined) {
        this.#deferredCaller = key;
        // Another accept may wait, and is asked next; not in this call stack, which is WSPAccept's.
        this.#host.scheduler.next(() => this.#askDeferred());
      } else {
        this.onacceptable?.();
      }
      return verdict;
    }
    if (key === this.#deferredCaller) this.#deferredCaller = null;
    if (verdict === CF_ACCEPT) this.#negotiating.set(key, call === undefined || call.condition === null ? null : call);
    return verdict;
  }

  /** A connection waits, or a request on which the next accept decides. */
  get isAcceptable(): boolean {
    return !this.#closed && (this.#deferred || this.#tcpip.queue?.first != null);
  }

  get #isFull(): boolean {
    const queue = this.#tcpip.queue!;
    return queue.length + this.#negotiating.size >= queue.room;
  }

  #ask(call: AcceptCall, caller: SOCKADDR, callee: SOCKADDR): number {
    this.asking = true;
    const verdict = call.ask(caller, callee);
    this.asking = false;
    if (call.pending.settled) this.#forget(call);
    return verdict;
  }

  accepted(connection: MovableConnection): void {
    const key = keyOf(connection.peerAddress);
    const approvedBy = this.#negotiating.get(key) ?? null;
    this.#negotiating.delete(key);
    const { tcpip } = this.#host;
    // WSD-ACC-28: the accept that wanted it has been cancelled.
    const wanted = !this.#closed && approvedBy?.cancelled !== true;
    const descriptor = wanted
      ? tcpip.WSPSocket(connection.localAddress.sa_family, SOCK_STREAM, IPPROTO_TCP, this.#errno)
      : INVALID_SOCKET;
    if (descriptor === INVALID_SOCKET) {
      connection.reset();
      return;
    }
    this.#enqueue(descriptor, { connection, approvedBy });
    this.#checkIdle();
  }

  #enqueue(descriptor: TcpipDescriptor, arrival: SanArrival): void {
    this.#sanArrivals.set(descriptor, arrival);
    const { connection } = arrival;
    const refuse = (): void => {
      this.#sanArrivals.delete(descriptor);
      connection.reset();
      this.#host.tcpip.WSPCloseSocket(descriptor, this.#errno);
    };
    const { localAddress: local, peerAddress: peer } = connection;
    this.#tcpip.queue?.add({ socket: descriptor, local, peer, refuse });
  }

  lost(caller: SOCKADDR): void {
    this.#negotiating.delete(keyOf(caller));
    this.#askDeferred();
    this.#checkIdle();
  }

  /** There may be room, or somebody to ask, for what waits at a provider. */
  #askDeferred(): void {
    if (!this.#deferred || this.#closed || this.#moving) return;
    if (this.#waiting.length <= this.#negotiating.size && (this.#conditional || this.#isFull)) return;
    this.#deferred = false;
    this.#san.acceptDeferred();
  }

  // ---- what the program wants

  accept(call: AcceptCall, nonBlocking: boolean): Pending<Accepted> {
    this.#waiting.push(call);
    this.#dispatch();
    this.#askDeferred();
    if (nonBlocking && !call.pending.settled) {
      this.#forget(call);
      call.pending.reject(WSAEWOULDBLOCK);
    }
    return call.pending;
  }

  cancel(call: AcceptCall): void {
    this.#forget(call);
  }

  #forget(call: AcceptCall): void {
    const i = this.#waiting.indexOf(call);
    if (i >= 0) this.#waiting.splice(i, 1);
    this.#checkIdle();
  }

  /** Gives the first arrivals to the first accepts, each by WSPAccept of TCP/IP. */
  #dispatch(): void {
    const { queue } = this.#tcpip;
    if (queue === null || this.asking) return;
    while (!this.#closed && this.#waiting.length > 0) {
      const first = queue.first;
      if (first === null) break;
      const approvedBy = this.#sanArrivals.get(first.socket)?.approvedBy ?? null;
      const call =
        approvedBy !== null && this.#waiting.includes(approvedBy) ? approvedBy : (this.#waiting[0] as AcceptCall);
      const approved = call.condition === null || call.condition === approvedBy?.condition;
      const condition: ConditionFunction = (caller, _callerData, _sqos, _gqos, callee) =>
        this.#ask(call, caller, callee);
      const { tcpip } = this.#host;
      const arrival = tcpip.WSPAccept(this.#tcpip, approved ? null : condition, call.callbackData, this.#errno);
      this.#forget(call);
      if (arrival === INVALID_SOCKET) call.pending.reject(this.#errno.value);
      else call.pending.resolve(this.#complete(arrival));
    }
    this.#askDeferred();
  }

  #complete({ socket: descriptor }: TcpipArrival): Accepted {
    const san = this.#sanArrivals.get(descriptor);
    this.#sanArrivals.delete(descriptor);
    return {
      descriptor,
      stream: san?.connection ?? new TcpStream(this.#host, descriptor),
      since: this.#since.get(descriptor) ?? this.#host.now(),
    };
  }

  // ---- moving to another process (WSD-DUP-35)

  get conditional(): boolean {
    return this.#conditional;
  }

  /** Calls back, now or later, when no accept waits and no connection is about to arrive. */
  whenIdle(callback: () => void): void {
    this.#onidle = callback;
    if (this.#isIdle) this.#becomeIdle();
  }

  get #isIdle(): boolean {
    return this.#closed || (this.#waiting.length + this.#negotiating.size === 0 && !this.#coming && !this.asking);
  }

  /** Not from inside a provider's WSPAccept, or an accept of the program. */
  #checkIdle(): void {
    if (this.#onidle !== null && this.#isIdle) this.#host.scheduler.next(() => this.#becomeIdle());
  }

  #becomeIdle(): void {
    if (!this.#isIdle) return;
    const callback = this.#onidle;
    this.#onidle = null;
    callback?.();
  }

  /**
   * New requests wait, and `done` is called when the connections that have arrived are silent. One whose peer does not answer
   * is reset after a while: it must not keep everybody else from accepting.
   */
  suspend(done: () => void): void {
    this.#moving = true;
    const asked = new Map(this.#sanArrivals);
    if (asked.size === 0) {
      done();
      return;
    }
    const cancel = this.#host.scheduler.later(() => {
      for (const descriptor of asked.keys()) this.#tcpip.queue?.remove(descriptor)?.refuse();
    }, silencePatience);
    for (const [descriptor, { connection }] of this.#sanArrivals) {
      connection.suspend(() => {
        asked.delete(descriptor);
        if (asked.size > 0) return;
        cancel();
        done();
      });
    }
  }

  /** It does not move after all. */
  resume(): void {
    this.#moving = false;
    for (const { connection } of this.#sanArrivals.values()) connection.resume();
    this.#askDeferred();
  }

  /** Gives up the connections that have arrived, in their order. */
  takeArrivals(): Waiter[] {
    const queue = this.#tcpip.queue!;
    const arrivals: Waiter[] = [];
    for (let first = queue.first; first !== null; first = queue.first) {
      const { socket } = first;
      queue.remove(socket);
      const connection = this.#sanArrivals.get(socket)?.connection ?? null;
      arrivals.push({ descriptor: socket, connection, since: this.#since.get(socket) ?? this.#host.now() });
    }
    this.#sanArrivals.clear();
    return arrivals;
  }

  /** Listens for what has been listened for in another process. 0 or a Winsock error. */
  receive(local: SOCKADDR, backlog: number, moved: readonly MovedListener[]): number {
    const room = Math.max(1, backlog);
    if (this.#host.tcpip.WSPListen(this.#tcpip, room, this.#errno) !== 0) return this.#errno.value;
    this.#attend(room);
    this.#san.receive(local, room, moved, this);
    return 0;
  }

  /** A connection of a SAN that has arrived in another process. */
  arrive(descriptor: TcpipDescriptor, connection: MovableConnection, since: number): void {
    this.#since.set(descriptor, since);
    this.#enqueue(descriptor, { connection, approvedBy: null });
  }

  /** Connections are about to arrive from another process. What is returned is to be called when all have that will. */
  expectArrivals(): () => void {
    this.#coming = true;
    return () => {
      this.#coming = false;
      this.#checkIdle();
    };
  }

  // ---- closing

  /** The accepts that wait are over. */
  cancelAll(wsaError = WSA_OPERATION_ABORTED): void {
    for (const { pending } of this.#waiting.splice(0)) pending.reject(wsaError);
    this.#checkIdle();
  }

  /** The socket is closed: everything that waits, on either side, is told. */
  close(): void {
    this.#closed = true;
    this.cancelAll();
    this.#san.close();
  }
}
