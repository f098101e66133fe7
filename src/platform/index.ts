/**
 * What the operating system is asked for. Everything here is synchronous and cheap unless it says otherwise, and works in
 * worker threads.
 */

import { type AddressListener, AddressNotifier } from './address-notifier.js';
import { limitDescriptors } from './descriptor-limit.js';
import { callFailed, PlatformError } from './error.js';
import { checkHost, lockSharedDirectory, networkNamespaceCookie, ownUser } from './host.js';
import { type Libc, loadLibc } from './libc.js';
import { sharedMemory } from './memory.js';
import { type ReadableWait, waitReadable } from './poll.js';
import { reservePort } from './port-lock.js';
import { type ProcessMemory, processMemory } from './process-memory.js';
import { type StreamSockets, streamSockets } from './stream-socket.js';
import { type ListenerState, type PeerCredentials, type Received, unixSockets } from './unix-socket.js';

export type { AddressListener, InterfaceAddress } from './address-notifier.js';
export { descriptorOf } from './descriptor.js';
export { errorCode, PlatformError } from './error.js';
export type { ReadableWait } from './poll.js';
export type { ProcessMemory } from './process-memory.js';
export type { StreamSockets } from './stream-socket.js';
export type { ListenerState, PeerCredentials, Received } from './unix-socket.js';

const F_DUPFD_CLOEXEC = 1030;

export interface Platform extends StreamSockets, ProcessMemory {
  /**
   * Memory of `size` bytes, a multiple of 4096, zeroed, reserved, and sealed so that it can never change its size.
   * Returns its descriptor, which the caller closes. Throws PlatformError `memory-unavailable`.
   */
  createSealedMemory(size: number): number;
  /** Throws PlatformError `arena-unsafe` unless the memory can be mapped without a risk for us. */
  checkSealedMemory(descriptor: number, size: number): void;
  /**
   * Maps all of the memory, readable and writable. The descriptor may be closed afterwards. The mapping ends when the
   * buffer and all its views are unreachable; the buffer must not be detached. Throws PlatformError `memory-unavailable`.
   */
  mapShared(descriptor: number, size: number): ArrayBuffer;
  /** Lets another process run on this processor, about 0.5 us. The bare foreign function, because it runs in idle turns. */
  schedYield(): void;
  /** Wakes the peer of a link socket. Never blocks. False: the peer is gone. */
  ringDoorbell(descriptor: number): boolean;
  /** Closes a descriptor that came from this interface; others belong to whoever opened them. */
  closeDescriptor(descriptor: number): void;
  /** A second descriptor of the same thing, which the caller closes. Throws PlatformError `resources-exhausted`. */
  duplicateDescriptor(descriptor: number): number;
  /** Throws PlatformError `peer-unreachable`. */
  peerCredentials(socketDescriptor: number): PeerCredentials;
  /**
   * Sends at most 4096 bytes and 8 descriptors, which stay open here. Returns the bytes sent, 0 if the socket is full.
   * Throws PlatformError `peer-gone`, `resources-exhausted` or `peer-unreachable`.
   */
  sendMessage(descriptor: number, data: Uint8Array, descriptors?: readonly number[]): number;
  /**
   * Receives at most `length` (up to 4096) bytes with the descriptors sent with them: null if there is nothing yet, `'end'`
   * if the peer has closed. Throws PlatformError `peer-unreachable`.
   */
  receiveMessage(descriptor: number, length: number): Received | null | 'end';
  /** True if the peer of a connected Unix socket has closed it, whatever is still unread. */
  peerHungUp(descriptor: number): boolean;
  /** Connects to a Unix socket and closes at once. Throws PlatformError `resources-exhausted`. */
  probeListener(path: string): ListenerState;
  /**
   * Waits for one event of a socket that nothing else watches: of `node:net` only paused ones. Does not keep the process
   * alive. Throws Error if the descriptor is not a socket, or is being waited for already.
   */
  waitReadable(descriptor: number): ReadableWait;
  /**
   * Tells of every address of this network namespace before it returns, and of each that comes or goes from then on, until
   * what is returned is called. Does not keep the process alive. Throws PlatformError `addresses-unwatched` where the kernel
   * does not tell.
   */
  notifyAddresses(listener: AddressListener): () => void;
  /** A number that stands for the network namespace of this process and is not used again in this boot. */
  networkNamespaceCookie(): bigint;
  /** Holds a shared lock on an open directory until it is closed. Throws PlatformError `rendezvous-unavailable`. */
  lockSharedDirectory(descriptor: number): void;
  /** True if the open directory has an entry of this name; about 1 us. */
  nameExists(directoryDescriptor: number, name: string): boolean;
  /**
   * Binds a datagram socket that shares its port with no other one: a lock on a number. Returns its descriptor, which the
   * caller closes, or null if the address and port are in use or not to be had. Throws PlatformError `resources-exhausted`.
   */
  reservePort(address: string, port: number): number | null;
  /**
   * This process gets no more descriptors while there are so many; those that are open stay. Returns the former limit. For
   * tests of what happens then, and for no longer than a synchronous call: everything else of the process is without as well.
   */
  limitDescriptors(limit: number): number;
  /** Our effective user id, or null if it is the one that every unmapped user has. */
  ownUser(): number | null;
}

let loaded: Platform | PlatformError | null = null;

/**
 * The platform of this process. The first call loads koffi; the outcome, good or bad, is kept.
 *
 * Throws PlatformError: `runtime-untested`, `platform-unsupported`, `ffi-unavailable` or `memory-unavailable`.
 */
export function loadPlatform(): Platform {
  if (loaded === null) {
    try {
      loaded = createPlatform();
    } catch (error) {
      loaded = error instanceof PlatformError ? error : new PlatformError('ffi-unavailable', String(error));
    }
  }
  if (loaded instanceof PlatformError) throw loaded;
  return loaded;
}

function createPlatform(): Platform {
  checkHost();
  const libc = loadLibc();
  const addresses = new AddressNotifier(libc);
  const platform: Platform = {
    ...sharedMemory(libc),
    ...unixSockets(libc),
    ...streamSockets(libc),
    ...processMemory(libc),
    schedYield: libc.schedYield,
    closeDescriptor: (descriptor) => {
      libc.close(descriptor);
    },
    duplicateDescriptor: (descriptor) => {
      const duplicate = libc.fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
      if (duplicate < 0) throw callFailed('resources-exhausted', 'F_DUPFD_CLOEXEC', libc.errorName());
      return duplicate;
    },
    waitReadable: (descriptor) => waitReadable(libc, descriptor),
    notifyAddresses: (listener) => addresses.register(listener),
    networkNamespaceCookie: () => networkNamespaceCookie(libc),
    lockSharedDirectory: (descriptor) => lockSharedDirectory(libc, descriptor),
    nameExists: (directory, name) => libc.accessAt(directory, name, 0, 0) === 0,
    reservePort: (address, port) => reservePort(libc, address, port),
    limitDescriptors: (limit) => limitDescriptors(libc, limit),
    ownUser,
  };
  probeMemory(platform, libc);
  return platform;
}

/** Sandboxes may refuse memfd_create or seals, and some runtimes external buffers: better known now than at a connect. */
function probeMemory(platform: Platform, libc: Libc): void {
  const descriptor = platform.createSealedMemory(4096);
  try {
    platform.mapShared(descriptor, 4096);
  } finally {
    libc.close(descriptor);
  }
}
