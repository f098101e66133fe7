/**
 * Tells of the addresses of this network namespace: of all that are there as soon as somebody asks, and of every one that
 * comes and goes from then on. What TDI's address notifications are in the documents (WSD-PRX-2, WSD-PRX-3).
 */

import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';
import { callFailed, PlatformError } from './error.js';
import type { Libc } from './libc.js';
import { addressMessages, addressRequest, type InterfaceAddress } from './netlink.js';
import { unannounced } from './unannounced.js';
import { UnixSocket } from './unix-connect.js';

export type { InterfaceAddress } from './netlink.js';

/** All return promptly and do not throw. An address that is there may be told of again. */
export interface AddressListener {
  added(address: InterfaceAddress): void;
  removed(address: InterfaceAddress): void;
  /** Nothing is told any more: the kernel has ended it. */
  ended(): void;
}

const AF_UNIX = 1;
const AF_NETLINK = 16;
const SOCK_STREAM = 1;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const NETLINK_ROUTE = 0;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV6_IFADDR = 0x100;

/** Bytes of one read; the kernel makes its messages fit. */
const readSize = 65_536;
/** Attempts to get a list that nothing has changed in the middle. */
const attemptsMax = 5;

/** The request that needs it first must not be what all notifications run in. */
const root = new AsyncResource('SocketsDirectAddresses');

export class AddressNotifier {
  readonly #libc: Libc;
  readonly #listeners = new Set<AddressListener>();
  readonly #present = new Map<string, InterfaceAddress>();
  #socket: net.Socket | null = null;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** See `Platform.notifyAddresses`. */
  register(listener: AddressListener): () => void {
    if (this.#socket === null) root.runInAsyncScope(() => this.#open());
    for (const address of this.#present.values()) listener.added(address);
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#close();
    };
  }

  #open(): void {
    const descriptor = this.#libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (descriptor < 0) throw callFailed('addresses-unwatched', 'netlink socket', this.#libc.errorName());
    try {
      const name = Buffer.alloc(12);
      name.writeUInt16LE(AF_NETLINK, 0);
      name.writeUInt32LE(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, 8);
      if (this.#libc.bind(descriptor, name, name.length) !== 0) {
        throw callFailed('addresses-unwatched', 'netlink bind', this.#libc.errorName());
      }
      this.#list(descriptor);
      this.#socket = this.#intoEventLoop(descriptor);
    } finally {
      this.#libc.close(descriptor);
    }
  }

  /** All addresses. The kernel makes the answer while it is read, so nothing has to be waited for. */
  #list(descriptor: number): void {
    const before = new Set(this.#present.keys());
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const seen = new Set<string>();
      if (!this.#ask(descriptor, seen)) continue;
      for (const key of before) {
        const gone = this.#present.get(key);
        if (gone !== undefined && !seen.has(key)) this.#removed(gone);
      }
      return;
    }
    throw new PlatformError('addresses-unwatched', 'the list of addresses does not come to rest');
  }

  /** False: something has changed in the middle of the answer. */
  #ask(descriptor: number, seen: Set<string>): boolean {
    const request = addressRequest();
    if (this.#libc.send(descriptor, request, request.length, 0) !== request.length) {
      throw callFailed('addresses-unwatched', 'netlink send', this.#libc.errorName());
    }
    const bytes = Buffer.alloc(readSize);
    for (;;) {
      const length = this.#libc.recv(descriptor, bytes, readSize, MSG_DONTWAIT);
      if (length <= 0) throw callFailed('addresses-unwatched', 'netlink recv', this.#libc.errorName());
      for (const message of addressMessages(bytes.subarray(0, length))) {
        if (message.kind === 'error') throw new PlatformError('addresses-unwatched', 'the kernel refuses the list');
        if (message.kind === 'done') return !message.interrupted;
        seen.add(keyOf(message.address));
        this.#take(message.kind, message.address);
      }
    }
  }

  /**
   * Node.js watches no foreign descriptors, but takes a Unix socket by its number. The netlink socket is put into the place
   * of such a one before the event loop has begun to watch it. A read gives one or more whole messages, as from any socket.
   */
  #intoEventLoop(descriptor: number): net.Socket {
    const place = this.#libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (place < 0) throw callFailed('addresses-unwatched', 'socket', this.#libc.errorName());
    let socket!: net.Socket;
    try {
      unannounced(() => {
        socket = new UnixSocket({ fd: place, readable: true, writable: false });
      });
    } catch (error) {
      this.#libc.close(place);
      throw new PlatformError('addresses-unwatched', String(error));
    }
    socket.unref();
    socket.on('error', () => {});
    socket.on('close', () => this.#lost(socket));
    if (this.#libc.dup3(descriptor, place, SOCK_CLOEXEC) < 0) {
      const error = callFailed('addresses-unwatched', 'dup3', this.#libc.errorName());
      socket.destroy();
      throw error;
    }
    socket.on('data', (bytes: Buffer) => {
      for (const message of addressMessages(bytes)) {
        if (message.kind === 'added' || message.kind === 'removed') this.#take(message.kind, message.address);
      }
    });
    return socket;
  }

  #take(kind: 'added' | 'removed', address: InterfaceAddress): void {
    if (kind === 'removed') {
      this.#removed(address);
      return;
    }
    this.#present.set(keyOf(address), address);
    for (const listener of [...this.#listeners]) listener.added(address);
  }

  #removed(address: InterfaceAddress): void {
    this.#present.delete(keyOf(address));
    for (const listener of [...this.#listeners]) listener.removed(address);
  }

  /** The kernel had more to tell than there was room for. Everything is asked for again, and what has changed is told. */
  #lost(socket: net.Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    try {
      this.#open();
    } catch {
      for (const listener of [...this.#listeners]) listener.ended();
      this.#listeners.clear();
      this.#close();
    }
  }

  #close(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#present.clear();
    socket?.destroy();
  }
}

function keyOf({ device, address }: InterfaceAddress): string {
  return `${device} ${address}`;
}
