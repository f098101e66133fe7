import { createRequire } from 'node:module';
import { PlatformError } from './error.js';

/** Memory for a system call: its address, or bytes whose address is taken for the length of the call. */
export type Pointer = bigint | Uint8Array | null;

/** The functions of the C library that are used, with their C names, and two services of the binding itself. */
export interface Libc {
  accessAt: (directory: number, name: string, mode: number, flags: number) => number;
  bind: (descriptor: number, address: Pointer, length: number) => number;
  close: (descriptor: number) => number;
  dup3: (descriptor: number, onto: number, flags: number) => number;
  connect: (descriptor: number, address: Pointer, length: number) => number;
  fallocate: (descriptor: number, mode: number, offset: number, length: number) => number;
  fcntl: (descriptor: number, command: number, argument: number) => number;
  flock: (descriptor: number, operation: number) => number;
  ftruncate: (descriptor: number, length: number) => number;
  getsockopt: (descriptor: number, level: number, name: number, value: Pointer, length: Pointer) => number;
  ioctl: (descriptor: number, request: number, argument: Pointer) => number;
  memfdCreate: (name: string, flags: number) => number;
  mmap: (
    at: Pointer,
    length: number,
    access: number,
    flags: number,
    descriptor: number,
    offset: number,
  ) => number | bigint;
  munmap: (address: bigint, length: number) => number;
  poll: (descriptors: Pointer, count: number, milliseconds: number) => number;
  prlimit: (pid: number, resource: number, limit: Pointer, former: Pointer) => number;
  processVmReadv: (
    pid: number,
    local: Pointer,
    localCount: number,
    remote: Pointer,
    remoteCount: number,
    flags: number,
  ) => number;
  recv: (descriptor: number, into: Pointer, length: number, flags: number) => number;
  recvmsg: (descriptor: number, header: bigint, flags: number) => number;
  schedYield: () => void;
  send: (descriptor: number, data: Pointer, length: number, flags: number) => number;
  sendmsg: (descriptor: number, header: bigint, flags: number) => number;
  setsockopt: (descriptor: number, level: number, name: number, value: Pointer, length: number) => number;
  socket: (family: number, type: number, protocol: number) => number;

  /** Name of the error that the last failed call left, for example `EAGAIN`. To be asked before anything else is called. */
  errorName(): string;
  /** Address of a buffer's memory. The buffer must stay reachable while the address is used. */
  addressOf(buffer: ArrayBuffer): bigint;
  /** A buffer over memory that is not JavaScript's. It frees nothing when it is collected. */
  view(address: bigint, length: number): ArrayBuffer;
}

/**
 * Loads koffi and binds the C library.
 *
 * Throws PlatformError: `ffi-unavailable`, or `platform-unsupported` where the C library is not glibc.
 */
export function loadLibc(): Libc {
  let koffi: typeof import('koffi');
  try {
    koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  } catch (error) {
    throw new PlatformError('ffi-unavailable', error instanceof Error ? firstLine(error.message) : String(error));
  }
  const library = koffi.load(null);
  try {
    // The layout of msghdr and the flag values below were checked with glibc only.
    library.func('const char *gnu_get_libc_version()');
  } catch {
    throw new PlatformError('platform-unsupported', 'the C library is not glibc');
  }
  const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
  // This number has a second name.
  names.set(koffi.os.errno.EAGAIN!, 'EAGAIN');
  return {
    accessAt: library.func('int faccessat(int, const char *, int, int)'),
    bind: library.func('int bind(int, const void *, uint32_t)'),
    close: library.func('int close(int)'),
    dup3: library.func('int dup3(int, int, int)'),
    connect: library.func('int connect(int, const void *, uint32_t)'),
    fallocate: library.func('int fallocate(int, int, int64_t, int64_t)'),
    fcntl: library.func('int fcntl(int, int, intptr_t)'),
    flock: library.func('int flock(int, int)'),
    ftruncate: library.func('int ftruncate(int, int64_t)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    ioctl: library.func('int ioctl(int, uint64_t, void *)'),
    memfdCreate: library.func('int memfd_create(const char *, uint32_t)'),
    mmap: library.func('uint64_t mmap(void *, size_t, int, int, int, int64_t)'),
    munmap: library.func('int munmap(void *, size_t)'),
    poll: library.func('int poll(void *, uint64_t, int)'),
    prlimit: library.func('int prlimit(int, int, const void *, void *)'),
    processVmReadv: library.func(
      'int64_t process_vm_readv(int, const void *, uint64_t, const void *, uint64_t, uint64_t)',
    ),
    recv: library.func('int64_t recv(int, void *, size_t, int)'),
    recvmsg: library.func('int64_t recvmsg(int, void *, int)'),
    schedYield: library.func('int sched_yield()'),
    send: library.func('int64_t send(int, const void *, size_t, int)'),
    sendmsg: library.func('int64_t sendmsg(int, const void *, int)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, uint32_t)'),
    socket: library.func('int socket(int, int, int)'),
    errorName: () => {
      const number = koffi.errno();
      return names.get(number) ?? `E${number}`;
    },
    addressOf: (buffer) => koffi.address(buffer),
    view: (address, length) => koffi.view(address, length),
  };
}

function firstLine(text: string): string {
  const end = text.indexOf('\n');
  return end < 0 ? text : text.slice(0, end);
}
