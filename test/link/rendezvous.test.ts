import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { PlatformError } from '../../src/platform/index.js';
import { Rendezvous } from '../../src/providers/shared-memory/rendezvous.js';
import { realTime } from '../support/real-time.js';
import { Bench, openDescriptors, platform } from './support.js';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

const open = (directory: string): Rendezvous => {
  const rendezvous = new Rendezvous({ environment: { SOCKETS_DIRECT_DIR: directory }, platform });
  bench.cleanup(() => rendezvous.close());
  return rendezvous;
};
const refused = (reason: string) => (error: PlatformError) => {
  assert.equal(error.reason, reason, error.message);
  return true;
};
const portFolder = (rendezvous: Rendezvous): string => {
  const [partition] = readdirSync(rendezvous.path);
  return join(rendezvous.path, partition!, 'p');
};

test('what is registered is found, and no longer when it is taken back', () => {
  const server = bench.party();
  server.endpoint.publish();
  const client = bench.rendezvous();
  assert.equal(client.has(5000), false);
  assert.deepEqual(client.list(5000), []);
  server.rendezvous.register(5000, '127.0.0.1');
  server.rendezvous.register(5000, '::1');
  server.rendezvous.register(5000, '::1');
  assert.equal(client.has(5000), true);
  assert.deepEqual(client.list(5000), [
    { token: server.token, address: '127.0.0.1' },
    { token: server.token, address: '::1' },
  ]);
  server.rendezvous.unregister(5000, '127.0.0.1');
  server.rendezvous.unregister(5000, '::1');
  assert.deepEqual(client.list(5000), [{ token: server.token, address: '::1' }]);
  server.rendezvous.unregister(5000, '::1');
  server.rendezvous.unregister(5000, '::1');
  assert.equal(client.has(5000), false);
});

test('several processes on one port', async () => {
  const tokens = new Set([(await bench.process('serve', '5000')).token, (await bench.process('serve', '5000')).token]);
  const found = bench.rendezvous().list(5000);
  assert.deepEqual(new Set(found.map((entry) => entry.token)), tokens);
});

test('the directory is private', () => {
  const rendezvous = open(join(bench.directory, 'new'));
  assert.equal(statSync(rendezvous.path).mode & 0o777, 0o700);
});

test('a directory that others can enter is refused', () => {
  chmodSync(bench.directory, 0o755);
  assert.throws(() => open(bench.directory), refused('rendezvous-unsafe'));
});

test('a directory of somebody else is refused', (t) => {
  if (process.getuid!() !== 0) return t.skip('needs root, to give a directory away');
  chownSync(bench.directory, 4242, 4242);
  assert.throws(() => open(bench.directory), refused('rendezvous-unsafe'));
});

test('a symbolic link in place of the directory is refused, and so is a file', () => {
  const link = join(bench.directory, 'link');
  mkdirSync(join(bench.directory, 'real'), { mode: 0o700 });
  symlinkSync('real', link);
  assert.throws(() => open(link), refused('rendezvous-unsafe'));
  writeFileSync(join(bench.directory, 'file'), '');
  assert.throws(() => open(join(bench.directory, 'file')), refused('rendezvous-unsafe'));
});

test('a folder inside that others can enter is refused, without leaving descriptors open', () => {
  const rendezvous = open(bench.directory);
  chmodSync(portFolder(rendezvous), 0o777);
  const before = openDescriptors().length;
  assert.throws(() => open(bench.directory), refused('rendezvous-unsafe'));
  assert.equal(openDescriptors().length, before);
});

test('a missing parent, and a relative path', () => {
  assert.throws(() => open(join(bench.directory, 'a', 'b')), refused('rendezvous-absent'));
  assert.throws(() => open('relative'), refused('rendezvous-unavailable'));
});

test('a user id that says nothing is refused', () => {
  assert.throws(
    () =>
      new Rendezvous({
        environment: { SOCKETS_DIRECT_DIR: bench.directory },
        platform: { ...platform, ownUser: () => null },
      }),
    refused('user-unknown'),
  );
});

test('processes of different network namespaces do not meet', () => {
  const server = bench.party();
  server.endpoint.publish();
  server.rendezvous.register(5000, '127.0.0.1');
  const elsewhere = new Rendezvous({
    environment: { SOCKETS_DIRECT_DIR: bench.directory },
    platform: { ...platform, networkNamespaceCookie: () => 0xfeed_beefn },
  });
  bench.cleanup(() => elsewhere.close());
  assert.equal(elsewhere.has(5000), false);
  assert.equal(elsewhere.findSocket(server.token), null);
});

test('a path longer than a socket address', async () => {
  const deep = join(bench.directory, 'x'.repeat(180));
  const rendezvous = open(deep);
  const { LinkEndpoint } = await import('../../src/providers/shared-memory/endpoint.js');
  const options = { ...realTime, platform, arenaSize: 1 << 16, onLink: () => {} };
  const server = new LinkEndpoint({ ...options, rendezvous });
  server.publish();
  const client = new LinkEndpoint({ ...options, rendezvous: open(deep) });
  (await client.dial(server.token)).socket.destroy();
  server.close();
});

test('names and link targets of others are not believed', () => {
  const server = bench.party();
  server.endpoint.publish();
  server.rendezvous.register(5000, '127.0.0.1');
  const folder = join(portFolder(server.rendezvous), '5000');
  symlinkSync('127.0.0.1', join(folder, 'not-a-token'));
  symlinkSync('/etc/passwd', join(folder, '0'.repeat(24)));
  symlinkSync('1'.repeat(2000), join(folder, '1'.repeat(24)));
  symlinkSync('127.0.0.1,$(reboot),\n,::1', join(folder, '2'.repeat(24)));
  writeFileSync(join(folder, '3'.repeat(24)), '127.0.0.1');
  const found = bench.rendezvous().list(5000);
  assert.deepEqual(
    found.sort((a, b) => (a.token + a.address < b.token + b.address ? -1 : 1)),
    [
      { token: '2'.repeat(24), address: '127.0.0.1' },
      { token: '2'.repeat(24), address: '::1' },
      { token: server.token, address: '127.0.0.1' },
    ].sort((a, b) => (a.token + a.address < b.token + b.address ? -1 : 1)),
  );
  assert.equal(server.rendezvous.findSocket('../../../../../etc/passwd'), null);
});

test('ports and addresses that are none are refused', () => {
  const party = bench.party();
  assert.throws(() => party.rendezvous.register(5000, '127.0.0.1'), refused('rendezvous-unavailable'));
  party.endpoint.publish();
  for (const port of [0, -1, 65536, 1.5, Number.NaN]) {
    assert.throws(() => party.rendezvous.register(port, '127.0.0.1'), RangeError);
  }
  for (const address of ['', 'localhost', '127.0.0.1/8', '1'.repeat(46), 'fe80::1%eth0']) {
    assert.throws(() => party.rendezvous.register(80, address), RangeError);
  }
});

test('a new process removes what a killed one has left', async () => {
  const { child, token } = await bench.process('serve', '5000', '5001');
  const alive = await bench.process('serve', '5001');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const party = bench.party();
  assert.equal(party.rendezvous.has(5000), true);
  party.endpoint.publish();
  assert.equal(party.rendezvous.has(5000), false);
  assert.equal(party.rendezvous.findSocket(token), null);
  assert.deepEqual(party.rendezvous.list(5001), [{ token: alive.token, address: '127.0.0.1' }]);
  assert.notEqual(party.rendezvous.findSocket(alive.token), null);
});

test('three processes that register and unregister one port lose nothing', async () => {
  const processes = await Promise.all([1, 2, 3].map(() => bench.process('churn')));
  const results = processes.map(async ({ child }) => {
    child.send('go');
    const [said] = (await once(child, 'message')) as [{ lost: number }];
    return said.lost;
  });
  assert.deepEqual(await Promise.all(results), [0, 0, 0]);
  assert.equal(bench.rendezvous().has(7000), false);
});

test('closing takes everything back', () => {
  const party = bench.party();
  party.endpoint.publish();
  party.rendezvous.register(5000, '127.0.0.1');
  const folder = join(portFolder(party.rendezvous), '5000');
  assert.equal(readlinkSync(join(folder, party.token)), '127.0.0.1');
  party.endpoint.close();
  assert.equal(existsSync(folder), false);
});

test('a rendezvous whose directory was removed says so', () => {
  const directory = join(bench.directory, 'session');
  const rendezvous = open(directory);
  assert.equal(rendezvous.current, true);
  rmSync(directory, { recursive: true });
  assert.equal(rendezvous.current, false);
});
