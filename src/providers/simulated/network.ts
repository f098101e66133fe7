/** A system area network in the world: who is on it. What happens here is done by NICs and needs no event loop. */

import { FD_ACCEPT, type SOCKADDR } from '../../spi/index.js';
import { matchListener } from './addresses.js';
import type { Connection } from './connection.js';
import type { ConnectRequest } from './request.js';
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

  /** Sockets on their way to other processes, by token. */
  readonly #moving = new Map<number, { readonly processId: number; readonly socket: SimulatedSocket }>();

  /** WSD-DUP-26: a number that is unique on the network and good for that process. */
  leave(socket: SimulatedSocket, processId: number): number {
    let token = 0;
    while (token === 0 || this.#moving.has(token)) token = this.#world.pick(2 ** 32);
    this.#moving.set(token, { processId, socket });
    return token;
  }

  /** What was left under the token for that process, once; or null. */
  take(token: number, processId: number): SimulatedSocket | null {
    const moving = this.#moving.get(token);
    if (moving?.processId !== processId) return null;
    this.#moving.delete(token);
    return moving.socket;
  }

  /** The process is gone, and will not come for what was left for it. */
  abandon(processId: number): void {
    for (const [token, moving] of this.#moving) {
      if (moving.processId !== processId) continue;
      this.#moving.delete(token);
      const { connection } = moving.socket;
      this.#world.schedule(() => connection?.peer?.moverLost(), 1);
    }
  }

  attach(station: Station): void {
    this.#stations.add(station);
  }

  detach(station: Station): void {
    this.#stations.delete(station);
  }

  /** The request has reached the called address. A full queue refuses by itself (WSD-LSN-8 to WSD-LSN-10). */
  arrive(request: ConnectRequest<Connection>): void {
    if (!request.isPending) return;
    const socket = this.#findListener(request.callee);
    if (socket === null) request.refuse('no-listener');
    else if (socket.listener!.add(request)) socket.process.schedule(() => socket.recordEvent(FD_ACCEPT, 0), 1);
    else this.#world.mark('backlog full');
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
