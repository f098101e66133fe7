import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { connectionInfo, installNet } from '../../src/net/index.js';
import { cert, key } from '../support/certificate.js';
import { fakeSwitch } from '../support/fake-switch.js';

assert.equal(installNet({ getSwitch: () => fakeSwitch }), null);
const servers: net.Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

async function listen(server: net.Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

const carried = { provider: 'fake', reason: 'accelerated' };

test('both ends of a SAN connection, also when closed', async () => {
  const server = net.createServer();
  const port = await listen(server);
  const client = net.connect(port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  assert.deepEqual(connectionInfo(client), carried);
  assert.deepEqual(connectionInfo(accepted), carried);
  client.destroy();
  accepted.resume();
  await once(accepted, 'close');
  assert.deepEqual(connectionInfo(client), carried);
});

test('a fallback has its reason', async () => {
  const client = net.connect(1, '127.0.0.1');
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  assert.equal(error.message, 'connect ECONNREFUSED 127.0.0.1:1');
  assert.deepEqual(connectionInfo(client), { provider: 'tcpip', reason: 'no-listener' });
});

test('what TCP/IP has brought to a server, also when it is closed', async () => {
  const server = net.createServer();
  const port = await listen(server);
  // TLS that begins on a socket which still connects is left to TCP/IP.
  const client = tls.connect({ socket: net.connect(port, '127.0.0.1'), rejectUnauthorized: false });
  client.on('error', () => {});
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  const expected = { provider: 'tcpip', reason: 'accepted-by-tcpip' };
  assert.deepEqual(connectionInfo(accepted), expected);
  accepted.destroy();
  await once(accepted, 'close');
  assert.deepEqual(connectionInfo(accepted), expected);
});

test('a socket of a pipe is nobody of ours, open or closed', async (t) => {
  const server = net.createServer();
  t.after(() => server.close());
  server.listen(`\0sockets-direct-test-${process.pid}`);
  await once(server, 'listening');
  const client = net.connect(server.address() as string);
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  const undecided = { provider: null, reason: null };
  assert.deepEqual(connectionInfo(accepted), undecided);
  client.destroy();
  accepted.destroy();
  await once(accepted, 'close');
  assert.deepEqual(connectionInfo(accepted), undecided);
});

test('a scoped address is left to TCP/IP', async () => {
  const client = net.connect(1, 'fe80::1%lo');
  await new Promise((resolve) => client.on('error', resolve));
  assert.deepEqual(connectionInfo(client), { provider: 'tcpip', reason: 'ipv6-scoped' });
});

test('a socket that was never connected', () => {
  assert.deepEqual(connectionInfo(new net.Socket()), { provider: null, reason: null });
});

test('TLS in each way, and the socket of an HTTP request', async () => {
  const server = tls.createServer({ key, cert }, (socket) => {
    assert.deepEqual(connectionInfo(socket), carried);
    socket.end();
  });
  const port = await listen(server);
  const direct = tls.connect({ port, host: '127.0.0.1', ca: cert, servername: 'localhost' });
  await once(direct, 'secureConnect');
  assert.deepEqual(connectionInfo(direct), carried);
  const plain = net.connect(port, '127.0.0.1');
  await once(plain, 'connect');
  const over = tls.connect({ socket: plain, ca: cert, servername: 'localhost' });
  await once(over, 'secureConnect');
  assert.deepEqual(connectionInfo(over), carried);
  const connecting = net.connect(port, '127.0.0.1');
  const declined = tls.connect({ socket: connecting, rejectUnauthorized: false });
  declined.on('error', () => {});
  await once(connecting, 'connect');
  assert.deepEqual(connectionInfo(declined), { provider: 'tcpip', reason: 'tls-over-connecting-socket' });
  for (const socket of [direct, over, declined]) socket.destroy();

  const web = http.createServer((request, response) => {
    assert.deepEqual(connectionInfo(request.socket), carried);
    response.end();
  });
  const request = http.get({ port: await listen(web), host: '127.0.0.1', agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  assert.deepEqual(connectionInfo(response.socket), carried);
  response.resume();
});

test('a listening server', async () => {
  const server = net.createServer();
  await listen(server);
  assert.deepEqual(connectionInfo(server), { provider: 'tcpip', reason: 'accelerated' });
});
