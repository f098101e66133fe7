/** What the programs of the end-to-end tests share: telling the test what happened, and bytes that can be checked. */

import { once } from 'node:events';
import net from 'node:net';
import { pathToFileURL } from 'node:url';

interface Info {
  connectionInfo(socket: net.Socket | net.Server): { provider: string | null; reason: string | null };
}

const { SOCKETS_DIRECT_TEST_INFO: packagePath } = process.env;
const info =
  packagePath === undefined || packagePath === '' ? null : ((await import(pathToFileURL(packagePath).href)) as Info);

// A program whose test is gone has nobody to live for. Listening for that alone must not keep it alive.
process.on('disconnect', () => process.exit(0));
process.channel?.unref();

export function report(kind: string, fields: Readonly<Record<string, unknown>> = {}): void {
  process.send?.({ kind, ...fields });
}

/** Reports, and goes on when the test's process has taken the report from the channel's buffer. */
export function reported(kind: string, fields: Readonly<Record<string, unknown>> = {}): Promise<void> {
  return new Promise((resolve) => {
    process.send!({ kind, ...fields }, () => resolve());
  });
}

/** Calls back at every order of that kind. An order keeps no program alive. */
export function onOrder(kind: string, action: (order: Readonly<Record<string, unknown>>) => void): void {
  process.on('message', (order: { kind: string }) => {
    if (order.kind === kind) action(order as unknown as Readonly<Record<string, unknown>>);
  });
  process.channel?.unref();
}

/** What carries the socket, by the package's own answer. */
export function carrier(socket: net.Socket | net.Server): { provider: string | null; reason: string | null } {
  return info === null ? { provider: null, reason: null } : info.connectionInfo(socket);
}

export async function listen(
  server: net.Server,
  options: net.ListenOptions = { port: 0, host: '127.0.0.1' },
): Promise<number> {
  server.listen(options);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  report('listening', { port, reason: carrier(server).reason });
  return port;
}

export async function connect(options: net.TcpNetConnectOpts): Promise<net.Socket> {
  const socket = net.connect(options);
  await once(socket, 'connect');
  return socket;
}

/** A prime, so that no power of two of lost or doubled bytes goes unseen. */
const period = 65521;
const chunkSize = 65536;

const block = Buffer.alloc(period + chunkSize);
let state = 12345;
for (let i = 0; i < period; i++) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  block[i] = state >>> 16;
}
for (let i = period; i < block.length; i++) block[i] = block[i - period];

/** The bytes of the test stream from `offset` on, at most 64 KiB. */
export function pattern(offset: number, length: number): Buffer {
  const at = offset % period;
  return block.subarray(at, at + length);
}

/** Compares what arrives with the test stream. */
export class Checker {
  bytes = 0;
  correct = true;

  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at += chunkSize) {
      const part = chunk.subarray(at, at + chunkSize);
      if (!part.equals(pattern(this.bytes, part.length))) this.correct = false;
      this.bytes += part.length;
    }
  }

  watch(socket: net.Socket): this {
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    return this;
  }
}

/** Writes that many bytes of the test stream, as fast as the socket takes them. */
export async function send(socket: net.Socket, bytes: number, piece = chunkSize): Promise<void> {
  for (let at = 0; at < bytes; ) {
    const length = Math.min(piece, bytes - at);
    if (!socket.write(pattern(at, length))) await once(socket, 'drain');
    at += length;
  }
}

/** Writes the test stream until the socket is destroyed. */
export function stream(socket: net.Socket): void {
  let at = 0;
  const more = (): void => {
    while (!socket.destroyed) {
      const taken = socket.write(pattern(at, chunkSize));
      at += chunkSize;
      if (!taken) return;
    }
  };
  socket.on('drain', more);
  more();
}
