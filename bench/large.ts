/**
 * Large writes one way, by messages and by RDMA, and by TCP: what the threshold of a provider should be. Contenders take
 * turns within each size.
 *
 *     node build/bench/large.js [--rounds N] [--seconds S]
 */

import { parseArgs } from 'node:util';
import { type Contender, contender } from './contender.js';
import { isBuilt } from './harness/environment.js';
import { spread } from './harness/statistics.js';
import { measure } from './measure.js';
import type { Measurement } from './plan.js';

const kib = 1024;
/** A write of the lower size is in messages, one of the higher by RDMA: the threshold is between them. */
const boundary = 262_144;

interface Row {
  readonly title: string;
  readonly size: number;
  /** Of the contender `rdma`. */
  readonly threshold: number;
}

const rows: readonly Row[] = [
  ...[64, 256, 1024, 4096, 16_384].map((size) => ({ title: `${size} KiB`, size: size * kib, threshold: 1 })),
  { title: 'at the threshold', size: boundary, threshold: boundary },
  { title: 'one byte above', size: boundary + 1, threshold: boundary },
];

function contenders(threshold: number): Map<string, Contender> {
  const direct = contender('sockets-direct', false);
  const variant = (env: NodeJS.ProcessEnv): Contender => ({ ...direct, env: { ...direct.env, ...env } });
  const rdma = { SOCKETS_DIRECT_RDMA_THRESHOLD: String(threshold) };
  return new Map([
    ['tcp', contender('tcp', false)],
    ['messages', variant({ SOCKETS_DIRECT_RDMA_THRESHOLD: 'off' })],
    ['rdma', variant(rdma)],
    ['rdma, not by the kernel', variant({ ...rdma, SOCKETS_DIRECT_PEER_MEMORY: 'off' })],
  ]);
}

async function run(rounds: number, seconds: number): Promise<boolean> {
  let good = true;
  for (const { title, size, threshold } of rows) {
    const rates = new Map<string, { gbPerS: number; cpuSPerGb: number }[]>();
    const measurement: Measurement = {
      name: title,
      title,
      server: 'sink-server',
      client: 'stream-client',
      size,
      quick: { warmupMs: 500, measureMs: seconds * 1000 },
      full: { warmupMs: 500, measureMs: seconds * 1000 },
      metrics: [],
    };
    for (let round = 0; round < rounds; round++) {
      for (const [name, one] of contenders(threshold)) {
        const outcome = await measure(measurement, one, measurement.quick);
        if (outcome.status !== 'ok') {
          console.log(`${title}, ${name}: ${outcome.status === 'failed' ? outcome.error : outcome.why}`);
          good = false;
          continue;
        }
        const { gbPerS, cpuSPerGb } = outcome.metrics as { gbPerS: number; cpuSPerGb: number };
        rates.set(name, [...(rates.get(name) ?? []), { gbPerS, cpuSPerGb }]);
      }
    }
    for (const [name, figures] of rates) {
      const rate = spread(figures.map(({ gbPerS }) => gbPerS));
      const cpu = spread(figures.map(({ cpuSPerGb }) => cpuSPerGb));
      const range = `(${rate.min.toFixed(2)}-${rate.max.toFixed(2)})`;
      console.log(
        `${title.padEnd(18)} ${name.padEnd(24)} ${rate.median.toFixed(2).padStart(6)} GB/s ${range.padEnd(14)} ${cpu.median.toFixed(3)} CPU s/GB`,
      );
    }
  }
  return good;
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '1' } },
});
if (!isBuilt()) throw new Error('not built: npm run compile');
process.exitCode = (await run(Number(values.rounds), Number(values.seconds))) ? 0 : 1;
