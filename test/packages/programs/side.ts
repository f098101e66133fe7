/**
 * What every program of these tests is: `<program>.js server [PORT]` or `<program>.js client PORT`. Each side tells what it has seen,
 * and what carried each of its connections, whichever library made them; then it has to end by itself.
 */

import { createHash } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import net from 'node:net';
import { carrier, onOrder, report, reported } from '../../e2e/programs/support.js';

export interface Serving {
  readonly port: number;
  /** Stops listening, in the way that the package has for it. */
  close(): unknown;
}

export interface Sides {
  /** `behind`: the port of the server that it needs itself, if it does. */
  server(behind: number): Promise<Serving>;
  client(port: number): Promise<void>;
}

export const host = '127.0.0.1';

const facts: string[] = [];
const accepted: string[] = [];
const connected: string[] = [];
let begun = 0;

subscribe('net.server.socket', (message) => {
  const { socket } = message as { socket: net.Socket & { server: net.Server } };
  // The rendezvous of Sockets Direct listens on a Unix socket, which is not the program's.
  if (typeof socket.server.address() !== 'string') accepted.push(describe(socket));
});

// All libraries come by here; the channel for clients does not tell of TLS in every version of Node.js.
const connect = net.Socket.prototype.connect as (...args: unknown[]) => net.Socket;
net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
  begun += 1;
  this.once('connect', () => connected.push(describe(this)));
  return connect.apply(this, args);
} as typeof net.Socket.prototype.connect;

/** What this side has seen. With Sockets Direct and without it has to be the same. */
export function fact(text: string): void {
  facts.push(text);
}

/** Connections that this process has begun so far, as a client. */
export function connectionsBegun(): number {
  return begun;
}

function describe(socket: net.Socket): string {
  const { provider, reason } = carrier(socket);
  return `${provider} ${reason}`;
}

function tally(carriers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of carriers) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}

function account(): Record<string, unknown> {
  return { facts, accepted: tally(accepted), connected: tally(connected) };
}

/** Plays the side that the command line names. */
export async function play(sides: Sides): Promise<void> {
  const [role, other] = process.argv.slice(2);
  if (role === 'server') {
    const { port, close } = await sides.server(Number(other));
    onOrder('finish', () => void finish(close));
    // The end of the test is what it waits for, also when it listens no more.
    process.channel?.ref();
    report('listening', { port });
  } else {
    await sides.client(Number(other));
    await reported('account', account());
  }
}

async function finish(close: () => unknown): Promise<void> {
  await close();
  process.channel?.unref();
  await reported('account', account());
}

/** Listens on the loopback address. */
export async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  return portOf(server);
}

export function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}

/** Closes a server and waits for its last connection. */
export function closed(server: net.Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)));
  });
}

const period = 65521;
const noise = Buffer.alloc(period);
let state = 2463534242;
for (let i = 0; i < period; i++) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  noise[i] = state;
}

/** Bytes that differ for each seed and repeat with a prime period, so that nothing lost, doubled or exchanged goes unseen. */
export function bytes(length: number, seed = 0): Buffer {
  const result = Buffer.allocUnsafe(length);
  const start = (seed * 7919) % period;
  let at = noise.copy(result, 0, start, Math.min(period, start + length));
  while (at < length) at += noise.copy(result, at, 0, Math.min(period, length - at));
  return result;
}

/** The bytes in pieces, for streams. */
export function* pieces(all: Buffer, size = 65536): Generator<Buffer> {
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
}

export function digest(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** "8388608 bytes, as sent", or how they differ. */
export function compared(got: Uint8Array, sent: Uint8Array): string {
  if (Buffer.compare(got, sent) === 0) return `${got.length} bytes, as sent`;
  const at = got.findIndex((byte, i) => byte !== sent[i]);
  return `${got.length} bytes instead of ${sent.length}, different from ${at < 0 ? got.length : at} on`;
}

export async function collect(stream: AsyncIterable<Uint8Array | string>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(Buffer.from(part as Uint8Array));
  return Buffer.concat(parts);
}

/** Which error a promise ends with: its code, else its name. */
export async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException;
    return String(code ?? name);
  }
}

/** A promise for what an event handler will tell, and the function that tells it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((take) => {
    resolve = take;
  });
  return { promise, resolve };
}
