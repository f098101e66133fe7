import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Policy, type Role } from '../../src/policy/index.js';
import { PolicyError, parseRules } from '../../src/policy/rules.js';

const names = { path: '/srv/shop/api.js', title: 'shop-api' };

function denied(rules: string, role: Role, address: string, port: number): boolean {
  return new Policy(parseRules(rules, 'test', null), names).denies(role, address, port);
}

test('without a rule that fits, a SAN may carry it', () => {
  assert.equal(denied('', 'connect', '127.0.0.1', 80), false);
  assert.equal(denied('tcp-only port=81', 'connect', '127.0.0.1', 80), false);
});

test('the first rule that fits decides', () => {
  const rules = 'use port=3000-3999\ntcp-only\nuse port=80';
  assert.equal(denied(rules, 'connect', '127.0.0.1', 3000), false);
  assert.equal(denied(rules, 'connect', '127.0.0.1', 3999), false);
  assert.equal(denied(rules, 'connect', '127.0.0.1', 4000), true);
  assert.equal(denied(rules, 'connect', '127.0.0.1', 80), true);
});

test('every condition of a rule has to fit', () => {
  const rule = 'tcp-only role=connect port=80 address=10.0.0.0/8';
  assert.equal(denied(rule, 'connect', '10.1.2.3', 80), true);
  assert.equal(denied(rule, 'listen', '10.1.2.3', 80), false);
  assert.equal(denied(rule, 'connect', '10.1.2.3', 81), false);
  assert.equal(denied(rule, 'connect', '11.1.2.3', 80), false);
});

for (const [rule, address, fits] of [
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '::ffff:10.0.0.1', true],
  ['10.0.0.0/8', '0.0.0.0', false],
  ['0.0.0.0/0', '0.0.0.0', true],
  ['0.0.0.0/0', '::1', false],
  ['127.0.0.1', '127.0.0.1', true],
  ['127.0.0.1', '127.0.0.2', false],
  ['::1', '::1', true],
  ['fd00::/8', 'fd12::1', true],
  ['fd00::/8', 'fe80::1', false],
  ['*', '::1', true],
] as const) {
  test(`address ${rule} ${fits ? 'has' : 'has not'} ${address}`, () => {
    assert.equal(denied(`tcp-only address=${rule}`, 'connect', address, 80), fits);
    assert.equal(denied(`tcp-only ${rule}`, 'connect', address, 80), fits);
  });
}

for (const [glob, fits] of [
  ['api.js', true],
  ['/srv/*', true],
  ['*.js', true],
  ['shop-?pi', true],
  ['shop', false],
  ['api?js', true],
  ['api.j', false],
  ['srv*', false],
  ['[a]pi.js', false],
] as const) {
  test(`program ${glob} ${fits ? 'is' : 'is not'} this one`, () => {
    assert.equal(denied(`tcp-only program=${glob}`, 'connect', '127.0.0.1', 80), fits);
  });
}

test('comments and empty lines are nothing, and semicolons part rules', () => {
  assert.deepEqual(parseRules('# all\n\n  # more\n', 'test', null), []);
  assert.equal(parseRules('tcp-only port=1; use port=2 # two\n;tcp-only', 'test', null).length, 3);
});

test('the short form needs no action', () => {
  const rules = parseRules('port=5432; 10.0.0.0/8; use port=1', 'test', 'tcp-only');
  assert.deepEqual(
    rules.map(({ use }) => use),
    [false, false, true],
  );
});

for (const [rule, message] of [
  ['port=5432', "neither 'use' nor 'tcp-only'"],
  ['deny port=1', "neither 'use' nor 'tcp-only'"],
  ['tcp-only prot=1', "unknown condition 'prot'"],
  ['tcp-only port=1 port=2', "two conditions 'port'"],
  ['tcp-only port=', "'port' without a value"],
  ['tcp-only port=70000', "'70000' is no port or range of ports"],
  ['tcp-only port=20-10', "'20-10' is no port or range of ports"],
  ['tcp-only port=http', "'http' is no port or range of ports"],
  ['tcp-only role=server', "'server' is no role (connect, listen)"],
  ['tcp-only 10.0.0.0/33', "'10.0.0.0/33' is no IP address or subnet"],
  ['tcp-only 10.0.0.0/8/8', "'10.0.0.0/8/8' is no IP address or subnet"],
  ['tcp-only localhost', "'localhost' is no IP address or subnet"],
  ['tcp-only ::1/129', "'::1/129' is no IP address or subnet"],
] as const) {
  test(`an error is named with its place: ${rule}`, () => {
    assert.throws(
      () => parseRules(`use port=1\n${rule}`, 'rules.conf', null),
      new PolicyError(`rules.conf, line 2: ${message} in '${rule}'`),
    );
  });
}
