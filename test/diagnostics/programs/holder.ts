/**
 * `holder.js`: a program that listens, connects and holds what it has, as it is told. Its event loop can be blocked, it can
 * start and terminate a worker that does the same, and it tells what `status()` of the package answers.
 */

import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { connect, listen, onOrder, report } from '../../e2e/programs/support.js';

const { SOCKETS_DIRECT_TEST_INFO: packagePath } = process.env;
let worker: Worker | null = null;
const sockets: net.Socket[] = [];

function hold(socket: net.Socket): void {
  sockets.push(socket);
  socket.on('error', () => {}).resume();
}

async function serve(options: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer(hold);
  await listen(server, options);
  return server;
}

if (isMainThread) {
  let server: net.Server | null = null;
  onOrder('listen', ({ options }) => {
    void serve(options as net.ListenOptions).then((made) => {
      server = made;
    });
  });
  onOrder('connect', ({ options, unref }) => {
    void connect(options as net.TcpNetConnectOpts).then((socket) => {
      hold(socket);
      if (unref === true) socket.unref();
      socket.write('hello');
      report('connected');
    });
  });
  onOrder('block', ({ milliseconds }) => {
    report('blocking');
    const end = performance.now() + Number(milliseconds);
    while (performance.now() < end);
  });
  onOrder('worker', async () => {
    worker = new Worker(fileURLToPath(import.meta.url));
    const [port] = (await once(worker, 'message')) as [number];
    report('worker', { port, threadId: worker.threadId });
  });
  onOrder('terminate', async () => {
    await worker?.terminate();
    report('terminated');
  });
  onOrder('status', async () => {
    const { status } = (await import(pathToFileURL(String(packagePath)).href)) as { status(): object };
    report('status', { status: status() });
  });
  onOrder('handles', () => {
    const { _getActiveHandles: handles } = process as unknown as { _getActiveHandles(): object[] };
    report('handles', {
      handles: handles().map((handle) => handle.constructor.name),
      resources: process.getActiveResourcesInfo(),
    });
  });
  onOrder('leave', () => {
    clearInterval(keepAlive);
    server?.close();
    for (const socket of sockets) socket.destroy();
  });
  onOrder('exit', () => process.exit(0));
  const keepAlive = setInterval(() => {}, 60_000);
  report('ready');
} else {
  const server = net.createServer(hold).listen(0, '127.0.0.1');
  await once(server, 'listening');
  parentPort!.postMessage((server.address() as net.AddressInfo).port);
}
