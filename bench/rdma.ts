/**
 * What RDMA of shared memory costs against messages of 16 KiB, at the level of the provider, between two processes:
 *
 *     node build/bench/rdma.js [--json] [--rounds 5]
 *
 * Each transfer is acknowledged before the next begins. Memory of both ends is used again and again. Ways take turns.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MEM_READ, MEM_READWRITE, MEM_WRITE } from '../src/spi/index.js';
import { median } from './harness/statistics.js';
import { ProviderEnd, regionOf } from './programs/provider-end.js';
import { provenance } from './provenance.js';
import { figure, table } from './table.js';

const sizes = [65_536, 262_144, 1_048_576, 4_194_304, 16_777_216] as const;
const largest = 16_777_216;
const chunk = 16_384;
/** Messages that may be under way, and after how many the receiver says that it has taken them. */
const window = 48;
const acknowledged = 16;
const milliseconds = 500;
const port = 4200;

/** Kinds of messages. */
const DATA = 1;
const TAKEN = 2;
const OFFER = 3;
const DONE = 4;
const ASK = 5;
const GRANT = 6;
const WRITTEN = 7;

/** The receiver: does what the sender's messages ask for. */
async function receive(directory: string, peerMemory: boolean): Promise<void> {
  const end = new ProviderEnd(directory, peerMemory);
  const memory = regionOf(largest);
  let handle!: ReturnType<ProviderEnd['register']>;
  let granted = new Uint8Array(0);
  let got = 0;
  let messages = 0;
  end.onMessage = (kind, value, bytes) => {
    if (kind === DATA) {
      memory.bytes.set(bytes, got);
      got += bytes.length;
      if (++messages % acknowledged === 0) end.send(TAKEN, acknowledged);
      if (got < value) return;
      got = 0;
      end.send(DONE);
    } else if (kind === OFFER) {
      end.transfer(true, memory, handle, value, bytes.slice()).then(() => end.send(DONE));
    } else if (kind === ASK) {
      granted = end.expose(memory, value, MEM_WRITE) as Uint8Array<ArrayBuffer>;
      end.send(GRANT, 0, granted);
    } else if (kind === WRITTEN) {
      end.hide(granted);
      end.send(DONE);
    }
  };
  process.on('message', () => process.send!(process.cpuUsage()));
  await end.accept(port, () => process.send!('listening'));
  handle = end.register(memory, MEM_READWRITE);
}

/** The sender's end of one pair of processes. */
class Pair {
  readonly #end: ProviderEnd;
  readonly #child: ChildProcess;
  readonly #memory = regionOf(largest);
  #handle!: ReturnType<ProviderEnd['register']>;
  #credit = window;
  #wake: (() => void) | null = null;
  #grant: Uint8Array | null = null;
  #done = false;

  constructor(directory: string, peerMemory: boolean) {
    this.#memory.bytes.fill(1);
    this.#end = new ProviderEnd(directory, peerMemory);
    this.#child = fork(fileURLToPath(import.meta.url), ['receiver', directory, peerMemory ? 'on' : 'off']);
    this.#end.onMessage = (kind, value, bytes) => {
      if (kind === TAKEN) this.#credit += value;
      else if (kind === GRANT) this.#grant = bytes.slice();
      else if (kind === DONE) this.#done = true;
      this.#wake?.();
    };
  }

  async start(): Promise<void> {
    await once(this.#child, 'message');
    await this.#end.connect(port, port + 1);
    this.#handle = this.#end.register(this.#memory, MEM_READ);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #acknowledged(): Promise<void> {
    await this.#until(() => this.#done);
    this.#done = false;
  }

  async messages(size: number): Promise<void> {
    for (let at = 0; at < size; at += chunk) {
      if (this.#credit === 0) await this.#until(() => this.#credit > 0);
      this.#credit--;
      this.#end.send(DATA, size, this.#memory.bytes.subarray(at, at + chunk));
    }
    await this.#acknowledged();
  }

  async read(size: number): Promise<void> {
    const descriptor = this.#end.expose(this.#memory, size, MEM_READ);
    this.#end.send(OFFER, size, descriptor);
    await this.#acknowledged();
    this.#end.hide(descriptor);
  }

  async write(size: number): Promise<void> {
    this.#end.send(ASK, size);
    await this.#until(() => this.#grant !== null);
    const grant = this.#grant!;
    this.#grant = null;
    await this.#end.transfer(false, this.#memory, this.#handle, size, grant);
    this.#end.send(WRITTEN);
    await this.#acknowledged();
  }

  /** Seconds of processor time of both processes so far. */
  async cpu(): Promise<number> {
    const told = once(this.#child, 'message') as Promise<[NodeJS.CpuUsage]>;
    this.#child.send('cpu');
    const [other] = await told;
    const own = process.cpuUsage();
    return (own.user + own.system + other.user + other.system) / 1e6;
  }

  stop(): void {
    this.#child.kill();
  }
}

interface Row {
  readonly way: string;
  readonly size: number;
  /** Per second, and processor seconds of both processes per gigabyte. */
  readonly gigabytes: number;
  readonly cpu: number;
}

async function measure(pair: Pair, transfer: () => Promise<void>, size: number): Promise<[number, number]> {
  for (let k = 0; k < 3; k++) await transfer();
  const cpu = await pair.cpu();
  const start = performance.now();
  let bytes = 0;
  while (performance.now() - start < milliseconds) {
    await transfer();
    bytes += size;
  }
  const seconds = (performance.now() - start) / 1000;
  return [bytes / 1e9 / seconds, ((await pair.cpu()) - cpu) / (bytes / 1e9)];
}

async function main(): Promise<void> {
  const given = process.argv.indexOf('--rounds');
  const rounds = given < 0 ? 5 : Number(process.argv[given + 1]);
  const directories = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'sockets-direct-rdma-')));
  const from = provenance();
  const pairs = directories.map((directory, i) => new Pair(directory, i === 0));
  const rows: Row[] = [];
  try {
    for (const pair of pairs) await pair.start();
    const [direct, ring] = pairs as [Pair, Pair];
    const ways: readonly (readonly [string, Pair, (size: number) => Promise<void>])[] = [
      ['messages of 16 KiB', direct, (size) => direct.messages(size)],
      ['WSPRdmaRead, process_vm_readv', direct, (size) => direct.read(size)],
      ['WSPRdmaRead over the ring', ring, (size) => ring.read(size)],
      ['WSPRdmaWrite', direct, (size) => direct.write(size)],
    ];
    for (const size of sizes) {
      const found = ways.map(() => [] as [number, number][]);
      for (let round = 0; round < rounds; round++) {
        for (const [i, [, pair, transfer]] of ways.entries())
          found[i]!.push(await measure(pair, () => transfer(size), size));
      }
      for (const [i, [way]] of ways.entries()) {
        const gigabytes = median(found[i]!.map(([rate]) => rate));
        rows.push({ way, size, gigabytes, cpu: median(found[i]!.map(([, cpu]) => cpu)) });
      }
    }
  } finally {
    for (const pair of pairs) pair.stop();
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify({ ...from, rounds, rows }));
  else show(rows);
  process.exit(0);
}

function show(rows: readonly Row[]): void {
  const ways = [...new Set(rows.map(({ way }) => way))];
  const heading = [
    'GB/s (CPU s per GB)',
    ...sizes.map((size) => (size < 1 << 20 ? `${size >> 10} KiB` : `${size >> 20} MiB`)),
  ];
  const lines = ways.map((way) => [
    way,
    ...rows.filter((row) => row.way === way).map(({ gigabytes, cpu }) => `${figure(gigabytes)} (${figure(cpu)})`),
  ]);
  console.log(table([heading, ...lines]));
}

const [, , role, directory, peerMemory] = process.argv;
if (role === 'receiver') await receive(directory!, peerMemory === 'on');
else await main();
