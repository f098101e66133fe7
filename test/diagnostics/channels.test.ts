/** What is published through node:diagnostics_channel, between real programs. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Program, Stage, type StartOptions } from '../support/stage.js';

const limit = { timeout: 30_000 };
const program = new URL('./programs/subscriber.js', import.meta.url);

interface Message {
  readonly name: string;
  readonly [field: string]: unknown;
}

interface Endpoint {
  address: string;
  port: number;
}

async function message(program: Program): Promise<Message> {
  const { kind, ...rest } = await program.next<Message & { kind: string }>('message');
  return rest as unknown as Message;
}

async function event(program: Program, name: string): Promise<Message> {
  const found = await program.next<Message>('event');
  assert.equal(found.name, name);
  return found;
}

interface Pair {
  stage: Stage;
  server: Program;
  client: Program;
  port: number;
}

async function pair(t: TestContext, role = 'server', options: StartOptions = {}): Promise<Pair> {
  const stage = new Stage(t);
  const server = stage.start(program, [role], options);
  const { port } = await server.next<{ port: number }>('listening');
  const client = stage.start(program, ['client'], options);
  await client.next('ready');
  return { stage, server, client, port };
}

/** A connected pair, with the connect and accept messages taken. */
async function connected(t: TestContext): Promise<Pair> {
  const two = await pair(t);
  two.client.tell({ kind: 'connect', options: { port: two.port, host: '127.0.0.1' } });
  assert.equal((await message(two.client)).name, 'connect');
  assert.equal((await message(two.server)).name, 'accept');
  await event(two.client, 'connect');
  await event(two.server, 'connection');
  return two;
}

test('[shared-memory] connect and accept tell of both ends', limit, async (t) => {
  const { server, client, port } = await pair(t);
  client.tell({ kind: 'connect', options: { port, host: '127.0.0.1' } });
  const { duration, localAddress, ...connect } = await message(client);
  const local = localAddress as Endpoint;
  const peerAddress = { address: '127.0.0.1', port };
  assert.deepEqual(connect, { name: 'connect', socket: 'Socket', provider: 'shared-memory', peerAddress });
  assert.ok((duration as number) > 0 && (duration as number) < 15_000);
  assert.equal(local.address, '127.0.0.1');
  assert.ok(local.port > 0);
  assert.deepEqual(await message(server), {
    name: 'accept',
    socket: 'Socket',
    server: 'Server',
    provider: 'shared-memory',
    localAddress: peerAddress,
    peerAddress: local,
  });
});

test('[shared-memory] connect of a TLS socket', limit, async (t) => {
  const { server, client, port } = await pair(t, 'secure');
  client.tell({ kind: 'connect', options: { port, host: '127.0.0.1', secure: true } });
  const { name, socket, provider } = await message(client);
  assert.deepEqual([name, socket, provider], ['connect', 'TLSSocket', 'shared-memory']);
  assert.equal((await message(server)).socket, 'Socket');
  await event(client, 'connect');
  client.tell({ kind: 'end' });
  for (const side of [client, server]) {
    const { name, cause } = await message(side);
    assert.deepEqual([name, cause], ['close', 'ended']);
  }
});

test('[shared-memory] close: both sides have finished', limit, async (t) => {
  const { server, client, port } = await connected(t);
  server.tell({ kind: 'read' });
  client.tell({ kind: 'write' });
  client.tell({ kind: 'end' });
  await event(server, 'end');
  server.tell({ kind: 'end' });
  const { duration, localAddress, ...closed } = await message(client);
  assert.deepEqual(closed, {
    name: 'close',
    socket: 'Socket',
    provider: 'shared-memory',
    peerAddress: { address: '127.0.0.1', port },
    bytesRead: 0,
    bytesWritten: 5,
    cause: 'ended',
  });
  assert.ok((duration as number) > 0 && (duration as number) < 15_000);
  assert.ok((localAddress as Endpoint).port > 0);
  const { name, bytesRead, bytesWritten, cause } = await message(server);
  assert.deepEqual([name, bytesRead, bytesWritten, cause], ['close', 5, 0, 'ended']);
});

test('[shared-memory] close: one side resets', limit, async (t) => {
  const { server, client } = await connected(t);
  client.tell({ kind: 'reset' });
  assert.equal((await message(client)).cause, 'reset');
  assert.equal((await message(server)).cause, 'reset-by-peer');
});

test('[shared-memory] close: bytes that nobody has read make it a reset', limit, async (t) => {
  const { server, client } = await connected(t);
  client.tell({ kind: 'write' });
  client.tell({ kind: 'end' });
  server.tell({ kind: 'reset' });
  assert.equal((await message(server)).cause, 'reset');
  assert.equal((await message(client)).cause, 'reset-by-peer');
});

test('[shared-memory] close: the peer has died', limit, async (t) => {
  const { server, client } = await connected(t);
  server.kill();
  const { name, cause } = await message(client);
  assert.deepEqual([name, cause], ['close', 'peer-died']);
});

test('[tcpip] fallback of a connect and of a listener, with the reason', limit, async (t) => {
  const stage = new Stage(t);
  const options = { require: false };
  const server = stage.start(program, ['server'], { ...options, env: { SOCKETS_DIRECT_DENY: 'role=listen' } });
  const { port } = await server.next<{ port: number }>('listening');
  const address = { address: '127.0.0.1', port };
  assert.deepEqual(await message(server), {
    name: 'fallback',
    socket: null,
    server: 'Server',
    address,
    reason: 'denied-by-policy',
    text: 'SOCKETS_DIRECT_POLICY or SOCKETS_DIRECT_DENY keeps this socket on TCP/IP',
  });
  const client = stage.start(program, ['client'], options);
  await client.next('ready');
  client.tell({ kind: 'connect', options: { port, host: '127.0.0.1' } });
  assert.deepEqual(await message(client), {
    name: 'fallback',
    socket: 'Socket',
    server: null,
    address,
    reason: 'no-listener',
    text: 'no process with Sockets Direct listens at the destination',
  });
  // A connect that nobody accepts is a fallback as well: what comes of it is TCP/IP's to tell.
  client.tell({ kind: 'connect', options: { port: 1, host: '127.0.0.1' } });
  assert.equal((await message(client)).reason, 'no-listener');
  await event(client, 'connect');
  assert.equal((await event(client, 'error')).code, 'ECONNREFUSED');
});

test('[shared-memory] connect-error: TCP/IP is not tried', limit, async (t) => {
  const stage = new Stage(t);
  const client = stage.start(program, ['client']);
  await client.next('ready');
  client.tell({ kind: 'connect', options: { port: 1, host: '127.0.0.1' } });
  assert.deepEqual(await message(client), {
    name: 'connect-error',
    socket: 'Socket',
    address: { address: '127.0.0.1', port: 1 },
    reason: 'no-listener',
    text: 'no process with Sockets Direct listens at the destination',
    code: 'ENETUNREACH',
  });
  assert.equal((await event(client, 'error')).code, 'ENETUNREACH');
});

test('[shared-memory] a subscriber that throws harms nothing but what it throws at', limit, async (t) => {
  const stage = new Stage(t);
  const both = stage.start(program, ['both', 'throw']);
  const { port } = await both.next<{ port: number }>('listening');
  both.tell({ kind: 'connect', options: { port, host: '127.0.0.1' } });
  for (let i = 0; i < 2; i++) {
    const { name } = await message(both);
    assert.deepEqual(await both.next('uncaught'), { kind: 'uncaught', message: `thrown on ${name}` });
    await both.next('event');
  }
  both.tell({ kind: 'read' });
  both.tell({ kind: 'end' });
  for (let i = 0; i < 2; i++) assert.equal((await message(both)).cause, 'ended');
});

for (const require of [true, false]) {
  test(`a subscriber may destroy the socket that it is told of, require=${require}`, limit, async (t) => {
    const stage = new Stage(t);
    const server = stage.start(program, ['server'], require ? {} : { preload: null });
    const { port } = await server.next<{ port: number }>('listening');
    const client = stage.start(program, ['client', 'destroy'], { require });
    await client.next('ready');
    client.tell({ kind: 'connect', options: { port, host: '127.0.0.1' } });
    assert.equal((await message(client)).name, require ? 'connect' : 'fallback');
    await event(client, 'close');
    client.tell({ kind: 'connect', options: { port: 1, host: '127.0.0.1' } });
    assert.equal((await message(client)).name, require ? 'connect-error' : 'fallback');
    await event(client, 'close');
  });
}
