/** A connect reaches the process that has the port, and no other one, whoever had it before or has it somewhere else. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Program, Stage } from '../support/stage.js';

interface Answer {
  server: string;
  provider: string | null;
  client: string | null;
  code?: string;
}

const program = new URL('./programs/ports.js', import.meta.url);
const limit = { timeout: 60_000 };
const direct = { require: false };
const stockOptions = { preload: null };

class Scene {
  readonly stage: Stage;
  readonly client: Program;
  readonly #options: { preload: null } | { require: boolean };

  constructor(t: TestContext, stock: boolean) {
    this.stage = new Stage(t);
    this.#options = stock ? stockOptions : direct;
    this.client = this.stage.start(program, ['client'], this.#options);
  }

  async server(name: string, options: object, stock = false): Promise<{ program: Program; port: number }> {
    const started = this.stage.start(
      program,
      ['server', name, JSON.stringify(options)],
      stock ? stockOptions : this.#options,
    );
    return { program: started, port: (await started.next<{ port: number }>('listening')).port };
  }

  async ask(port: number, host = '127.0.0.1'): Promise<Answer> {
    this.client.tell({ kind: 'ask', options: { port, host } });
    return this.answer();
  }

  async answer(): Promise<Answer> {
    const { kind, ...answer } = await this.client.next<Answer & { kind: string }>('answer');
    return answer;
  }
}

/** The same on stock Node.js and with the preload; `carried` is what carries it in the latter. */
function scenario(
  name: string,
  play: (scene: Scene, carried: Answer['provider'], stock: boolean) => Promise<void>,
): void {
  test(`stock: ${name}`, limit, (t) => play(new Scene(t, true), null, true));
  test(`[shared-memory] ${name}`, limit, (t) => play(new Scene(t, false), 'shared-memory', false));
}

function answer(server: string, provider: string | null): Answer {
  return { server, provider, client: provider };
}

scenario(
  'a port that changes hands, is taken after a death, and goes to a stock program',
  async (scene, carried, stock) => {
    const first = await scene.server('first', { port: 0, host: '127.0.0.1' });
    const { port } = first;
    assert.deepEqual(await scene.ask(port), answer('first', carried));
    first.program.tell({ kind: 'close' });
    await first.program.next('closed');
    const second = await scene.server('second', { port, host: '127.0.0.1' });
    assert.deepEqual(await scene.ask(port), answer('second', carried));
    second.program.kill();
    await second.program.ended();
    const third = await scene.server('third', { port, host: '127.0.0.1' });
    assert.deepEqual(await scene.ask(port), answer('third', carried));
    third.program.tell({ kind: 'close' });
    await third.program.next('closed');
    assert.equal((await scene.ask(port)).code, 'ECONNREFUSED');
    const plain = await scene.server('plain', { port, host: '127.0.0.1' }, true);
    const { server, client } = await scene.ask(port);
    assert.deepEqual([server, client], ['plain', stock ? null : 'tcpip']);
    plain.program.kill();
    await plain.program.ended();
    third.program.tell({ kind: 'listen', options: { port, host: '127.0.0.1' } });
    await third.program.next('listening');
    assert.deepEqual(await scene.ask(port), answer('third', carried));
  },
);

scenario('two processes have one port at different addresses', async (scene, carried) => {
  const { port } = await scene.server('one', { port: 0, host: '127.0.0.1' });
  await scene.server('two', { port, host: '127.0.0.2' });
  await scene.server('six', { port, host: '::', ipv6Only: true });
  assert.deepEqual(await scene.ask(port, '127.0.0.1'), answer('one', carried));
  assert.deepEqual(await scene.ask(port, '127.0.0.2'), answer('two', carried));
  assert.deepEqual(await scene.ask(port, '::1'), answer('six', carried));
  assert.equal((await scene.ask(port, '127.0.0.3')).code, 'ECONNREFUSED');
});

test('a program without Sockets Direct at an exact address keeps what is its own', limit, async (t) => {
  const scene = new Scene(t, false);
  const { port } = await scene.server('plain', { port: 0, host: '127.0.0.1' }, true);
  await scene.server('six', { port, host: '::', ipv6Only: true });
  assert.equal((await scene.ask(port)).server, 'plain');
  assert.deepEqual(await scene.ask(port, '::1'), answer('six', 'shared-memory'));
});

scenario('a server that a child has been given, also once its parent has stopped', async (scene, carried) => {
  const { program: parent, port } = await scene.server('parent', { port: 0, host: '127.0.0.1' });
  parent.tell({ kind: 'send' });
  await parent.next('received');
  // Whoever accepts first, as with any descriptor that two processes have.
  for (let i = 0; i < 4; i++) {
    const { server, client } = await scene.ask(port);
    assert.match(server, /^parent/);
    assert.equal(client, carried);
  }
  parent.tell({ kind: 'close' });
  await parent.next('closed');
  for (let i = 0; i < 2; i++) assert.deepEqual(await scene.ask(port), answer('parent, child', carried));
});

scenario('a listening descriptor that was inherited, as from systemd', async (scene, carried) => {
  const { program: parent, port } = await scene.server('parent', { port: 0, host: '127.0.0.1' });
  parent.tell({ kind: 'inherit' });
  const heir = await parent.next<{ port: number }>('listening');
  assert.equal(heir.port, port);
  parent.tell({ kind: 'close' });
  await parent.next('closed');
  for (let i = 0; i < 2; i++) assert.deepEqual(await scene.ask(port), answer('parent, heir', carried));
});

scenario('a dual-stack descriptor that was inherited serves both families', async (scene, carried) => {
  const { program: parent, port } = await scene.server('parent', { port: 0, host: '::' });
  parent.tell({ kind: 'inherit' });
  await parent.next('listening');
  parent.tell({ kind: 'close' });
  await parent.next('closed');
  assert.deepEqual(await scene.ask(port, '::1'), answer('parent, heir', carried));
  // Whether it takes IPv4 cannot be asked, so that is left to TCP/IP.
  const { server, client } = await scene.ask(port);
  assert.deepEqual([server, client], ['parent, heir', carried && 'tcpip']);
});

scenario('a server that listens with the handle of another one', async (scene, carried) => {
  const { program: both, port } = await scene.server('both', { port: 0, host: '127.0.0.1' });
  both.tell({ kind: 'share' });
  await both.next('listening');
  for (let i = 0; i < 2; i++) assert.deepEqual(await scene.ask(port), answer('both, second server', carried));
});

scenario('reusePort: several processes, where there is such an option', async (scene, carried, stock) => {
  const options = { port: 0, host: '127.0.0.1', reusePort: true };
  const { port } = await scene.server('one', options);
  const other = scene.stage.start(
    program,
    ['server', 'two', JSON.stringify({ ...options, port })],
    stock ? stockOptions : direct,
  );
  const supported = Number.parseInt(process.versions.node, 10) >= 22;
  if (supported) await other.next('listening');
  else assert.equal((await other.next<{ code: string }>('failed')).code, 'EADDRINUSE');
  const { server, client } = await scene.ask(port);
  assert.match(server, supported ? /^one|two$/ : /^one$/);
  assert.equal(client, carried);
  // At all addresses another process may have a part of it.
  const all = await scene.server('all', { port: 0, host: '0.0.0.0', reusePort: true });
  const seen = await scene.ask(all.port);
  assert.deepEqual([seen.server, seen.client], ['all', supported ? carried && 'tcpip' : carried]);
});

scenario('new net.Socket({ fd }) with a connection that was inherited', async (scene, carried) => {
  const { port } = await scene.server('server', { port: 0, host: '127.0.0.1' });
  scene.client.tell({ kind: 'descriptor', port });
  const { server, provider, client } = await scene.answer();
  assert.deepEqual([server, provider, client], ['server', carried, null]);
});
