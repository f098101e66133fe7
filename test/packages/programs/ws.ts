/** ws: text and binary messages, fragments, compression, pings, streams, closing codes, a connection that is cut. */

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { createWebSocketStream, type RawData, WebSocket, WebSocketServer } from 'ws';
import { cert, key } from '../../support/certificate.js';
import { bytes, closed, compared, fact, host, listen, pieces, play } from './side.js';

const secure = process.argv.includes('--tls');
const MiB = 1 << 20;

async function opened(port: number, path: string, compress = false): Promise<WebSocket> {
  const options = { perMessageDeflate: compress, ca: cert, servername: 'localhost' };
  const socket = new WebSocket(`${secure ? 'wss' : 'ws'}://${host}:${port}${path}`, options);
  await once(socket, 'open');
  return socket;
}

function asBuffer(data: RawData): Buffer {
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
}

/** Sends all, and counts the answers that come back in order and as sent. */
async function echoes(socket: WebSocket, messages: readonly (Buffer | string)[]): Promise<number> {
  let got = 0;
  let right = 0;
  const all = new Promise<void>((resolve) => {
    socket.on('message', function take(data, isBinary) {
      const sent = messages[got];
      if (isBinary === (typeof sent !== 'string') && asBuffer(data).equals(Buffer.from(sent as Buffer))) right += 1;
      got += 1;
      if (got < messages.length) return;
      socket.off('message', take);
      resolve();
    });
  });
  for (const message of messages) socket.send(message);
  await all;
  return right;
}

async function closing(socket: WebSocket, code: number, reason: string): Promise<string> {
  socket.close(code, reason);
  const [got, text] = (await once(socket, 'close')) as [number, Buffer];
  return `${got} ${text}`;
}

async function client(port: number): Promise<void> {
  const messages = Array.from({ length: 200 }, (_, i) =>
    i % 3 === 0 ? `text ${i} ${'ü'.repeat(i)}` : bytes(i * 37, i),
  );
  const counts = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const socket = await opened(port, '/echo', i % 2 === 0);
      const right = await echoes(socket, messages);
      return `${right} (${await closing(socket, 4000 + i, `done ${i}`)})`;
    }),
  );
  fact(`echoes of 200: ${counts.join(', ')}`);

  const socket = await opened(port, '/echo');
  fact(`large ones: ${await echoes(socket, [bytes(4 * MiB, 1), bytes(MiB + 1, 2), ''])} of 3`);
  const parts = Array.from({ length: 10 }, (_, i) => bytes(100_000, i));
  const whole = once(socket, 'message');
  parts.forEach((part, i) => {
    socket.send(part, { fin: i === parts.length - 1, binary: true });
  });
  fact(`fragments: ${compared(asBuffer((await whole)[0] as RawData), Buffer.concat(parts))}`);
  const pong = once(socket, 'pong');
  socket.ping('are you there');
  fact(`pong: ${(await pong)[0]}`);
  await closing(socket, 1000, '');

  const stream = createWebSocketStream(await opened(port, '/stream'));
  const body = bytes(4 * MiB, 5);
  const got: Buffer[] = [];
  let length = 0;
  // A WebSocket has no half that could be ended alone, so all has to be back before the end.
  const complete = new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      got.push(chunk);
      length += chunk.length;
      if (length >= body.length) resolve();
    });
  });
  Readable.from(pieces(body, 50_000)).pipe(stream, { end: false });
  await complete;
  fact(`stream: ${compared(Buffer.concat(got), body)}`);
  stream.end();
  await once(stream, 'close');

  const cut = await opened(port, '/flood');
  await once(cut, 'message');
  cut.terminate();
  const [code] = (await once(cut, 'close')) as [number];
  fact(`terminated: ${code}`);
  const witness = await opened(port, '/witness');
  const seen = once(witness, 'message');
  witness.send('what did you see?');
  fact(`the server saw it: ${(await seen)[0]}`);
  const last = once(witness, 'close');
  witness.send('end');
  const [lastCode, reason] = (await last) as [number, Buffer];
  fact(`closed by the server: ${lastCode} ${reason}`);
}

async function server() {
  const under: Server = secure ? https.createServer({ key, cert }) : createServer();
  const sockets = new WebSocketServer({ server: under, perMessageDeflate: true, maxPayload: 16 * MiB });
  let terminated!: (text: string) => void;
  const seen = new Promise<string>((resolve) => {
    terminated = resolve;
  });
  sockets.on('connection', (socket, request) => {
    if (request.url === '/stream') {
      const stream = createWebSocketStream(socket);
      stream.pipe(stream);
    } else if (request.url === '/flood') {
      socket.on('close', (code) => terminated(`closed with ${code}`));
      const more = (): void => {
        if (socket.readyState === WebSocket.OPEN) socket.send(bytes(MiB), more);
      };
      more();
    } else if (request.url === '/witness') {
      socket.once('message', () => {
        void seen.then((text) => socket.send(text));
        socket.once('message', () => socket.close(4999, 'that was all'));
      });
    } else {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    }
  });
  return { port: await listen(under), close: () => closed(under) };
}

await play({ server, client });
