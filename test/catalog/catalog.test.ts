/** The catalog of providers: what may be in it, and what it tells of changes. */

import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Catalog } from '../../src/catalog/catalog.js';
import { SimulatedProvider } from '../../src/providers/simulated/provider.js';
import { World } from '../../src/providers/simulated/world.js';
import type { SanServiceProvider } from '../../src/spi/index.js';
import { needsRoot } from '../support/stage.js';

const id = (n: number): string => `00000000-0000-0000-0000-00000000000${n}`;

function provider(name: string, n: number): SanServiceProvider {
  const { protocolInfo, WSPStartupEx } = new SimulatedProvider(new World(1).process());
  return { name, protocolInfo: { ...protocolInfo, ProviderId: id(n) }, WSPStartupEx };
}

/** A folder with a catalog and modules. */
class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'sockets-direct-catalog-'));
  readonly file = join(this.path, 'providers');
  readonly complaints: string[] = [];

  constructor(t: TestContext) {
    t.after(() => rmSync(this.path, { recursive: true, force: true }));
  }

  write(name: string, text: string): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, 0o600);
    return path;
  }

  /** A module that exports a provider, which cannot do anything, in the way that `how` says. */
  module(name: string, n: number, how = 'export default provider;'): string {
    const { protocolInfo } = provider(name, n);
    const text = `const provider = { name: '${name}', protocolInfo: ${JSON.stringify(protocolInfo)}, WSPStartupEx: () => 10091 };`;
    return this.write(`${name}.${how.startsWith('export') ? 'mjs' : 'cjs'}`, `${text}\n${how}`);
  }

  catalog(): Catalog {
    return new Catalog(this.file, (message) => this.complaints.push(message));
  }
}

const names = (catalog: Catalog): string[] => catalog.providers().map(({ name }) => name);

test('providers of the package come first, then those of the file, then those that the program has installed', (t) => {
  const folder = new Folder(t);
  folder.module('by-default', 1);
  folder.module('by-name', 2, 'export { provider };');
  folder.module('commonjs', 3, 'module.exports = provider;');
  const lines = ['by-default.mjs', 'by-name.mjs', 'commonjs.cjs'].map((name, i) => `${id(i + 1)} ./${name} # ${name}`);
  folder.write('providers', ['# a catalog', '', ...lines].join('\n'));
  const catalog = folder.catalog();
  catalog.builtIn = [provider('own', 0)];
  catalog.install(provider('installed', 4));
  assert.deepEqual(names(catalog), ['own', 'by-default', 'by-name', 'commonjs', 'installed']);
  assert.deepEqual([...catalog.sanProviders()], [0, 1, 2, 3, 4].map(id));
  assert.deepEqual(folder.complaints, []);
  assert.equal(catalog.providers()[1], catalog.providers()[1], 'the same one each time');
});

test('a package is found from the folder of the file, and small letters do for a GUID', (t) => {
  const folder = new Folder(t);
  const text = `export default ${JSON.stringify(provider('packed', 1))};`.replace('}}', '}, WSPStartupEx() {} }');
  folder.write('node_modules/lab-network/package.json', '{"name":"lab-network","type":"module","exports":"./main.js"}');
  folder.write('node_modules/lab-network/main.js', text);
  folder.write('providers', 'aaaaaaaa-0000-0000-0000-000000000001 lab-network');
  const catalog = folder.catalog();
  assert.deepEqual(names(catalog), ['packed'], folder.complaints.join('\n'));
  assert.deepEqual(
    [...catalog.sanProviders()],
    ['AAAAAAAA-0000-0000-0000-000000000001'],
    'of the line, not of the module',
  );
});

test('what is no provider, or one of a name or GUID that is taken, is not installed', (t) => {
  const catalog = new Catalog('', () => {});
  const good = provider('good', 1);
  for (const [wrong, fault] of [
    [null, /no object/],
    [{ ...good, name: 'Good' }, /`name`/],
    [{ ...good, name: 'tcpip' }, /taken/],
    [{ ...good, WSPStartupEx: 1 }, /WSPStartupEx/],
    [{ ...good, protocolInfo: null }, /`protocolInfo` is no object/],
    [{ ...good, protocolInfo: { ...good.protocolInfo, ProviderId: 'x' } }, /GUID/],
    [{ ...good, protocolInfo: { ...good.protocolInfo, iSocketType: 2 } }, /streams/],
    [{ ...good, protocolInfo: { ...good.protocolInfo, ProtocolChain: undefined } }, /ProtocolChain/],
  ] as const) {
    assert.throws(() => catalog.install(wrong as unknown as SanServiceProvider), { name: 'TypeError', message: fault });
  }
  let told = 0;
  t.after(catalog.watch(() => told++));
  catalog.install(good);
  assert.throws(() => catalog.install(provider('good', 2)), /is installed/);
  assert.throws(() => catalog.install(provider('other', 1)), /is installed/);
  assert.equal(told, 1);
  assert.equal(catalog.remove(id(2)), false);
  assert.equal(catalog.remove(id(1).toLowerCase()), true);
  assert.equal(told, 2);
  assert.deepEqual(names(catalog), []);
});

test('a change of the file is told, once it makes a difference; what is loaded stays the same', async (t) => {
  const folder = new Folder(t);
  folder.module('first', 1);
  folder.module('second', 2);
  folder.write('providers', `${id(1)} ./first.mjs`);
  const catalog = folder.catalog();
  const [first] = catalog.providers();
  let tell = (): void => {};
  const change = (): Promise<void> =>
    new Promise((resolve) => {
      tell = resolve;
    });
  const keepAlive = setInterval(() => {}, 60_000);
  t.after(() => clearInterval(keepAlive));
  t.after(catalog.watch(() => tell()));
  const extended = change();
  folder.write('providers', `# more\n${id(2)} ./second.mjs\n${id(1)} ./first.mjs`);
  await extended;
  assert.deepEqual(names(catalog), ['second', 'first']);
  assert.equal(catalog.providers()[1], first);

  // A file that cannot be understood, or is away for a moment, changes nothing.
  const shortened = change();
  folder.write('providers', 'nonsense');
  rmSync(folder.file);
  folder.write('other', '');
  folder.write('providers', `${id(2)} ./second.mjs`);
  await shortened;
  assert.deepEqual(names(catalog), ['second']);
});

for (const [what, text, complaint] of [
  ['a line without a GUID', 'lab.js', /providers, line 1: 'lab\.js' is no GUID$/],
  ['a line without a module', `\n${id(1)}  # nothing`, /providers, line 2: a GUID without a module$/],
  ['no file', null, /providers: ENOENT$/],
] as const) {
  test(`${what} makes the catalog invalid, which is said once`, (t) => {
    const folder = new Folder(t);
    if (text !== null) folder.write('providers', text);
    const catalog = folder.catalog();
    assert.deepEqual(names(catalog), []);
    assert.deepEqual(names(catalog), []);
    assert.equal(folder.complaints.length, 1);
    assert.match(folder.complaints[0]!, complaint);
    const [found] = catalog.status();
    assert.deepEqual(
      [found!.state, found!.reason, found!.detail],
      ['left-out', 'catalog-invalid', folder.complaints[0]],
    );
  });
}

test('a catalog or a module of another user is not trusted, nor one in a folder that others may write', (t) => {
  if (!needsRoot(t)) return;
  const stranger = 65_534;
  const spoils: readonly ((folder: Folder, module: string) => void)[] = [
    (folder) => chownSync(folder.file, stranger, stranger),
    (_folder, module) => chownSync(module, stranger, stranger),
    (folder) => chmodSync(folder.file, 0o620),
    (_folder, module) => chmodSync(module, 0o602),
    (folder) => chmodSync(folder.path, 0o777),
  ];
  for (const [i, spoil] of spoils.entries()) {
    const folder = new Folder(t);
    const module = folder.module('lab', 1);
    folder.write('providers', `${id(1)} ./lab.mjs`);
    spoil(folder, module);
    const catalog = folder.catalog();
    assert.deepEqual(names(catalog), [], `spoil ${i}`);
    assert.deepEqual(
      catalog.status().map(({ reason }) => reason),
      ['provider-untrusted'],
      `spoil ${i}`,
    );
  }
  const folder = new Folder(t);
  folder.module('lab', 1);
  folder.write('providers', `${id(1)} ./lab.mjs`);
  chmodSync(folder.path, 0o1777);
  assert.deepEqual(names(folder.catalog()), ['lab'], 'where only owners can exchange files');
});
