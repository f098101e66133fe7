/** What is measured, with which programs, for how long, and what is aimed at. */

import type { Constraint } from './constraints.js';

/** One figure of a measurement. */
export interface Metric {
  /** Key in the client's result. */
  key: string;
  label: string;
  unit: string;
  target?: Target;
}

/** `ours` and `theirs` are medians over the rounds. */
export interface Target {
  text: string;
  met(ours: number, theirs: number): boolean;
}

export interface Measurement {
  name: string;
  title: string;
  server: string;
  client: string;
  /** Options of the client that differ from none. */
  size?: number;
  connections?: number;
  thinkMs?: number;
  quick: Duration;
  full: Duration;
  metrics: readonly Metric[];
  constraint?: Constraint;
  /** All rounds and contenders at once, to save wall time: only for what leaves the processors alone. */
  together?: boolean;
}

export interface Duration {
  warmupMs: number;
  measureMs: number;
}

/** Code of JavaScript needs some hundred milliseconds until it runs at its speed; the kernel's does not. */
const quick: Duration = { warmupMs: 500, measureMs: 250 };
const full: Duration = { warmupMs: 500, measureMs: 1500 };

const atMost = (factor: number): Target => ({
  text: `<= ${factor} of TCP`,
  met: (ours, theirs) => ours <= theirs * factor,
});

const atLeast = (factor: number): Target => ({
  text: `>= ${factor} of TCP`,
  met: (ours, theirs) => ours >= theirs * factor,
});

const ownAtMost = (limit: number): Target => ({ text: `<= ${limit} itself`, met: (ours) => ours <= limit });

/** Two figures near zero have no useful ratio, so a millisecond per second, a thousandth of a core, is no difference. */
const sameIdleCpu: Target = {
  text: 'as TCP (1.5, or +1 ms/s)',
  met: (ours, theirs) => ours <= theirs * 1.5 || ours - theirs <= 1,
};

const cpuPerMessage: Metric = { key: 'cpuUs', label: 'CPU per message', unit: 'us' };

function rtt(name: string, title: string, target: Target, constraint?: Constraint): Measurement {
  return {
    name,
    title,
    server: 'echo-server',
    client: 'rtt-client',
    quick,
    full,
    metrics: [
      { key: 'p50Us', label: 'p50', unit: 'us', target },
      { key: 'p99Us', label: 'p99', unit: 'us' },
      { key: 'cpuUs', label: 'CPU per round trip', unit: 'us' },
    ],
    ...(constraint === undefined ? {} : { constraint }),
  };
}

function stream(name: string, title: string, size: number, factor: number): Measurement {
  return {
    name,
    title,
    server: 'sink-server',
    client: 'stream-client',
    size,
    quick,
    full,
    metrics: [
      { key: 'gbPerS', label: 'rate', unit: 'GB/s', target: atLeast(factor) },
      { key: 'cpuSPerGb', label: 'CPU', unit: 's/GB' },
    ],
  };
}

function http(connections: number, target?: Target): Measurement {
  return {
    name: `http-${connections}`,
    title: `HTTP keep-alive, ${connections} connection${connections === 1 ? '' : 's'}`,
    server: 'http-server',
    client: 'http-client',
    connections,
    // The HTTP stack takes longer than the others to be compiled.
    quick: { warmupMs: 600, measureMs: 250 },
    full: { warmupMs: 1000, measureMs: 2000 },
    metrics: [
      { key: 'requestsPerS', label: 'rate', unit: 'req/s', ...(target === undefined ? {} : { target }) },
      { key: 'cpuUs', label: 'CPU per request', unit: 'us' },
    ],
  };
}

function connects(atOnce: number): Measurement {
  return {
    name: `connect-${atOnce}`,
    title: `connect + 64 B + close, ${atOnce} at a time`,
    server: 'echo-server',
    client: 'connect-client',
    connections: atOnce,
    quick: { warmupMs: 500, measureMs: 250 },
    // Closed TCP connections keep their port for a minute: longer runs would run out of ports.
    full: { warmupMs: 400, measureMs: 1000 },
    metrics: [
      { key: 'perS', label: 'rate', unit: '/s', target: atLeast(4) },
      { key: 'cpuUs', label: 'CPU per connection', unit: 'us' },
    ],
  };
}

const IDLE = 10_000;

export const plan: readonly Measurement[] = [
  rtt('rtt-64', 'round trip 64 B', atMost(0.07)),
  rtt('rtt-64-one-core', 'round trip 64 B, one core', atMost(0.7), { kind: 'one-core' }),
  stream('stream-1k', 'one way 1 KiB', 1 << 10, 8),
  stream('stream-64k', 'one way 64 KiB', 1 << 16, 1.5),
  stream('stream-1m', 'one way 1 MiB', 1 << 20, 1.5),
  stream('stream-16m', 'one way 16 MiB', 1 << 24, 1.5),
  http(1),
  http(16, atLeast(1.7)),
  {
    name: 'many-1000',
    title: '1,000 connections, 64 B echo',
    server: 'echo-server',
    client: 'many-client',
    connections: 1000,
    quick: { warmupMs: 600, measureMs: 250 },
    full,
    metrics: [
      { key: 'messagesPerS', label: 'rate', unit: 'msg/s', target: atLeast(8) },
      { key: 'fairness', label: 'slowest / fastest', unit: '' },
      cpuPerMessage,
    ],
    constraint: { kind: 'open-files', count: 1000 },
  },
  {
    name: 'among-10000',
    title: '1 active among 10,000 idle',
    server: 'echo-server',
    client: 'among-client',
    connections: IDLE,
    quick: { warmupMs: 150, measureMs: 150 },
    full,
    metrics: [
      { key: 'aloneP50Us', label: 'p50, 1 among 1', unit: 'us' },
      { key: 'amongP50Us', label: 'p50, 1 among 10,000', unit: 'us' },
      { key: 'growth', label: 'growth', unit: '', target: ownAtMost(1.5) },
    ],
    constraint: { kind: 'open-files', count: IDLE },
  },
  connects(1),
  connects(64),
  {
    name: 'idle',
    title: 'one open idle connection',
    server: 'echo-server',
    client: 'idle-client',
    quick: { warmupMs: 400, measureMs: 2000 },
    full: { warmupMs: 500, measureMs: 2000 },
    metrics: [{ key: 'cpuMsPerS', label: 'CPU', unit: 'ms/s', target: sameIdleCpu }],
    together: true,
  },
  {
    name: 'think-5ms',
    title: 'round trip after 5 ms of idleness',
    server: 'echo-server',
    client: 'rtt-client',
    thinkMs: 5,
    quick: { warmupMs: 100, measureMs: 400 },
    full: { warmupMs: 500, measureMs: 3000 },
    metrics: [
      { key: 'cpuUs', label: 'CPU per round trip', unit: 'us', target: atMost(1.5) },
      { key: 'p50Us', label: 'p50', unit: 'us' },
    ],
  },
];
