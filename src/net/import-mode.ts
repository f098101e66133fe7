/**
 * Import mode: what `node:net` exports, with the hooks working only for sockets and servers made through it.
 *
 * Socket and Server are proxies of Node's own classes with the same prototypes, so `instanceof` holds both ways, and
 * subclasses and the old style of inheritance work.
 */

import diagnosticsChannel from 'node:diagnostics_channel';
import net from 'node:net';

const branded = new WeakSet<object>();
const clientChannel = diagnosticsChannel.channel('net.client.socket');
/** From version 22 on, `connect` of the socket publishes it. */
const publishesItself = Number.parseInt(process.versions.node, 10) >= 22;

/** Whether a socket or server was made through this module. */
export function isBranded(owner: object): boolean {
  return branded.has(owner);
}

function brandedClass<C extends new (...args: never[]) => object>(base: C): C {
  const proxy: C = new Proxy(base, {
    construct(target, args, newTarget) {
      const instance = Reflect.construct(target, args, newTarget === proxy ? target : newTarget) as object;
      branded.add(instance);
      return instance;
    },
    apply(target, self, args) {
      if (self instanceof target) {
        branded.add(self);
        return Reflect.apply(target as unknown as (...args: unknown[]) => unknown, self, args);
      }
      return Reflect.construct(proxy, args);
    },
  });
  return proxy;
}

export const Socket = brandedClass(net.Socket);
export type Socket = net.Socket;
/** Old name of Socket. */
export const Stream = Socket;
export const Server = brandedClass(net.Server);
export type Server = net.Server;

type ConnectArguments = [options: net.NetConnectOpts & net.SocketConstructorOpts, listener: (() => void) | null];
const { _normalizeArgs: normalizeArguments } = net as unknown as { _normalizeArgs(args: unknown[]): ConnectArguments };

function connectAny(...args: unknown[]): net.Socket {
  const normalized = normalizeArguments(args);
  const [options] = normalized;
  const socket = new Socket(options);
  if (!publishesItself && clientChannel.hasSubscribers) clientChannel.publish({ socket });
  if (options.timeout) socket.setTimeout(options.timeout);
  // Arguments that are normalized already are taken as one array, which the public type does not show.
  return socket.connect(normalized as unknown as net.SocketConnectOpts);
}

/** As `net.connect`. */
export const connect = connectAny as typeof net.connect;
/** As `net.createConnection`. */
export const createConnection = connect as typeof net.createConnection;

/** As `net.createServer`. */
export const createServer = ((options?: net.ServerOpts, listener?: (socket: net.Socket) => void) =>
  new Server(options, listener)) as typeof net.createServer;

const own = { connect, createConnection, createServer, Socket, Stream, Server };

/** A drop-in for the module `node:net`. */
export const netModule: typeof net = Object.create(Object.prototype, {
  ...Object.getOwnPropertyDescriptors(net),
  ...Object.fromEntries(
    Object.entries(own).map(([name, value]) => [
      name,
      { value, enumerable: true, writable: true, configurable: true } satisfies PropertyDescriptor,
    ]),
  ),
});

/** So that `net.Socket` and its like are types, too. */
export declare namespace netModule {
  export type AddressInfo = net.AddressInfo;
  export type BlockList = net.BlockList;
  export type ConnectOpts = net.ConnectOpts;
  export type DropArgument = net.DropArgument;
  export type IPVersion = net.IPVersion;
  export type IpcNetConnectOpts = net.IpcNetConnectOpts;
  export type IpcSocketConnectOpts = net.IpcSocketConnectOpts;
  export type ListenOptions = net.ListenOptions;
  export type LookupFunction = net.LookupFunction;
  export type NetConnectOpts = net.NetConnectOpts;
  export type OnReadOpts = net.OnReadOpts;
  export type Server = net.Server;
  export type ServerOpts = net.ServerOpts;
  export type Socket = net.Socket;
  export type SocketAddress = net.SocketAddress;
  export type SocketAddressInitOptions = net.SocketAddressInitOptions;
  export type SocketConnectOpts = net.SocketConnectOpts;
  export type SocketConstructorOpts = net.SocketConstructorOpts;
  export type SocketReadyState = net.SocketReadyState;
  export type TcpNetConnectOpts = net.TcpNetConnectOpts;
  export type TcpSocketConnectOpts = net.TcpSocketConnectOpts;
}
