/** `winsock-client.js PORT BYTES`: sends the test stream by the packaged Winsock face, and compares what comes back. */

import {
  AF_INET,
  closesocket,
  connect,
  connectionInfo,
  IPPROTO_TCP,
  recv,
  SD_SEND,
  SOCK_STREAM,
  send,
  shutdown,
  WSACleanup,
  WSAError,
  WSASocket,
  WSAStartup,
} from 'sockets-direct/winsock2';
import { Checker, pattern, report } from './support.js';

const [port, bytes] = process.argv.slice(2).map(Number);
WSAStartup(0x0202);
const s = WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
try {
  await connect(s, { sa_family: AF_INET, address: '127.0.0.1', port: port! });
  const checker = new Checker();
  await Promise.all([sendAll(), receiveAll(checker)]);
  report('echo', { provider: connectionInfo(s).provider, bytes: checker.bytes, correct: checker.correct });
} catch (error) {
  if (!(error instanceof WSAError)) throw error;
  report('failed', { code: error.code, syscall: error.syscall });
}
await closesocket(s);
WSACleanup();

async function sendAll(): Promise<void> {
  for (let at = 0; at < bytes!; at += 65536) await send(s, pattern(at, Math.min(65536, bytes! - at)));
  shutdown(s, SD_SEND);
}

async function receiveAll(checker: Checker): Promise<void> {
  const buffer = Buffer.alloc(65536);
  for (let length = await recv(s, buffer); length > 0; length = await recv(s, buffer)) {
    checker.take(buffer.subarray(0, length));
  }
}
