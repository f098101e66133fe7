/**
 * A server in the manner of inetd: `stdio server <program>` gives each connection to a program that knows nothing of sockets.
 * `stdio client <port> <what>` talks to it.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { Checker, carrier, connect, listen, report, reported, send } from '../../e2e/programs/support.js';

const [role, what, mode] = process.argv.slice(2) as [string, string, string];
const log: string[] = [];
const mebibytes = 1 << 20;

const commands: Record<string, [string, string[]]> = {
  cat: ['cat', []],
  line: ['sh', ['-c', 'read word; echo "got $word"']],
  quiet: ['sh', ['-c', 'cat > /dev/null; echo done']],
};

if (role === 'server') {
  const server = net.createServer({ pauseOnConnect: what !== 'line', allowHalfOpen: true });
  await listen(server);
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  const { provider } = carrier(socket);
  const { bytesRead } = socket;
  socket.on('close', (hadError) => log.push(`socket: close ${hadError}`));
  const child = spawn(...commands[what]!, { stdio: [socket, socket, 'inherit'] });
  log.push(`stdin ${child.stdin}, stdout ${child.stdout}, paused ${socket.isPaused()}, read ${bytesRead}`);
  // The child has a descriptor of its own.
  socket.destroy();
  server.close();
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  log.push(`exit ${code} ${signal}`);
  await reported('log', { log, provider });
} else {
  const socket = await connect({ port: Number(what), host: '127.0.0.1', allowHalfOpen: true });
  const checker = new Checker().watch(socket);
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    if (text.length < 100) text += chunk.toString('latin1');
  });
  socket.on('end', () => log.push('end'));
  const closed = once(socket, 'close');
  if (mode === 'line') socket.write('hello\n');
  else await send(socket, 4 * mebibytes);
  if (mode === 'line') await once(socket, 'end');
  socket.end();
  await closed;
  log.push(mode === 'cat' ? `${checker.bytes} bytes${checker.correct ? ', as sent' : ''}` : text);
  report('log', { log, provider: carrier(socket).provider });
}
