/** `winsock-urgent.js PORT`: sends ordinary and urgent data by the packaged Winsock face, and tells what an echo gives back. */

import {
  AF_INET,
  closesocket,
  connect,
  connectionInfo,
  IPPROTO_TCP,
  MSG_OOB,
  recv,
  SD_SEND,
  SOCK_STREAM,
  send,
  shutdown,
  WSACleanup,
  WSASocket,
  WSAStartup,
} from 'sockets-direct/winsock2';
import { report } from './support.js';

WSAStartup(0x0202);
const s = WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
await connect(s, { sa_family: AF_INET, address: '127.0.0.1', port: Number(process.argv[2]) });
await send(s, Buffer.from('before'));
await send(s, Buffer.from('abU'), MSG_OOB);
await send(s, Buffer.from('after'));
shutdown(s, SD_SEND);
let text = '';
const buffer = Buffer.alloc(64);
for (let length = await recv(s, buffer); length > 0; length = await recv(s, buffer)) {
  text += buffer.toString('latin1', 0, length);
}
report('echo', { provider: connectionInfo(s).provider, text });
await closesocket(s);
WSACleanup();
