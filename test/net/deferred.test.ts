/** The preload of the package itself, which loads the rest of it only when a program needs it. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { dist, preloadUrl } from '../support/preload.js';

const execute = promisify(execFile);

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sockets-direct-deferred-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function run(
  t: TestContext,
  flags: readonly string[],
  code: string,
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const { stdout, stderr } = await execute(process.execPath, [...flags, '--input-type=module', '--eval', code], {
    timeout: 20_000,
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      SOCKETS_DIRECT: '',
      SOCKETS_DIRECT_DIR: join(directory(t), 'rendezvous'),
      SOCKETS_DIRECT_REQUIRE: 'shared-memory',
      ...env,
    },
  });
  assert.equal(stderr, '');
  return stdout.trim();
}

const preload = ['--import', preloadUrl()];

/** Connects within this process and prints what \`connectionInfo\` says. */
function connecting(packageUrl: string): string {
  return `
import net from 'node:net';
const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1', async () => {
    const { connectionInfo } = await import(${JSON.stringify(packageUrl)});
    console.log(connectionInfo(client).provider);
  });
  client.resume().on('close', () => server.close());
});
`;
}

const index = pathToFileURL(join(dist, 'index.js')).href;

test('the preload loads next to nothing in a program without sockets', async (t) => {
  // The composed switch, and only that, needs datagram sockets.
  const code = `console.log(process.moduleLoadList.includes('NativeModule dgram'));`;
  assert.equal(await run(t, preload, code), 'false');
  assert.match(
    await run(t, preload, `${connecting(index)};process.on('exit', () => {${code}})`),
    /^shared-memory\ntrue$/,
  );
});

test('the first connect finds the hooks in place', async (t) => {
  assert.equal(await run(t, preload, connecting(index)), 'shared-memory');
});

test('a program that has taken a native function before the first socket goes through the hooks', async (t) => {
  const code = `
const { TCP } = process.binding('tcp_wrap');
const { connect, listen } = TCP.prototype;
TCP.prototype.connect = function (...args) { return connect.apply(this, args); };
TCP.prototype.listen = function (...args) { return listen.apply(this, args); };
${connecting(index)}`;
  assert.equal(await run(t, ['--no-deprecation', ...preload], code), 'shared-memory');
});

test('the context of the first socket is not that of the others', async (t) => {
  const code = `
import { AsyncLocalStorage } from 'node:async_hooks';
import net from 'node:net';
const storage = new AsyncLocalStorage();
const seen = [];
const server = net.createServer((socket) => { seen.push(storage.getStore()); socket.end('x'); });
server.listen(0, '127.0.0.1', () => {
  const connect = (name) => new Promise((resolve) => storage.run(name, () =>
    net.connect(server.address().port, '127.0.0.1').on('data', () => seen.push(storage.getStore())).on('close', resolve)));
  connect('first').then(() => connect('second')).then(() => { console.log(seen.join()); server.close(); });
});`;
  assert.equal(await run(t, preload, code), await run(t, [], code, { SOCKETS_DIRECT_REQUIRE: '' }));
});

test('--require and --import, and two copies of the package', async (t) => {
  const twice = ['--require', join(dist, 'register/index.js'), ...preload];
  assert.equal(await run(t, twice, connecting(index)), 'shared-memory');
  const copy = directory(t);
  cpSync(dist, join(copy, 'dist'), { recursive: true });
  cpSync(join(dist, '../package.json'), join(copy, 'package.json'));
  symlinkSync(fileURLToPath(new URL('../../../node_modules', import.meta.url)), join(copy, 'node_modules'));
  const copies = [...preload, '--import', preloadUrl(join(copy, 'dist'))];
  assert.equal(await run(t, copies, connecting(index)), 'shared-memory');
  const reversed = ['--import', preloadUrl(join(copy, 'dist')), ...preload];
  assert.equal(await run(t, reversed, connecting(index)), 'shared-memory');
});

test('a socket of the module, and one of node:net under the preload, in one program', async (t) => {
  const code = `
import net from ${JSON.stringify(index)};
import plain from 'node:net';
import { connectionInfo } from ${JSON.stringify(index)};
const server = plain.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', async () => {
  for (const module of [net, plain]) {
    await new Promise((resolve) => {
      const client = module.connect(server.address().port, '127.0.0.1', () => console.log(connectionInfo(client).provider));
      client.resume().on('close', resolve);
    });
  }
  server.close();
});`;
  assert.equal(await run(t, preload, code), 'shared-memory\nshared-memory');
});

test('the module alone touches nothing of programs that did not ask', async (t) => {
  const code = `
import net, { connectionInfo } from ${JSON.stringify(index)};
import plain from 'node:net';
const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', async () => {
  for (const module of [net, plain]) {
    await new Promise((resolve) => {
      const client = module.connect(server.address().port, '127.0.0.1', () => console.log(JSON.stringify(connectionInfo(client))));
      client.resume().on('close', resolve);
    });
  }
  server.close();
});`;
  const carried = '{"provider":"shared-memory","reason":"accelerated"}';
  assert.equal(await run(t, [], code, {}), `${carried}\n{"provider":null,"reason":null}`);
});

test('beside preloads that wrap net', async (t) => {
  const wrapper = `data:text/javascript,${encodeURIComponent(`
import net from 'node:net';
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function (...args) { globalThis.wrapped = (globalThis.wrapped ?? 0) + 1; return connect.apply(this, args); };
`)}`;
  const code = `${connecting(index)}
process.on('exit', () => console.log(globalThis.wrapped));`;
  // Its own connects, over which the processes find each other, are not the program's.
  for (const flags of [
    ['--import', wrapper, ...preload],
    [...preload, '--import', wrapper],
  ]) {
    const expected = flags[1] === wrapper ? /^shared-memory\n\d+$/ : /^shared-memory\n1$/;
    assert.match(await run(t, flags, code), expected);
  }
});
