import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';
import type { Reason } from '../../diagnostics/reasons.js';
import { errorCode, type PeerCredentials, type Platform, PlatformError } from '../../platform/index.js';
import { leaveUnannounced } from '../../platform/unannounced.js';
import { connectUnix, listenUnix, UnixServer, UnixSocket } from '../../platform/unix-connect.js';
import {
  agreeOnArena,
  checkArenaSize,
  checkCompatible,
  type Message,
  MessageType,
  type Refusal,
  smallestArena,
  violation,
} from './handshake.js';
import { HandshakeChannel, LinkExists } from './handshake-channel.js';
import type { Probe } from './peer-memory.js';
import type { Rendezvous } from './rendezvous.js';
import type { Scheduler } from './scheduler.js';

/**
 * Memory and a socket that two event loops share. The socket is paused, and does not keep the process alive; whoever gets
 * the link resumes it and closes it. Its end is the peer's end.
 */
export interface EstablishedLink {
  arena: ArrayBuffer;
  /** 0 dialled, 1 was dialled. */
  side: 0 | 1;
  socket: net.Socket;
  /** Of the socket, for doorbells; valid until the socket is closed. */
  descriptor: number;
  /** Name of the event loop at the other end. */
  peerToken: string;
  peer: PeerCredentials;
  /** By which memory of the peer can be read, if the kernel lets us; null if the peer does not. */
  peerProbe: Probe | null;
}

export interface EndpointOptions {
  platform: Platform;
  rendezvous: Rendezvous;
  /** Bytes of an arena, a multiple of 4096 and at least 64 KiB. The smaller of the two sides' wishes holds. */
  arenaSize: number;
  /** Microseconds, monotonic. */
  now(): number;
  scheduler: Scheduler;
  /** Bytes without which the arena is of no use: a peer that wants or gives less is refused. Default: 65536. */
  arenaSizeMin?: number;
  /** Told to peers, so that they can read memory of this process. Default: null. */
  probe?: Probe | null;
  /** Gets each link that a peer has dialled. */
  onLink(link: EstablishedLink): void;
  /** Told why a peer that dialled was refused. */
  onRefused?(reason: Reason): void;
  /** Bound on one handshake, on either side. Default: 1000. */
  establishTimeoutMs?: number;
  /** Handshakes of dialling peers that may go on at the same time. Default: 64. */
  halfOpenMax?: number;
  protocolVersion?: number;
}

/** One call of `dial`, until it is settled: by its own handshake, or by the peer's that came first. */
class Dial {
  readonly promise: Promise<EstablishedLink>;
  channel: HandshakeChannel | null = null;
  /** The peer has refused because of another link, so this side's handshake no longer competes. */
  yielded = false;
  resolve!: (link: EstablishedLink) => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/**
 * The scope in which sockets and timers of links are made. Without it the asynchronous context of whichever request needed
 * a link first would be that of all later ones, and never be freed.
 */
const root = new AsyncResource('SocketsDirectLink', { requireManualDestroy: true });
const ignore = (): void => {};

/** Makes links between this event loop and others: at most one per pair of loops, and both ends know who the other is. */
export class LinkEndpoint {
  readonly token: string;
  readonly #options: EndpointOptions;
  readonly #platform: Platform;
  readonly #rendezvous: Rendezvous;
  readonly #arenaSizeMin: number;
  readonly #timeout: number;
  readonly #halfOpenMax: number;
  readonly #version: number;
  readonly #networkNamespace: bigint;
  readonly #uid: number;
  #server: net.Server | null = null;
  #closed = false;
  readonly #links = new Map<string, EstablishedLink>();
  readonly #dials = new Map<string, Dial>();
  /** Handshakes of dialling peers: all of them, and by name those that have said one. */
  readonly #halfOpen = new Set<HandshakeChannel>();
  readonly #incoming = new Map<string, { channel: HandshakeChannel; over: Promise<void> }>();

  constructor(options: EndpointOptions) {
    this.#arenaSizeMin = options.arenaSizeMin ?? smallestArena;
    checkArenaSize(options.arenaSize, this.#arenaSizeMin, 0xffff_ffff);
    this.#options = options;
    this.#platform = options.platform;
    this.#rendezvous = options.rendezvous;
    this.#timeout = options.establishTimeoutMs ?? 1000;
    this.#halfOpenMax = options.halfOpenMax ?? 64;
    this.#version = options.protocolVersion ?? 1;
    this.token = options.rendezvous.token;
    this.#networkNamespace = options.platform.networkNamespaceCookie();
    this.#uid = process.geteuid!();
  }

  /**
   * Listens for peers. When it returns, they can find and reach this event loop.
   *
   * Throws PlatformError `rendezvous-unavailable` or `peer-closing`.
   */
  publish(): void {
    if (this.#closed) throw new PlatformError('peer-closing');
    if (this.#server !== null) return;
    root.runInAsyncScope(() => {
      const server = new UnixServer({ pauseOnConnect: true }, (socket) => {
        leaveUnannounced();
        this.#accept(socket);
      });
      server.on('error', ignore);
      try {
        this.#rendezvous.publish((path) => {
          // In a worker of a cluster the primary would otherwise get the path.
          listenUnix(server, path);
          if (!server.listening) throw new PlatformError('rendezvous-unavailable', 'listen');
        });
      } catch (error) {
        server.close();
        throw error;
      }
      server.unref();
      this.#server = server;
    });
  }

  /**
   * A link to the event loop of that name; the one there is, if there is one. Nothing about a dial keeps the process alive.
   *
   * Rejects with PlatformError; `no-listener` if that event loop is dead, after removing what it has left.
   */
  dial(token: string): Promise<EstablishedLink> {
    const link = this.#liveLink(token);
    if (link !== null) return Promise.resolve(link);
    const pending = this.#dials.get(token);
    if (pending !== undefined) return pending.promise;
    if (this.#closed) return Promise.reject(new PlatformError('peer-closing', 'this endpoint is closed'));
    return root.runInAsyncScope(() => this.#start(token));
  }

  /** Stops listening and gives up what is being set up. Established links stay with their owners. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rendezvous.unpublish();
    this.#server?.close();
    for (const channel of this.#halfOpen) channel.abort('peer-closing');
    for (const token of [...this.#dials.keys()]) this.#fail(token, new PlatformError('peer-closing'));
    this.#links.clear();
  }

  #start(token: string): Promise<EstablishedLink> {
    const dial = new Dial();
    this.#dials.set(token, dial);
    const settled = this.#options.scheduler.later(() => this.#expire(token, dial), this.#timeout);
    dial.promise.then(settled, settled);
    this.#establish(token, dial).then(
      (link) => {
        if (link !== null) this.#succeed(token, link);
      },
      (error: unknown) => {
        if (this.#dials.get(token) === dial) this.#fail(token, error);
      },
    );
    return dial.promise;
  }

  /** The deadline of a dial that has no handshake of its own; a handshake looks at its socket once more before it gives up. */
  #expire(token: string, dial: Dial): void {
    if (this.#dials.get(token) !== dial) return;
    if (dial.channel === null) this.#fail(token, new PlatformError('connect-timeout'));
  }

  #succeed(token: string, link: EstablishedLink): void {
    const dial = this.#dials.get(token);
    if (dial === undefined) return;
    this.#dials.delete(token);
    if (dial.channel?.socket !== link.socket) dial.channel?.abort('peer-closing');
    dial.resolve(link);
  }

  #fail(token: string, error: unknown): void {
    const dial = this.#dials.get(token);
    if (dial === undefined) return;
    this.#dials.delete(token);
    dial.channel?.abort('peer-closing');
    dial.reject(error);
  }

  /** The client's side. Null: the peer has refused in favour of its own handshake, which will settle the dial. */
  async #establish(token: string, dial: Dial): Promise<EstablishedLink | null> {
    // The peer is about to link with us. Two handshakes of one pair of loops could both succeed.
    const incoming = token === this.token ? undefined : this.#incoming.get(token);
    if (incoming !== undefined) {
      await incoming.over;
      if (this.#dials.get(token) !== dial) return null;
    }
    const deadline = this.#deadline();
    const socket = await this.#connect(token);
    let channel: HandshakeChannel;
    try {
      channel = new HandshakeChannel(this.#platform, socket, deadline, this.#options);
      // The dial may have been settled, by a link or by closing, while the socket was being connected.
      if (this.#dials.get(token) !== dial) throw new PlatformError('peer-closing');
    } catch (error) {
      socket.destroy();
      throw error;
    }
    dial.channel = channel;
    try {
      const link = await this.#handshakeAsClient(token, channel);
      this.#remember(link);
      return link;
    } catch (error) {
      dial.channel = null;
      channel.refuse(refusalOf(error), this.#message(MessageType.refuse));
      if (!(error instanceof LinkExists)) throw error;
      dial.yielded = true;
      return null;
    }
  }

  #deadline(): number {
    return this.#options.now() + this.#timeout * 1000;
  }

  #connect(token: string): Promise<net.Socket> {
    const path = this.#rendezvous.findSocket(token);
    if (path === null) {
      this.#rendezvous.removeStale(token);
      return Promise.reject(new PlatformError('no-listener', 'no socket'));
    }
    return new Promise((resolve, reject) => {
      const socket = new UnixSocket();
      socket.pause();
      socket.unref();
      socket.on('error', (error) => {
        // After the promise is settled nothing happens here: errors of a link show in its end.
        const code = errorCode(error);
        if (code === 'ECONNREFUSED' || code === 'ENOENT') this.#rendezvous.removeStale(token);
        reject(connectFailure(code));
      });
      socket.once('connect', () => resolve(socket));
      connectUnix(socket, path);
    });
  }

  async #handshakeAsClient(token: string, channel: HandshakeChannel): Promise<EstablishedLink> {
    const peer = this.#checkedPeer(channel);
    try {
      channel.send(this.#message(MessageType.hello));
    } catch (error) {
      // Refused already: the reason is waiting to be read.
      if (!(error instanceof PlatformError) || error.reason !== 'peer-gone') throw error;
    }
    const { message, descriptors } = await channel.receive(MessageType.welcome);
    let arena: ArrayBuffer;
    try {
      checkCompatible(message, this.#version, this.#networkNamespace);
      if (message.token !== token) throw violation('another token');
      checkArenaSize(message.arenaSize, this.#arenaSizeMin, this.#options.arenaSize);
      if (descriptors.length !== 1) throw violation(`${descriptors.length} descriptors`);
      this.#platform.checkSealedMemory(descriptors[0]!, message.arenaSize);
      arena = this.#platform.mapShared(descriptors[0]!, message.arenaSize);
    } finally {
      for (const descriptor of descriptors) this.#platform.closeDescriptor(descriptor);
    }
    channel.send(this.#message(MessageType.ready));
    const { socket, descriptor } = channel;
    return { arena, side: 0, socket, descriptor, peerToken: token, peer, peerProbe: message.probe };
  }

  #accept(socket: net.Socket): void {
    socket.on('error', ignore);
    socket.unref();
    let channel: HandshakeChannel;
    try {
      channel = new HandshakeChannel(this.#platform, socket, this.#deadline(), this.#options);
    } catch {
      socket.destroy();
      return;
    }
    if (this.#closed || this.#halfOpen.size >= this.#halfOpenMax) {
      channel.refuse(this.#closed ? 'peer-closing' : 'peer-busy', this.#message(MessageType.refuse));
      return;
    }
    this.#halfOpen.add(channel);
    this.#handshakeAsServer(channel).catch((error: unknown) => {
      this.#halfOpen.delete(channel);
      const refusal = refusalOf(error);
      if (refusal !== 'link-exists') this.#options.onRefused?.(refusal);
      channel.refuse(refusal, this.#message(MessageType.refuse));
    });
  }

  /** The server's side, up to the delivery of the link. */
  async #handshakeAsServer(channel: HandshakeChannel): Promise<void> {
    const peer = this.#checkedPeer(channel);
    const hello = await channel.receiveBare(MessageType.hello);
    checkCompatible(hello, this.#version, this.#networkNamespace);
    const size = agreeOnArena(hello.arenaSize, this.#arenaSizeMin, this.#options.arenaSize);
    const { token } = hello;
    this.#settleCompetition(token, peer);
    let finish: () => void = ignore;
    const over = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const entry = { channel, over };
    if (token !== this.token) this.#incoming.set(token, entry);
    let memory = -1;
    try {
      memory = this.#platform.createSealedMemory(size);
      channel.send({ ...this.#message(MessageType.welcome), arenaSize: size }, [memory]);
      await channel.receiveBare(MessageType.ready);
      // Mapped only now, because a mapping goes away no sooner than the garbage collector finds it.
      const arena = this.#platform.mapShared(memory, size);
      const { socket, descriptor } = channel;
      this.#halfOpen.delete(channel);
      this.#deliver({ arena, side: 1, socket, descriptor, peerToken: token, peer, peerProbe: hello.probe });
    } finally {
      if (memory >= 0) this.#platform.closeDescriptor(memory);
      if (this.#incoming.get(token) === entry) this.#incoming.delete(token);
      finish();
    }
  }

  #deliver(link: EstablishedLink): void {
    const toSelf = link.peerToken === this.token;
    if (!toSelf) this.#remember(link);
    try {
      this.#options.onLink(link);
    } catch (error) {
      // A fault of the owner must not pass for one of the peer.
      link.socket.destroy();
      this.#options.scheduler.soon(() => {
        throw error;
      });
      return;
    }
    if (!toSelf) this.#succeed(link.peerToken, link);
  }

  /**
   * Decides between this handshake and another one with the same peer. If both sides dial, the one with the smaller token
   * goes on dialling. Throws LinkExists if this handshake has lost.
   */
  #settleCompetition(token: string, peer: PeerCredentials): void {
    const dial = this.#dials.get(token);
    if (token === this.token) {
      if (dial === undefined || peer.pid !== process.pid) throw violation('own token');
      return;
    }
    if (this.#liveLink(token) !== null) throw new LinkExists();
    const incoming = this.#incoming.get(token);
    if (incoming !== undefined) {
      if (!this.#platform.peerHungUp(incoming.channel.descriptor)) throw new LinkExists();
      incoming.channel.abort('peer-gone');
    }
    if (dial !== undefined && !dial.yielded && this.token < token) throw new LinkExists();
  }

  /** The link with that peer, unless the peer has closed it and we have not been told yet. */
  #liveLink(token: string): EstablishedLink | null {
    const link = this.#links.get(token);
    if (link === undefined) return null;
    if (!link.socket.destroyed && !this.#platform.peerHungUp(link.descriptor)) return link;
    this.#links.delete(token);
    link.socket.destroy();
    return null;
  }

  #remember(link: EstablishedLink): void {
    this.#links.set(link.peerToken, link);
    link.socket.once('close', () => {
      if (this.#links.get(link.peerToken) === link) this.#links.delete(link.peerToken);
    });
  }

  /** The peer as the kernel knows it, before a byte of it is read. Throws PlatformError `peer-other-user`. */
  #checkedPeer(channel: HandshakeChannel): PeerCredentials {
    const peer = this.#platform.peerCredentials(channel.descriptor);
    // Ours as it is now as well: a process that has changed its user answers for the old one no longer.
    if (peer.uid !== this.#uid || process.geteuid!() !== this.#uid) {
      throw new PlatformError('peer-other-user', `uid ${peer.uid}`);
    }
    return peer;
  }

  #message(type: MessageType): Message {
    return {
      type,
      lowestVersion: this.#version,
      highestVersion: this.#version,
      arenaSize: this.#options.arenaSize,
      token: this.token,
      networkNamespace: this.#networkNamespace,
      probe: this.#options.probe ?? null,
      refusal: null,
    };
  }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof LinkExists) return 'link-exists';
  return error instanceof PlatformError ? error.reason : 'peer-protocol';
}

function connectFailure(code: string): PlatformError {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return new PlatformError('no-listener', 'stale socket', code);
    case 'EAGAIN':
      return new PlatformError('peer-busy', 'backlog', code);
    case 'EACCES':
    case 'EPERM':
      return new PlatformError('peer-permission', 'connect', code);
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
      return new PlatformError('resources-exhausted', 'connect', code);
    default:
      return new PlatformError('peer-unreachable', code, code);
  }
}
