/**
 * `echo-client.js [CONNECT-OPTIONS [COUNT]]`: sends each connection's own bytes, checks the echo, and tells of each. Without
 * options it waits for orders.
 */

import { once } from 'node:events';
import net from 'node:net';
import { carrier, onOrder, report, reported } from './support.js';

async function one(options: net.TcpNetConnectOpts, index: number): Promise<void> {
  const socket = net.connect({ ...options });
  const bytes = Buffer.alloc(1024 + index, `${index},`);
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => got.push(chunk));
  try {
    await once(socket, 'connect');
    const connectedAt = performance.timeOrigin + performance.now();
    const { remoteAddress, remoteFamily, remotePort, localAddress, localPort } = socket;
    socket.end(bytes);
    await once(socket, 'close');
    const same = Buffer.concat(got).equals(bytes);
    report('echo', {
      ...carrier(socket),
      same,
      connectedAt,
      remoteAddress,
      remoteFamily,
      remotePort,
      localAddress,
      localPort,
    });
  } catch (error) {
    const { message, code, syscall, address, port } = error as NodeJS.ErrnoException & {
      address: string;
      port: number;
    };
    report('failed', { ...carrier(socket), message, code, syscall, address, port });
  }
}

const [options, count = '1'] = process.argv.slice(2);
if (options === undefined) {
  setInterval(() => {}, 60_000);
  onOrder('connect', ({ options }) => void one(options as net.TcpNetConnectOpts, 0));
  report('ready');
} else {
  const parsed = JSON.parse(options) as net.TcpNetConnectOpts;
  await Promise.all(Array.from({ length: Number(count) }, (_, index) => one(parsed, index)));
  await reported('done');
}
