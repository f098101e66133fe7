/**
 * The messages by which two event loops agree on a link: 64 bytes each, little-endian.
 *
 *     0 magic   4 type, lowest version, highest version, reason (16 bits each)   12 size of the arena
 *    16 token (12 bytes)   32 bytes that the peer may read in this process   48 network namespace   56 their address, or 0
 *
 * The client says HELLO, the server WELCOME with the descriptor of the arena, the client READY. Either may say REFUSE
 * instead. Everything read here comes from another process and is checked before it is used.
 */

import type { Reason } from '../../diagnostics/reasons.js';
import { PlatformError } from '../../platform/index.js';
import { PROBE_SIZE, type Probe } from './peer-memory.js';

export const messageLength = 64;

export const MessageType = { hello: 1, welcome: 2, ready: 3, refuse: 9 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** Why a link is refused. `link-exists` is no failure: the two have another link, or are about to have it. */
export type Refusal = Reason | 'link-exists';

export interface Message {
  type: MessageType;
  lowestVersion: number;
  highestVersion: number;
  /** Bytes: what the client wants at most, what the server gives. */
  arenaSize: number;
  token: string;
  networkNamespace: bigint;
  /** Null: the sender does not let its memory be read. */
  probe: Probe | null;
  /** Of `refuse` only. */
  refusal: Refusal | null;
}

/** First 4 bytes of each message. */
const magic = 0x314c4453;
/** Bytes of an arena at least, whatever its owner keeps there. */
export const smallestArena = 64 * 1024;
const pageSize = 4096;

/** Numbers on the wire. They never change their meaning; 11 is set aside for checks of port owners. */
const refusals: readonly (readonly [number, Refusal])[] = [
  [1, 'peer-protocol'],
  [2, 'peer-version'],
  [3, 'peer-other-user'],
  [4, 'peer-busy'],
  [5, 'peer-other-namespace'],
  [6, 'connect-timeout'],
  [7, 'peer-gone'],
  [8, 'arena-unsafe'],
  [9, 'link-exists'],
  [10, 'peer-closing'],
  [12, 'memory-unavailable'],
  [13, 'resources-exhausted'],
];
const refusalOf = new Map(refusals);
const numberOf = new Map(refusals.map(([number, refusal]) => [refusal, number]));

export function encodeMessage(message: Message): Buffer {
  const bytes = Buffer.alloc(messageLength);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt16LE(message.type, 4);
  bytes.writeUInt16LE(message.lowestVersion, 6);
  bytes.writeUInt16LE(message.highestVersion, 8);
  bytes.writeUInt16LE(message.refusal === null ? 0 : (numberOf.get(message.refusal) ?? 1), 10);
  bytes.writeUInt32LE(message.arenaSize, 12);
  bytes.write(message.token, 16, 12, 'hex');
  bytes.writeBigUInt64LE(message.networkNamespace, 48);
  if (message.probe !== null) {
    bytes.set(message.probe.bytes, 32);
    bytes.writeBigUInt64LE(message.probe.address, 56);
  }
  return bytes;
}

/** Throws PlatformError `peer-protocol`. An unknown reason of a refusal counts as that as well. */
export function decodeMessage(bytes: Buffer): Message {
  if (bytes.length !== messageLength) throw violation(`${bytes.length} bytes`);
  if (bytes.readUInt32LE(0) !== magic) throw violation('magic');
  const type = bytes.readUInt16LE(4);
  if (!isMessageType(type)) throw violation(`type ${type}`);
  return {
    type,
    lowestVersion: bytes.readUInt16LE(6),
    highestVersion: bytes.readUInt16LE(8),
    arenaSize: bytes.readUInt32LE(12),
    token: bytes.toString('hex', 16, 28),
    networkNamespace: bytes.readBigUInt64LE(48),
    probe: readProbe(bytes),
    refusal: type === MessageType.refuse ? (refusalOf.get(bytes.readUInt16LE(10)) ?? 'peer-protocol') : null,
  };
}

/** Neither is to be believed: what is read there is compared, and only the peer's own memory can be read. */
function readProbe(bytes: Buffer): Probe | null {
  const address = bytes.readBigUInt64LE(56);
  return address === 0n ? null : { address, bytes: Buffer.from(bytes.subarray(32, 32 + PROBE_SIZE)) };
}

export function violation(detail: string): PlatformError {
  return new PlatformError('peer-protocol', detail);
}

/**
 * What holds for HELLO and WELCOME alike: the versions of both sides overlap, and both are in one network namespace, where
 * an address means the same. Throws PlatformError `peer-version` or `peer-other-namespace`.
 */
export function checkCompatible(message: Message, version: number, networkNamespace: bigint): void {
  if (message.lowestVersion > version || message.highestVersion < version) {
    throw new PlatformError('peer-version', `${message.lowestVersion} to ${message.highestVersion}`);
  }
  if (message.networkNamespace !== networkNamespace) throw new PlatformError('peer-other-namespace');
}

/** Size of the arena for a peer that asks for `asked` bytes. Throws PlatformError `peer-protocol`. */
export function agreeOnArena(asked: number, smallest: number, largest: number): number {
  const size = Math.min(asked, largest);
  checkArenaSize(size, smallest, asked);
  return size;
}

/** Throws PlatformError `peer-protocol` for a size that is no whole number of pages, or out of bounds. */
export function checkArenaSize(size: number, smallest: number, largest: number): void {
  if (size < smallest || size > largest || size % pageSize !== 0) throw violation(`arena of ${size} bytes`);
}

function isMessageType(type: number): type is MessageType {
  return (
    type === MessageType.hello ||
    type === MessageType.welcome ||
    type === MessageType.ready ||
    type === MessageType.refuse
  );
}
