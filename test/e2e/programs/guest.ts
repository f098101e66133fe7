/**
 * `guest.js`: listens and connects as it is told, holds its connections and sends on them, installs and removes the provider
 * of `lab-provider.js`, and tells what `status()` of the package answers.
 */

import net from 'node:net';
import { pathToFileURL } from 'node:url';
import type { SanServiceProvider } from '../../../src/spi/index.js';
import { carrier, connect, listen, onOrder, report } from './support.js';

interface Package {
  status(): object;
  installProvider(provider: SanServiceProvider): void;
  removeProvider(providerId: string): boolean;
}

const { SOCKETS_DIRECT_TEST_INFO: path } = process.env;
const { status, installProvider, removeProvider } = (await import(pathToFileURL(String(path)).href)) as Package;
const sockets: net.Socket[] = [];

onOrder('listen', ({ options }) => {
  const server = net.createServer((socket) => {
    const { provider } = carrier(socket);
    socket.on('error', () => {}).pipe(socket);
    report('accepted', { provider });
  });
  void listen(server, options as net.ListenOptions);
});
onOrder('connect', ({ options }) => {
  connect(options as net.TcpNetConnectOpts).then(
    (socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => report('echo', { text: chunk.toString() }));
      report('connected', { ...carrier(socket) });
    },
    (error: NodeJS.ErrnoException) => report('failed', { code: error.code }),
  );
});
onOrder('say', ({ text, socket }) => sockets[Number(socket)]!.write(String(text)));
onOrder('end', ({ socket }) => sockets[Number(socket)]!.destroy());
onOrder('status', () => report('status', { status: status() }));
onOrder('install', async ({ module }) => {
  const { default: provider } = (await import(String(module))) as { default: SanServiceProvider };
  installProvider(provider);
  report('installed');
});
onOrder('remove', ({ providerId }) => report('removed', { removed: removeProvider(String(providerId)) }));
setInterval(() => {}, 60_000);
report('ready');
