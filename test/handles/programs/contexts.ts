/** Where sockets may come from and how a process may end. `contexts <scenario> <port>` talks to an echo server. */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import vm from 'node:vm';
import { Worker } from 'node:worker_threads';
import { carrier, connect, report, reported } from '../../e2e/programs/support.js';

const [scenario, port] = process.argv.slice(2) as [string, string];
const address = { port: Number(port), host: '127.0.0.1' };
const log: string[] = [];

async function opened(): Promise<net.Socket> {
  const socket = await connect(address);
  report('carried', { provider: carrier(socket).provider });
  return socket;
}

async function echoed(socket: net.Socket, data: string | Uint8Array): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  socket.end(data);
  await once(socket, 'close');
  return text;
}

const scenarios: Record<string, () => Promise<void>> = {
  async vmContext() {
    const context = vm.createContext({ net, address });
    const socket: net.Socket = vm.runInContext('net.connect(address)', context);
    await once(socket, 'connect');
    report('carried', { provider: carrier(socket).provider });
    // Bytes of another realm are no instances of this one's Uint8Array.
    const foreign: Uint8Array = vm.runInContext('Uint8Array.from([102, 111, 114, 101, 105, 103, 110])', context);
    log.push(`${foreign instanceof Uint8Array}`, await echoed(socket, foreign));
  },
  async vmServer() {
    const context = vm.createContext({ net, log });
    const server: net.Server = vm.runInContext(
      'net.createServer((s) => { log.push("served"); s.end("hello"); })',
      context,
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = await connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' });
    report('carried', { provider: carrier(socket).provider });
    log.push(await echoed(socket, ''));
    server.close();
  },
  async transfer() {
    const socket = await opened();
    const source = `
      require('node:worker_threads').parentPort.once('message', (socket) => {
        let text = '';
        socket.setEncoding('utf8').on('data', (part) => { text += part; });
        socket.on('close', () => require('node:worker_threads').parentPort.postMessage(text));
        socket.end('from the thread');
      });`;
    const worker = new Worker(source, { eval: true });
    try {
      worker.postMessage(socket, [socket as unknown as ArrayBuffer]);
      log.push(`destroyed ${socket.destroyed}`, String(await once(worker, 'message')));
    } catch (error) {
      log.push(`${(error as Error).name} ${(error as NodeJS.ErrnoException).code}`);
      socket.destroy();
    }
    await worker.terminate();
  },
  async transferServer() {
    const server = net.createServer(() => log.push('the wrong thread'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const at = { port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' };
    const source = `
      require('node:worker_threads').parentPort.once('message', (server) => {
        server.on('connection', (socket) => socket.end('from the thread'));
        require('node:worker_threads').parentPort.postMessage('ready');
      });`;
    const worker = new Worker(source, { eval: true });
    try {
      worker.postMessage(server, [server as unknown as ArrayBuffer]);
      await once(worker, 'message');
      log.push(await echoed(await connect(at), ''));
    } catch (error) {
      log.push(`${(error as Error).name} ${(error as NodeJS.ErrnoException).code}`);
      server.close();
    }
    report('carried', { provider: null });
    await worker.terminate();
  },
  async unixSocket() {
    const server = net.createServer((socket) => socket.pipe(socket));
    const path = `${process.env.SOCKETS_DIRECT_DIR}-${process.pid}.sock`;
    server.listen(path);
    await once(server, 'listening');
    const socket = net.connect(path);
    await once(socket, 'connect');
    report('carried', { provider: carrier(socket).provider });
    log.push(await echoed(socket, 'by a path'), String(socket.remoteAddress));
    server.close();
    await once(server, 'close');
  },
  async spawnSync() {
    const socket = await opened();
    try {
      log.push(`${spawnSync('true', { stdio: [socket, 'ignore', 'ignore'] }).status}`);
    } catch (error) {
      log.push(`${(error as NodeJS.ErrnoException).code}`);
    }
    socket.destroy();
  },
  async uncaught() {
    const socket = await opened();
    await reported('log', { log });
    socket.on('data', () => {
      throw new Error('thrown on purpose');
    });
    socket.write('x');
    await once(socket, 'close');
  },
  async abort() {
    await opened();
    await reported('log', { log });
    process.abort();
  },
  async inspector() {
    const socket = await opened();
    process.kill(process.pid, 'SIGUSR1');
    log.push(await echoed(socket, 'while it is inspected'));
  },
};

await scenarios[scenario]!();
await reported('log', { log });
