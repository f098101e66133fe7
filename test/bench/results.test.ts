import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ContenderName } from '../../bench/contender.js';
import { type Measurement, plan } from '../../bench/plan.js';
import { formatReport, makeReport } from '../../bench/report.js';
import { compareMetric, problems, type RoundResult } from '../../bench/results.js';

const measurement = plan.find(({ name }) => name === 'rtt-64') as Measurement;
const [metric] = measurement.metrics;

function result(round: number, contender: ContenderName, p50Us: number): RoundResult {
  const outcome = { status: 'ok', metrics: { p50Us, p99Us: 2 * p50Us, cpuUs: 1 } } as const;
  return { round, measurement: 'rtt-64', contender, order: 0, outcome };
}

function failed(round: number, contender: ContenderName, error: string): RoundResult {
  return { round, measurement: 'rtt-64', contender, order: 0, outcome: { status: 'failed', error } };
}

const rounds = [
  result(0, 'sockets-direct', 4),
  result(0, 'tcp', 80),
  result(1, 'tcp', 100),
  result(1, 'sockets-direct', 6),
  result(2, 'sockets-direct', 5),
  result(2, 'tcp', 50),
];

describe('comparison', () => {
  it('is the ratio of the medians, with the ratios of the rounds', () => {
    const comparison = compareMetric(rounds, measurement, metric);
    assert.deepEqual(comparison.ours, { median: 5, min: 4, max: 6 });
    assert.deepEqual(comparison.theirs, { median: 80, min: 50, max: 100 });
    assert.equal(comparison.ratio, 0.0625);
    assert.deepEqual(comparison.ratioRange, [0.05, 0.1]);
    assert.equal(comparison.met, true);
  });

  it('says when the target is missed', () => {
    const slow = rounds.map((one) => (one.contender === 'tcp' ? result(one.round, 'tcp', 20) : one));
    assert.equal(compareMetric(slow, measurement, metric).met, false);
  });

  it('judges nothing that was not measured', () => {
    const alone = compareMetric([result(0, 'sockets-direct', 4)], measurement, metric);
    assert.equal(alone.ratio, null);
    assert.equal(alone.met, null);
  });

  it('leaves out failed rounds and reports each kind once', () => {
    const results = [...rounds, failed(3, 'tcp', 'first'), failed(4, 'tcp', 'second')];
    assert.equal(compareMetric(results, measurement, metric).theirs?.max, 100);
    assert.deepEqual(problems(results), [
      { measurement: 'rtt-64', contender: 'tcp', status: 'failed', rounds: 2, text: 'first' },
    ]);
  });
});

describe('targets', () => {
  const target = (name: string, key: string) =>
    plan.find((candidate) => candidate.name === name)?.metrics.find((candidate) => candidate.key === key)?.target;

  it('are those of the first slice', () => {
    const limits: [string, string, number, number, boolean][] = [
      ['rtt-64', 'p50Us', 7, 100, true],
      ['rtt-64', 'p50Us', 7.1, 100, false],
      ['rtt-64-one-core', 'p50Us', 70, 100, true],
      ['rtt-64-one-core', 'p50Us', 71, 100, false],
      ['stream-1k', 'gbPerS', 0.8, 0.1, true],
      ['stream-1k', 'gbPerS', 0.79, 0.1, false],
      ['stream-64k', 'gbPerS', 3, 2, true],
      ['stream-64k', 'gbPerS', 2.9, 2, false],
      ['stream-1m', 'gbPerS', 2.9, 2, false],
      ['http-16', 'requestsPerS', 170, 100, true],
      ['http-16', 'requestsPerS', 169, 100, false],
      ['many-1000', 'messagesPerS', 800, 100, true],
      ['many-1000', 'messagesPerS', 799, 100, false],
      ['connect-1', 'perS', 400, 100, true],
      ['connect-1', 'perS', 399, 100, false],
      ['connect-64', 'perS', 399, 100, false],
      ['among-10000', 'growth', 1.5, 1, true],
      // Whatever TCP does, what counts here is our own growth.
      ['among-10000', 'growth', 1.6, 10, false],
      ['think-5ms', 'cpuUs', 150, 100, true],
      ['think-5ms', 'cpuUs', 151, 100, false],
      // Near zero only the difference counts.
      ['idle', 'cpuMsPerS', 0.9, 0.1, true],
      ['idle', 'cpuMsPerS', 20, 0.1, false],
    ];
    for (const [name, key, ours, theirs, met] of limits) {
      assert.equal(target(name, key)?.met(ours, theirs), met, `${name} ${key} ${ours} against ${theirs}`);
    }
  });
});

describe('report', () => {
  const provenance = {
    date: '2026-01-01T00:00:00.000Z',
    node: 'v20.0.0',
    commit: null,
    modified: false,
    kernel: 'Linux 6',
    cpu: 'CPU',
    cpus: 2,
    load: 0,
  };

  it('shows targets, and what failed with its reason', () => {
    const results = [...rounds, failed(3, 'tcp', 'the server ended')];
    const report = makeReport(provenance, 4, 10, [measurement], results);
    const text = formatReport(report, [measurement], false);
    assert.match(text, /round trip 64 B .*<= 0\.07 of TCP {2}met/);
    assert.match(text, /failed, 1 of 4 rounds: the server ended\n {2}in rtt-64 \(tcp\)/);
    assert.match(text, /1 of 1 targets met/);
  });
});
