/**
 * What one event loop has for all its sockets: its links, its listeners by port, its connects under way.
 */

import { AsyncResource } from 'node:async_hooks';
import { DenseSet } from '../../collections/dense-set.js';
import type { Reason } from '../../diagnostics/reasons.js';
import type { PeerStatus } from '../../diagnostics/status.js';
import { errorCode, type Platform, PlatformError } from '../../platform/index.js';
import { FD_ACCEPT, type SOCKADDR, WSAENOBUFS, WSAETIMEDOUT, type WSPUPCALLTABLEEX } from '../../spi/index.js';
import { matchAddress, matchListener } from './addresses.js';
import { ARENA_SIZE } from './arena.js';
import { arrive } from './arrivals.js';
import { Connection } from './connection.js';
import type { ConnectionServices } from './connection-face.js';
import { type EstablishedLink, LinkEndpoint } from './endpoint.js';
import { type LinkOwner, PeerLink } from './link.js';
import type { ConnectionLink } from './link-face.js';
import { LinkMemory } from './link-memory.js';
import { type MovedSocket, newNonce } from './moved-sockets.js';
import { Moves } from './moves.js';
import { Outbox } from './outbox.js';
import { ownProbe, type Probe } from './peer-memory.js';
import { Poller } from './poller.js';
import { REFUSED_NO_LISTENER } from './records.js';
import { Rendezvous, type RendezvousEntry } from './rendezvous.js';
import type { Scheduler } from './scheduler.js';
import { type Connector, ConnectPatience, type SharedMemorySocket } from './socket.js';

export interface LinksOptions {
  platform: Platform;
  environment: Readonly<Record<string, string | undefined>>;
  /** Microseconds, monotonic. */
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Told why a link or a connection was ended, or a peer refused, once for each. */
  count(reason: Reason): void;
  /** Milliseconds that a connect may take before it is given up (decision 8). */
  connectBudget: number;
  upcalls: WSPUPCALLTABLEEX;
  scheduler: Scheduler;
}

/** How many processes of one port a connect tries. */
const candidatesMax = 4;
/**
 * The budget is counted in ticks of a timer, not read from the clock: time in which this loop itself was blocked, for
 * example by starting a thousand connects, is not the peer's.
 */
const budgetTicks = 4;
/**
 * Ticks without a decision of the peer on any connect after which one ends whatever else the peer does: neither its traffic
 * nor an answer that never comes holds it for ever, and a long burst is not cut off.
 */
const connectTicksMax = 200;
/** Microseconds for which the processes of a port are remembered; a remembered one that refuses is looked up again. */
const entriesAge = 50_000;

interface PortEntries {
  readonly entries: readonly RendezvousEntry[];
  readonly until: number;
}

export class Links implements LinkOwner, Connector {
  readonly #options: LinksOptions;
  readonly #rendezvous: Rendezvous;
  readonly #endpoint: LinkEndpoint;
  readonly #poller: Poller;
  readonly #probe: Probe | null;
  /** Links by the peer's token. */
  readonly #links = new Map<string, PeerLink>();
  readonly #all = new Set<PeerLink>();
  readonly #listeners = new Map<number, SharedMemorySocket[]>();
  readonly #ports = new Map<number, PortEntries>();
  readonly #connecting = new DenseSet<ConnectPatience>();
  /** When each peer, by token, was last asked for a connection, counted in connects. */
  readonly #turns = new Map<string, number>();
  #turn = 0;
  readonly moves: Moves;
  readonly services: ConnectionServices;
  #cancelDeadline: (() => void) | null = null;
  #published = false;
  readonly #root = new AsyncResource('SocketsDirectLinks');

  constructor(options: LinksOptions) {
    this.#options = options;
    const { platform, environment } = options;
    this.#rendezvous = new Rendezvous({ environment, platform });
    this.#poller = new Poller({
      now: options.now,
      scheduler: options.scheduler,
      yieldProcessor: platform.schedYield,
    });
    this.#probe = ownProbe(platform, environment);
    this.#endpoint = new LinkEndpoint({
      probe: this.#probe,
      platform,
      rendezvous: this.#rendezvous,
      arenaSize: ARENA_SIZE,
      now: options.now,
      scheduler: options.scheduler,
      // The layout is fixed, so a smaller arena would have no place for its parts.
      arenaSizeMin: ARENA_SIZE,
      onLink: (link) => this.#adopt(link),
      onRefused: options.count,
    });
    this.moves = new Moves({
      scheduler: options.scheduler,
      peerProcess: (link) => this.peerProcess(link),
      isAlive,
      publish: () => this.#publish(),
    });
    const { upcalls, scheduler } = options;
    this.services = { upcalls, scheduler, moves: this.moves, violated: () => this.violated() };
  }

  get all(): Iterable<PeerLink> {
    return this.#all;
  }

  /** Microseconds for which this loop has polled without finding anything, and for which it could have. */
  get polling(): { readonly fruitless: number; readonly time: number } {
    const { idleTime, started } = this.#poller;
    return { fruitless: idleTime, time: this.#options.now() - started };
  }

  /** Process id of the link's other end, as the kernel says. */
  peerProcess(link: ConnectionLink): number | null {
    return this.#established.get(link)?.peer.pid ?? null;
  }

  /** Each peer process, and whether RDMA memory of it is read directly; `tried` makes an attempt where there was none. */
  *peers(tried = false): Generator<PeerStatus> {
    for (const link of this.#all) {
      const { memory } = link;
      const pid = this.peerProcess(link);
      if (memory === null || pid === null) continue;
      yield { pid, connections: link.connectionCount, memory: tried ? memory.try() : memory.access };
    }
  }

  // ---- listening

  /** Throws PlatformError if the port cannot be registered. */
  addListener(socket: SharedMemorySocket): void {
    const local = socket.local!;
    this.#publish();
    this.#rendezvous.register(local.port, local.address);
    const sockets = this.#listeners.get(local.port);
    if (sockets === undefined) this.#listeners.set(local.port, [socket]);
    else sockets.push(socket);
  }

  /** From now on others find this event loop. */
  #publish(): void {
    if (this.#published) return;
    this.#root.runInAsyncScope(() => this.#endpoint.publish());
    this.#published = true;
  }

  removeListener(socket: SharedMemorySocket): void {
    const { port, address } = socket.local!;
    const sockets = this.#listeners.get(port);
    const i = sockets?.indexOf(socket) ?? -1;
    if (sockets === undefined || i < 0) return;
    sockets.splice(i, 1);
    if (sockets.length === 0) this.#listeners.delete(port);
    this.#rendezvous.unregister(port, address);
  }

  connectRequest(link: PeerLink, id: number, generation: number, callee: SOCKADDR, caller: SOCKADDR): void {
    const socket = this.#findListener(callee);
    if (socket === null) {
      link.refuse(id, generation, REFUSED_NO_LISTENER);
      return;
    }
    // A full queue refuses by itself, and the switch is not asked (WSD-LSN-9).
    if (socket.listener!.add({ link, id, generation, callee, caller })) socket.recordEvent(FD_ACCEPT, 0);
  }

  /** The exact address before a wildcard, as Linux matches. */
  #findListener(callee: SOCKADDR): SharedMemorySocket | null {
    let best: SharedMemorySocket | null = null;
    let bestRank = 0;
    for (const socket of this.#listeners.get(callee.port) ?? []) {
      const rank = matchListener(socket.local!, callee);
      if (rank > bestRank) {
        best = socket;
        bestRank = rank;
      }
    }
    return best;
  }

  // ---- connecting

  /** Starts a connect: 0 if it is under way, else a Winsock error known at once, with `socket.reason` (WSD-CON-8). */
  connect(socket: SharedMemorySocket): number {
    const remote = socket.remote!;
    const candidates = this.#candidates(remote);
    if (candidates.length === 0) return this.#fail(socket, WSAETIMEDOUT, 'no-listener');
    socket.connecting = true;
    socket.connector = this;
    socket.patience = new ConnectPatience(socket, budgetTicks);
    this.#connecting.add(socket.patience);
    this.#armDeadline();
    this.#tryCandidate(socket, candidates[0]);
    return 0;
  }

  connectEnded(socket: SharedMemorySocket): void {
    if (socket.patience !== null) this.#connecting.delete(socket.patience);
  }

  tryElsewhere(socket: SharedMemorySocket): boolean {
    const { remote, asked } = socket;
    socket.tried ??= [];
    const { tried } = socket;
    tried.push(asked);
    this.#ports.delete(remote!.port);
    const candidates = this.#candidates(remote!);
    // A listening socket that moves to and fro may be where it was not when its first process was asked.
    const again = ({ token }: RendezvousEntry): boolean =>
      token !== asked && tried.indexOf(token) === tried.lastIndexOf(token);
    const next = candidates.find(({ token }) => !tried.includes(token)) ?? candidates.find(again);
    if (next === undefined || tried.length >= candidatesMax) return false;
    this.#tryCandidate(socket, next);
    return true;
  }

  #fail(socket: SharedMemorySocket, error: number, reason: string): number {
    socket.reason = reason;
    return error;
  }

  #candidates(remote: SOCKADDR): RendezvousEntry[] {
    const entries = this.#entriesOf(remote.port);
    const ranked: { entry: RendezvousEntry; rank: number; turn: number; order: number }[] = [];
    for (const entry of entries) {
      const rank = matchAddress(entry.address, remote);
      const turn = this.#turns.get(entry.token) ?? 0;
      if (rank > 0) ranked.push({ entry, rank, turn, order: this.#options.random() });
    }
    // Who was asked longest ago is next, as a cluster's primary has it; who was never asked, by chance.
    if (ranked.length > 1) ranked.sort((a, b) => b.rank - a.rank || a.turn - b.turn || a.order - b.order);
    return ranked.map(({ entry }) => entry);
  }

  /** Reading the directory costs more than the rest of a connect, so a port with listeners is remembered for a moment. */
  #entriesOf(port: number): readonly RendezvousEntry[] {
    const now = this.#options.now();
    const known = this.#ports.get(port);
    if (known !== undefined && known.until > now) return known.entries;
    this.#ports.delete(port);
    if (!this.#rendezvous.has(port)) return [];
    const entries = this.#rendezvous.list(port);
    if (entries.length > 0) this.#ports.set(port, { entries, until: now + entriesAge });
    return entries;
  }

  #tryCandidate(socket: SharedMemorySocket, candidate: RendezvousEntry): void {
    socket.asked = candidate.token;
    this.#turns.set(candidate.token, ++this.#turn);
    const link = this.#links.get(candidate.token);
    if (link !== undefined) {
      this.#request(socket, link);
      return;
    }
    const dialled = this.#root.runInAsyncScope(() => this.#endpoint.dial(candidate.token));
    dialled.then(
      (established) => {
        // One dial may have several waiting, and the incoming link may have been adopted already.
        const adopted = this.#adopt(established);
        if (socket.connecting) this.#request(socket, adopted);
      },
      (error: unknown) => {
        this.#turns.delete(candidate.token);
        if (!socket.connecting) return;
        const reason = error instanceof PlatformError ? error.reason : 'peer-unreachable';
        if (reason !== 'no-listener' || !socket.connectElsewhere()) socket.connectEnded(WSAETIMEDOUT, reason);
      },
    );
  }

  #request(socket: SharedMemorySocket, link: PeerLink): void {
    const connection = new Connection(socket, this.services, link, true);
    const slot = link.isDead ? null : link.open(connection);
    if (slot === null) {
      socket.connectEnded(link.isDead ? WSAETIMEDOUT : WSAENOBUFS, link.isDead ? 'peer-gone' : 'link-limit');
      return;
    }
    connection.id = slot.id;
    connection.generation = slot.generation;
    socket.connection = connection;
    link.sendConnect(slot.id, slot.generation, socket.remote!, socket.local!);
  }

  #armDeadline(): void {
    if (this.#cancelDeadline !== null) return;
    const tick = Math.max(1, this.#options.connectBudget / budgetTicks);
    const { scheduler } = this.#options;
    this.#cancelDeadline = this.#root.runInAsyncScope(() => scheduler.later(() => this.#checkDeadlines(), tick));
  }

  #checkDeadlines(): void {
    this.#cancelDeadline = null;
    const now = this.#options.now();
    for (const patience of this.#connecting) {
      const { socket } = patience;
      const decided = socket.connection?.link.decided ?? 0;
      patience.lasted = decided === patience.decided ? patience.lasted + 1 : 0;
      patience.decided = decided;
      const last = patience.lasted >= connectTicksMax;
      if (!last && (this.#isAlive(socket, now) || patience.left-- > 0)) continue;
      const { connection } = socket;
      if (connection !== null && !connection.withdraw()) {
        // The acceptor was faster: its answer is on the way and decides, because both ends must never decide differently.
        if (!last) continue;
        // Should it come after all, the connection is closed, before the acceptor's program has seen it.
        connection.close();
      }
      socket.connectEnded(WSAETIMEDOUT, 'connect-timeout');
    }
    if (this.#connecting.size > 0) this.#armDeadline();
  }

  /**
   * A peer whose answers to others arrive is busy, not blocked, and so is one whose answer only this loop has not looked at
   * yet: a burst of connects may take longer than the budget of one.
   */
  #isAlive({ connection }: SharedMemorySocket, now: number): boolean {
    if (connection === null) return false;
    const { link } = connection;
    return link.hasRecords || now - link.lastReceived < this.#options.connectBudget * 1000;
  }

  // ---- links

  #adopt(established: EstablishedLink): PeerLink {
    const known = this.#adopted.get(established);
    if (known !== undefined) return known;
    const { arena, side, socket, descriptor, peer, peerProbe, peerToken } = established;
    const { platform } = this.#options;
    const link = new PeerLink({
      arena,
      side,
      memory: new LinkMemory({
        arena,
        side,
        platform,
        pid: peer.pid,
        probe: peerProbe,
        allowed: this.#probe !== null,
      }),
      poller: this.#poller,
      owner: this,
      ringDoorbell: () => platform.ringDoorbell(descriptor),
    });
    if (!this.#links.has(peerToken)) this.#links.set(peerToken, link);
    this.#all.add(link);
    this.#adopted.set(established, link);
    this.#established.set(link, established);
    socket.on('data', () => link.rung());
    socket.on('error', () => {});
    socket.on('close', () => link.end('peer-gone'));
    socket.resume();
    return link;
  }

  readonly #adopted = new WeakMap<EstablishedLink, PeerLink>();
  readonly #established = new Map<ConnectionLink, EstablishedLink>();

  // ---- sockets that move (section 18 of the digest)

  /** The token of the socket for that process. Throws PlatformError if it cannot be left for it. */
  duplicate(socket: SharedMemorySocket, processId: number): number {
    const { connection, listener } = socket;
    const [local, remote, nonce] = [socket.local!, connection === null ? null : socket.remote!, newNonce()];
    const peerToken = connection === null ? '' : (this.#established.get(connection.link)?.peerToken ?? '');
    const backlog = listener?.backlog ?? 0;
    const token = this.#rendezvous.leave(processId, { local, remote, backlog, peerToken, nonce });
    connection?.duplicate(processId, nonce);
    return token;
  }

  takeMoved(token: number): MovedSocket | null {
    return this.#rendezvous.take(token);
  }

  /** A connection that goes on here; to the switch it is connected already. */
  arrive(socket: SharedMemorySocket, moved: MovedSocket): void {
    const connection = new Connection(socket, this.services, new Outbox(), true);
    socket.connection = connection;
    const dial = (token: string): Promise<PeerLink> =>
      this.#root.runInAsyncScope(() => this.#endpoint.dial(token)).then((established) => this.#adopt(established));
    const { platform, scheduler } = this.#options;
    arrive({ platform, scheduler, dial, link: (token) => this.#links.get(token) ?? null }, connection, moved);
  }

  resumeRequest(link: PeerLink, id: number, generation: number, nonce: Int32Array): void {
    this.moves.resumeRequest(link, id, generation, nonce);
  }

  violated(): void {
    this.#options.count('peer-protocol');
  }

  ended(link: PeerLink, cause: string): void {
    if (cause !== 'peer-gone' && cause !== 'closed') this.#options.count('link-violation');
    this.#all.delete(link);
    link.memory?.close();
    for (const [token, known] of this.#links) {
      if (known !== link) continue;
      this.#links.delete(token);
      this.#turns.delete(token);
    }
    this.#established.get(link)?.socket.destroy();
    this.#established.delete(link);
  }

  close(): void {
    for (const link of [...this.#all]) link.end('closed');
    this.moves.close();
    this.#endpoint.close();
    this.#rendezvous.close();
    this.#cancelDeadline?.();
    this.#cancelDeadline = null;
  }
}

/** Whether there is a process of that id, also one that we may not signal. */
function isAlive(processId: number): boolean {
  // Other numbers would mean groups of processes, or all of them.
  if (processId <= 0 || processId > 0x7fff_ffff) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}
