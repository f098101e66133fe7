/**
 * `side.js acceptor|connector`: one end of the connections of the stress tests. A plan says what it does with each; the
 * acceptor takes connections, the connector connects when it is told to. It keeps an account of what became of them.
 */

import { once } from 'node:events';
import net from 'node:net';
import { Checker, carrier, listen, onOrder, report, send, stream } from '../../test/e2e/programs/support.js';
import { type Account, type Ended, type Opened, type Plan, plans } from '../account.js';
import { lastLinkEnd, startCensus } from '../census.js';

const census = await startCensus();
const [role, planName = 'exchange'] = process.argv.slice(2);
let plan: Plan = plans[planName as keyof typeof plans];

const opened: Opened[] = [];
let begin = (): void => {};
const beginning = new Promise<void>((resolve) => {
  begin = resolve;
});
const ended: Ended[] = [];
const failed: Account['failed'] = [];

function now(): number {
  return performance.timeOrigin + performance.now();
}

function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

async function use(socket: net.Socket): Promise<void> {
  const { bytes, end, pieceTime, waits } = plan;
  const { provider } = carrier(socket);
  const checker = new Checker().watch(socket);
  if (pieceTime !== undefined) socket.on('data', () => busy(pieceTime));
  const how: string[] = [];
  let time = 0;
  const learnt = (what: string): void => {
    how.push(what);
    if (time === 0) time = now();
  };
  // A plan that ends after sending sends everything, even if the peer has finished first.
  let sending = false;
  socket.on('end', () => {
    learnt('end');
    if (!sending) socket.end();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => learnt(`${error.code}`));
  socket.on('close', () => {
    ended.push({ how: how.join(', '), time, provider, bytes: checker.bytes, correct: checker.correct });
  });
  const port = role === 'acceptor' ? socket.remotePort : socket.localPort;
  opened.push({ provider, port: port! });
  report('opened');
  if (waits) await beginning;
  if (bytes === 'endless') {
    stream(socket);
    return;
  }
  sending = end === 'after sending';
  try {
    await send(socket, bytes);
    if (sending) socket.end();
  } catch {
    // The socket's own 'error' tells.
  }
}

onOrder('plan', ({ name }) => {
  plan = plans[name as keyof typeof plans];
  report('planned');
});
async function connect(port: number): Promise<void> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  try {
    await once(socket, 'connect');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const { reason } = carrier(socket);
    failed.push({ code: `${code}`, reason, time: now() });
    report('failed', { reason });
    return;
  }
  await use(socket);
}

onOrder('begin', () => begin());
/** Connects so many times in one turn. */
onOrder('connect', ({ port, count = 1 }) => {
  for (let i = 0; i < Number(count); i++) void connect(Number(port));
});
onOrder('block', ({ milliseconds }) => {
  report('blocking');
  busy(Number(milliseconds));
});
onOrder('account', async () => {
  const account: Account = { opened, ended, failed, lastLinkEnd: lastLinkEnd.time, census: await census() };
  report('account', { account });
});
onOrder('forget', () => {
  for (const list of [opened, ended, failed]) list.length = 0;
  lastLinkEnd.time = 0;
  report('forgotten');
});

if (role === 'acceptor') {
  await listen(net.createServer({ allowHalfOpen: true }, (socket) => void use(socket)));
} else {
  // It waits for orders.
  setInterval(() => {}, 60_000);
  report('ready');
}
