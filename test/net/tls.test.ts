/** TLS between two processes, over every way of getting a TLS socket, and what carries it. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Program, Stage } from '../support/stage.js';

interface Done {
  provider: string;
  reason: string;
  correct: boolean;
  [key: string]: unknown;
}

async function start(t: TestContext, way: string, require = true): Promise<{ server: Program; client: Program }> {
  const stage = new Stage(t);
  const server = stage.start(new URL('programs/tls-server.js', import.meta.url));
  const ports: number[] = [];
  for (let i = 0; i < 4; i++) ports.push((await server.next<{ port: number }>('listening')).port);
  return {
    server,
    client: stage.start(new URL('programs/tls-client.js', import.meta.url), [way, ...ports], { require }),
  };
}

async function finished(client: Program): Promise<Done> {
  const done = await client.next<Done>('done');
  assert.equal(done.correct, true);
  assert.equal((await client.ended()).code, 0);
  return done;
}

async function accelerated(client: Program): Promise<Done> {
  const done = await finished(client);
  assert.deepEqual([done.provider, done.reason], ['shared-memory', 'accelerated']);
  return done;
}

test('a TLS client and a TLS server agree on a protocol', async (t) => {
  const { server, client } = await start(t, 'direct');
  assert.equal((await accelerated(client)).alpn, 'a');
  const seen = await server.next<Done>('secure');
  assert.deepEqual([seen.provider, seen.alpn, seen.authorized], ['shared-memory', 'a', false]);
});

test('a client certificate reaches the server', async (t) => {
  const { server, client } = await start(t, 'clientCertificate');
  await accelerated(client);
  assert.equal((await server.next<Done>('secure')).authorized, true);
});

test('a session is resumed', async (t) => {
  const { client } = await start(t, 'resumed');
  assert.equal((await client.next<{ reused: boolean }>('resumed')).reused, true);
  await accelerated(client);
});

test('a connection is negotiated again', async (t) => {
  await accelerated((await start(t, 'renegotiated')).client);
});

test('TLS starts on a socket that is connected', async (t) => {
  await accelerated((await start(t, 'overConnected')).client);
});

test('plain text turns into TLS on both sides of one connection', async (t) => {
  const { server, client } = await start(t, 'upgraded');
  await accelerated(client);
  assert.equal((await server.next<Done>('secure')).provider, 'shared-memory');
});

test('TLS runs inside TLS', async (t) => {
  await accelerated((await start(t, 'nested')).client);
});

test('an https agent uses one connection again', async (t) => {
  assert.equal((await accelerated((await start(t, 'agent')).client)).sockets, 1);
});

test('TLS on a socket that is still connecting is TCP/IP, with a reason', async (t) => {
  const { client } = await start(t, 'overConnecting', false);
  const { provider, reason } = await finished(client);
  assert.deepEqual([provider, reason], ['tcpip', 'tls-over-connecting-socket']);
});
