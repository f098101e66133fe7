/** Whether the peer's memory is read, link by link: asked of the kernel, proved by bytes, and never trusted further. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import type { ProcessMemory } from '../../src/platform/index.js';
import { ownProbe, PeerMemory, type Probe } from '../../src/providers/shared-memory/peer-memory.js';
import { platform } from '../link/support.js';
import { needsRoot } from '../support/stage.js';

const script = `
  const { loadPlatform } = await import(${JSON.stringify(new URL('../../src/platform/index.js', import.meta.url).href)});
  const platform = loadPlatform();
  globalThis.kept = new ArrayBuffer(1 << 20);
  new Uint8Array(kept).forEach((_, i, all) => { all[i] = i * 7; });
  console.log(platform.addressOf(kept).toString());
  process.stdin.resume();
`;

/** A process with a megabyte whose bytes are known. */
async function other(t: TestContext): Promise<{ child: ChildProcess; pid: number; address: bigint; probe: Probe }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
  const address = BigInt(line);
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i * 7);
  return { child, pid: child.pid!, address, probe: { address, bytes } };
}

const into = new Uint8Array(1 << 20);
const intoAddress = platform.addressOf(into.buffer)!;

function memoryOf(pid: number, probe: Probe | null, more: Partial<ProcessMemory> = {}, allowed = true): PeerMemory {
  return new PeerMemory({ platform: { ...platform, ...more }, pid, probe, allowed });
}

test('[shared-memory] the memory of another process is read once it has proved to be the peer', async (t) => {
  const { pid, address, probe } = await other(t);
  const memory = memoryOf(pid, probe);
  assert.equal(memory.access, 'not-tried');
  assert.equal(memory.read(address, intoAddress, 1 << 20), true);
  assert.equal(memory.access, 'direct');
  assert.ok(into.every((byte, i) => byte === ((i * 7) & 0xff)));
  memory.close();
  assert.equal(memory.read(address, intoAddress, 16), false, 'the link has ended');
});

test('[shared-memory] wrong bytes, no address, and no process: none of them is believed', async (t) => {
  const { pid, address, probe } = await other(t);
  for (const [what, number, told, expected] of [
    ['other bytes', pid, { ...probe, bytes: new Uint8Array(16) }, 'not-the-peer'],
    ['an address where nothing is', pid, { ...probe, address: 4096n }, 'not-the-peer'],
    ['an address of no process', pid, { ...probe, address: 0xffff_ffff_ffff_f000n }, 'not-the-peer'],
    ['another process', process.pid, probe, 'not-the-peer'],
    ['no number', 0, probe, 'other-pid-namespace'],
    ['a number of nobody', 0x3fff_ffff, probe, 'not-permitted'],
    ['no offer', pid, null, 'off-at-peer'],
  ] as const) {
    const memory = memoryOf(number, told);
    assert.equal(memory.try(), expected, what);
    assert.equal(memory.read(address, intoAddress, 16), false, what);
  }
  assert.equal(memoryOf(pid, probe, {}, false).try(), 'off-by-environment');
  assert.equal(ownProbe(platform, { SOCKETS_DIRECT_PEER_MEMORY: 'off' }), null);
});

test('[shared-memory] a refusal of the kernel is told from a filter that blocks the call', async (t) => {
  const { pid, probe } = await other(t);
  // As Yama has it: others are refused, oneself is not.
  const yama: ProcessMemory['readProcessMemory'] = (one, ...more) =>
    one === process.pid ? platform.readProcessMemory(one, ...more) : 'EPERM';
  assert.equal(memoryOf(pid, probe, { readProcessMemory: yama }).try(), 'not-permitted');
  for (const code of ['EPERM', 'ENOSYS']) {
    assert.equal(memoryOf(pid, probe, { readProcessMemory: () => code }).try(), 'call-blocked');
  }
  // Permission may be lost: the peer changes its user, or says that it must not be traced.
  let lost = false;
  const losing: ProcessMemory['readProcessMemory'] = (...call) =>
    lost ? 'EPERM' : platform.readProcessMemory(...call);
  const memory = memoryOf(pid, probe, { readProcessMemory: losing });
  assert.equal(memory.try(), 'direct');
  lost = true;
  assert.equal(memory.read(probe.address, intoAddress, 16), false);
  assert.equal(memory.access, 'not-permitted');
});

test('[shared-memory] a process without the capabilities of its peer is refused by the kernel, and knows it', async (t) => {
  if (!needsRoot(t)) return;
  const { pid, probe } = await other(t);
  const program = `
    const { loadPlatform } = await import(${JSON.stringify(new URL('../../src/platform/index.js', import.meta.url).href)});
    const { PeerMemory } = await import(${JSON.stringify(new URL('../../src/providers/shared-memory/peer-memory.js', import.meta.url).href)});
    const probe = { address: ${probe.address}n, bytes: Uint8Array.from(${JSON.stringify([...probe.bytes])}) };
    console.log(new PeerMemory({ platform: loadPlatform(), pid: ${pid}, probe, allowed: true }).try());
  `;
  const run = (...command: readonly string[]): string => {
    const [file, ...args] = [...command, process.execPath, '--input-type=module', '-e', program];
    const { stdout, stderr, error } = spawnSync(file!, args, { encoding: 'utf8' });
    assert.equal(error, undefined);
    assert.equal(stderr, '');
    return stdout.trim();
  };
  assert.equal(run(), 'direct');
  assert.equal(run('setpriv', '--bounding-set', '-sys_ptrace', '--inh-caps', '-sys_ptrace'), 'not-permitted');
});

test('[shared-memory] memory that the peer has unmapped, and a peer that has died, give nothing and no harm', async (t) => {
  const { child, pid, address, probe } = await other(t);
  const memory = memoryOf(pid, probe);
  assert.equal(memory.try(), 'direct');
  assert.equal(memory.read(4096n, intoAddress, 16), false, 'nothing is there');
  assert.equal(memory.read(address - (1n << 40n), intoAddress, 1 << 20), false);
  assert.equal(memory.read(address, intoAddress, 16), true, 'what is there can still be read');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(memory.read(address, intoAddress, 16), false);
  memory.close();
});

test('[shared-memory] a process that has the number of a dead one is not taken for it', async (t) => {
  const { child, pid, probe } = await other(t);
  // The number goes on being read as if it had been given to somebody else at once.
  const reused: ProcessMemory['readProcessMemory'] = (one, address, at, length) =>
    one === pid && child.exitCode === null && child.signalCode === null
      ? platform.readProcessMemory(one, address, at, length)
      : length;
  const memory = memoryOf(pid, probe, { readProcessMemory: reused });
  assert.equal(memory.try(), 'direct');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(memory.read(probe.address, intoAddress, 16), false);
});
