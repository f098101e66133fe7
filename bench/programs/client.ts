/** What all clients of the bench share: options, result line, connecting, and one measured phase. */

import net from 'node:net';
import { text } from 'node:stream/consumers';
import { connectedSockets } from '../harness/kernel.js';
import { bothCpuNs } from './cpu.js';
import type { ClientOptions, ClientResult, Totals } from './protocol.js';

/**
 * Runs a client and ends the process: a failure of any kind must not leave the bench waiting. The options come on standard
 * input, so that the client can be started, and its modules loaded, while its server starts.
 */
export async function runClient(
  body: (options: ClientOptions, sent: Totals) => Promise<ClientResult['metrics']>,
): Promise<void> {
  try {
    const options: ClientOptions = JSON.parse(await text(process.stdin));
    const sent: Totals = { bytes: 0, connections: 0, requests: 0 };
    const metrics = await body(options, sent);
    const result: ClientResult = { metrics, sent, kernelSockets: connectedSockets(options.port).length };
    // The exit waits for the pipe, because process.exit() would cut what a pipe has not taken.
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  } catch (error) {
    const complaint = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${complaint}\n`, () => process.exit(1));
  }
}

/** A connection without Nagle's algorithm; any later error of the socket is fatal for the measurement. */
export function connect(port: number, sent: Totals): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      sent.connections++;
      socket.off('error', reject);
      socket.on('error', (error) => {
        throw error;
      });
      resolve(socket);
    });
  });
}

/** Opens `count` connections, a limited number at a time so that no accept queue overflows. */
export async function connectMany(port: number, count: number, sent: Totals): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  const atOnce = 128;
  while (sockets.length < count) {
    const batch = Math.min(atOnce, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: batch }, () => connect(port, sent)))));
  }
  return sockets;
}

export interface Phase<T> {
  value: T;
  wallMs: number;
  /** Both processes together. */
  cpuNs: number;
}

/** Takes wall and processor time around `work`. */
export async function phase<T>(serverPid: number, work: () => Promise<T>): Promise<Phase<T>> {
  const cpu = bothCpuNs(serverPid);
  const start = performance.now();
  const value = await work();
  const wallMs = performance.now() - start;
  return { value, wallMs, cpuNs: bothCpuNs(serverPid) - cpu };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
