/** The checks of layering.test.ts can fail: small sources that break one rule each. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layeringProblems } from '../../tools/architecture/layering.js';
import { sleepsIn } from '../../tools/architecture/sleeps.js';
import { anyProblems, linesMax, sleepProblems, textProblems } from '../../tools/architecture/tidiness.js';
import type { SourceFile } from '../../tools/source/files.js';

/** Files by path; what they import exists as an empty file unless given. */
function sourcesOf(texts: Readonly<Record<string, string>>): readonly SourceFile[] {
  return Object.entries(texts).map(([path, text]) => ({ path, text }));
}

function problemOf(path: string, text: string, ...existing: readonly string[]): string {
  const empty = Object.fromEntries(existing.map((other) => [other, '']));
  return layeringProblems(sourcesOf({ ...empty, [path]: text })).join('\n');
}

test('layering: downward imports pass', () => {
  const existing = [
    'src/session/index.ts',
    'src/spi/index.ts',
    'src/diagnostics/reasons.ts',
    'src/providers/tcpip/socket.ts',
  ];
  const text = `
    import { EventEmitter } from 'node:events';
    import { a } from '../session/index.js';
    export * from '../spi/index.js';
    import type { TcpipSocket } from '../providers/tcpip/socket.js';
    import { b } from './other.js';`;
  assert.equal(problemOf('src/switch/switch.ts', text, ...existing, 'src/switch/other.ts'), '');
});

test('layering: upward and sideways imports fail, however they are written', () => {
  const upward = [
    ['src/spi/a.ts', "import { x } from '../switch/b.js'"],
    ['src/session/a.ts', "export { x } from '../switch/b.js'"],
    ['src/session/a.ts', "import type { x } from '../switch/b.js'"],
    ['src/platform/a.ts', "const x = await import('../switch/b.js')"],
    ['src/providers/tcpip/a.ts', "import '../../switch/b.js'"],
    ['src/providers/simulated/a.ts', "type X = typeof import('../../switch/b.js')"],
    ['src/compose.ts', "import { net } from './net/b.js'"],
    ['src/session/a.ts', "import { x } from '../diagnostics/b.js'"],
    ['src/providers/simulated/a.ts', "import { x } from '../tcpip/b.js'"],
  ] as const;
  const existing = ['src/switch/b.ts', 'src/net/b.ts', 'src/diagnostics/b.ts', 'src/providers/tcpip/b.ts'];
  for (const [path, text] of upward) assert.match(problemOf(path, text, ...existing), /must not import/, text);
});

test('layering: the switch knows a provider by type only, the composition root by name', () => {
  const provider = 'src/providers/tcpip/socket.ts';
  const of = (text: string): string => problemOf('src/switch/a.ts', text, provider, 'src/providers/simulated/b.ts');
  assert.equal(of("import type { A } from '../providers/tcpip/socket.js'"), '');
  assert.equal(of("import { type A, type B } from '../providers/tcpip/socket.js'"), '');
  assert.match(of("import { type A, b } from '../providers/tcpip/socket.js'"), /must not import from/);
  assert.match(of("import { a } from '../providers/tcpip/socket.js'"), /must not import from/);
  assert.match(of("import type { A } from '../providers/simulated/b.js'"), /must not import types/);
  assert.equal(problemOf('src/compose.ts', "import { a } from './providers/tcpip/socket.js'", provider), '');
});

test('layering: rooms and files must exist, packages must be known', () => {
  assert.match(problemOf('src/attic/a.ts', ''), /no room/);
  assert.match(problemOf('src/spi/a.ts', "import './none.js'"), /no source file/);
  assert.match(problemOf('src/spi/a.ts', "import left from 'left-pad'"), /neither/);
  assert.match(problemOf('src/spi/a.ts', "import net from 'net'"), /neither/);
});

test('layering: koffi belongs to the platform', () => {
  for (const text of ["import koffi from 'koffi'", "await import('koffi')", "const k = require('koffi')"]) {
    assert.match(problemOf('src/providers/shared-memory/a.ts', text), /only platform may import koffi/, text);
    assert.equal(problemOf('src/platform/a.ts', text), '', text);
  }
});

test("layering: Node's internals belong to net and the TCP/IP provider", () => {
  const uses = [
    "process.binding('tcp_wrap')",
    "process['binding']('tcp_wrap')",
    'socket._handle',
    'socket?._handle',
    'Object.getOwnPropertySymbols(x)',
    "import x from 'node:_http_agent'",
  ];
  for (const text of uses) {
    assert.match(problemOf('src/switch/a.ts', text), /only net, providers\/tcpip, platform may/, text);
    assert.equal(problemOf('src/net/a.ts', text), '', text);
  }
  assert.equal(problemOf('src/switch/a.ts', "class A { #_handle = 1; f() { return this.binding('_handle'); } }"), '');
});

test('layering: a cycle among files fails, also one of types and one through three files', () => {
  const two = sourcesOf({ 'src/spi/a.ts': "import './b.js'", 'src/spi/b.ts': "import type { A } from './a.js'" });
  assert.match(layeringProblems(two).join(), /cycle: src\/spi\/a.ts -> src\/spi\/b.ts -> src\/spi\/a.ts/);
  const three = sourcesOf({
    'src/spi/a.ts': "import './b.js'",
    'src/spi/b.ts': "import './c.js'",
    'src/spi/c.ts': "import './b.js'",
  });
  assert.match(layeringProblems(three).join(), /cycle: src\/spi\/b.ts -> src\/spi\/c.ts -> src\/spi\/b.ts/);
});

test('tidiness: length, unfinished work, machine paths', () => {
  const problems = (text: string): string => textProblems({ path: 'x.ts', text }).join();
  assert.equal(problems('x\n'.repeat(linesMax)), '');
  assert.match(problems('x\n'.repeat(linesMax + 1)), /501 lines/);
  assert.match(problems(`ok\n// ${'TO'}${'DO'}: more`), /x\.ts:2: unfinished/);
  assert.match(problems(`// ${'FIX'}${'ME'}`), /unfinished/);
  assert.match(problems(`open('/${'home'}/me/file')`), /a path of one machine/);
  assert.equal(problems("import '../work/a.js'; 'https://example.org/work/x'; '/proc/self'; a/work/b"), '');
});

test('tidiness: the keyword of no type is found in type positions only', () => {
  const problems = (text: string): number => anyProblems({ path: 'x.ts', text }).length;
  for (const text of [
    'let a: any;',
    'f(x as any)',
    'Array<any>',
    'type A = any',
    '(a: any[]) => 1',
    'T extends U ? any : 1',
  ]) {
    assert.equal(problems(text), 1, text);
  }
  for (const text of ['Promise.any([])', "'any'", '// any', 'anything', 'const o = { any: 1 }', 'any(x)']) {
    assert.equal(problems(text), 0, text);
  }
});

test('tidiness: sleeps are found, time limits and events are not', () => {
  const sleeps = [
    'await new Promise((resolve) => setTimeout(resolve, 50));',
    'await new Promise<void>((done) => { setTimeout(done, 50); });',
    'const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));',
    "import { setTimeout as sleep } from 'node:timers/promises';\nawait sleep(50);",
    "import { setTimeout } from 'timers/promises';\nawait setTimeout(10);",
    "import * as timers from 'node:timers/promises';\nawait timers.setTimeout(10);",
  ];
  for (const text of sleeps) assert.equal(sleepsIn(text).length, 1, text);
  const waits = [
    "new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 1000));",
    "await once(socket, 'close');",
    'await new Promise((resolve) => setImmediate(resolve));',
    'new Promise((resolve) => { server.once("x", resolve); const timer = setTimeout(fail, 1000); });',
    'setTimeout(tick, 10);',
  ];
  for (const text of waits) assert.deepEqual(sleepsIn(text), [], text);
});

test('tidiness: a sleep needs a reason, and a reason a sleep', () => {
  const file = { path: 'test/a.test.ts', text: 'await new Promise((r) => setTimeout(r, 5));' };
  assert.equal(sleepProblems([file], []).length, 1);
  assert.equal(sleepProblems([file], [{ file: file.path, why: 'the kernel gives no event' }]).length, 0);
  assert.equal(sleepProblems([file], [{ file: file.path, why: '' }]).length, 1);
  assert.equal(sleepProblems([], [{ file: file.path, why: 'gone' }]).length, 1);
});
