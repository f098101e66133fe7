/** Ways to hand a socket over. `handing owner <way> <port>` connects to an echo server; `handing child <way> <port>`. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { carrier, connect, reported } from '../../e2e/programs/support.js';

const [role, way, port] = process.argv.slice(2) as [string, string, string];
const log: string[] = [];
const address = { port: Number(port), host: '127.0.0.1' };
let provider: string | null = null;

/** Writes, waits for the echo, ends. */
async function talk(socket: net.Socket, text: string): Promise<string> {
  let heard = '';
  socket.setEncoding('utf8').on('data', (part) => {
    heard += part;
    if (heard.length === text.length) socket.end();
  });
  socket.write(text);
  await once(socket, 'close');
  return heard;
}

async function open(): Promise<net.Socket> {
  const socket = await connect(address);
  ({ provider } = carrier(socket));
  return socket;
}

/**
 * One that never reads: on stock Node.js the parent reads on until the child's confirmation has arrived, and whatever comes
 * in that time is lost.
 */
async function openPaused(): Promise<net.Socket> {
  const socket = net.connect(address).pause();
  await once(socket, 'connect');
  ({ provider } = carrier(socket));
  return socket;
}

/** The child tells its parent, and ends when that has gone. */
async function child(): Promise<void> {
  process.channel!.ref();
  const tell = (line: string): void => {
    process.send!({ kind: 'line', line });
  };
  if (way === 'toParent') {
    const socket = await open();
    process.send!({ kind: 'provider', provider });
    process.send!('mine', socket);
    return;
  }
  let expected = way === 'several' ? 5 : 1;
  process.on('message', async (message: unknown, handle: unknown) => {
    if (!(handle instanceof net.Socket)) {
      tell(`${message} ${handle === undefined ? 'alone' : (handle as object).constructor.name}`);
      if (way !== 'raw') return;
    }
    const socket = handle instanceof net.Socket ? handle : new net.Socket({ handle } as net.SocketConstructorOpts);
    if (way === 'keepOpen') {
      // Two processes that read one descriptor take turns by chance.
      (socket as unknown as { _handle: { readStop(): void } })._handle.readStop();
      socket.write('from the child', () => tell('written'));
      socket.on('close', () => tell('closed'));
      return;
    }
    const { remoteAddress, remoteFamily, localAddress } = socket;
    const heard = await talk(socket, `${message}, said by the child`);
    tell(`${heard} ${remoteAddress} ${remoteFamily} ${localAddress}`);
    if (--expected === 0) process.disconnect();
  });
  process.send!('ready');
}

function start(): ChildProcess {
  return fork(fileURLToPath(import.meta.url), ['child', way, port], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: way === 'advanced' ? 'advanced' : 'json',
  });
}

async function owner(): Promise<void> {
  const started = start();
  const ended = once(started, 'exit');
  started.on('message', (message: { kind?: string; line: string; provider: string | null }) => {
    if (message.kind === 'line') log.push(message.line);
    if (message.kind === 'provider') ({ provider } = message);
  });
  // Messages that arrive together are emitted before whoever awaits the first one goes on.
  const mine = new Promise<net.Socket>((resolve) => {
    started.on('message', (message, handle) => {
      if (message === 'mine') resolve(handle as net.Socket);
    });
  });
  await once(started, 'message');
  const sent = (name: string) => (error: Error | null) => log.push(`${name} sent: ${error}`);
  if (way === 'toParent') {
    log.push(`mine: ${await talk(await mine, 'said by the parent')}`);
    started.disconnect();
  } else if (way === 'connecting') {
    const socket = net.connect(address);
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      // Whether the connect is over before the handle has gone to the child is chance, on stock as well.
      if (code !== 'ECANCELED') log.push(`error ${code}`);
    });
    // The connect has begun by then, and nothing has come of it yet.
    process.nextTick(() => {
      log.push(`connecting ${socket.connecting}`);
      started.send('connecting', socket, sent('connecting'));
    });
  } else if (way === 'several') {
    for (let i = 0; i < 5; i++) {
      const socket = await openPaused();
      started.send(`socket ${i}`, socket);
      started.send(`text ${i}`);
      log.push(`destroyed ${socket.destroyed}`);
    }
  } else if (way === 'keepOpen') {
    const socket = await open();
    let heard = '';
    socket.setEncoding('utf8').on('data', (part) => {
      heard += part;
    });
    const { remoteAddress, remotePort, localPort } = socket;
    socket.write('from the parent, ');
    await once(socket, 'data');
    started.send('shared', socket, { keepOpen: true });
    await Promise.all([once(socket, 'data'), once(started, 'message')]);
    log.push(heard, `read ${socket.bytesRead}, written ${socket.bytesWritten}`);
    log.push(`same ${remoteAddress === socket.remoteAddress && remotePort === socket.remotePort}`);
    log.push(`same ${localPort === socket.localPort}, destroyed ${socket.destroyed}`);
    socket.end();
    started.kill();
    await once(socket, 'close');
    log.push('closed');
  } else if (way === 'raw') {
    const socket = (await open()) as net.Socket & { _handle: object };
    started.send('raw', socket._handle as net.Socket, { keepOpen: true }, sent('raw'));
    await once(started, 'message');
    socket.destroy();
  } else started.send(way, await openPaused(), sent(way));
  await ended;
  await reported('log', { log: log.sort(), provider });
}

await { owner, child }[role]!();
