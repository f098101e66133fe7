/** Two switches in one simulated world: the rig works, and both ends see what they should. */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { Rig } from '../../simulation/rig.js';
import { harmlessConnectErrors } from '../../src/providers/simulated/faults.js';
import { CF_REJECT, WSAECONNREFUSED, WSAECONNRESET } from '../../src/spi/index.js';

for (const providerMemory of [true, false]) {
  for (const immediateSends of [true, false]) {
    test(`both ends talk, close and leave nothing behind (providerMemory ${providerMemory}, immediateSends ${immediateSends})`, () => {
      const rig = new Rig(1);
      const providers = [{ providerMemory, immediateSends }];
      const [client, server] = [rig.host({ providers }), rig.host({ providers })];
      const listening = server.listen(80);
      assert.equal(listening.status, 0);
      assert.equal(listening.reason, 'accelerated');
      const connecting = client.connect(server.name(80));
      assert.ok(rig.until(() => listening.connections.length === 1 && connecting.outcome !== null));
      assert.equal(connecting.outcome, 'connected');
      const [mine, theirs] = [connecting.connection!.read(), listening.connections[0]!.read()];
      assert.equal(theirs.connection.peerAddress.address, client.address);
      assert.equal(mine.connection.localAddress.port, theirs.connection.peerAddress.port);
      const large = 'x'.repeat(300_000);
      mine.write('hello');
      mine.write(large);
      mine.end();
      theirs.write('answer');
      assert.ok(rig.until(() => theirs.ended && mine.text === 'answer'));
      assert.equal(theirs.text, `hello${large}`);
      theirs.end();
      assert.ok(rig.until(() => mine.ended));
      listening.close();
      connecting.close();
      theirs.connection.close();
      assert.ok(rig.settle());
      for (const host of rig.hosts) {
        assert.equal(host.providers[0]!.sockets.size, 0);
        assert.ok(host.switch.cleanup());
        assert.equal(host.reservedPorts.size, 0);
        assert.equal(host.tcpip.openHandles, 0);
      }
    });
  }
}

test('nobody listens on the SAN: TCP/IP joins the right pair', () => {
  const rig = new Rig(2);
  const [client, server] = [rig.host(), rig.host({ catalog: 'off-by-environment' })];
  const listening = server.listen(80);
  assert.equal(listening.reason, 'off-by-environment');
  const connecting = client.connect(server.name(80));
  assert.ok(rig.until(() => connecting.isSettled && listening.arrivals.length === 1));
  assert.equal(connecting.outcome, 'fallback');
  assert.equal(connecting.reason, 'no-listener');
  assert.equal(connecting.tcpStatus, 0);
  connecting.handle.send('over TCP');
  assert.ok(rig.until(() => listening.arrivals[0]!.received === 'over TCP'));
});

test('nobody listens at all: TCP/IP says so', () => {
  const rig = new Rig(3);
  const [client, server] = [rig.host(), rig.host()];
  const connecting = client.connect(server.name(80));
  assert.ok(rig.until(() => connecting.isSettled));
  assert.equal(connecting.tcpStatus, -constants.errno.ECONNREFUSED);
});

test('a refusal of the program is final', () => {
  const rig = new Rig(4);
  const [client, server] = [rig.host(), rig.host()];
  server.listen(80, { condition: () => CF_REJECT });
  const connecting = client.connect(server.name(80));
  assert.ok(rig.until(() => connecting.isSettled));
  assert.deepEqual([connecting.outcome, connecting.error], ['failed', WSAECONNREFUSED]);
});

test('connect outcomes of the network lead to TCP/IP', () => {
  for (const error of harmlessConnectErrors) {
    const rig = new Rig(5);
    const [client, server] = [rig.host(), rig.host()];
    server.listen(80);
    client.providers[0]!.faults.nextConnect(error);
    const connecting = client.connect(server.name(80));
    assert.ok(rig.until(() => connecting.isSettled));
    assert.deepEqual([connecting.outcome, connecting.tcpStatus], ['fallback', 0]);
  }
});

test('a killed process resets its peer, which has bytes on the way to it', () => {
  const rig = new Rig(6);
  const [client, server] = [rig.host(), rig.host()];
  const listening = server.listen(80);
  const connecting = client.connect(server.name(80));
  assert.ok(rig.until(() => listening.connections.length === 1 && connecting.outcome !== null));
  const mine = connecting.connection!.read();
  mine.write('lost');
  server.process.kill();
  assert.ok(rig.until(() => mine.error !== 0));
  assert.equal(mine.error, WSAECONNRESET);
});

test('a loop that is blocked beyond the budget does not get the request that was withdrawn', () => {
  const rig = new Rig(7);
  const [client, server] = [rig.host(), rig.host()];
  const listening = server.listen(80);
  server.process.block(100_000);
  const connecting = client.connect(server.name(80));
  assert.ok(rig.until(() => connecting.isSettled && listening.arrivals.length === 1));
  assert.equal(connecting.reason, 'connect-timeout');
  assert.ok(rig.settle());
  assert.equal(listening.connections.length, 0);
});
