/**
 * `exit.js ROLE BYTES PIECE [PORT]`: sends that many bytes of the test stream, in writes of at most PIECE bytes, and exits at
 * once.
 *
 *     server        when a client has connected
 *     client        when it has connected
 *     answer        when a client's first bytes have come, in the handler of 'data'
 *     leave         as answer, but without an answer and without end()
 *     ordered       as client, when it is told to
 *     destroy       as client, but with destroy() when the last write is done, and without process.exit()
 */

import net from 'node:net';
import { connect, listen, onOrder, pattern, report } from './support.js';

const [role, amount, piece, port] = process.argv.slice(2);
const bytes = Number(amount);
const data = Buffer.concat(
  Array.from({ length: Math.ceil(bytes / 65536) }, (_, i) => pattern(65536 * i, 65536)),
).subarray(0, bytes);

/** Writes everything but the last piece, which is returned. */
function write(socket: net.Socket): Buffer {
  let at = 0;
  for (; bytes - at > Number(piece); at += Number(piece)) socket.write(data.subarray(at, at + Number(piece)));
  return data.subarray(at);
}

function exitAtOnce(socket: net.Socket): never {
  socket.end(write(socket));
  process.exit(0);
}

// Nothing may reach the program after it has asked for its end.
process.on('exit', () => {
  process.on('beforeExit', () => process.abort());
});

if (role === 'server') {
  const server = net.createServer(exitAtOnce);
  await listen(server);
} else if (role === 'leave') {
  await listen(net.createServer((socket) => socket.on('data', () => process.exit(0))));
} else if (role === 'answer') {
  const server = net.createServer((socket) => {
    let exiting = false;
    socket.on('data', () => {
      if (exiting) process.abort();
      exiting = true;
      exitAtOnce(socket);
    });
  });
  await listen(server);
} else {
  const socket = await connect({ port: Number(port), host: '127.0.0.1' });
  if (role === 'client') exitAtOnce(socket);
  if (role === 'ordered') {
    report('open');
    onOrder('exit', () => exitAtOnce(socket));
    socket.resume();
    await new Promise(() => {});
  }
  // With several pieces not all of it would be on its way, with TCP neither.
  socket.write(write(socket), () => socket.destroy());
}
