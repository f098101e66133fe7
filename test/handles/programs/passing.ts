/**
 * Sockets that change owner. `passing owner <scenario>` listens and starts a child for its sockets, `passing client
 * <scenario> <port>` connects, `passing child <scenario>` is that child. Each reports what it sees, in order.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { Checker, carrier, connect, report, send } from '../../e2e/programs/support.js';

const [role, scenario, port] = process.argv.slice(2) as [string, string, string | undefined];
const log: string[] = [];
const say = (line: string): void => {
  log.push(line);
};
const mebibytes = 1 << 20;

function watch(socket: net.Socket, name: string): net.Socket {
  socket.on('error', (error: NodeJS.ErrnoException) => say(`${name}: error ${error.code}`));
  socket.on('end', () => say(`${name}: end`));
  socket.on('close', (hadError) => say(`${name}: close ${hadError}`));
  return socket;
}

function told(child: ChildProcess | NodeJS.Process, kind: string): Promise<unknown[]> {
  return new Promise((resolve) => {
    const listener = (message: { kind?: string }, handle: unknown): void => {
      if (message.kind !== kind) return;
      child.removeListener('message', listener);
      resolve([message, handle]);
    };
    (child as NodeJS.Process).on('message', listener);
  });
}

/** What a child does with a socket, and what its client does meanwhile. */
const childOf: Record<string, (socket: net.Socket) => Promise<void> | void> = {
  echo: (socket) => {
    socket.pipe(socket);
  },
  bulk: async (socket) => {
    const checker = new Checker().watch(socket);
    await send(socket, 8 * mebibytes);
    socket.end();
    await once(socket, 'close');
    say(`${checker.bytes} bytes${checker.correct ? ', as sent' : ''}`);
  },
  resets: (socket) => {
    socket.resetAndDestroy();
  },
  isReset: (socket) => {
    socket.resume();
    socket.write('go');
  },
  halfClose: async (socket) => {
    const checker = new Checker().watch(socket);
    await once(socket, 'end');
    await send(socket, mebibytes);
    socket.end();
    say(`${checker.bytes} bytes${checker.correct ? ', as sent' : ''}`);
  },
  destroys: (socket) => {
    socket.write('bye', () => socket.destroy());
  },
  dies: (socket) => {
    socket.write('last words', () => process.kill(process.pid, 'SIGKILL'));
  },
};

const clientOf: Record<string, (socket: net.Socket) => Promise<void> | void> = {
  echo: async (socket) => {
    socket.setEncoding('utf8').on('data', (text) => say(`data ${text}`));
    socket.write('one');
    await once(socket, 'data');
    socket.end('two');
  },
  bulk: async (socket) => {
    const checker = new Checker().watch(socket);
    await send(socket, 8 * mebibytes);
    socket.end();
    await once(socket, 'close');
    say(`${checker.bytes} bytes${checker.correct ? ', as sent' : ''}`);
  },
  resets: (socket) => {
    socket.resume();
  },
  isReset: async (socket) => {
    await once(socket, 'data');
    socket.resetAndDestroy();
  },
  halfClose: async (socket) => {
    const checker = new Checker().watch(socket);
    await send(socket, mebibytes);
    socket.end();
    await once(socket, 'close');
    say(`${checker.bytes} bytes${checker.correct ? ', as sent' : ''}`);
  },
  destroys: (socket) => {
    socket.setEncoding('utf8').on('data', (text) => say(`data ${text}`));
    socket.on('end', () => socket.end());
  },
  dies: (socket) => {
    socket.setEncoding('utf8').on('data', (text) => say(`data ${text}`));
    socket.on('end', () => socket.end());
  },
};

async function client(): Promise<void> {
  const socket = watch(await connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true }), 'client');
  report('connected', { port: socket.localPort, provider: carrier(socket).provider });
  await Promise.all([clientOf[scenario]!(socket), once(socket, 'close').catch(() => {})]);
  report('log', { log });
}

async function child(): Promise<void> {
  process.channel!.ref();
  const received = told(process, 'socket');
  process.send!({ kind: 'ready' });
  const [message, handle] = await received;
  const socket = watch(handle as net.Socket, 'child');
  const { remoteAddress, remoteFamily, remotePort, localAddress, allowHalfOpen, destroyed, readableFlowing } = socket;
  const { peerPort } = message as { peerPort: number };
  const names = { remoteAddress, remoteFamily, localAddress, allowHalfOpen, destroyed, readableFlowing };
  say(JSON.stringify({ ...names, samePort: remotePort === peerPort }));
  socket.allowHalfOpen = true;
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await Promise.all([childOf[scenario]!(socket), closed]);
  process.send!({ kind: 'childLog', log });
  await told(process, 'done');
  process.disconnect();
}

async function owner(): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['child', scenario], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  // A child that dies has not taken all that it was sent.
  if (scenario === 'dies') child.on('error', () => {});
  await told(child, 'ready');
  const childLog = told(child, 'childLog');
  const ended = new Promise<[Record<string, never>]>((resolve) => child.once('exit', () => resolve([{}])));
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.on('close', () => say('server: close'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  report('listening', { port: (server.address() as net.AddressInfo).port });
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  watch(socket, 'owner');
  const { provider } = carrier(socket);
  child.send({ kind: 'socket', peerPort: socket.remotePort }, socket, (error) => say(`sent ${error}`));
  say(`destroyed ${socket.destroyed}, address ${JSON.stringify(socket.address())}, ${socket.remoteAddress}`);
  server.close();
  if (scenario === 'dies') await ended;
  else {
    const [told] = (await Promise.race([childLog, ended])) as [{ log?: string[] }];
    report('childLog', { log: told.log });
    if (told.log !== undefined) child.send({ kind: 'done' });
    await ended;
  }
  await reportedLog(provider);
}

function reportedLog(provider: string | null): Promise<void> {
  return new Promise((resolve) => {
    process.send!({ kind: 'log', log, provider }, () => resolve());
  });
}

await { client, child, owner }[role]!();
