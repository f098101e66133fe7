import assert from 'node:assert/strict';
import { assertCarried, call, direct, serve, stock, testOnStage, testPackage } from './support.js';

testPackage('express, asked by axios and got', 'express', {
  facts: [
    'JSON: 20000 rows, {"i":19999,"text":"row 19999"}, true',
    'raw: 5242880 bytes, as sent',
    'range, 206: 2000000 bytes, as sent',
    'error: 503 as asked for',
    'got: 50 of 50, 5 connections in all',
    'got stream: 5242880 bytes, as sent',
  ],
});

testPackage('fastify, loaded by autocannon', 'fastify', {
  facts: [
    'autocannon: 2000 answers, 0 errors',
    'stream, was here: 6291456 bytes, as sent',
    'upload as sent',
    'late: {"served":"while closing"}',
    'closed when all were served',
  ],
});

const koaFacts = ['20 of 20 echoes', 'stream: 4194304 bytes, as sent', '404: not here'];

testPackage('koa', 'koa', { facts: koaFacts });

testOnStage('http-proxy between a client of TCP/IP and koa [shared-memory]', 'proxy', async (stage) => {
  const behind = await serve(stage, 'koa', [], direct);
  const proxy = await serve(stage, 'proxy', [], direct, behind.port);
  const client = await call(stage, 'koa', [], stock, proxy.port);
  assert.deepEqual(client.facts, koaFacts);
  const between = await proxy.finish();
  assert.deepEqual(between.facts, ['22 answers passed']);
  assertCarried(between.accepted, 'tcpip accepted-by-tcpip', 'from the client');
  assertCarried(between.connected, 'shared-memory accelerated', 'to koa');
  assertCarried((await behind.finish()).accepted, 'shared-memory accelerated', 'koa');
});
