/** What scenarios share: a log for each side, and small helpers. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type net from 'node:net';

/** Lines by side: what the two ends see is compared, not how their turns interleave. */
export const sides: Record<string, string[]> = {};

export function log(side: string, ...words: unknown[]): void {
  sides[side] ??= [];
  sides[side].push(words.map(String).join(' '));
}

export function watch(side: string, emitter: NodeJS.EventEmitter, names: string[]): void {
  for (const name of names) {
    emitter.on(name, (argument: unknown) => {
      const error = argument as NodeJS.ErrnoException;
      if (name === 'error')
        log(side, name, error.code, error.syscall, error.errno, error.message.replace(/\d{4,}/g, 'N'));
      else log(side, name, typeof argument === 'boolean' ? argument : '');
    });
  }
}

export const lifeEvents = ['connect', 'ready', 'end', 'finish', 'close', 'error', 'timeout'];

export async function listen(server: net.Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

export function pattern(bytes: number, seed: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  let x = seed;
  for (let i = 0; i < bytes; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    buffer[i] = x >> 16;
  }
  return buffer;
}

export const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

export async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
