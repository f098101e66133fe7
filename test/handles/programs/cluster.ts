/**
 * A cluster. `cluster primary <scheduling> <workers> <options>` starts workers and tells where they listen; a worker answers
 * each connection with its number and what carries it. `cluster client <port> <count>` asks one time after the other.
 */

import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import net from 'node:net';
import { carrier, connect, onOrder, report } from '../../e2e/programs/support.js';

interface WorkerOptions {
  listen: net.ListenOptions;
  servers?: number;
  maxConnections?: number;
}

async function worker(options: WorkerOptions): Promise<void> {
  process.channel!.ref();
  const servers: net.Server[] = [];
  for (let i = 0; i < (options.servers ?? 1); i++) {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
      socket.end(JSON.stringify({ worker: cluster.worker!.id, server: i, provider: carrier(socket).provider }));
    });
    if (options.maxConnections !== undefined) {
      server.maxConnections = options.maxConnections;
      server.removeAllListeners('connection');
      server.on('connection', (socket) => {
        socket.on('error', () => {});
        socket.resume();
        socket.write(JSON.stringify({ worker: cluster.worker!.id, server: i, provider: carrier(socket).provider }));
      });
    }
    server.listen({ ...options.listen });
    servers.push(server);
    await once(server, 'listening');
  }
  process.on('message', (order: { kind: string }) => {
    if (order.kind === 'close') servers[0]!.close(() => process.send!({ kind: 'closed' }));
    if (order.kind === 'listen') servers[0]!.listen({ ...options.listen }, () => process.send!({ kind: 'again' }));
  });
  const addresses = servers.map((server) => (server.address() as net.AddressInfo).port);
  process.send!({ kind: 'ports', ports: addresses, reasons: servers.map((server) => carrier(server).reason) });
}

function heard(from: Worker, kind: string): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    const listener = (message: { kind?: string }): void => {
      if (message.kind !== kind) return;
      from.removeListener('message', listener);
      resolve(message as Record<string, unknown>);
    };
    from.on('message', listener);
  });
}

async function primary(scheduling: string, count: number, options: string): Promise<void> {
  cluster.schedulingPolicy = scheduling === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
  cluster.setupPrimary({ args: ['worker', options] });
  const workers: Worker[] = [];
  const start = async (): Promise<void> => {
    const forked = cluster.fork();
    workers.push(forked);
    const { ports, reasons } = await heard(forked, 'ports');
    report('worker', { id: forked.id, ports, reasons });
  };
  for (let i = 0; i < count; i++) await start();
  report('ready', {});
  const by = (order: Readonly<Record<string, unknown>>): Worker => workers.find(({ id }) => id === order.id)!;
  onOrder('start', () => void start());
  onOrder('kill', async (order) => {
    by(order).process.kill('SIGKILL');
    await once(by(order), 'exit');
    report('gone');
  });
  onOrder('disconnect', async (order) => {
    by(order).disconnect();
    await once(by(order), 'exit');
    report('gone');
  });
  for (const [order, answer] of [
    ['close', 'closed'],
    ['listen', 'again'],
  ] as const) {
    onOrder(order, async (what) => {
      const done = heard(by(what), answer);
      by(what).send({ kind: order });
      await done;
      report('done');
    });
  }
  onOrder('stop', () => {
    cluster.disconnect(() => report('stopped'));
  });
}

async function client(port: number, count: number, hold: boolean): Promise<void> {
  const answers: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const socket = await connect({ port, host: '127.0.0.1' });
    let text = '';
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    for await (const part of hold ? [(await once(socket, 'data'))[0]] : socket) text += part;
    answers.push({ ...JSON.parse(text), client: carrier(socket).provider });
  }
  report('answers', { answers });
}

const [role, first, second, third] = process.argv.slice(2) as [string, string, string, string];
if (role === 'primary') await primary(first, Number(second), third);
else if (role === 'client') await client(Number(first), Number(second), third === 'hold');
else await worker(JSON.parse(first) as WorkerOptions);
