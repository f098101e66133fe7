import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import stockNet from 'node:net';
import { test } from 'node:test';
import util from 'node:util';
import { connect, createServer, isBranded, netModule as net, Server, Socket } from '../../src/net/import-mode.js';
import { connectionInfo, installNet } from '../../src/net/index.js';
import { fakeSwitch } from '../support/fake-switch.js';

assert.equal(installNet({ getSwitch: () => fakeSwitch, eligible: isBranded }), null);

async function listen(server: stockNet.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as stockNet.AddressInfo).port;
}

test('only sockets and servers of this module are carried', async (t) => {
  const server = createServer({ noDelay: true }, (socket) => socket.end('x'));
  const port = await listen(server);
  t.after(() => server.close());
  for (const [module, provider] of [
    [net, 'fake'],
    [stockNet, null],
  ] as const) {
    const client = module.connect({ port, host: '127.0.0.1', timeout: 1000 });
    client.resume();
    const [accepted] = (await once(server, 'connection')) as [stockNet.Socket];
    const reason = provider === null ? 'accepted-by-tcpip' : 'accelerated';
    assert.deepEqual(connectionInfo(accepted), { provider: provider ?? 'tcpip', reason });
    if (!client.closed) await once(client, 'close');
    assert.equal(connectionInfo(client).provider, provider);
    assert.equal(client.timeout, 1000);
  }
});

test('a server of node:net is reached by TCP/IP', async (t) => {
  const server = stockNet.createServer((socket) => socket.end());
  const port = await listen(server);
  t.after(() => server.close());
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  assert.deepEqual(connectionInfo(client), { provider: 'tcpip', reason: 'no-listener' });
  client.destroy();
});

test('classes are those of node:net', () => {
  const socket = new Socket();
  assert.ok(socket instanceof stockNet.Socket);
  assert.ok(new stockNet.Socket() instanceof Socket);
  assert.equal(Object.getPrototypeOf(socket), stockNet.Socket.prototype);
  assert.equal(socket.constructor, stockNet.Socket);
  assert.ok((Server as unknown as () => stockNet.Server)() instanceof stockNet.Server);
  assert.ok(new http.Server() instanceof Server);
  assert.equal((net as unknown as { Stream: unknown }).Stream, Socket);
  for (const name of Object.keys(stockNet)) assert.ok(name in net, name);
  assert.equal(net.isIP('::1'), 6);
});

test('subclasses of each style are carried', async (t) => {
  class Modern extends Socket {
    readonly own = true;
  }
  function Old(this: stockNet.Socket) {
    (Socket as unknown as (this: stockNet.Socket) => void).call(this);
  }
  util.inherits(Old, Socket);
  const server = createServer((socket) => socket.end());
  const port = await listen(server);
  t.after(() => server.close());
  for (const client of [new Modern(), new (Old as unknown as new () => stockNet.Socket)()]) {
    client.connect(port, '127.0.0.1').resume();
    await once(client, 'close');
    assert.equal(connectionInfo(client).provider, 'fake');
  }
  assert.equal(new Modern().own, true);
});
