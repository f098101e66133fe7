/**
 * Two kernel sockets that are connected to each other, made with the native functions only: for a descriptor that another
 * process can have where the connection itself is carried by a SAN.
 */

import { UV_EADDRNOTAVAIL, UV_EINVAL } from './errno.js';
import {
  connectRequestClass,
  type NativeAddress,
  type NativeTcpHandle,
  type NativeTcpStream,
  nativeTcp,
  TCP_SERVER,
  TCP_SOCKET,
} from './native.js';

type Names = Required<NativeAddress>;

/** Enough for a stranger who tries the port in the moment in which it is open. */
const backlog = 8;

function bound(handle: NativeTcpHandle, { address, family }: Names, port: number): number {
  const { original } = nativeTcp()!;
  const status = (family === 'IPv6' ? original.bind6 : original.bind).call(handle, address, port);
  // libuv keeps an address in use to itself until somebody asks.
  return status === 0 ? original.getsockname.call(handle, {}) : status;
}

/** A handle bound to the address, with the port if it is to be had, else with any. */
function open(type: number, name: Names): NativeTcpHandle | number {
  const { TCP, original } = nativeTcp()!;
  let status = UV_EADDRNOTAVAIL;
  for (const port of [name.port, 0]) {
    const handle = new TCP(type);
    status = bound(handle, name, port);
    if (status === 0) return handle;
    original.close.call(handle);
  }
  return status;
}

/**
 * Makes the pair. Returns the near end, whose names are `local` and `peer` as far as the kernel has these ports free: the
 * addresses always, and of the ports that at which nobody listens. The kernel has connected it, though libuv says so only
 * in a later turn; until then it takes writes and `readStart` waits.
 *
 * `far` follows in a later turn: the other end, or null if it could not be accepted.
 *
 * Returns a negative errno of libuv if there is no pair to be had.
 */
export function kernelPair(
  local: Names,
  peer: Names,
  far: (handle: NativeTcpHandle | null) => void,
): NativeTcpStream | number {
  const { original } = nativeTcp()!;
  const Request = connectRequestClass();
  if (Request === null) return UV_EINVAL;
  const listener = open(TCP_SERVER, peer);
  if (typeof listener === 'number') return listener;
  const near = open(TCP_SOCKET, local) as NativeTcpStream | number;
  const at: NativeAddress = {};
  let status = typeof near === 'number' ? near : original.listen.call(listener, backlog);
  if (status === 0) status = original.getsockname.call(listener, at);
  if (status === 0 && typeof near !== 'number') {
    const connect = local.family === 'IPv6' ? original.connect6 : original.connect;
    const request = new Request();
    request.oncomplete = readLater(near);
    status = connect.call(near, request, at.address!, at.port!);
  }
  if (typeof near === 'number' || status !== 0) {
    original.close.call(listener);
    if (typeof near !== 'number') original.close.call(near);
    return status;
  }
  const name: NativeAddress = {};
  original.getsockname.call(near, name);
  listener.onconnection = (error, client) => {
    const handle = client as NativeTcpHandle;
    const caller: NativeAddress = {};
    // A connection that was reset meanwhile has no name any more. The near end is first in the queue.
    if (error === 0 && original.getpeername.call(handle, caller) === 0) {
      if (caller.port !== name.port || caller.address !== name.address) {
        original.close.call(handle);
        return;
      }
    }
    original.close.call(listener);
    far(error === 0 ? handle : null);
  };
  return near;
}

/** libuv reads only once it has told that the connect is over; who asks sooner is served then. */
function readLater(near: NativeTcpStream): () => void {
  let wanted = false;
  near.readStart = () => {
    wanted = true;
    return 0;
  };
  near.readStop = () => {
    wanted = false;
    return 0;
  };
  return () => {
    delete (near as Partial<NativeTcpStream>).readStart;
    delete (near as Partial<NativeTcpStream>).readStop;
    if (wanted) near.readStart();
  };
}
