/** Direct reads from a peer that writes nonsense into its table: at worst the connection ends. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notify, region } from '../../src/conformance/memory.js';
import { arenaLayout } from '../../src/providers/shared-memory/arena.js';
import { EXPOSURE_SIZE, EXPOSURES } from '../../src/providers/shared-memory/exposures.js';
import { LinkMemory } from '../../src/providers/shared-memory/link-memory.js';
import { ownProbe } from '../../src/providers/shared-memory/peer-memory.js';
import { World } from '../../src/providers/simulated/world.js';
import { MEM_READ, WSAECONNRESET } from '../../src/spi/index.js';
import { platform } from '../link/support.js';
import { type Joined, join } from './link-support.js';

const probe = ownProbe(platform, {});
const size = 256;

function joined(arena: ArrayBuffer): Joined {
  return join(arena, (side) => new LinkMemory({ arena, side, platform, pid: process.pid, probe, allowed: true }));
}

test('whatever a peer writes into its table, a read ends, with the right bytes or as the peer of a wrong request', () => {
  const world = new World(Number(process.env.SOCKETS_DIRECT_TEST_SEED ?? 7));
  const random = (below: number): number => world.pick(below);
  const arena = new ArrayBuffer(arenaLayout(1).sendRing + 2 * 1024 * 1024);
  const outcomes = new Map<string, number>();
  for (let run = 0; run < 400; run++) {
    new Uint8Array(arena, 0, arenaLayout(0).sendRing).fill(0);
    const { run: turn, connected } = joined(arena);
    const [reader, owner] = connected();
    const memory = region(size);
    memory.bytes.fill(1 + random(255));
    const descriptor = new Uint8Array(16);
    assert.equal(owner.rdma.register(memory, 0, size, MEM_READ, descriptor), 0);
    const table = new Int32Array(arena, arenaLayout(1).myExposures, (EXPOSURES * EXPOSURE_SIZE) / 4);
    // Anything but the address, at which there would be other memory of this process.
    const entry = 8 * ((descriptor[12]! & 0xff) - 1);
    for (let k = random(4); k > 0; k--) {
      const word = [0, 1, 4, 5, 6, 7][random(6)]!;
      table[entry + word] = random(2) === 0 ? random(9) - 4 : (random(65_536) << 16) | random(65_536);
    }
    // An address where nothing is.
    if (random(4) === 0) table[entry + 3] = 0x7000 + random(16);
    const into = { buf: region(size + 16), offset: 8, len: size };
    const handle = reader.cache.take(into.buf.bytes.buffer);
    assert.notEqual(handle, null);
    const offset = random(8) === 0 ? random(2 * size) - size : 0;
    const overlapped = notify();
    const started = reader.connection.transfers.start(true, [into], descriptor, offset, overlapped);
    const direct = started.ended;
    turn();
    const error = direct ? started.error : reader.completions[0]?.error;
    assert.ok(error === 0 || error === WSAECONNRESET, `run ${run}: ${error}`);
    assert.equal(error === 0, offset === 0, 'the owner decides');
    if (error === 0) assert.ok(into.buf.bytes.subarray(8, size + 8).every((byte) => byte === memory.bytes[0]));
    assert.ok([...into.buf.bytes.subarray(0, 8), ...into.buf.bytes.subarray(size + 8)].every((byte) => byte === 0));
    const way = error !== 0 ? 'ended' : direct ? 'direct' : 'over the ring';
    outcomes.set(way, (outcomes.get(way) ?? 0) + 1);
  }
  for (const way of ['direct', 'over the ring', 'ended']) assert.ok((outcomes.get(way) ?? 0) > 10, way);
});
