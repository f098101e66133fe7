/**
 * A server on the Winsock face, which decides on each caller in a condition function of its own. Reads verdicts from standard
 * input, one JSON line each, and prints what came of the WSAAccept that used it.
 */

import { createInterface } from 'node:readline';
import {
  AF_INET,
  bind,
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  closesocket,
  connectionInfo,
  getsockname,
  IPPROTO_TCP,
  listen,
  SO_CONDITIONAL_ACCEPT,
  SOCK_STREAM,
  type SOCKET,
  SOL_SOCKET,
  send,
  setsockopt,
  WSAAccept,
  WSACleanup,
  WSAError,
  WSASocket,
  WSAStartup,
} from 'sockets-direct/winsock2';
import type { Verdict } from './commands.js';

const verdicts: Readonly<Record<Verdict, number>> = { accept: CF_ACCEPT, reject: CF_REJECT, defer: CF_DEFER };

WSAStartup(0x0202);
const listening = WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
// Nothing is accepted behind the program's back.
setsockopt(listening, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1);
bind(listening, { sa_family: AF_INET, address: '127.0.0.1', port: 0 });
listen(listening, 8);
say({ port: getsockname(listening).port });

for await (const line of createInterface({ input: process.stdin })) {
  for (const verdict of JSON.parse(line) as Verdict[]) say(await decide(verdict));
}
await closesocket(listening);
WSACleanup();

/** One WSAAccept, whose condition function has that answer. */
async function decide(verdict: Verdict): Promise<object> {
  let caller = 0;
  let s: SOCKET;
  try {
    s = await WSAAccept(listening, ({ port }) => {
      caller = port;
      return verdicts[verdict];
    });
  } catch (error) {
    if (error instanceof WSAError) return { verdict, caller, code: error.code };
    throw error;
  }
  const { provider } = connectionInfo(s);
  await send(s, Buffer.from('welcome'));
  await closesocket(s);
  return { verdict, caller, code: '', provider };
}

function say(fact: object): void {
  console.log(JSON.stringify(fact));
}
