/** Reads a document that another process has written: takes what is right, refuses the rest, keeps nothing else. */

import type { ConnectionStatus, ListenerStatus, PeerStatus, ProviderStatus, Status } from '../diagnostics/status.js';

/** Entries of one list. */
const entriesMax = 10_000;
const textMax = 1024;

class Invalid extends Error {}

type Fields = Readonly<Record<string, unknown>>;

/** The document, or null if it is none. */
export function parseStatus(text: string): Status | null {
  try {
    return status(JSON.parse(text));
  } catch (error) {
    if (error instanceof Invalid || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Text that moves no cursor, sets no colour and turns no line round. */
export function plainText(value: string): string {
  return value.slice(0, textMax).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

function status(value: unknown): Status {
  const all = fields(value);
  if (all.version !== 1) throw new Invalid();
  return {
    version: 1,
    pid: count(all.pid),
    threadId: count(all.threadId),
    program: text(all.program),
    node: text(all.node),
    age: number(all.age),
    unavailable: optional(all.unavailable, reason),
    // Processes with an older version of this package do not tell.
    providers: list(all.providers ?? [], provider),
    unwatched: optional(all.unwatched ?? null, reason),
    listeners: list(all.listeners, listener),
    connections: list(all.connections, connection),
    connectionsTotal: count(all.connectionsTotal),
    // Older versions do not tell.
    peers: all.peers === undefined ? [] : list(all.peers, peer),
    polling: optional(all.polling, (polling) => {
      const { fruitless, time } = fields(polling);
      return { fruitless: number(fruitless), time: number(time) };
    }),
    counters: Object.fromEntries(
      Object.entries(fields(all.counters))
        .slice(0, entriesMax)
        .map(([name, value]) => [plainText(name), count(value)]),
    ),
  };
}

function provider(value: unknown): ProviderStatus {
  const all = fields(value);
  return {
    name: text(all.name),
    providerId: text(all.providerId),
    state: oneOf(all.state, ['installed', 'started', 'left-out', 'removed']),
    reason: optional(all.reason, reason),
    detail: optional(all.detail, text),
    addresses: list(all.addresses, text),
  };
}

function listener(value: unknown): ListenerStatus {
  const all = fields(value);
  return { address: endpoint(all.address), reason: reason(all.reason), connections: count(all.connections) };
}

function connection(value: unknown): ConnectionStatus {
  const all = fields(value);
  return {
    provider: text(all.provider),
    reason: reason(all.reason),
    role: oneOf(all.role, ['connect', 'accept']),
    state: oneOf(all.state, ['open', 'closing']),
    localAddress: endpoint(all.localAddress),
    peerAddress: endpoint(all.peerAddress),
    peerPid: optional(all.peerPid, count),
    age: optional(all.age, number),
    bytesRead: count(all.bytesRead),
    bytesWritten: count(all.bytesWritten),
    credits: optional(all.credits, count),
  };
}

function peer(value: unknown): PeerStatus {
  const all = fields(value);
  return { pid: count(all.pid), connections: count(all.connections), memory: word(all.memory) as PeerStatus['memory'] };
}

function endpoint(value: unknown): { address: string; port: number } {
  const { address, port } = fields(value);
  return { address: text(address), port: count(port) };
}

/** A newer version may know more reasons than this one, so any word will do. */
function reason(value: unknown): Status['connections'][number]['reason'] {
  return word(value) as Status['connections'][number]['reason'];
}

function word(value: unknown): string {
  const found = text(value);
  if (!/^[a-z0-9-]{1,64}$/.test(found)) throw new Invalid();
  return found;
}

function fields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Invalid();
  return value as Fields;
}

function list<T>(value: unknown, read: (entry: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new Invalid();
  return value.slice(0, entriesMax).map(read);
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === null ? null : read(value);
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Invalid();
  return plainText(value);
}

function number(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw new Invalid();
  return value;
}

function count(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw new Invalid();
  return number(value);
}

function oneOf<T extends string>(value: unknown, values: readonly T[]): T {
  const found = values.find((one) => one === value);
  if (found === undefined) throw new Invalid();
  return found;
}
