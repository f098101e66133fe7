import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseOptions } from '../../bench/options.js';
import { plan } from '../../bench/plan.js';

describe('options of the bench', () => {
  it('default to everything, five rounds', () => {
    const options = parseOptions([]);
    assert.equal(options.rounds, 5);
    assert.deepEqual(options.measurements, plan);
    assert.deepEqual(options.contenders, ['sockets-direct', 'tcp']);
  });

  it('take two rounds if quick, unless told', () => {
    assert.equal(parseOptions(['--quick']).rounds, 2);
    assert.equal(parseOptions(['--quick', '--rounds', '7']).rounds, 7);
  });

  it('choose measurements and contenders', () => {
    const options = parseOptions(['--only', 'http-16,rtt-64', '--contenders', 'tcp']);
    assert.deepEqual(
      options.measurements.map(({ name }) => name),
      ['rtt-64', 'http-16'],
    );
    assert.deepEqual(options.contenders, ['tcp']);
  });

  it('refuse what they do not know, and say what there is', () => {
    assert.throws(() => parseOptions(['--only', 'rtt']), /--only: rtt is not one of rtt-64, /);
    assert.throws(() => parseOptions(['--contenders', 'udp']), /udp is not one of sockets-direct, tcp/);
    assert.throws(() => parseOptions(['--rounds', '0']), /positive whole number/);
    assert.throws(() => parseOptions(['--rounds', 'x']), /positive whole number/);
    assert.throws(() => parseOptions(['--fast']), /fast/);
  });
});
