/** The report leaves nothing out, and what the kit knows is what the repository knows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ConformanceReport,
  excuseOf,
  hooksOf,
  rules,
  runConformance,
  scenarios,
} from '../../src/conformance/index.js';
import { rulesOf } from '../../src/conformance/scenario.js';
import simulated from '../../src/providers/simulated/conformance.js';
import { createTcpipProvider } from '../../src/providers/tcpip/index.js';
import { tcpipInfo } from '../../src/spi/index.js';
import { readCatalogue } from '../../tools/rules/catalogue.js';
import { filesBelow, readSource, repositoryRoot } from '../../tools/source/files.js';
import { altered } from './altered.js';

const root = repositoryRoot();

test('conformance kit: its rules are all that bind a provider or its proxy, and all that scenarios name', () => {
  const catalogue = readCatalogue(root);
  const named = new Set(scenarios.flatMap(rulesOf));
  const wanted = catalogue.rules.filter(({ id, actor }) => ['provider', 'proxy'].includes(actor) || named.has(id));
  const entry = ({ id, level }: { id: string; level: string }) => `${id} ${level}`;
  assert.deepEqual(
    rules
      .filter(({ binding }) => binding)
      .map(entry)
      .sort(),
    wanted.map(entry).sort(),
  );
  const others = rules.filter(({ binding }) => !binding);
  assert.ok(others.every(({ id }) => catalogue.otherIds.has(id)));
  for (const id of named)
    assert.ok(
      rules.some((rule) => rule.id === id),
      id,
    );
});

test('conformance kit: it shows providers what the TCP/IP provider is', () => {
  assert.deepEqual(tcpipInfo, createTcpipProvider().protocolInfo);
});

test('conformance kit: titles are unique', () => {
  const titles = scenarios.map(({ title }) => title);
  assert.equal(new Set(titles).size, titles.length);
});

test('conformance kit: every file of scenarios is part of it, and of the tests', () => {
  const files = filesBelow(root, 'src/conformance/scenarios', '.ts')
    .map(({ path }) => path.split('/').at(-1)!.replace('.ts', '.js'))
    .filter((name) => name !== 'index.js');
  const index = readSource(root, 'src/conformance/scenarios/index.ts').text;
  const tests = filesBelow(root, 'test/provider', '.test.ts').map(({ text }) => text);
  for (const name of files) {
    assert.ok(index.includes(`'./${name}'`), name);
    assert.ok(
      tests.some((text) => text.includes(`conformance/scenarios/${name}'`)),
      name,
    );
  }
});

/** What holds for every report. */
function assertWhole(report: ConformanceReport): void {
  assert.equal(report.version, 1);
  assert.deepEqual(
    report.rules.map(({ id }) => id),
    rules.map(({ id }) => id),
  );
  assert.deepEqual(
    report.scenarios.map(({ title }) => title),
    scenarios.map(({ title }) => title),
  );
  for (const { result, reason } of [...report.rules, ...report.scenarios]) {
    assert.equal(reason === null, result === 'passed');
    assert.notEqual(reason, '');
  }
  const { counts } = report;
  assert.equal(
    counts.passed + counts.failed + counts['not-applicable'] + counts['not-tested'],
    rules.filter(({ binding }) => binding).length,
  );
}

test('conformance kit: a report has every rule and every scenario, what did not run with its reason', async () => {
  const without = altered(simulated, { capabilities: { duplication: false } });
  const report = await runConformance(without, { only: /WSD-LSN-8/ });
  assertWhole(report);
  const find = (id: string) => report.rules.find((rule) => rule.id === id)!;
  assert.equal(find('WSD-LSN-8').result, 'passed');
  assert.deepEqual([find('WSD-ACC-8').result, find('WSD-ACC-8').reason], ['not-tested', 'left out']);
  assert.equal(find('WSD-DUP-23').reason, 'the provider declares no socket duplication');
  assert.equal(find('WSD-CCH-16').result, 'not-applicable');
  assert.ok(report.conforms && !report.complete);
});

test('conformance kit: rules of a capability that is declared and whose scenarios did not run are not tested, not passed over', async () => {
  const report = await runConformance(simulated, { only: /^$/ });
  assertWhole(report);
  const untested = report.rules.filter(({ id, result }) => id.startsWith('WSD-DUP-') && result === 'not-tested');
  assert.ok(untested.length > 0);
});

test('conformance kit: without hooks their scenarios are not tested, with a reason of the author they are not applicable', async () => {
  const hooks = await hooksOf(simulated);
  const one = scenarios.find((scenario) => scenario.hooks.includes('processes'))!;
  assert.equal(excuseOf(simulated, hooks, one)?.result, 'not-applicable');
  const { notApplicable: _, ...bare } = simulated;
  assert.equal(excuseOf(bare, hooks, one)?.result, 'not-tested');
});

test('conformance kit: what a provider throws from a timer of its own is a failure of the scenario that runs', async () => {
  const wild = altered(simulated, {
    table: ({ WSPListen }) => ({
      WSPListen: (...args) => {
        queueMicrotask(() => {
          throw new Error('out of nowhere');
        });
        return WSPListen(...args);
      },
    }),
  });
  // The test runner has listeners of its own, which would take it for a failure of this test.
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  try {
    const report = await runConformance(wild, { only: /WSD-LSN-13/ });
    const failed = report.scenarios.filter(({ result }) => result === 'failed');
    assert.ok(failed.length > 0);
    assert.ok(failed.every(({ reason }) => reason?.includes('out of nowhere')));
  } finally {
    for (const other of others) process.on('uncaughtException', other);
  }
});
