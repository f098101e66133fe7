/** How `sockets-direct status` shows what processes have told. */

import Table from 'cli-table3';
import { type PeerMemoryReason, peerMemoryReasons } from '../diagnostics/peer-memory.js';
import { type Reason, reasons } from '../diagnostics/reasons.js';
import type { ConnectionStatus, PeerStatus, PollingStatus, ProviderStatus, Status } from '../diagnostics/status.js';
import type { ProcessStatus, SystemStatus } from '../status/reader.js';

const noBorders = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .map((part) => [part, '']),
);

const states = {
  running: '',
  stopped: 'stopped by a signal or a debugger',
  busy: 'does not answer: its event loop is busy',
  unreadable: 'gives an answer that cannot be read; it may be of another version',
} as const;

/** `before`: an earlier look, since which the share of polling is told; without it, since the process began. */
export function view(now: SystemStatus, before: SystemStatus | null = null): string {
  const parts = now.processes.map((one) => processText(one, before));
  if (parts.length === 0) parts.push('No process of this user runs Sockets Direct, or none has used a socket yet.');
  for (const problem of now.problems) parts.push(`Not looked at: ${problem}`);
  return `${parts.join('\n\n')}\n`;
}

function processText(one: ProcessStatus, before: SystemStatus | null): string {
  const state = states[one.state];
  const lines = [`${one.pid}  ${one.program || '?'}${state === '' ? '' : `  (${state})`}`];
  const earlier = before?.processes.find(({ pid }) => pid === one.pid)?.threads ?? [];
  const severalThreads = one.threads.length + one.silent.length > 1;
  for (const thread of one.threads) {
    const name = severalThreads ? `${threadName(thread.threadId)}: ` : '';
    lines.push(
      `  ${name}${threadText(
        thread,
        earlier.find(({ threadId }) => threadId === thread.threadId),
      )}`,
    );
    lines.push(...details(thread).map((line) => `    ${line}`));
  }
  if (one.state === 'running') {
    for (const thread of one.silent) lines.push(`  ${threadName(thread)}: ${states.busy}`);
  }
  return lines.join('\n');
}

function threadName(threadId: number): string {
  return threadId === 0 ? 'main thread' : `worker ${threadId}`;
}

function threadText(thread: Status, before: Status | undefined): string {
  const accelerated = thread.connections.filter(({ provider }) => provider !== 'tcpip').length;
  const parts = [
    `Node.js ${thread.node}, up ${duration(thread.age)}`,
    `${accelerated} of ${plural(thread.connections.length, 'connection')} accelerated`,
  ];
  const share = pollingShare(thread.polling, before?.polling ?? null);
  if (share !== null) parts.push(`polling ${share}`);
  return parts.join(', ');
}

function pollingShare(now: PollingStatus | null, before: PollingStatus | null): string | null {
  if (now === null) return null;
  const time = now.time - (before?.time ?? 0);
  const fruitless = now.fruitless - (before?.fruitless ?? 0);
  return time <= 0 ? null : `${((100 * fruitless) / time).toFixed(1)} %`;
}

function details(thread: Status): string[] {
  const lines: string[] = [];
  if (thread.unavailable !== null) lines.push(`no SAN: ${reasonText(thread.unavailable)}`);
  if (thread.providers.length > 0) lines.push(`providers: ${thread.providers.map(providerText).join(', ')}`);
  if (thread.unwatched !== null) lines.push(`addresses: ${reasonText(thread.unwatched)}`);
  for (const { address, reason, connections } of thread.listeners) {
    const how = reason === 'accelerated' ? '' : `, by TCP/IP only: ${reasonText(reason)}`;
    lines.push(`listens at ${endpoint(address)}, ${plural(connections, 'connection')}${how}`);
  }
  if (thread.connections.length > 0) lines.push(...connectionTable(thread.connections));
  const hidden = thread.connectionsTotal - thread.connections.length;
  if (hidden > 0) lines.push(`and ${plural(hidden, 'more connection')}`);
  lines.push(...peerMemory(thread.peers));
  const counters = Object.entries(thread.counters).sort(([, a], [, b]) => b - a);
  if (counters.length > 0) {
    lines.push(`decisions: ${counters.map(([reason, count]) => `${count} ${reason}`).join(', ')}`);
  }
  return lines;
}

function providerText({ name, state, reason, detail }: ProviderStatus): string {
  if (state === 'started') return name;
  if (state === 'left-out') return `${name} (left out: ${detail ?? (reason === null ? '?' : reasonText(reason))})`;
  return `${name} (${state === 'removed' ? 'removed, has connections' : 'not used yet'})`;
}

function connectionTable(connections: readonly ConnectionStatus[]): string[] {
  const table = new Table({
    head: ['provider', 'role', 'local', 'peer', 'pid', 'age', 'read', 'written', 'credits', 'reason'],
    chars: { ...noBorders, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', 'left', 'left', 'left', 'right', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const one of connections) {
    table.push([
      one.provider,
      one.role,
      endpoint(one.localAddress),
      endpoint(one.peerAddress),
      one.peerPid ?? '',
      one.age === null ? '' : duration(one.age),
      bytes(one.bytesRead),
      bytes(one.bytesWritten),
      one.credits ?? '',
      one.state === 'closing' ? 'closing' : one.reason,
    ]);
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

/** Peers whose RDMA memory was asked for, by how it comes. */
function peerMemory(peers: readonly PeerStatus[]): string[] {
  const byReason = new Map<PeerMemoryReason, number[]>();
  for (const { pid, memory } of peers) {
    if (memory !== 'not-tried') byReason.set(memory, [...(byReason.get(memory) ?? []), pid]);
  }
  return [...byReason].map(([reason, pids]) => {
    const known = Object.hasOwn(peerMemoryReasons, reason) ? peerMemoryReasons[reason] : reason;
    return `RDMA reads from ${pids.slice(0, 10).join(', ')}${pids.length > 10 ? ' and others' : ''}: ${known}`;
  });
}

function reasonText(reason: Reason): string {
  return Object.hasOwn(reasons, reason) ? reasons[reason] : reason;
}

function endpoint({ address, port }: { address: string; port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Two units at most: `2d 3h`, `5m 12s`, `0s`. */
export function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const units = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3600) % 24],
    ['m', Math.floor(seconds / 60) % 60],
    ['s', seconds % 60],
  ] as const;
  const first = units.findIndex(([, value]) => value > 0);
  return first < 0
    ? '0s'
    : units
        .slice(first, first + 2)
        .map(([unit, value]) => `${value}${unit}`)
        .join(' ');
}

/** Three digits and a unit of 1000: `999 B`, `1.23 kB`, `45.6 MB`. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}
