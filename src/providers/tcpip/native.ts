/**
 * The native TCP handle of Node.js, and its own functions as they were before anybody replaced them.
 *
 * Node shows the class nowhere in public. `process.binding` hands it out without creating anything; where that is refused
 * (permission model), it is taken from a socket that never gets a descriptor.
 */

import net from 'node:net';
import { UV_ECANCELED } from './errno.js';

/** The request object of a native connect: net.js makes it and waits for `oncomplete`. */
export interface NativeConnectRequest {
  oncomplete:
    | ((status: number, handle: object, request: NativeConnectRequest, readable: boolean, writable: boolean) => void)
    | undefined;
  readonly address?: string;
  readonly port?: number;
  readonly localAddress?: string;
  readonly localPort?: number;
}

/** What the native handle writes an address into. */
export interface NativeAddress {
  address?: string;
  family?: string;
  port?: number;
}

/** The part of Node's TCP handle that Sockets Direct uses. Statuses are 0 or a negative errno of libuv. */
export interface NativeTcpHandle {
  connect(request: NativeConnectRequest, address: string, port: number): number;
  connect6(request: NativeConnectRequest, address: string, port: number): number;
  listen(backlog: number): number;
  /** Takes over a descriptor of the kernel's. */
  open?(descriptor: number): number;
  bind(address: string, port: number, flags?: number): number;
  bind6(address: string, port: number, flags?: number): number;
  getsockname(out: NativeAddress): number;
  getpeername(out: NativeAddress): number;
  close(callback?: () => void): void;
  reset(callback?: () => void): number;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
  setNoDelay(enable: boolean): number;
  setKeepAlive(enable: boolean, initialDelay: number, interval?: number, count?: number): number;
  setTypeOfService?(typeOfService: number): number;
  getTypeOfService?(): number;
  onconnection?: (status: number, client: object) => void;
  onread?: unknown;
  [key: symbol]: unknown;
}

/** The same handle as a stream that is connected. */
export interface NativeTcpStream extends NativeTcpHandle {
  readStart(): number;
  readStop(): number;
  getAsyncId(): number;
}

/** What reading takes. */
export interface NativeReadingHandle {
  onread?: unknown;
  /** The kernel's descriptor; -1 while there is none. */
  readonly fd: number;
  readStart(): number;
  readStop(): number;
  /** Everything that is read goes here. Without room, `onread` only tells that there is something to be read. */
  useUserBuffer(buffer: Uint8Array): void;
}

export interface NativeTcpConstructor {
  new (type: number): NativeTcpHandle;
  readonly prototype: NativeTcpHandle;
}

/** The functions of the handle that the TCP/IP provider calls, never the replaced ones (WSD-COMP-1). */
export type NativeTcpFunctions = Pick<
  NativeTcpHandle,
  'connect' | 'connect6' | 'listen' | 'bind' | 'bind6' | 'getsockname' | 'getpeername' | 'close'
>;

export interface NativeTcp {
  readonly TCP: NativeTcpConstructor;
  readonly original: NativeTcpFunctions;
}

type ConnectRequestClass = new () => NativeConnectRequest;

let requestClass: ConnectRequestClass | null | undefined;

/** Node's class of connect requests, or null where it is out of reach. */
export function connectRequestClass(): ConnectRequestClass | null {
  if (requestClass === undefined) {
    const found = fromBinding('tcp_wrap', 'TCPConnectWrap') ?? requestFromSocket();
    requestClass = typeof found === 'function' ? (found as ConnectRequestClass) : null;
  }
  return requestClass;
}

/** The permission model refuses the binding. A socket whose handle is an object of ours shows what net.js connects with. */
function requestFromSocket(): unknown {
  let found: unknown;
  const handle = {
    connect: (request: object) => {
      found = request.constructor;
      return UV_ECANCELED;
    },
    close: (callback?: () => void) => callback?.(),
  };
  const options = { handle, manualStart: true } as unknown as net.SocketConstructorOpts;
  new net.Socket(options)
    .on('error', () => {})
    .connect({ port: 1, host: 'localhost', family: 4, lookup: (_name, _options, done) => done(null, '127.0.0.1', 4) });
  return found;
}

/** `constants.SOCKET` and `constants.SERVER` of the native binding: a handle that connects, and one that listens. */
export const TCP_SOCKET = 0;
export const TCP_SERVER = 1;

/**
 * The function itself where Node has wrapped it to warn of its deprecation (`--pending-deprecation`): the warning would
 * be for something that the program has not done.
 */
export function withoutWarning<F>(wrapped: F): F {
  if (typeof wrapped !== 'function') return wrapped;
  const inner: unknown = Object.getPrototypeOf(wrapped);
  return typeof inner === 'function' && inner !== Function.prototype ? (inner as F) : wrapped;
}

/** A member of one of Node's private bindings, or undefined. */
export function fromBinding(module: string, name: string): unknown {
  try {
    const { binding } = process as unknown as { binding(name: string): Record<string, unknown> };
    return withoutWarning(binding).call(process, module)[name];
  } catch {
    return undefined;
  }
}

function fromSocket(): unknown {
  const socket = new net.Socket();
  try {
    // The look-up never answers, so the handle is made and nothing is opened.
    socket.connect({ port: 1, host: 'localhost', lookup: () => {} });
    return (socket as unknown as { _handle: object | null })._handle?.constructor;
  } finally {
    socket.destroy();
  }
}

const names = ['connect', 'connect6', 'listen', 'bind', 'bind6', 'getsockname', 'getpeername', 'close'] as const;
/** Kept on the prototype, so that a second copy of this package does not take replaced functions for the native ones. */
const originalsKey = Symbol.for('sockets-direct.tcp-originals');

let native: NativeTcp | null | undefined;

/** The native handle's class and functions, or null where this runtime does not have them. */
export function nativeTcp(): NativeTcp | null {
  if (native === undefined) native = find();
  return native;
}

function find(): NativeTcp | null {
  let candidate: unknown;
  try {
    candidate = fromBinding('tcp_wrap', 'TCP') ?? fromSocket();
  } catch {
    return null;
  }
  if (typeof candidate !== 'function') return null;
  const TCP = candidate as unknown as NativeTcpConstructor;
  const prototype = TCP.prototype as NativeTcpHandle & { [originalsKey]?: NativeTcpFunctions };
  let original = prototype[originalsKey];
  if (original === undefined) {
    if (names.some((name) => typeof prototype[name] !== 'function')) return null;
    original = Object.fromEntries(names.map((name) => [name, prototype[name]])) as unknown as NativeTcpFunctions;
    Object.defineProperty(prototype, originalsKey, { value: original });
  }
  return { TCP, original };
}
