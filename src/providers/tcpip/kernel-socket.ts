/**
 * The kernel's socket under a native handle, for what the handle cannot do: urgent data and more options.
 *
 * With urgent data, somebody has to ask before each read whether the next byte is the urgent one; libuv reads without asking.
 * So libuv only tells that there is something, because it is given no room, and the read is ours. SO_OOBINLINE is on, so that
 * urgent bytes wake libuv like others and are where they belong in the stream.
 */

import { loadPlatform, type Platform, PlatformError } from '../../platform/index.js';
import { IPPROTO_TCP, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from '../../spi/index.js';
import { UV_EAGAIN, UV_EBADF } from './errno.js';
import type { NativeReadingHandle, NativeTcpHandle } from './native.js';

/** Who reads a socket. */
export interface KernelReader {
  /** The chunk belongs to the receiver. `urgent`: it is one byte, and the urgent one. */
  data(chunk: Buffer, urgent: boolean): void;
  end(): void;
  /** Negative errno. */
  error(uvErrno: number): void;
}

/** Windows' numbers of options, and Linux's. */
const TCP_KEEPIDLE = 3;
const TCP_KEEPCNT = 16;
const TCP_KEEPINTVL = 17;
const kernelOptions = new Map([
  [`${SOL_SOCKET} ${SO_SNDBUF}`, [1, 7] as const],
  [`${SOL_SOCKET} ${SO_RCVBUF}`, [1, 8] as const],
  [`${IPPROTO_TCP} ${TCP_KEEPIDLE}`, [6, 4] as const],
  [`${IPPROTO_TCP} ${TCP_KEEPINTVL}`, [6, 5] as const],
  [`${IPPROTO_TCP} ${TCP_KEEPCNT}`, [6, 6] as const],
]);
const linuxSolSocket = 1;
const linuxSoOobinline = 10;

const noRoom = new Uint8Array(0);
const readSize = 65_536;
/** Filled and copied from within one call, so one serves all sockets of the event loop. */
const shared = Buffer.allocUnsafeSlow(readSize);
const sharedByte = shared.subarray(0, 1);
/** After a read of so many bytes the next one goes into memory of its own, which is handed over instead of being copied. */
const handOverMin = readSize / 2;
/** Reads in one turn before others have theirs. */
const readsMax = 8;

function platformOrNull(): Platform | null {
  try {
    return loadPlatform();
  } catch (error) {
    if (error instanceof PlatformError) return null;
    throw error;
  }
}

/** Null where the C library cannot be called: then there is no urgent data, and only the handle's own options. */
export function kernelSocket(handle: NativeTcpHandle): KernelSocket | null {
  const { fd, useUserBuffer } = handle as Partial<NativeReadingHandle>;
  const platform = typeof fd === 'number' && typeof useUserBuffer === 'function' ? platformOrNull() : null;
  return platform === null ? null : new KernelSocket(platform, handle as NativeTcpHandle & NativeReadingHandle);
}

export class KernelSocket {
  readonly #platform: Platform;
  readonly #handle: NativeReadingHandle;
  #reading = false;
  #expectMuch = false;
  /** There is nothing more to be read. */
  #over = false;

  constructor(platform: Platform, handle: NativeReadingHandle) {
    this.#platform = platform;
    this.#handle = handle;
  }

  get #descriptor(): number {
    return this.#handle.fd;
  }

  /** From now on `reader` gets what arrives, and a net.Socket over the same handle nothing. */
  takeReads(reader: KernelReader): void {
    this.#platform.setSocketOption(this.#descriptor, linuxSolSocket, linuxSoOobinline, 1);
    this.#handle.onread = () => this.#readable(reader);
    this.#handle.useUserBuffer(noRoom);
  }

  start(): void {
    if (this.#reading || this.#over) return;
    this.#reading = true;
    this.#handle.readStart();
  }

  stop(): void {
    if (!this.#reading) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  #readable(reader: KernelReader): void {
    const descriptor = this.#descriptor;
    for (let i = 0; i < readsMax && this.#reading; i++) {
      const urgent = this.#platform.atUrgentMark(descriptor);
      const own = this.#expectMuch && !urgent ? Buffer.allocUnsafeSlow(readSize) : null;
      const count = this.#platform.receive(descriptor, own ?? (urgent ? sharedByte : shared));
      if (count > 0) {
        this.#expectMuch = count >= handOverMin;
        const bytes = (own ?? shared).subarray(0, count);
        reader.data(own !== null && this.#expectMuch ? bytes : Buffer.from(bytes), urgent);
        // Less than there is room for is all there is, or all before the urgent byte, which is told again.
        if (count < readSize) return;
      } else {
        if (count === UV_EAGAIN) return;
        this.#over = true;
        this.stop();
        if (count === 0) reader.end();
        else reader.error(count);
      }
    }
  }

  /** 0, or a negative errno; EAGAIN where there is no room now. */
  sendUrgent(byte: Uint8Array): number {
    const descriptor = this.#descriptor;
    if (descriptor < 0) return UV_EBADF;
    return Math.min(0, this.#platform.sendUrgent(descriptor, byte));
  }

  /** 0, a negative errno, or null for an option that is none of the kernel's here. Level and name are Windows'. */
  setOption(level: number, name: number, value: number): number | null {
    const option = kernelOptions.get(`${level} ${name}`);
    if (option === undefined) return null;
    // No buffer at all is a wish that the kernel would answer with a very small one.
    if (value === 0 && level === SOL_SOCKET) return 0;
    return this.#platform.setSocketOption(this.#descriptor, option[0], option[1], value);
  }
}
