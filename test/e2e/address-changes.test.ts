/** Addresses that come and go while programs run, in a network namespace of the test's own. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { Status } from '../../src/diagnostics/status.js';
import { needsRoot, type Program, Stage, until } from '../support/stage.js';

const limit = { timeout: 60_000 };

/** A network namespace that lives as long as the test. */
class Namespace {
  readonly #pid: number;
  /** What runs a command in it. */
  readonly wrapper: readonly string[];

  private constructor(pid: number) {
    this.#pid = pid;
    this.wrapper = ['nsenter', `--net=/proc/${this.#pid}/ns/net`];
  }

  /** Null, and the test is skipped, where there can be none. */
  static async open(t: TestContext): Promise<Namespace | null> {
    if (!needsRoot(t)) return null;
    // It says one byte once it is in its namespace, and ends with its input.
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo .; cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const [first] = (await Promise.race([
      once(holder.stdout, 'data'),
      once(holder, 'close'),
      once(holder, 'error'),
    ])) as [unknown];
    if (!Buffer.isBuffer(first)) {
      t.skip('no network namespace can be made here (unshare --net)');
      return null;
    }
    t.after(() => holder.kill('SIGKILL'));
    const namespace = new Namespace(holder.pid!);
    namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  }

  ip(...args: readonly string[]): void {
    execFileSync(this.wrapper[0]!, [...this.wrapper.slice(1), 'ip', ...args], { stdio: 'pipe' });
  }
}

async function start(stage: Stage, namespace: Namespace, name = 'guest'): Promise<Program> {
  const program = stage.start(name, [], { wrapper: namespace.wrapper });
  await program.next('ready');
  return program;
}

async function statusOf(program: Program): Promise<Status> {
  program.tell({ kind: 'status' });
  return (await program.next<{ status: Status }>('status')).status;
}

async function servesWhen(program: Program, address: string, serves: boolean): Promise<void> {
  await until(
    async () => {
      const [{ addresses }] = (await statusOf(program)).providers as unknown as [{ addresses: readonly string[] }];
      return addresses.some((one) => one.startsWith(`${address}/`)) === serves;
    },
    `${address} is ${serves ? '' : 'not '}served`,
  );
}

async function reasonWhen(program: Program, port: number, reason: string): Promise<void> {
  await until(
    async () => (await statusOf(program)).listeners.find(({ address }) => address.port === port)?.reason === reason,
    `the listener is ${reason}`,
  );
}

for (const [family, address, own, wildcard] of [
  ['IPv4', '10.77.0.5', '127.0.0.1', '0.0.0.0'],
  ['IPv6', 'fd77::5', '::1', '::'],
] as const) {
  test(
    `[shared-memory] WSD-PRX-2 WSD-PRX-5 WSD-TBL-6 the kernel tells of ${family} addresses, and the switch follows`,
    limit,
    async (t) => {
      const namespace = await Namespace.open(t);
      if (namespace === null) return;
      const stage = new Stage(t);
      const [server, client] = await Promise.all([start(stage, namespace), start(stage, namespace)]);
      server.tell({ kind: 'listen', options: { port: 0, host: wildcard } });
      const { port } = await server.next<{ port: number }>('listening');
      const connect = async (host: string): Promise<string> => {
        client.tell({ kind: 'connect', options: { host, port } });
        return (await client.next<{ provider: string }>('connected')).provider;
      };
      // Both switches have started, and nobody asks for anything from here on but by `status`, which looks at nothing.
      assert.equal(await connect(own), 'shared-memory');
      assert.equal((await statusOf(server)).unwatched, null);
      const suffix = family === 'IPv4' ? '/24' : '/64';
      namespace.ip('address', 'add', `${address}${suffix}`, 'dev', 'lo');
      await servesWhen(server, address, true);
      await servesWhen(client, address, true);
      assert.equal(await connect(address), 'shared-memory');
      server.tell({ kind: 'listen', options: { port: 0, host: address } });
      const exact = await server.next<{ port: number; reason: string }>('listening');
      assert.equal(exact.reason, 'accelerated');

      namespace.ip('address', 'del', `${address}${suffix}`, 'dev', 'lo');
      await servesWhen(server, address, false);
      await servesWhen(client, address, false);
      await reasonWhen(server, exact.port, 'not-routed');
      client.tell({ kind: 'say', socket: 1, text: 'still here' });
      assert.equal((await client.next<{ text: string }>('echo')).text, 'still here', 'the connection stays');
      client.tell({ kind: 'connect', options: { host: address, port } });
      assert.equal((await client.next<{ code: string }>('failed')).code, 'ENETUNREACH');

      namespace.ip('address', 'add', `${address}${suffix}`, 'dev', 'lo');
      await reasonWhen(server, exact.port, 'accelerated');
      assert.equal(await connect(address), 'shared-memory');
    },
  );
}

test(
  '[shared-memory] SIO_ADDRESS_LIST_CHANGE completes when the kernel tells, and a program that only waits for it ends with it',
  limit,
  async (t) => {
    const namespace = await Namespace.open(t);
    if (namespace === null) return;
    const stage = new Stage(t);
    const program = await start(stage, namespace, 'address-waiter');
    await assert.rejects(program.next('changed', 50), 'nothing has changed');
    namespace.ip('address', 'add', '10.77.0.6/32', 'dev', 'lo');
    await program.next('changed');
    assert.equal((await program.ended()).code, 0, program.output);
  },
);

test('[shared-memory] many changes at once are not lost', limit, async (t) => {
  const namespace = await Namespace.open(t);
  if (namespace === null) return;
  const stage = new Stage(t);
  const server = await start(stage, namespace);
  server.tell({ kind: 'listen', options: { port: 0, host: '127.0.0.1' } });
  await server.next('listening');
  const numbers = Array.from({ length: 250 }, (_, i) => i + 1);
  const batch = (command: string): string => numbers.map((n) => `address ${command} 10.78.0.${n}/32 dev lo`).join('\n');
  for (const [command, count] of [
    ['add', 250],
    ['del', 0],
  ] as const) {
    execFileSync(namespace.wrapper[0]!, [...namespace.wrapper.slice(1), 'ip', '-batch', '-'], {
      input: batch(command),
    });
    await until(async () => {
      const [{ addresses }] = (await statusOf(server)).providers as unknown as [{ addresses: readonly string[] }];
      return addresses.filter((one) => one.startsWith('10.78.')).length === count;
    }, `${count} addresses are known`);
  }
  // One descriptor has told of all of them.
  const sockets = readFileSync(`/proc/${server.pid}/net/netlink`, 'utf8')
    .split('\n')
    .filter((line) => new RegExp(`^\\S+\\s+0\\s+${server.pid}\\s`).test(line));
  assert.equal(sockets.length, 1, sockets.join('\n'));
});
