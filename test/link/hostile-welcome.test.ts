/** A server whose part of the handshake is spoilt, one field after the other: no dial hangs, throws, or leaves something open. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { descriptorOf, PlatformError } from '../../src/platform/index.js';
import { encodeMessage, MessageType, messageLength } from '../../src/providers/shared-memory/handshake.js';
import { type Field, fieldsOf, keyOf } from '../e2e/programs/hostile-fields.js';
import { Random, spoilMessage } from '../e2e/programs/hostile-values.js';
import { arenaSize, Bench, openDescriptors, platform, until } from './support.js';

const cases = 400 * Math.max(1, Number(process.env.SOCKETS_DIRECT_TEST_RUNS ?? 1));

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

test('a dial outlives each spoilt welcome, and leaves nothing open', async (t) => {
  const random = new Random(4711);
  const rendezvous = bench.rendezvous();
  let field: Field | null = null;
  const server = net.createServer({ pauseOnConnect: true }, async (socket) => {
    socket.on('error', () => {});
    const descriptor = descriptorOf(socket);
    await platform.waitReadable(descriptor).promise;
    platform.receiveMessage(descriptor, messageLength);
    field = random.once(8) ? null : random.pick(fieldsOf('handshake'));
    const welcome = encodeMessage({
      type: field?.name === 'reason' ? MessageType.refuse : MessageType.welcome,
      lowestVersion: 1,
      highestVersion: 1,
      arenaSize,
      token: rendezvous.token,
      networkNamespace: platform.networkNamespaceCookie(),
      probe: null,
      refusal: field?.name === 'reason' ? 'peer-busy' : null,
    });
    if (field !== null) spoilMessage(random, welcome, field);
    const count = field === null ? random.pick([0, 2, 3]) : 1;
    const memory = Array.from({ length: count }, () => platform.createSealedMemory(arenaSize));
    platform.sendMessage(descriptor, welcome, memory);
    for (const one of memory) platform.closeDescriptor(one);
    socket.on('close', () => socket.destroy()).resume();
  });
  rendezvous.publish((path) => server.listen(path));
  bench.cleanup(() => server.close());
  const client = bench.party({ establishTimeoutMs: 300 });
  const before = openDescriptors();
  const ends: Record<string, number> = {};
  const seen = new Set<string>();
  for (let k = 0; k < cases; k++) {
    const end = await client.dial(rendezvous.token).then(
      (link) => {
        link.socket.destroy();
        return 'linked';
      },
      (error: unknown) => {
        assert.ok(error instanceof PlatformError, String(error));
        return error.reason;
      },
    );
    ends[end] = (ends[end] ?? 0) + 1;
    const key: string = field === null ? 'none' : keyOf(field);
    seen.add(key);
    // A wider range of versions is none the worse.
    if (end === 'linked') assert.ok(key.endsWith('version'), key);
    if (field === null) assert.equal(end, 'peer-protocol', 'not one descriptor');
  }
  t.diagnostic(JSON.stringify(ends));
  for (const one of fieldsOf('handshake')) assert.ok(seen.has(keyOf(one)), keyOf(one));
  await until(
    () => openDescriptors().every((target) => before.includes(target) || !target.includes('memfd')),
    'descriptors of memory are closed',
  );
  await until(() => openDescriptors().length <= before.length, 'sockets are closed');
});
