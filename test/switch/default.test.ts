/** The switch as programs meet it: under node:net, with shared memory. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { loadPlatform } from '../../src/platform/index.js';
import { ProxyDriver } from '../../src/providers/shared-memory/proxy.js';
import { createTcpipProvider } from '../../src/providers/tcpip/index.js';
import { RoutingTable } from '../../src/switch/routing-table.js';
import { dist, preloadUrl } from '../support/preload.js';

const execute = promisify(execFile);
const limit = { timeout: 30_000 };

/** Runs a program with what `prelude` imports before it; what it has printed, line by line. */
async function run(prelude: string, flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const code = `${prelude}
const net = await import('node:net');
const { connectionInfo } = await import(${JSON.stringify(pathToFileURL(join(dist, 'index.js')).href)});
const server = net.createServer((socket) => socket.resume()).listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const client = net.connect(port, '127.0.0.1');
  client.on('connect', () => {
    console.log(connectionInfo(client)?.provider ?? 'nobody');
    globalThis.again?.(client, port);
    client.end();
  });
  client.on('error', ({ code, syscall }) => console.log(code, syscall));
  client.on('close', () => server.close());
  globalThis.meanwhile?.(client, port);
});`;
  const { stdout } = await execute(process.execPath, [...flags, '--input-type=module', '--eval', code], {
    timeout: 20_000,
    env: { ...process.env, ...env },
  });
  return stdout.trim().split('\n');
}

test(
  "WSD-COMP-3 once it is registered, sockets that ask for nothing are the switch's, whoever imports node:net first [shared-memory]",
  limit,
  async () => {
    const register = `await import(${JSON.stringify(preloadUrl())});`;
    assert.deepEqual(await run('', ['--import', preloadUrl()]), ['shared-memory']);
    assert.deepEqual(await run(register), ['shared-memory']);
    assert.deepEqual(await run(`await import('node:net');${register}`), ['shared-memory']);
    assert.deepEqual(await run(''), ['nobody'], 'and without it they are not');
  },
);

test(
  'WSD-CON-20 a program that connects again learns how far it is, and no provider is asked [shared-memory]',
  limit,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sockets-direct-test-'));
    const connects = (): number => {
      let lines = 0;
      for (const name of readdirSync(folder)) {
        lines += readFileSync(join(folder, name), 'utf8').split('"fn":"WSPConnect"').length - 1;
        rmSync(join(folder, name));
      }
      return lines;
    };
    try {
      const env = { SOCKETS_DIRECT_TRACE: join(folder, 'trace') };
      const flags = ['--import', preloadUrl()];
      const again = '(client, port) => client.connect(port, "127.0.0.1")';
      assert.deepEqual(await run(`globalThis.meanwhile = ${again};`, flags, env), ['EALREADY connect']);
      assert.equal(connects(), 1);
      assert.deepEqual(await run(`globalThis.again = ${again};`, flags, env), ['shared-memory', 'EISCONN connect']);
      assert.equal(connects(), 1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test('WSD-TBL-12 the addresses of the SAN are those that TCP/IP has assigned, and they choose it [shared-memory]', () => {
  const tcpip = createTcpipProvider();
  const proxy = new ProxyDriver((listener) => loadPlatform().notifyAddresses(listener));
  proxy.load();
  const list = proxy.addresses;
  proxy.unload();
  for (const { lpSockaddr } of list) assert.ok(tcpip.isOwnAddress(lpSockaddr.address), lpSockaddr.address);
  const routes = new RoutingTable<string>();
  routes.add('shared-memory', list);
  const assigned = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  assert.ok(assigned.length > 0);
  for (const { address, family, scopeid } of assigned) {
    // IPv6 addresses with a scope are left to TCP/IP.
    if (family === 'IPv6' && scopeid !== 0) continue;
    const route = routes.route({ sa_family: 2, address, port: 80 });
    assert.equal(route?.provider, 'shared-memory', address);
    assert.equal(route.local.address, address, 'from itself, as in the kernel');
  }
  assert.equal(routes.route({ sa_family: 2, address: '192.0.2.1', port: 80 }), null);
});
