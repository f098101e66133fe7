/**
 * `winsock-sharer.js`: a process that does with sockets what it is told, one order after the other or several at once, and
 * tells how each has ended. Sockets have names; `info` of one process is what another one receives.
 */

import {
  AF_INET,
  accept,
  bind,
  closesocket,
  connect,
  connectionInfo,
  FROM_PROTOCOL_INFO,
  getsockname,
  IPPROTO_TCP,
  listen,
  recv,
  SD_SEND,
  SOCK_STREAM,
  type SOCKET,
  send,
  shutdown,
  WSADuplicateSocket,
  WSAError,
  type WSAPROTOCOL_INFO,
  WSASocket,
  WSAStartup,
} from 'sockets-direct/winsock2';
import { onOrder, report } from './support.js';

interface Order {
  readonly id: number;
  readonly do: keyof typeof actions;
  readonly s: string;
  readonly port: number;
  readonly processId: number;
  readonly info: WSAPROTOCOL_INFO;
  readonly text: string;
  readonly length: number;
  readonly name: string;
}

WSAStartup(0x0202);
const sockets = new Map<string, SOCKET>();
const at = (port: number) => ({ sa_family: AF_INET, address: '127.0.0.1', port });
const known = ({ s }: Order): SOCKET => sockets.get(s)!;

async function receiveText(s: SOCKET, length: number): Promise<string> {
  const buffer = Buffer.alloc(Math.min(length, 65_536));
  let text = '';
  while (text.length < length) {
    const count = await recv(s, buffer.subarray(0, Math.min(buffer.length, length - text.length)));
    if (count === 0) break;
    text += buffer.toString('latin1', 0, count);
  }
  return text;
}

const actions = {
  listen: ({ s }: Order) => {
    const listening = WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    bind(listening, at(0));
    listen(listening, 8);
    sockets.set(s, listening);
    return getsockname(listening).port;
  },
  connect: async ({ s, port }: Order) => {
    const socket = WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    sockets.set(s, socket);
    await connect(socket, at(port));
  },
  accept: async ({ s, name }: Order) => {
    sockets.set(name, await accept(sockets.get(s)!));
    return connectionInfo(sockets.get(name)!).provider;
  },
  duplicate: (order: Order) => WSADuplicateSocket(known(order), order.processId),
  receive: ({ s, info }: Order) => {
    sockets.set(s, WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info));
  },
  send: (order: Order) => send(known(order), Buffer.from(order.text)),
  recv: (order: Order) => receiveText(known(order), order.length),
  shutdown: (order: Order) => shutdown(known(order), SD_SEND),
  close: (order: Order) => closesocket(known(order)),
  provider: (order: Order) => connectionInfo(known(order)).provider,
} as const;

// It waits for orders; its sockets alone keep it no more than they would any other program.
const alive = setInterval(() => {}, 60_000);
onOrder('rest', () => clearInterval(alive));
onOrder('do', (fields) => {
  const order = fields as unknown as Order;
  const begin = async (): Promise<unknown> => actions[order.do](order);
  begin().then(
    (result) => report(`done ${order.id}`, { result }),
    (error: unknown) => report(`done ${order.id}`, { code: error instanceof WSAError ? error.code : String(error) }),
  );
});
report('ready');
