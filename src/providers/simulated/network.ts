/**
 * A system area network in the world: who is on it, what is on the way, and the fate of connection requests. What happens
 * here is done by NICs and needs no event loop.
 */

import { FD_ACCEPT, type SOCKADDR, WSAECONNREFUSED, WSAENOBUFS, WSAETIMEDOUT } from '../../spi/index.js';
import { matchListener } from './addresses.js';
import type { Connection } from './connection.js';
import type { Faults } from './faults.js';
import type { SimulatedSocket } from './socket.js';
import type { Process, World } from './world.js';

/** A provider that is on the network. */
export interface Station {
  readonly process: Process;
  readonly listening: Iterable<SimulatedSocket>;
  owns(address: string): boolean;
}

export class Network {
  readonly #world: World;
  readonly #stations = new Set<Station>();

  constructor(world: World) {
    this.#world = world;
  }

  static of(world: World, name: string): Network {
    return world.place(`network ${name}`, () => new Network(world));
  }

  attach(station: Station): void {
    this.#stations.add(station);
  }

  detach(station: Station): void {
    this.#stations.delete(station);
  }

  /** The request has reached the called address. A full queue refuses by itself (WSD-LSN-8 to WSD-LSN-10). */
  arrive(request: ConnectRequest): void {
    if (!request.isPending) return;
    const socket = this.#findListener(request.callee);
    if (socket === null) request.refuse('no-listener');
    else if (socket.listener!.add(request)) {
      socket.process.schedule(() => socket.recordEvent(FD_ACCEPT, 0), 1);
    }
  }

  /** The exact address before a wildcard; among several processes of a port anyone. */
  #findListener(callee: SOCKADDR): SimulatedSocket | null {
    let best: SimulatedSocket[] = [];
    let bestRank = 1;
    for (const station of this.#stations) {
      if (!station.owns(callee.address)) continue;
      for (const socket of station.listening) {
        const local = socket.local!;
        const rank = local.port === callee.port ? matchListener(local, callee) : 0;
        if (rank < bestRank) continue;
        if (rank > bestRank) best = [];
        bestRank = rank;
        best.push(socket);
      }
    }
    return best.length > 1 ? best[this.#world.pick(best.length)]! : (best[0] ?? null);
  }
}

/** One direction of a connection: what is sent first arrives first. */
export class Pipe {
  readonly #world: World;
  readonly #timing: Timing;
  #last = 0;

  constructor(world: World, timing: Timing) {
    this.#world = world;
    this.#timing = timing;
  }

  /** `arrive` runs when it has travelled; `extra` are further microseconds, which hold up what follows as well. */
  send(arrive: () => void, extra = 0): void {
    const now = this.#world.now();
    const late = this.#timing.faults.lateness();
    this.#last = Math.max(this.#last, now + travelTime(this.#world, this.#timing) + late) + extra;
    this.#world.schedule(arrive, this.#last - now);
  }
}

export interface Timing {
  /** Microseconds that anything takes to the peer, and at most so many more. */
  readonly latency: number;
  readonly spread: number;
  readonly faults: Faults;
}

export function travelTime(world: World, { latency, spread }: Timing): number {
  return latency + world.random() * spread;
}

/** Why a request is turned away, as the caller's provider is told. */
const refusals = {
  refused: WSAECONNREFUSED,
  'no-listener': WSAETIMEDOUT,
  'peer-gone': WSAETIMEDOUT,
  'resources-exhausted': WSAENOBUFS,
} as const;
export type Refusal = keyof typeof refusals;

/** A connection request. Its state is decided once, by whoever comes first (decision 8 of the design). */
export class ConnectRequest {
  #state: 'pending' | 'accepted' | 'ended' = 'pending';

  constructor(
    readonly caller: SOCKADDR,
    readonly callee: SOCKADDR,
    readonly initiator: Connection,
    /** Runs what it is given after the time that an answer takes. */
    readonly answer: (arrive: () => void) => void,
  ) {}

  get isPending(): boolean {
    return this.#state === 'pending';
  }

  accept(): boolean {
    return this.#decide('accepted');
  }

  /** True: the acceptor will never accept. False: it has decided already, and its answer is on the way. */
  withdraw(): boolean {
    return this.#decide('ended');
  }

  refuse(cause: Refusal): void {
    if (this.#decide('ended')) this.answer(() => this.initiator.refused(refusals[cause], cause));
  }

  #decide(state: 'accepted' | 'ended'): boolean {
    if (this.#state !== 'pending') return false;
    this.#state = state;
    return true;
  }
}
