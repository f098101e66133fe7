/**
 * A listening socket that several processes share. Each has the kernel's socket, and one of them listens with it and on the
 * SANs. What waits for an accept moves along: connections of a SAN as any other connection, those of TCP/IP as descriptors.
 */

import { AF_INET6, INVALID_SOCKET, IPPROTO_TCP, type Out, SOCK_STREAM, WSAEINVAL, WSAENOBUFS } from '../spi/index.js';
import type { MovableConnection, SwitchSocket } from '../switch/index.js';
import { Listener, type Waiter } from './listener.js';
import { checkedListening, type ListeningState, type MovedArrival } from './listening-state.js';
import type { Shared } from './share.js';
import type { SocketRecord } from './socket.js';

export class SharedListener implements Shared {
  readonly #record: SocketRecord;
  /** What has listened here before it went on elsewhere, and its connections. */
  #formerSocket: SwitchSocket | null = null;
  #formers: MovableConnection[] = [];
  /** Connections of TCP/IP that the other process has not fetched. */
  readonly #left = new Set<{ withdraw(): void }>();
  #over = false;
  readonly #errno: Out<number> = { value: 0 };

  constructor(record: SocketRecord) {
    this.#record = record;
  }

  whenIdle(callback: () => void): void {
    const { listener } = this.#record;
    if (listener === null) callback();
    else listener.whenIdle(callback);
  }

  take(processId: number, wanted: () => boolean, taken: (cargo: object | number | null) => void): void {
    const { listener } = this.#record;
    if (listener === null) {
      taken(WSAEINVAL);
      return;
    }
    listener.suspend(() => {
      if (wanted()) taken(this.#give(listener, processId) ?? WSAENOBUFS);
      else {
        listener.resume();
        taken(null);
      }
    });
  }

  /** Null: there is no descriptor for the kernel's socket, and nothing of it can go on. */
  #give(listener: Listener, processId: number): ListeningState | null {
    const record = this.#record;
    const { host, san, descriptor } = record;
    const backlog = descriptor.queue!.room;
    const arrivals = listener.takeArrivals().flatMap((waiter) => this.#giveArrival(waiter, processId) ?? []);
    const idle = this.#idleDescriptor();
    const listeners = san!.duplicate(processId);
    this.#formerSocket = san;
    record.listener = null;
    record.listensElsewhere = true;
    record.san = null;
    if (idle === null) return null;
    host.tcpip.WSPCloseSocket(descriptor, this.#errno);
    record.descriptor = idle;
    return { backlog, conditional: listener.conditional, listeners, arrivals };
  }

  /** The kernel's socket, of whose connections this process takes none. */
  #idleDescriptor(): SocketRecord['descriptor'] | null {
    const { host, descriptor, family } = this.#record;
    const kernel = host.tcpip.kernelDescriptor(descriptor);
    if (kernel === null) return null;
    const idle = host.tcpip.fromKernelDescriptor(kernel, family);
    host.tcpip.closeKernelDescriptor(kernel);
    return idle;
  }

  /** Null: it is over. */
  #giveArrival({ descriptor, connection, since }: Waiter, processId: number): MovedArrival | null {
    const { tcpip, sharing, now } = this.#record.host;
    const age = Math.max(0, now() - since);
    if (connection !== null) {
      const san = connection.duplicate(processId);
      tcpip.WSPCloseSocket(descriptor, this.#errno);
      if (typeof san === 'number') connection.reset();
      else this.#formers.push(connection);
      return typeof san === 'number' ? null : { san, number: 0, age };
    }
    let kernel: number | null = null;
    const open = async (): Promise<number | null> => {
      kernel = tcpip.kernelDescriptor(descriptor);
      return kernel;
    };
    let offer: ReturnType<typeof sharing.leave>;
    try {
      offer = sharing.leave(processId, {}, open, (channel) => {
        if (kernel !== null) tcpip.closeKernelDescriptor(kernel);
        channel.end();
        this.#left.delete(left);
        tcpip.WSPCloseSocket(descriptor, this.#errno);
      });
    } catch {
      // There is no place any more in which it could be left.
      descriptor.handle.reset();
      return null;
    }
    const left = {
      withdraw: () => {
        offer.withdraw();
        descriptor.handle.reset();
      },
    };
    this.#left.add(left);
    return { san: null, number: offer.number, age };
  }

  put(cargo: unknown): number {
    const record = this.#record;
    const { host, local, family } = record;
    const state = checkedListening(cargo);
    if (state === null || record.kernelSocket === null || local === null) return WSAEINVAL;
    const san = host.switch.openSocket(record.descriptor);
    for (const { level, name, value } of record.options) san.setOption(level, name, value);
    const listener = new Listener(host, record.descriptor, san, state.conditional);
    // Sockets of IPv6 are of IPv6 only, as on Windows.
    const name = family === AF_INET6 ? { ...local, ipv6Only: true } : local;
    const error = listener.receive(name, state.backlog, state.listeners);
    if (error !== 0) return error;
    record.san = san;
    record.goOnListening(listener);
    this.#putArrivals(listener, state.arrivals, listener.expectArrivals());
    return 0;
  }

  /** In their order: each comes when those before it are there. */
  #putArrivals(listener: Listener, arrivals: readonly MovedArrival[], done: () => void, from = 0): void {
    for (let i = from; i < arrivals.length; i++) {
      const arrival = arrivals[i]!;
      if (arrival.san === null) {
        this.#fetch(arrival.number, () => this.#putArrivals(listener, arrivals, done, i + 1));
        return;
      }
      this.#putConnection(listener, arrival);
    }
    done();
  }

  /** A connection of TCP/IP, from the process in which it has arrived. */
  #fetch(number: number, then: () => void): void {
    const { host, descriptor } = this.#record;
    const { sharing, tcpip } = host;
    const found = sharing.take(number);
    if (found === null) {
      then();
      return;
    }
    found.open((channel, kernel) => {
      channel?.end();
      if (kernel !== null) {
        tcpip.addArrival(descriptor, kernel);
        tcpip.closeKernelDescriptor(kernel);
      }
      then();
    });
  }

  #putConnection(listener: Listener, { san, age }: MovedArrival): void {
    const { host, family } = this.#record;
    const connection = host.switch.receiveConnection(san, null);
    if (typeof connection === 'number') return;
    const own = host.tcpip.WSPSocket(family, SOCK_STREAM, IPPROTO_TCP, this.#errno);
    if (own === INVALID_SOCKET) connection.reset();
    else listener.arrive(own, connection, host.now() - age);
  }

  arrived(): void {
    this.#formerSocket?.close();
    this.#formerSocket = null;
    for (const connection of this.#formers.splice(0)) connection.closeFormer();
  }

  lost(wsaError: number): void {
    this.#record.listener?.cancelAll(wsaError);
    this.#endListening();
  }

  closedHere(): void {
    this.#record.listener?.cancelAll();
  }

  closedForGood(): void {
    this.#endListening();
  }

  #endListening(): void {
    const record = this.#record;
    record.listener?.close();
    record.listener = null;
    record.listensElsewhere = true;
    this.#closeDescriptor();
  }

  clear(): void {
    this.arrived();
    for (const { withdraw } of this.#left) withdraw();
    this.#left.clear();
    this.#closeDescriptor();
  }

  #closeDescriptor(): void {
    if (this.#over) return;
    this.#over = true;
    this.#record.closeDescriptor();
  }
}
