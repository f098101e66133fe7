/** `load.js server` and `load.js client PORTS SCENARIO...`: how many operations a second a package does, for `throughput`. */

import { once } from 'node:events';
import http from 'node:http';
import { Redis } from 'ioredis';
import { WebSocket, WebSocketServer } from 'ws';
import { report, reported } from '../../e2e/programs/support.js';
import { createRespServer } from './resp-server.js';
import { bytes, host, listen } from './side.js';

/** Seconds: until code is compiled and connections are used to each other, and those that are measured. */
const warmUp = 0.7;
const measured = 1.5;
const payload = bytes(100, 1);

interface Ports {
  readonly http: number;
  readonly ws: number;
  readonly redis: number;
}

async function serve(): Promise<void> {
  const web = http.createServer((_req, res) => res.end(payload));
  const under = http.createServer();
  new WebSocketServer({ server: under }).on('connection', (socket) => {
    socket.on('message', (data) => socket.send(data));
  });
  const ports: Ports = { http: await listen(web), ws: await listen(under), redis: await listen(createRespServer()) };
  report('listening', { ports });
}

/** One operation, over and over in each of the lanes; returns how many a second. `weight`: operations in one call. */
async function rate(lanes: readonly (() => Promise<unknown>)[], weight = 1): Promise<number> {
  let count = 0;
  let running = true;
  const all = lanes.map(async (lane) => {
    while (running) {
      await lane();
      count += weight;
    }
  });
  const pause = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await pause(warmUp);
  const [from, start] = [count, performance.now()];
  await pause(measured);
  const result = ((count - from) / (performance.now() - start)) * 1000;
  running = false;
  await Promise.all(all);
  return result;
}

function get(agent: http.Agent, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    http
      .get({ agent, host, port }, (res) => {
        let length = 0;
        res.on('data', (chunk: Buffer) => {
          length += chunk.length;
        });
        res.on('end', () => (length === payload.length ? resolve() : reject(new Error(`${length} bytes`))));
      })
      .on('error', reject);
  });
}

async function requests(port: number, lanes: number): Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: lanes });
  const result = await rate(Array.from({ length: lanes }, () => () => get(agent, port)));
  agent.destroy();
  return result;
}

async function echoes(port: number, lanes: number): Promise<number> {
  const sockets = Array.from(
    { length: lanes },
    () => new WebSocket(`ws://${host}:${port}`, { perMessageDeflate: false }),
  );
  await Promise.all(sockets.map((socket) => once(socket, 'open')));
  const echo = (socket: WebSocket) => (): Promise<void> =>
    new Promise((resolve) => {
      socket.once('message', () => resolve());
      socket.send(payload);
    });
  const result = await rate(sockets.map(echo));
  for (const socket of sockets) socket.close();
  return result;
}

async function redisCommands(port: number, batch: number): Promise<number> {
  const redis = new Redis({ port, host });
  const single = async (): Promise<unknown> => redis.set('key', payload);
  const many = (): Promise<unknown> => {
    const pipeline = redis.pipeline();
    for (let i = 0; i < batch; i++) pipeline.set('key', payload);
    return pipeline.exec();
  };
  const result = await rate([batch === 1 ? single : many], batch);
  await redis.quit();
  return result;
}

const scenarios: Readonly<Record<string, (ports: Ports) => Promise<number>>> = {
  'http keep-alive, 1 connection': (ports) => requests(ports.http, 1),
  'http keep-alive, 16 connections': (ports) => requests(ports.http, 16),
  'ws echo, 1 connection': (ports) => echoes(ports.ws, 1),
  'ws echo, 16 connections': (ports) => echoes(ports.ws, 16),
  'ioredis, one after another': (ports) => redisCommands(ports.redis, 1),
  'ioredis, pipelines of 100': (ports) => redisCommands(ports.redis, 100),
};

const [role, ports] = process.argv.slice(2);
if (role === 'server') await serve();
else {
  for (const [name, measure] of Object.entries(scenarios)) {
    report('rate', { name, perSecond: await measure(JSON.parse(ports!) as Ports) });
  }
  await reported('done');
}
