/**
 * Everything that a peer can write and that somebody reads: each field of each structure, by its place. What the layouts
 * declare and what stands here is compared by a test, so a new field cannot be forgotten.
 */

export type Structure =
  | 'prefix'
  | 'connect'
  | 'accept'
  | 'refuse'
  | 'close'
  | 'move'
  | 'resume'
  | 'rdma'
  | 'rdma_read'
  | 'rdma_data'
  | 'header'
  | 'negotiation'
  | 'descriptor'
  | 'arena'
  | 'doorbell'
  | 'handshake';

/** A part of a 32-bit word; of the arena: a name of its layout; of the handshake: whole bytes. */
export interface Field {
  readonly structure: Structure;
  readonly name: string;
  /** Word within the structure. */
  readonly word: number;
  readonly shift: number;
  readonly bits: number;
  /** Why nothing depends on it: it is attacked as well, but what is written there is no case. */
  readonly unread?: string;
}

type Part = readonly [name: string, word: number, bits?: number, shift?: number];

function fields(structure: Structure, ...parts: readonly Part[]): Field[] {
  return parts.map(([name, word, bits = 32, shift = 0]) => ({ structure, name, word, shift, bits }));
}

const only = (field: Field, unread: string): Field => ({ ...field, unread });

function address(which: string, word: number): Part[] {
  return [
    [`${which} port`, word, 16],
    [`${which} family`, word, 16, 16],
    [`${which} address 0`, word + 1],
    [`${which} address 1`, word + 2],
    [`${which} address 2`, word + 3],
    [`${which} address 3`, word + 4],
  ];
}

const record: readonly Part[] = [
  ['type', 0],
  ['id', 1],
  ['generation', 2],
];

/** As the peer sees them: what it sends and what it receives. */
const arena = (name: string): Field => ({ structure: 'arena', name, word: 0, shift: 0, bits: 32 });

/** In bytes here, as the handshake is no array of words. */
function handshake(name: string, offset: number, length: number): Field {
  return { structure: 'handshake', name, word: offset, shift: 0, bits: 8 * length };
}

const reserved = 'reserved: written as zero, and looked at by nobody';
const readByRdma = 'looked at only by programs that use RDMA: test/shared-memory/rdma-hostile.test.ts';
const readLater = 'looked at when RDMA memory of the peer is first read: test/shared-memory/peer-memory.test.ts';
const writtenByVictim = 'its owner writes it and never reads it back';

export const inventory: readonly Field[] = [
  ...fields('prefix', ['length', 0], ['id', 1]),
  ...fields('connect', ...record, ...address('callee', 3), ...address('caller', 8)),
  ...fields('accept', ...record),
  ...fields('refuse', ...record, ['cause', 3]),
  ...fields('close', ...record),
  ...fields('move', ...record, ['process', 3], ['nonce 0', 4], ['nonce 1', 5], ['nonce 2', 6], ['nonce 3', 7]),
  ...fields('resume', ...record, ['nonce 0', 3], ['nonce 1', 4], ['nonce 2', 5], ['nonce 3', 6]),
  ...fields(
    'rdma',
    ...record,
    ['offset', 3],
    ['descriptor 0', 4],
    ['descriptor 1', 5],
    ['descriptor 2', 6],
    ['descriptor 3', 7],
  ),
  ...fields(
    'rdma_read',
    ...record,
    ['offset', 3],
    ['descriptor 0', 4],
    ['descriptor 1', 5],
    ['descriptor 2', 6],
    ['descriptor 3', 7],
    ['length', 8],
    ['more', 9],
  ),
  ...fields('rdma_data', ...record),
  ...fields('descriptor', ['key 0', 0], ['key 1', 1], ['length', 2], ['entry', 3]),
  ...fields(
    'header',
    ['type', 0, 8],
    ['flags', 0, 8, 8],
    ['credits', 0, 16, 16],
    ['length', 1],
    ['sequence', 2],
    ['taken', 3],
  ),
  ...fields(
    'negotiation',
    ['magic', 0],
    ['version', 1],
    ['postedBuffers', 2],
    ['payloadSize', 3],
    ['postedBuffersMax', 4],
  ),
  ...fields('negotiation', ['reserved', 5]).map((field) => only(field, reserved)),
  arena('sendHead'),
  only(arena('sendTail'), writtenByVictim),
  arena('sendRing'),
  only(arena('receiveHead'), writtenByVictim),
  arena('receiveTail'),
  only(arena('receiveRing'), writtenByVictim),
  arena('mySleep'),
  only(arena('peerSleep'), writtenByVictim),
  arena('myRequests'),
  arena('peerRequests'),
  only(arena('myExposures'), readByRdma),
  only(arena('peerExposures'), readByRdma),
  only({ structure: 'doorbell', name: 'byte', word: 0, shift: 0, bits: 8 }, 'any byte rings, whatever it says'),
  handshake('magic', 0, 4),
  handshake('type', 4, 2),
  handshake('lowest version', 6, 2),
  handshake('highest version', 8, 2),
  handshake('reason', 10, 2),
  handshake('arena size', 12, 4),
  handshake('token', 16, 12),
  only(handshake('unused', 28, 4), reserved),
  only(handshake('probe', 32, 16), readLater),
  handshake('network namespace', 48, 8),
  only(handshake('probe address', 56, 8), readLater),
];

export const keyOf = ({ structure, name }: Field): string => `${structure}.${name}`;

/** The fields of a structure that are read. */
export function fieldsOf(structure: Structure): readonly Field[] {
  return inventory.filter((field) => field.structure === structure && field.unread === undefined);
}

/** Puts a value into the field of a structure that begins at the word `base`. */
export function put(words: Int32Array, base: number, { word, shift, bits }: Field, value: number): void {
  const mask = bits === 32 ? -1 : ((1 << bits) - 1) << shift;
  words[base + word] = (words[base + word]! & ~mask) | ((value << shift) & mask);
}

export function get(words: Int32Array, base: number, { word, shift, bits }: Field): number {
  const value = words[base + word]! >>> shift;
  return bits === 32 ? value | 0 : value & ((1 << bits) - 1);
}
