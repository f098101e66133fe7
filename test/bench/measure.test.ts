import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contender } from '../../bench/contender.js';
import { measure } from '../../bench/measure.js';
import { type Measurement, plan } from '../../bench/plan.js';

const tcp = contender('tcp', false);
const short = { warmupMs: 20, measureMs: 50 };

/** Few connections are enough to try a program out. */
function small(name: string): Measurement {
  const measurement = plan.find((candidate) => candidate.name === name) as Measurement;
  return { ...measurement, connections: Math.min(measurement.connections ?? 1, 20) };
}

describe('measuring TCP', { skip: process.platform !== 'linux' }, () => {
  for (const { name, metrics } of plan) {
    it(`${name} gives all its figures`, async () => {
      const outcome = await measure(small(name), tcp, short);
      if (outcome.status === 'skipped') return;
      assert.equal(outcome.status, 'ok', JSON.stringify(outcome));
      for (const { key } of metrics) {
        const value = outcome.status === 'ok' ? outcome.metrics[key] : undefined;
        assert.ok(typeof value === 'number' && value >= 0, `${key} is ${value}`);
      }
    });
  }

  it('fails if the bytes went another way than asked for', async () => {
    const outcome = await measure(small('rtt-64'), { ...tcp, carrier: 'shared-memory' }, short);
    assert.equal(outcome.status, 'failed');
    assert.match(outcome.status === 'failed' ? outcome.error : '', /not carried by shared memory: the kernel has/);
  });

  it('fails if the two sides count differently, and says what', async () => {
    const outcome = await measure({ ...small('rtt-64'), server: 'http-server' }, tcp, short);
    assert.equal(outcome.status, 'failed');
  });

  it('fails with what a program complained about', async () => {
    const outcome = await measure({ ...small('rtt-64'), server: 'no-such-program' }, tcp, short);
    assert.match(
      outcome.status === 'failed' ? outcome.error : '',
      /no-such-program ended \(exit code 1\).*Cannot find module/s,
    );
  });

  it('leaves out what the host cannot provide', async () => {
    const constraint = { kind: 'open-files', count: 2 ** 40 } as const;
    const outcome = await measure({ ...small('rtt-64'), constraint }, tcp, short);
    assert.match(outcome.status === 'skipped' ? outcome.why : '', /open files, the limit is/);
  });
});
