import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Catalogue, checkCatalogue, readCatalogue } from '../../tools/rules/catalogue.js';
import { coverageOf } from '../../tools/rules/coverage.js';
import { printable } from '../../tools/rules/print.js';
import { stringLists, testTitles } from '../../tools/rules/titles.js';
import { repositoryRoot } from '../../tools/source/files.js';

const none = new Map<string, readonly string[]>();
const rule = (id: string) => ({ id, level: 'MUST', actor: 'switch', title: `title of ${id}` });
const catalogue: Catalogue = {
  rules: ['WSD-ACC-1', 'WSD-ACC-2', 'WSD-ACC-3', 'WSD-ACC-4', 'WSD-PRX-1'].map(rule),
  otherIds: new Set(['WSD-ACC-9']),
  notApplicable: [{ id: 'WSD-PRX-1', why: 'no proxy' }],
  deviations: [{ id: 'WSD-ACC-2', what: 'otherwise', why: 'reasons' }],
};
const titlesOf = (source: string) => testTitles('x.test.ts', source, none);
const coverage = (source: string) => coverageOf(catalogue, titlesOf(source));

test('rules: the data hold 389 binding rules and do not contradict themselves', () => {
  const real = readCatalogue(repositoryRoot());
  assert.equal(real.rules.length, 389);
  for (const id of ['WSD-MEM-31', 'WSD-FLW-3', 'WSD-FLW-7']) {
    assert.ok(real.rules.some((one) => one.id === id));
  }
});

test('rules: a catalogue that contradicts itself is refused', () => {
  assert.deepEqual(checkCatalogue(catalogue), []);
  assert.equal(checkCatalogue({ ...catalogue, rules: [...catalogue.rules, rule('WSD-ACC-1')] }).length, 1);
  assert.equal(checkCatalogue({ ...catalogue, rules: [...catalogue.rules, rule('WSD-NONE-1')] }).length, 1);
  assert.equal(checkCatalogue({ ...catalogue, notApplicable: [{ id: 'WSD-ACC-77', why: 'x' }] }).length, 1);
  assert.equal(checkCatalogue({ ...catalogue, otherIds: new Set(['WSD-ACC-1']) }).length, 1);
});

test('rules: titles are found in test, it, only, tests of a context and added strings', () => {
  const source = `
    test('one', () => {});
    it("two", { timeout: 5 }, () => {});
    test.only('three', () => {});
    describe('not a test', () => {});
    test('four', async (t) => {
      await t.test('five', () => {});
      assert.ok(/six/.test('seven'));
    });
    test('eight ' +
      'nine', () => {});
    // test('ten', () => {});
    const text = "test('eleven', () => {})";
    test(name, () => {});
    function test(a: string) {}`;
  assert.deepEqual(
    titlesOf(source).map((title) => title.title),
    ['one', 'two', 'three', 'four', 'five', 'eight nine'],
  );
});

test('rules: a test that never runs covers nothing, one with a condition does', () => {
  const source = `
    test.skip('a', () => {});
    test.todo('b');
    test('c', { skip: true }, () => {});
    test('d', { skip: 'broken' }, () => {});
    test('e', { todo: 'later' }, () => {});
    test('f', { skip: !available && 'no koffi' }, () => {});
    test('g', { skip: available ? false : 'no koffi' }, () => {});
    test('h', { skip: false, concurrency: true }, () => {});`;
  assert.deepEqual(
    titlesOf(source).map((title) => title.title),
    ['f', 'g', 'h'],
  );
});

test('rules: covered, missing, and what is excused', () => {
  const { report, families, problems } = coverage(`
    test('WSD-ACC-1 WSD-ACC-2: both', () => {});
    test('WSD-ACC-1 once more, WSD-ACC-9 does not bind', () => {});
    test('nothing', () => {});`);
  assert.deepEqual(problems, []);
  assert.deepEqual(report, {
    covered: 2,
    normative: 5,
    missing: ['WSD-ACC-3', 'WSD-ACC-4'],
    notApplicable: catalogue.notApplicable,
    deviations: catalogue.deviations,
    byProvider: {
      tcpip: { covered: 0, rules: [] },
      'shared-memory': { covered: 0, rules: [] },
      simulated: { covered: 0, rules: [] },
    },
  });
  assert.deepEqual(families, [
    { family: 'ACC', covered: 2, notApplicable: 0, total: 4 },
    { family: 'PRX', covered: 0, notApplicable: 1, total: 1 },
  ]);
});

test('rules: providers in brackets are counted one by one', () => {
  const { report } = coverage(`
    test('WSD-ACC-1 [shared-memory]', () => {});
    test('WSD-ACC-2 [simulated] [shared-memory]', () => {});
    test('WSD-ACC-3 on any', () => {});`);
  assert.deepEqual(report.byProvider['shared-memory'], { covered: 2, rules: ['WSD-ACC-1', 'WSD-ACC-2'] });
  assert.deepEqual(report.byProvider.simulated, { covered: 1, rules: ['WSD-ACC-2'] });
});

test('rules: a loop variable in brackets stands for all that it runs over', () => {
  const loop = "for (const p of ['shared-memory', 'simulated'] as const) test(`WSD-ACC-1 [${p}]`, () => {});";
  assert.deepEqual(titlesOf(loop)[0]!.tags, ['shared-memory', 'simulated']);
  const imported =
    'for (const { name } of x) {} for (const provider of all) test(`WSD-ACC-1 [${provider}]`, () => {});';
  const shared = stringLists("const x = 1; export const all: readonly string[] = ['tcpip', 'simulated'];");
  assert.deepEqual(testTitles('x.test.ts', imported, shared)[0]!.tags, ['tcpip', 'simulated']);
});

test('rules: brackets that cannot be resolved are an error', () => {
  assert.match(coverage('test(`WSD-ACC-1 [${somewhere()}]`, () => {});').problems.join(), /x\.test\.ts:1.*cannot tell/);
});

test('rules: more than three ids, unknown ids and unknown providers are errors that name the test', () => {
  const four = coverage("test('WSD-ACC-1 WSD-ACC-2 WSD-ACC-3 WSD-ACC-4', () => {});").problems;
  assert.match(four.join(), /WSD-ACC-1 WSD-ACC-2.*names 4 rules/);
  assert.match(coverage("test('title WSD-ACC-78', () => {});").problems.join(), /title WSD-ACC-78.*no rule WSD-ACC-78/);
  assert.match(coverage("test('WSD-ACC-1 [shared-mem]', () => {});").problems.join(), /no provider 'shared-mem'/);
});

test('rules: a rule that is not applicable must not be named by a test', () => {
  assert.match(coverage("test('WSD-PRX-1', () => {});").problems.join(), /WSD-PRX-1: listed as not applicable/);
});

test('rules: the printed report has families, totals and what is missing', () => {
  const text = printable(catalogue, coverage("test('WSD-ACC-1', () => {});"));
  assert.match(text, /ACC +accepting +1\/4/);
  assert.match(text, /1 of 5 covered, 1 not applicable, 3 missing/);
  assert.match(text, /WSD-ACC-3 +MUST +title of WSD-ACC-3/);
});
