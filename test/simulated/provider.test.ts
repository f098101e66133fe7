/** What is the simulated provider's own: knobs of its NIC. The contract itself has tests for all providers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MEM_READ,
  MEM_READWRITE,
  MEM_WRITE,
  ProviderMemoryGuid,
  type RdmaDescriptor,
  WSA_IO_PENDING,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  WSAEOPNOTSUPP,
  WSAOVERLAPPED,
  type WSPDeregisterRdmaMemory,
  WSPDeregisterRdmaMemoryGuid,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
  type WSPRdmaWrite,
  WSPRdmaWriteGuid,
  type WSPRegisterRdmaMemory,
  WSPRegisterRdmaMemoryGuid,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { connected, type Side } from './support.js';

test('WSD-NEG-12: with flow control messages wait for their buffers, and none is lost [simulated]', () => {
  const { world, client, server, mine, theirs } = connected({ flowControl: true, immediateSends: false });
  const sends = [client.send(mine, 'one'), client.send(mine, 'two')];
  assert.equal(
    world.runUntil(() => sends[0]!.Internal !== WSS_OPERATION_IN_PROGRESS, 100_000),
    false,
  );
  const [first, second] = [server.receive(theirs, 300), server.receive(theirs, 300)];
  assert.ok(world.runOut());
  assert.equal(Buffer.from(first.region.bytes).toString('latin1', 0, first.overlapped.InternalHigh), 'one');
  assert.equal(Buffer.from(second.region.bytes).toString('latin1', 0, second.overlapped.InternalHigh), 'two');
  assert.deepEqual(
    sends.map(({ Internal }) => Internal),
    [0, 0],
  );
});

test('WSD-NEG-9, WSD-NEG-10: without flow control one early message is kept, and fills the first buffer [simulated]', () => {
  const { world, client, server, mine, theirs } = connected({});
  client.send(mine, 'early');
  world.runOut();
  const [first, second] = [server.receive(theirs, 300), server.receive(theirs, 300)];
  client.send(mine, 'later');
  assert.ok(world.runOut());
  assert.equal(Buffer.from(first.region.bytes).toString('latin1', 0, first.overlapped.InternalHigh), 'early');
  assert.equal(Buffer.from(second.region.bytes).toString('latin1', 0, second.overlapped.InternalHigh), 'later');
});

test('a message without a buffer resets the connection, once buffers have been posted', () => {
  const { world, client, server, mine, theirs } = connected({});
  const answer = client.receive(mine, 300);
  const first = server.receive(theirs, 300);
  client.send(mine, 'one');
  client.send(mine, 'two');
  assert.ok(world.runOut());
  assert.equal(first.overlapped.InternalHigh, 3);
  assert.equal(answer.overlapped.Internal, WSAECONNRESET);
});

test('sends stay pending where the NIC is asked for that, and read their memory late', () => {
  const { world, client, server, mine, theirs } = connected({ immediateSends: false });
  const received = server.receive(theirs, 300);
  const { region } = client.memory(mine, 5);
  region.bytes.set(Buffer.from('first'));
  const overlapped = new WSAOVERLAPPED();
  const list = [{ buf: region, offset: 0, len: 5 }];
  client.table.WSPSend(mine, list, 1, null, 0, overlapped, null, null, client.errno);
  assert.equal(client.errno.value, WSA_IO_PENDING);
  // What a switch must not do.
  region.bytes.set(Buffer.from('spoil'));
  assert.ok(world.runOut());
  assert.equal(Buffer.from(received.region.bytes).toString('latin1', 0, 5), 'spoil');
  assert.equal(overlapped.Internal, 0);
});

test('WSD-INI-15: extensions that are switched off are refused [simulated]', () => {
  const { client } = connected({ providerMemory: false, rdmaRead: false });
  for (const guid of [ProviderMemoryGuid, WSPRdmaReadGuid]) {
    assert.equal(client.extension(guid), null);
    assert.equal(client.errno.value, WSAEOPNOTSUPP);
  }
});

/** RDMA memory of the server with the text in it, as its descriptor. */
function exposed(server: Side, socket: Parameters<WSPRegisterRdmaMemory>[0], access: number) {
  const buffer = new ArrayBuffer(64);
  const region = { bytes: new Uint8Array(buffer), words: new Int32Array(buffer) };
  region.bytes.set(Buffer.from('exposed'));
  const descriptor: RdmaDescriptor = new Uint8Array(16);
  const register = server.extension<WSPRegisterRdmaMemory>(WSPRegisterRdmaMemoryGuid)!;
  assert.equal(register(socket, region, 0, 64, access, descriptor, { value: 16 }, server.errno), 0);
  return { region, descriptor };
}

test('WSD-XFR-32: RDMA moves bytes both ways, and needs nothing of the peer [simulated]', () => {
  const { world, client, server, mine, theirs } = connected({});
  const { region, descriptor } = exposed(server, theirs, MEM_READWRITE);
  server.provider.process.stop();
  const local = client.memory(mine, 8);
  const [reading, writing] = [new WSAOVERLAPPED(), new WSAOVERLAPPED()];
  const list = [{ buf: local.region, offset: 0, len: 7, handle: local.handle }];
  const read = client.extension<WSPRdmaRead>(WSPRdmaReadGuid)!;
  const write = client.extension<WSPRdmaWrite>(WSPRdmaWriteGuid)!;
  read(mine, list, 1, descriptor, 16, 0, null, 0, reading, null, null, client.errno);
  assert.equal(client.errno.value, WSA_IO_PENDING);
  assert.ok(world.runUntil(() => reading.Internal === 0));
  assert.equal(Buffer.from(local.region.bytes).toString('latin1', 0, 7), 'exposed');
  write(mine, list, 1, descriptor, 16, 8, null, 0, writing, null, null, client.errno);
  assert.ok(world.runUntil(() => writing.Internal === 0));
  assert.equal(Buffer.from(region.bytes).toString('latin1', 8, 15), 'exposed');
});

test('WSD-MEM-12, WSD-MEM-13, WSD-MEM-31: RDMA in a direction or range that is not registered fails [simulated]', () => {
  const cases = [
    { access: MEM_READ, guid: WSPRdmaWriteGuid, offset: 0 },
    { access: MEM_WRITE, guid: WSPRdmaReadGuid, offset: 0 },
    { access: MEM_READWRITE, guid: WSPRdmaWriteGuid, offset: 60 },
  ];
  for (const { access, guid, offset } of cases) {
    const { world, client, server, mine, theirs } = connected({});
    const { region, descriptor } = exposed(server, theirs, access);
    const before = Buffer.from(region.bytes);
    const local = client.memory(mine, 8);
    const overlapped = new WSAOVERLAPPED();
    const list = [{ buf: local.region, offset: 0, len: 8, handle: local.handle }];
    const transfer = client.extension<WSPRdmaWrite>(guid)!;
    transfer(mine, list, 1, descriptor, 16, offset, null, 0, overlapped, null, null, client.errno);
    assert.ok(world.runOut());
    assert.equal(overlapped.Internal, WSAECONNRESET);
    assert.deepEqual(Buffer.from(region.bytes), before);
    assert.deepEqual(Buffer.from(local.region.bytes), Buffer.alloc(8));
  }
});

test('WSD-MEM-26: RDMA memory that the peer is using cannot be released [simulated]', () => {
  const { world, client, server, mine, theirs } = connected({});
  const { region, descriptor } = exposed(server, theirs, MEM_READWRITE);
  const local = client.memory(mine, 64);
  local.region.bytes.fill(1);
  const overlapped = new WSAOVERLAPPED();
  const list = [{ buf: local.region, offset: 0, len: 64, handle: local.handle }];
  const write = client.extension<WSPRdmaWrite>(WSPRdmaWriteGuid)!;
  const release = server.extension<WSPDeregisterRdmaMemory>(WSPDeregisterRdmaMemoryGuid)!;
  write(mine, list, 1, descriptor, 16, 0, null, 0, overlapped, null, null, client.errno);
  let refusals = 0;
  while (region.bytes[0] !== 1) {
    const targets = server.provider.sockets;
    const busy = [...targets].some(({ rdma }) => rdma.find(descriptor, 0, 1, MEM_WRITE)?.transfers === 1);
    if (busy) {
      assert.notEqual(release(theirs, descriptor, 16, server.errno), 0);
      assert.equal(server.errno.value, WSAEINVAL);
      refusals++;
    }
    assert.ok(world.step());
  }
  assert.ok(refusals > 0);
  assert.equal(release(theirs, descriptor, 16, server.errno), 0);
});

test('WSD-XFR-29: memory that is not registered for the access is refused [simulated]', () => {
  const { client, mine } = connected({ providerMemory: false });
  const readable = client.memory(mine, 8, MEM_READ).region;
  const overlapped = new WSAOVERLAPPED();
  const list = [{ buf: readable, offset: 0, len: 8 }];
  client.table.WSPRecv(mine, list, 1, null, { value: 0 }, overlapped, null, null, client.errno);
  assert.equal(client.errno.value, WSAEFAULT);
  const buffer = new ArrayBuffer(8);
  const stranger = { buf: { bytes: new Uint8Array(buffer), words: new Int32Array(buffer) }, offset: 0, len: 8 };
  client.table.WSPSend(mine, [stranger], 1, null, 0, overlapped, null, null, client.errno);
  assert.equal(client.errno.value, WSAEFAULT);
});
