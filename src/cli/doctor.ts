/** `sockets-direct doctor`: what works on this machine, what does not, and what to do about it. */

import Table from 'cli-table3';
import type { Command } from 'commander';
import { advice } from '../diagnostics/advice.js';
import { type PeerMemoryReason, peerMemoryReasons } from '../diagnostics/peer-memory.js';
import { type Reason, reasons } from '../diagnostics/reasons.js';
import type { ProviderStatus } from '../diagnostics/status.js';
import { type Check, hostChecks } from './checks.js';
import { measure } from './self-test.js';

interface Report {
  /** Connections between processes like this one are accelerated. */
  readonly accelerated: boolean;
  readonly checks: readonly Check[];
  /** Median round trip of 64 bytes between two processes, in microseconds; null: not measured. */
  readonly roundTrip: { readonly sharedMemory: number | null; readonly tcpip: number | null };
}

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('Tries what a connection needs on this machine, and says what is missing.')
    .option('--json', 'for programs')
    .addHelpText(
      'after',
      '\nExit code 0: connections between processes like this one are accelerated. 1: they are not.',
    )
    .action(async ({ json = false }: { json?: boolean }) => {
      const report = await examine();
      console.log(json ? JSON.stringify(report, null, 2) : readable(report));
      process.exitCode = report.accelerated ? 0 : 1;
    });
}

async function examine(): Promise<Report> {
  const checks = [...hostChecks(process.env)];
  let accelerated = false;
  let sharedMemory: number | null = null;
  let tcpip: number | null = null;
  try {
    const measured = await measure(process.env);
    accelerated = measured.provider === 'shared-memory';
    if (accelerated) sharedMemory = measured.roundTrip;
    tcpip = (await measure({ ...process.env, SOCKETS_DIRECT: 'off' })).roundTrip;
    checks.push(...measured.providers.map(providerCheck), ...addressCheck(measured.unwatched));
    checks.push(selfTest(measured.reason, sharedMemory, tcpip));
    if (measured.peerMemory !== null) checks.push(peerMemory(measured.peerMemory));
  } catch (error) {
    checks.push({
      name: 'self-test',
      state: 'problem',
      detail: error instanceof Error ? error.message : String(error),
    });
  }
  return { accelerated, checks, roundTrip: { sharedMemory, tcpip } };
}

/** Only an accelerator of RDMA reads, so nothing is wrong without it. */
function peerMemory(reason: PeerMemoryReason): Check {
  const how = reason === 'direct' ? '' : 'RDMA reads go over the ring: ';
  return { name: 'peer memory', state: 'ok', detail: `${how}${peerMemoryReasons[reason]} [${reason}]` };
}

/** Nothing depends on a provider of somebody else, so one that is left out is a warning. */
function providerCheck({ name, state, reason, detail, addresses }: ProviderStatus): Check {
  const check = `provider ${name}`;
  if (state === 'started')
    return { name: check, state: 'ok', detail: `serves ${addresses.join(', ') || 'no address'}` };
  if (reason === null) return { name: check, state: 'warning', detail: state };
  return { name: check, state: 'warning', detail: detail ?? reasons[reason], reason, advice: advice[reason] };
}

function addressCheck(unwatched: Reason | null): Check[] {
  if (unwatched === null) return [];
  return [
    { name: 'addresses', state: 'warning', detail: reasons[unwatched], reason: unwatched, advice: advice[unwatched] },
  ];
}

function selfTest(reason: Reason | null, sharedMemory: number | null, tcpip: number): Check {
  const name = 'self-test';
  const byTcpip = `${tcpip.toFixed(1)} us by TCP/IP`;
  if (sharedMemory !== null) {
    const detail = `64 bytes there and back: ${sharedMemory.toFixed(1)} us by shared memory, ${byTcpip}`;
    return { name, state: 'ok', detail };
  }
  if (reason === null)
    return { name, state: 'problem', detail: `two processes were not connected by Sockets Direct, ${byTcpip}` };
  return {
    name,
    state: 'problem',
    detail: `two processes were connected by TCP/IP: ${reasons[reason]}`,
    reason,
    advice: advice[reason],
  };
}

const signs = { ok: 'ok', warning: 'warning', problem: 'PROBLEM' } as const;
const columns = { sign: 9, name: 22 } as const;

function readable({ accelerated, checks }: Report): string {
  const width = Math.max(60, Math.min(process.stdout.columns ?? 110, 130));
  const table = new Table({
    chars: noBorders,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    colWidths: [columns.sign, columns.name, width - columns.sign - columns.name],
    wordWrap: true,
  });
  for (const { state, name, detail, reason, advice } of checks) {
    const lines = [reason === undefined ? detail : `${detail} [${reason}]`];
    if (advice !== undefined) lines.push(advice);
    table.push([signs[state], name, lines.join('\n')]);
  }
  const verdict = accelerated
    ? 'Connections between processes of this user on this machine are accelerated if both run Sockets Direct.'
    : 'Everything works by TCP/IP; nothing is accelerated.';
  return `${trimLines(table.toString())}\n\n${verdict}`;
}

function trimLines(text: string): string {
  return text.replaceAll(/[ \t]+$/gm, '');
}

const noBorders = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((name) => [name, '']),
);
