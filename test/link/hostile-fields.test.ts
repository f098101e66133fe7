/** The inventory of the hostile peer names every field that the layouts declare. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arenaLayout } from '../../src/providers/shared-memory/arena.js';
import { encodeMessage, MessageType, messageLength } from '../../src/providers/shared-memory/handshake.js';
import { DESCRIPTOR_SIZE } from '../../src/providers/shared-memory/memory.js';
import * as records from '../../src/providers/shared-memory/records.js';
import { PREFIX_SIZE } from '../../src/providers/shared-memory/ring.js';
import * as header from '../../src/session/header.js';
import * as negotiation from '../../src/session/negotiation.js';
import { type Field, inventory, keyOf, type Structure } from '../e2e/programs/hostile-fields.js';

const of = (structure: Structure): Field[] => inventory.filter((field) => field.structure === structure);

/** Bits of a structure that fields cover, with how many cover each. */
function coverage(structure: Structure, unit: number): Map<number, number> {
  const bits = new Map<number, number>();
  for (const { word, shift, bits: width } of of(structure)) {
    for (let k = 0; k < width; k++) bits.set(word * unit + shift + k, (bits.get(word * unit + shift + k) ?? 0) + 1);
  }
  return bits;
}

function assertWhole(structure: Structure, bytes: number, unit = 32): void {
  const bits = coverage(structure, unit);
  for (let k = 0; k < 8 * bytes; k++) assert.equal(bits.get(k), 1, `bit ${k} of ${structure}`);
  assert.equal(bits.size, 8 * bytes, structure);
}

test('the inventory of hostile fields covers each bit of each structure once', () => {
  assertWhole('prefix', PREFIX_SIZE);
  assertWhole('header', header.HEADER_SIZE);
  assertWhole('negotiation', negotiation.NEGOTIATION_SIZE);
  assertWhole('descriptor', DESCRIPTOR_SIZE);
  assertWhole('handshake', messageLength, 8);
});

test('the inventory has a structure for each type of record, with all of its words', () => {
  const sizes = records as unknown as Readonly<Record<string, number>>;
  const types = Object.keys(records).filter((name) => name.startsWith('RECORD_'));
  assert.ok(types.length >= 5);
  for (const type of types) {
    const name = type.slice('RECORD_'.length);
    const size = sizes[`${name}_SIZE`];
    assert.ok(size !== undefined, `${type} has a size`);
    assertWhole((name === 'RDMA_WRITE' ? 'rdma' : name.toLowerCase()) as Structure, size);
  }
});

test('the inventory names each part of the arena', () => {
  assert.deepEqual(
    of('arena')
      .map(({ name }) => name)
      .sort(),
    Object.keys(arenaLayout(0)).sort(),
  );
});

test('what the inventory calls a part of an offer or of a handshake is where it says', () => {
  const words = new Int32Array(negotiation.NEGOTIATION_SIZE / 4);
  const offer = { postedBuffers: 1001, postedBuffersMax: 1002, payloadSize: 1003 };
  negotiation.writeNegotiation(words, 0, offer);
  for (const [name, value] of Object.entries(offer)) {
    const field = of('negotiation').find((one) => one.name === name);
    assert.equal(words[field?.word ?? -1], value, name);
  }
  const bytes = encodeMessage({
    type: MessageType.ready,
    lowestVersion: 0x1111,
    highestVersion: 0x2222,
    arenaSize: 0x33333333,
    token: '4'.repeat(24),
    networkNamespace: 0x5555555555555555n,
    probe: { address: 0x6666666666666666n, bytes: new Uint8Array(16).fill(0x77) },
    refusal: null,
  });
  const at = (name: string): number => bytes[of('handshake').find((one) => one.name === name)?.word ?? -1]!;
  assert.deepEqual(
    ['lowest version', 'highest version', 'arena size', 'token', 'network namespace', 'probe address', 'probe'].map(at),
    [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77],
  );
  assert.equal(new Set(inventory.map(keyOf)).size, inventory.length);
});
