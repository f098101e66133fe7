/** `address-waiter.js`: waits on a Winsock socket until the host's addresses change, tells so, and ends. */

import { pathToFileURL } from 'node:url';
import { reported } from './support.js';

const { SOCKETS_DIRECT_TEST_INFO: path } = process.env;
const winsock = (await import(
  pathToFileURL(String(path).replace(/index\.js$/, 'winsock/index.js')).href
)) as typeof import('../../../src/winsock/index.js');

winsock.WSAStartup(0x0202);
const s = winsock.socket(winsock.AF_INET, winsock.SOCK_STREAM, winsock.IPPROTO_TCP);
const waiting = winsock.WSAIoctl(s, winsock.SIO_ADDRESS_LIST_CHANGE);
await reported('ready');
await waiting;
await reported('changed');
winsock.closesocket(s);
winsock.WSACleanup();
