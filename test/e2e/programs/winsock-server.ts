/**
 * `winsock-server.js VERDICTS [conditional]`: a server on the packaged Winsock face. One WSAAccept for each verdict of the JSON
 * list, and an echo for each connection; then it ends, although its listening socket is open.
 */

import {
  AF_INET,
  bind,
  closesocket,
  connectionInfo,
  getpeername,
  getsockname,
  IPPROTO_TCP,
  listen,
  recv,
  SO_CONDITIONAL_ACCEPT,
  SOCK_STREAM,
  type SOCKET,
  SOL_SOCKET,
  send,
  setsockopt,
  WSAAccept,
  WSAError,
  WSASocket,
  WSAStartup,
} from 'sockets-direct/winsock2';
import { report } from './support.js';

WSAStartup(0x0202);
const listening = WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
setsockopt(listening, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, Number(process.argv[3] === 'conditional'));
bind(listening, { sa_family: AF_INET, address: '127.0.0.1', port: 0 });
listen(listening, 8);
report('listening', { port: getsockname(listening).port, reason: connectionInfo(listening).reason });

await serve(JSON.parse(process.argv[2] ?? '[]') as number[]);

async function serve(verdicts: readonly number[]): Promise<void> {
  for (const verdict of verdicts) {
    try {
      const s = await WSAAccept(listening, () => verdict);
      report('accepted', { provider: connectionInfo(s).provider, peer: getpeername(s) });
      void echo(s);
    } catch (error) {
      if (!(error instanceof WSAError)) throw error;
      report('not accepted', { code: error.code });
    }
  }
}

async function echo(s: SOCKET): Promise<void> {
  const buffer = Buffer.alloc(65536);
  try {
    for (let length = await recv(s, buffer); length > 0; length = await recv(s, buffer)) {
      await send(s, buffer.subarray(0, length));
    }
  } finally {
    await closesocket(s);
    report('closed');
  }
}
