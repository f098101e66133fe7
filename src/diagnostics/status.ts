/**
 * What an event loop tells of itself: its connections and listeners, what carries them and why. `status()` answers inside the
 * program; outside, `sockets-direct status` asks every process of the user for the same document.
 */

import { isMainThread, threadId } from 'node:worker_threads';
import type { Endpoint } from './channels.js';
import { reasonCounts } from './counters.js';
import type { PeerMemoryReason } from './peer-memory.js';
import type { Reason } from './reasons.js';

/** A connection. */
export interface ConnectionStatus {
  /** `shared-memory`, `tcpip` or another provider's name. */
  readonly provider: string;
  readonly reason: Reason;
  readonly role: 'connect' | 'accept';
  /** `closing`: the program has closed it, and what it wrote is still being sent. */
  readonly state: 'open' | 'closing';
  readonly localAddress: Endpoint;
  readonly peerAddress: Endpoint;
  /** Process at the other end, if it is known. */
  readonly peerPid: number | null;
  /** Milliseconds; null: not known, because TCP/IP has accepted it. */
  readonly age: number | null;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Messages that may be sent before the peer has to take some; null for TCP/IP. */
  readonly credits: number | null;
}

/** A listening server. */
export interface ListenerStatus {
  readonly address: Endpoint;
  /** `accelerated`: a SAN listens beside TCP/IP; anything else: why none does. */
  readonly reason: Reason;
  /** Connections that are open. */
  readonly connections: number;
}

/** A service provider that is installed. */
export interface ProviderStatus {
  /** The module's name in the catalog if it could not be loaded. */
  readonly name: string;
  /** Its GUID; empty for a catalog that could not be read. */
  readonly providerId: string;
  /** `installed`: nothing has needed it yet; `started`; `left-out`, for a reason; `removed`: only old connections use it. */
  readonly state: 'installed' | 'started' | 'left-out' | 'removed';
  readonly reason: Reason | null;
  /** What went wrong, as a sentence. */
  readonly detail: string | null;
  /** Addresses that it serves, as `10.1.0.1/24`. */
  readonly addresses: readonly string[];
}

/** Looking for messages without finding any, in milliseconds since the first use. */
export interface PollingStatus {
  readonly fruitless: number;
  readonly time: number;
}

/** An event loop at the other end of a SAN's link. */
export interface PeerStatus {
  /** 0: it is in another process namespace. */
  readonly pid: number;
  readonly connections: number;
  /** Whether RDMA reads copy straight from its memory. */
  readonly memory: PeerMemoryReason;
}

/** The document of one event loop. */
export interface Status {
  /** Of this format. */
  readonly version: 1;
  readonly pid: number;
  /** 0: the main thread; others are workers. */
  readonly threadId: number;
  /** Path of the program's script, or its title. */
  readonly program: string;
  readonly node: string;
  /** Milliseconds for which the event loop has existed. */
  readonly age: number;
  /** Why no SAN could be started; null: one has, or none was needed yet. */
  readonly unavailable: Reason | null;
  readonly providers: readonly ProviderStatus[];
  /** Why changes of the host's addresses are only looked for, at connects and listens; null: they are told of at once, or nobody needs to know. */
  readonly unwatched: Reason | null;
  readonly listeners: readonly ListenerStatus[];
  /** At most 1000; `connectionsTotal` counts all. */
  readonly connections: readonly ConnectionStatus[];
  readonly connectionsTotal: number;
  /** At most 1000. */
  readonly peers: readonly PeerStatus[];
  /** Null: no SAN has been started. */
  readonly polling: PollingStatus | null;
  /** How often each decision was taken, by reason. */
  readonly counters: Readonly<Partial<Record<Reason, number>>>;
}

/** Somebody who knows a part of it. Asked when somebody wants to know, so that connections pay nothing for it. */
export interface StatusSource {
  connections?(): Iterable<ConnectionStatus>;
  listeners?(): Iterable<ListenerStatus>;
  peers?(): Iterable<PeerStatus>;
  polling?(): PollingStatus | null;
  unavailable?(): Reason | null;
  providers?(): Iterable<ProviderStatus>;
  unwatched?(): Reason | null;
}

const listedMax = 1000;
const sources: StatusSource[] = [];

export function addStatusSource(source: StatusSource): void {
  sources.push(source);
}

/** What Sockets Direct does in this event loop; a worker has one of its own. */
export function status(): Status {
  const connections: ConnectionStatus[] = [];
  let connectionsTotal = 0;
  for (const source of sources) {
    for (const connection of source.connections?.() ?? []) {
      if (connectionsTotal++ < listedMax) connections.push(connection);
    }
  }
  const first = <T>(ask: (source: StatusSource) => T | null | undefined): T | null =>
    sources.map(ask).find((answer) => answer != null) ?? null;
  return {
    version: 1,
    pid: process.pid,
    threadId: isMainThread ? 0 : threadId,
    program: process.argv[1] ?? process.title,
    node: process.version,
    age: Math.round(performance.now()),
    unavailable: first((source) => source.unavailable?.()),
    providers: sources.flatMap((source) => [...(source.providers?.() ?? [])]),
    unwatched: first((source) => source.unwatched?.()),
    listeners: sources.flatMap((source) => [...(source.listeners?.() ?? [])]).slice(0, listedMax),
    connections,
    connectionsTotal,
    peers: sources.flatMap((source) => [...(source.peers?.() ?? [])]).slice(0, listedMax),
    polling: first((source) => source.polling?.()),
    counters: reasonCounts(),
  };
}
