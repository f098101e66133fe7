import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { type NativeConnectRequest, nativeTcp, TCP_SOCKET } from '../../src/providers/tcpip/native.js';
import { createTcpipProvider } from '../../src/providers/tcpip/provider.js';
import {
  AF_INET,
  AF_INET6,
  SOCKET_ERROR,
  WSAEADDRINUSE,
  WSAEFAULT,
  WSAEOPNOTSUPP,
  WSAEWOULDBLOCK,
} from '../../src/spi/index.js';

const { TCP, original } = nativeTcp()!;
const provider = createTcpipProvider();

test('binds, listens and tells its name', () => {
  const socket = provider.adopt(new TCP(1));
  const errno = { value: -1 };
  const name = { sa_family: AF_INET, address: '127.0.0.1', port: 0 };
  assert.equal(provider.WSPBind(socket, name, 16, errno), 0);
  assert.equal(provider.WSPListen(socket, 5, errno), 0);
  assert.equal(errno.value, 0);
  const bound = provider.WSPGetSockName(socket)!;
  assert.equal(bound.address, '127.0.0.1');
  assert.ok(bound.port > 0);

  const second = provider.adopt(new TCP(1));
  const failed = provider.WSPBind(second, bound, 16, errno) || provider.WSPListen(second, 5, errno);
  assert.equal(failed, SOCKET_ERROR);
  assert.equal(errno.value, WSAEADDRINUSE);
  for (const s of [socket, second]) assert.equal(provider.WSPCloseSocket(s, errno), 0);
});

test('a connect reports to the request of the program, also over IPv6 to an IPv4 name', async (t) => {
  const server = net.createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { TCPConnectWrap } = (
    process as unknown as { binding(name: string): { TCPConnectWrap: new () => NativeConnectRequest } }
  ).binding('tcp_wrap');
  const { port } = server.address() as net.AddressInfo;
  for (const family of [AF_INET, AF_INET6]) {
    const socket = provider.adopt(new TCP(TCP_SOCKET));
    socket.family = family;
    socket.request = new TCPConnectWrap();
    const status = new Promise<number>((resolve) => {
      socket.request!.oncomplete = resolve;
    });
    const errno = { value: 0 };
    const name = { sa_family: AF_INET, address: '127.0.0.1', port };
    assert.equal(provider.WSPConnect(socket, name, 16, null, null, null, null, errno), SOCKET_ERROR);
    assert.equal(errno.value, WSAEWOULDBLOCK);
    assert.equal(await status, 0);
    assert.equal(provider.WSPGetSockName(socket)?.sa_family, family);
    provider.WSPCloseSocket(socket, errno);
  }
});

test('refuses what TCP/IP cannot do', () => {
  const socket = provider.adopt(new TCP(TCP_SOCKET));
  const errno = { value: 0 };
  const name = { sa_family: AF_INET, address: '127.0.0.1', port: 1 };
  assert.equal(provider.WSPConnect(socket, name, 16, null, null, null, null, errno), SOCKET_ERROR);
  assert.equal(errno.value, WSAEFAULT);
  provider.WSPConnect(socket, name, 16, new Uint8Array(1), null, null, null, errno);
  assert.equal(errno.value, WSAEOPNOTSUPP);
  assert.equal(provider.WSPGetSockName(socket), null);
  provider.WSPCloseSocket(socket, errno);
});

test('keeps the native functions when the prototype is changed', () => {
  const { listen } = TCP.prototype;
  TCP.prototype.listen = () => -1;
  try {
    assert.notEqual(original.listen, TCP.prototype.listen);
    const socket = provider.adopt(new TCP(1));
    const errno = { value: 0 };
    assert.equal(provider.WSPListen(socket, 1, errno), 0);
    provider.WSPCloseSocket(socket, errno);
  } finally {
    TCP.prototype.listen = listen;
  }
});
