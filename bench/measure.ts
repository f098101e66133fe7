/** One measurement of one contender: a fresh server, a fresh client, and the check that both counted the same. */

import { fileURLToPath } from 'node:url';
import { provide } from './constraints.js';
import type { Contender } from './contender.js';
import { Child } from './harness/child.js';
import type { Duration, Measurement } from './plan.js';
import type { ClientOptions, ClientResult, ServerReady, Totals } from './programs/protocol.js';

export type Outcome =
  | { status: 'ok'; metrics: Record<string, number> }
  | { status: 'failed'; error: string }
  | { status: 'skipped'; why: string };

const START_MS = 10_000;
/** On top of what the measurement plans to take: opening 10,000 connections on a busy host needs a while. */
const SLACK_MS = 20_000;

export async function measure(measurement: Measurement, contender: Contender, duration: Duration): Promise<Outcome> {
  const provision = provide(measurement.constraint);
  if ('skip' in provision) return { status: 'skipped', why: provision.skip };

  const { size = 0, connections = 1, thinkMs = 0 } = measurement;
  const start = (name: string, ...args: string[]) => {
    const program = fileURLToPath(new URL(`./programs/${name}.js`, import.meta.url));
    const node = [process.execPath, ...contender.nodeArguments, program, ...args];
    return new Child(name, [...provision.prefix, ...node], contender.env);
  };

  const server = start(measurement.server, JSON.stringify({ size }));
  const client = start(measurement.client);
  try {
    const ready = serverReady(await server.next(START_MS));
    const options: ClientOptions = {
      port: ready.port,
      serverPid: ready.pid,
      ...duration,
      size,
      connections,
      thinkMs,
    };
    client.send(options);
    client.finish();
    const limit = 2 * (duration.warmupMs + duration.measureMs) + SLACK_MS;
    const result = clientResult(await failFast(client.next(limit), server));
    server.finish();
    compare(result.sent, totals(await server.next(START_MS)));
    checkCarrier(contender, result.kernelSockets);
    return { status: 'ok', metrics: result.metrics };
  } catch (error) {
    return { status: 'failed', error: error instanceof Error ? error.message : String(error) };
  } finally {
    client.kill();
    server.kill();
  }
}

/** A server that dies says why; its client would only run into the time limit or report a broken connection. */
async function failFast<T>(work: Promise<T>, server: Child): Promise<T> {
  const dead = server.exit(2 ** 31 - 1).then((code) => {
    throw new Error(`the server ended during the measurement (exit code ${code})${server.complaint}`);
  });
  try {
    return await Promise.race([work, dead]);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(message.includes(server.complaint) ? message : `${message}\nserver${server.complaint}`);
  } finally {
    dead.catch(() => {});
  }
}

function compare(sent: Totals, received: Totals): void {
  for (const key of ['bytes', 'connections', 'requests'] as const) {
    if (sent[key] !== received[key]) {
      throw new Error(`the client counted ${sent[key]} ${key}, the server ${received[key]}`);
    }
  }
}

/** SOCKETS_DIRECT_REQUIRE should have prevented a fallback; the kernel is asked all the same. */
function checkCarrier(contender: Contender, kernelSockets: number): void {
  if (contender.carrier === 'shared-memory' && kernelSockets > 0) {
    throw new Error(`not carried by shared memory: the kernel has ${kernelSockets} TCP sockets on the server's port`);
  }
  if (contender.carrier === 'tcp' && kernelSockets === 0) {
    throw new Error("not carried by TCP: the kernel has no TCP socket on the server's port");
  }
}

function serverReady(value: unknown): ServerReady {
  if (!isRecord(value)) throw new Error('the server printed no object');
  return { port: number(value, 'port'), pid: number(value, 'pid') };
}

function totals(value: unknown): Totals {
  if (!isRecord(value)) throw new Error('the totals are no object');
  return {
    bytes: number(value, 'bytes'),
    connections: number(value, 'connections'),
    requests: number(value, 'requests'),
  };
}

function clientResult(value: unknown): ClientResult {
  if (!isRecord(value) || !isRecord(value.metrics)) throw new Error('the client printed no result');
  const measured = value.metrics;
  // Not a number: nothing was counted, for example because no message came back within the time. JSON has null for NaN.
  const metrics = Object.fromEntries(Object.keys(measured).map((key) => [key, number(measured, key)]));
  return { metrics, sent: totals(value.sent), kernelSockets: number(value, 'kernelSockets') };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function number(record: Record<string, unknown>, key: string): number {
  const value = record[key];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`'${key}' is no number: ${String(value)}`);
  return value;
}
