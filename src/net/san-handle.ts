/**
 * The handle that a socket has while a SAN carries its connection: Node's native JSStream, so that TLS, HTTP and HTTP/2
 * can sit on it in C++, with the members of a TCP handle that net.js and programs expect.
 *
 * Sockets that are read by JavaScript do not pay for the native layer: their bytes are pushed directly, and their writes
 * come in through `bypass.ts`. As soon as somebody asks `isStreamBase`, a native consumer may be there, and bytes take the
 * native way.
 */

import { AsyncResource } from 'node:async_hooks';
import type { CloseCause } from '../diagnostics/channels.js';
import { toUvErrno, UV_EBADF, UV_ECANCELED, UV_ECONNRESET, UV_ENOTCONN, UV_EPIPE } from '../providers/tcpip/errno.js';
import { WSAECONNABORTED, WSAECONNRESET } from '../spi/index.js';
import type { SanConnection } from '../switch/face.js';
import { hold, release } from '../switch/liveness.js';
import { handleClosed, handleOpened } from './active-handles.js';
import { bypassWrites, toBytes } from './bypass.js';
import { inClosingPhase } from './closing.js';
import { remember } from './connection-info.js';
import { errnoException } from './errors.js';
import { requireInternals } from './internals.js';
import { MessageBoundaries } from './message-boundaries.js';
import type { AnyHandle, NativeRequest, NetSocket, QueuedChunk, WriteCallback } from './node-types.js';
import { publishClose } from './published.js';
import { completeShutdown, fail, finishNativeWrite, resume } from './san-handle-callbacks.js';
import { type Detached, recognize, type SanHandle } from './san-handle-face.js';
import { withTcpFace } from './tcp-face.js';
import { contain, settle } from './ticks.js';

/** `family` is that of the socket; an IPv6 socket shows IPv4 addresses mapped. */
type SanHandleConstructor = new (connection: SanConnection, family: number) => SanHandle;

let handleClass: SanHandleConstructor | undefined;

/** Makes the handle for an established connection. */
export function createSanHandle(connection: SanConnection, family: number): SanHandle {
  if (handleClass === undefined) {
    handleClass = defineSanHandle();
    recognize(handleClass);
  }
  return new handleClass(connection, family);
}

function defineSanHandle(): SanHandleConstructor {
  const internals = requireInternals();
  const { JSStream, ownerSymbol, bufferSymbol, bufferCallbackSymbol, bufferGeneratorSymbol } = internals;
  const { lastWriteQueueSizeSymbol, onStreamRead, reportsLateWriteErrors } = internals;

  class Handle extends withTcpFace(JSStream) implements SanHandle {
    owner: NetSocket | null = null;
    place = -1;
    native = false;
    /** Kept by net.js: whether it has asked for bytes. */
    reading = false;
    bytesRead = 0;
    bytesWritten = 0;
    readonly #resource = new AsyncResource('SOCKETSDIRECT', { requireManualDestroy: true });
    /** The consumer wants bytes. */
    #flowing = false;
    /** The end, or an error, has been delivered: nothing follows. */
    #ended = false;
    #finished = false;
    #referenced = true;
    #holding = false;
    /** Writes and shutdowns under way; each holds the event loop, as requests of libuv do. */
    #requests = 0;
    /** Delivered by the switch and not yet taken, because the consumer stopped in the middle. */
    #held: Buffer | null = null;
    #resumeScheduled = false;
    #boundaries: MessageBoundaries | null = null;
    /** The one write of the JavaScript side that can be under way, with the context of its caller. */
    #callback: WriteCallback | null = null;
    #callbackResource: AsyncResource | null = null;
    /** Those of the native side: TLS starts a write before its last one is complete when it renegotiates. */
    readonly #writeRequests: NativeRequest[] = [];
    #readingNatively = false;
    /** Writes that were taken while the native consumer handled a piece. */
    readonly #writtenMeanwhile: NativeRequest[] = [];
    #shutdownRequest: NativeRequest | null = null;
    /** Of a shutdown of JavaScript: the context of its caller. */
    #shutdownResource: AsyncResource | null = null;
    readonly #sent = (wsaError: number): void => this.#onSent(wsaError);

    constructor(connection: SanConnection, family: number) {
      super(connection, family);
      connection.events = this;
      handleOpened(this);
    }

    // What C++ calls.

    onreadstart(): number {
      if (this.closing) return UV_EBADF;
      this.#flowing = true;
      this.#updateLiveness();
      if (this.#held === null) this.connection.readStart();
      else this.#resumeSoon();
      return 0;
    }

    onreadstop(): number {
      this.#flowing = false;
      this.#updateLiveness();
      if (!this.closing) this.connection.readStop();
      return 0;
    }

    onwrite(request: NativeRequest, chunks: Uint8Array[]): number {
      if (this.closing) return UV_EBADF;
      let bytes = 0;
      for (const chunk of chunks) bytes += chunk.length;
      this.bytesWritten += bytes;
      this.#writeRequests.push(request);
      this.#requests += 1;
      this.#updateLiveness();
      const sent = (wsaError: number): void => {
        if (this.closing) return;
        settle();
        if (this.#toldReader(wsaError)) return;
        const status = this.#writeErrno(wsaError);
        contain(() => this.finishNative(request, status), this, undefined);
      };
      const taken =
        bytes === 0 ||
        (chunks.length === 1 ? this.connection.write(chunks[0], sent) : this.connection.writev(chunks, sent));
      // The native layer is still inside its write and cannot take the completion now.
      if (taken && this.#readingNatively) this.#writtenMeanwhile.push(request);
      else if (taken) setImmediate(finishNativeWrite, this, request);
      return 0;
    }

    onshutdown(request: NativeRequest): number {
      return this.#shutDown(request, null);
    }

    #shutDown(request: NativeRequest, resource: AsyncResource | null): number {
      if (this.closing) return UV_ENOTCONN;
      this.#shutdownRequest = request;
      this.#shutdownResource = resource;
      this.#finished = true;
      this.#requests += 1;
      this.#updateLiveness();
      this.connection.shutdown((wsaError) => {
        settle();
        this.#finishShutdown(this.#writeErrno(wsaError));
      });
      return 0;
    }

    // What net.js calls. Without the way through C++, which would only come back here.

    shutdown(request: NativeRequest): number {
      const options = { triggerAsyncId: this.getAsyncId(), requireManualDestroy: true };
      return this.#shutDown(request, new AsyncResource('SHUTDOWNWRAP', options));
    }

    readStart(): number {
      return this.onreadstart();
    }

    readStop(): number {
      return this.onreadstop();
    }

    get isStreamBase(): boolean {
      this.native = true;
      // The next consumer may speak another protocol.
      this.#boundaries = null;
      return true;
    }

    set isStreamBase(_value: boolean) {}

    get [ownerSymbol](): unknown {
      return this.owner;
    }

    set [ownerSymbol](owner: NetSocket | null) {
      this.owner = owner;
      if (owner === null || owner === undefined) return;
      remember(owner, this.connection.provider, 'accelerated');
      bypassWrites(owner, this);
    }

    get writeQueueSize(): number {
      return this.connection.writeQueueSize;
    }

    ref(): void {
      this.#referenced = true;
      this.tcp?.ref();
      this.#updateLiveness();
    }

    unref(): void {
      this.#referenced = false;
      this.tcp?.unref();
      this.#updateLiveness();
    }

    hasRef(): boolean {
      return this.#referenced && !this.closing;
    }

    close(callback?: () => void): void {
      // Bytes that the program never took make it a reset, as with TCP.
      this.#close(this.#held !== null, callback);
    }

    reset(callback?: () => void): number {
      this.#close(true, callback);
      return 0;
    }

    // What the switch calls.

    onData(chunk: Buffer): void {
      this.#held = chunk;
      settle();
      this.#deliverHeld();
    }

    onEnd(): void {
      settle();
      if (this.closing || this.#ended) return;
      this.#ended = true;
      this.#updateLiveness();
      contain(this.emitEOF, this, undefined);
    }

    onError(wsaError: number): void {
      settle();
      // After a FIN, reading has come to its end: only writes fail.
      if (this.closing || this.#ended) return;
      this.#ended = true;
      this.#updateLiveness();
      const status = wsaError === WSAECONNABORTED ? UV_ECONNRESET : toUvErrno(wsaError);
      contain(fail, this, status);
    }

    onClosed(cause: CloseCause, milliseconds: number): void {
      publishClose(this, cause, milliseconds);
    }

    /** What the stream holds back because one write is under way. */
    unwritten(): readonly Uint8Array[] {
      const socket = this.owner;
      if (socket === null || this.#callback === null) return [];
      const queue = (socket as unknown as { writableBuffer: QueuedChunk[] }).writableBuffer;
      return queue.map(({ chunk, encoding }) => toBytes(chunk, encoding));
    }

    // Writes of JavaScript.

    send(chunk: Uint8Array, callback: WriteCallback): boolean {
      const { length } = chunk;
      if (length === 0) return true;
      this.bytesWritten += length;
      if (this.connection.write(chunk, this.#sent)) return true;
      this.#wait(callback);
      return false;
    }

    sendAll(chunks: readonly Uint8Array[], bytes: number, callback: WriteCallback): boolean {
      if (bytes === 0) return true;
      this.bytesWritten += bytes;
      if (this.connection.writev(chunks, this.#sent)) return true;
      this.#wait(callback);
      return false;
    }

    #wait(callback: WriteCallback): void {
      this.#callback = callback;
      this.#callbackResource = new AsyncResource('SOCKETSDIRECTWRITE');
      this.#requests += 1;
      this.#updateLiveness();
    }

    #onSent(wsaError: number): void {
      // What closing aborts is told in the closing phase.
      if (this.closing) return;
      settle();
      if (!this.#toldReader(wsaError)) this.#finishCallback(this.#writeErrno(wsaError));
    }

    /** Of a reset the reader hears first, as libuv reads before it writes; closing completes the writes then. */
    #toldReader(wsaError: number): boolean {
      if (wsaError !== WSAECONNRESET || !this.#flowing || this.#ended || this.closing) return false;
      this.onError(wsaError);
      return this.closing;
    }

    #finishCallback(status: number): void {
      const callback = this.#callback;
      if (callback === null) return;
      const resource = this.#callbackResource!;
      this.#callback = null;
      this.#callbackResource = null;
      this.#requests -= 1;
      this.#updateLiveness();
      contain(() => resource.runInAsyncScope(this.#completeWrite, this, callback, status), this, undefined);
    }

    #completeWrite(callback: WriteCallback, status: number): void {
      const socket = this.owner;
      const destroyed = socket === null || socket.destroyed;
      if (status < 0 && (!destroyed || reportsLateWriteErrors)) {
        callback(errnoException(status, 'write'));
        return;
      }
      if (!destroyed) {
        socket._unrefTimer();
        socket[lastWriteQueueSizeSymbol] = 0;
      }
      callback(null);
    }

    /** Completes a native write, unless closing has done so. */
    finishNative(request: NativeRequest, status: number): void {
      const i = this.#writeRequests.indexOf(request);
      if (i < 0) return;
      this.#writeRequests.splice(i, 1);
      this.#requests -= 1;
      this.#updateLiveness();
      this.#resource.runInAsyncScope(this.finishWrite, this, request, status);
    }

    #finishShutdown(status: number): void {
      const request = this.#shutdownRequest;
      if (request === null) return;
      this.#shutdownRequest = null;
      this.#requests -= 1;
      this.#updateLiveness();
      const resource = this.#shutdownResource;
      if (resource === null) {
        contain(() => this.#resource.runInAsyncScope(this.finishShutdown, this, request, status), this, undefined);
      } else {
        this.#shutdownResource = null;
        contain(() => resource.runInAsyncScope(completeShutdown, request, status, this), this, undefined);
        resource.emitDestroy();
      }
    }

    /**
     * Linux reports a reset once; who comes later, or writes after the peer's FIN, gets EPIPE. If the program reads, its
     * read is first.
     */
    #writeErrno(wsaError: number): number {
      if (wsaError === 0) return 0;
      if (wsaError === WSAECONNRESET || wsaError === WSAECONNABORTED) return this.#ended ? UV_EPIPE : UV_ECONNRESET;
      return toUvErrno(wsaError);
    }

    // Delivery.

    #deliverHeld(): void {
      const chunk = this.#held;
      if (chunk === null || this.closing || !this.#flowing) return;
      contain(this.#runDelivery, this, chunk);
      // The `onread` option takes as much as its buffer holds, a native consumer one message, and more in another callback.
      while (this.#held !== null && this.#flowing && !this.closing) {
        settle();
        if (this.#held !== null && this.#flowing && !this.closing) contain(this.#runDelivery, this, this.#held);
      }
    }

    #runDelivery(chunk: Buffer): void {
      const socket = this.owner;
      if (this.native || socket === null || socket._handle !== (this as unknown as AnyHandle) || !this.#isPlain()) {
        this.#boundaries ??= new MessageBoundaries(chunk);
        const length = this.#boundaries.cut(chunk);
        const isWhole = length === chunk.length;
        this.#held = isWhole ? null : chunk.subarray(length);
        this.bytesRead += length;
        this.#resource.runInAsyncScope(this.#readNatively, this, isWhole ? chunk : chunk.subarray(0, length));
      } else if (socket[bufferSymbol]) {
        this.#resource.runInAsyncScope(this.#fillUserBuffer, this, socket, chunk);
      } else {
        this.#held = null;
        this.bytesRead += chunk.length;
        this.#resource.runInAsyncScope(this.#push, this, socket, chunk);
      }
    }

    #readNatively(piece: Uint8Array): void {
      const written = this.#writtenMeanwhile;
      this.#readingNatively = true;
      try {
        this.readBuffer(piece);
      } finally {
        this.#readingNatively = false;
        // HTTP/2 does not read while it writes, and a write to a socket of the kernel would be done by now.
        while (written.length > 0) this.finishNative(written.shift()!, 0);
      }
    }

    #isPlain(): boolean {
      return this.onread === onStreamRead;
    }

    #push(socket: NetSocket, chunk: Buffer): void {
      socket._unrefTimer();
      if (!socket.destroyed && !socket.push(chunk)) this.#pause(socket);
    }

    #fillUserBuffer(socket: NetSocket, chunk: Buffer): void {
      socket._unrefTimer();
      const buffer = socket[bufferSymbol] as Uint8Array;
      const length = Math.min(buffer.length, chunk.length);
      buffer.set(chunk.subarray(0, length));
      this.#held = length < chunk.length ? chunk.subarray(length) : null;
      this.bytesRead += length;
      if (socket.destroyed) return;
      const taken = (socket[bufferCallbackSymbol] as (size: number, bytes: Uint8Array) => unknown)(length, buffer);
      const generator = socket[bufferGeneratorSymbol] as (() => unknown) | null;
      if (generator !== null) {
        const next = generator();
        if (next instanceof Uint8Array) socket[bufferSymbol] = next;
      }
      if (taken === false) this.#pause(socket);
    }

    #pause(socket: NetSocket): void {
      this.reading = false;
      if (!socket.destroyed) this.onreadstop();
    }

    #resumeSoon(): void {
      if (this.#resumeScheduled) return;
      this.#resumeScheduled = true;
      setImmediate(resume, this);
    }

    /** Delivers what was held back and then lets the switch go on. */
    resume(): void {
      this.#resumeScheduled = false;
      this.#deliverHeld();
      if (this.#held === null && this.#flowing && !this.closing) this.connection.readStart();
    }

    // The end.

    detach(): Detached {
      const rest = { chunk: this.#held, ended: this.#ended, finished: this.#finished };
      this.#held = null;
      this.onreadstop();
      this.tcp?.close();
      this.tcp = null;
      return rest;
    }

    #close(abortive: boolean, callback: (() => void) | undefined): void {
      if (this.closing) return;
      this.closing = true;
      this.#flowing = false;
      this.#held = null;
      if (abortive) this.connection.reset();
      else this.connection.close();
      inClosingPhase(() => this.#resource.runInAsyncScope(this.#closed, this, callback));
      // What is closed last is closed first, and gone when the program is told.
      this.tcp?.close();
      this.tcp = null;
      this.#updateLiveness();
    }

    #closed(callback: (() => void) | undefined): void {
      handleClosed(this);
      this.#finishCallback(UV_ECANCELED);
      for (const request of [...this.#writeRequests]) this.finishNative(request, UV_ECANCELED);
      this.#finishShutdown(UV_ECANCELED);
      if (typeof callback === 'function') callback.call(this);
      this.#resource.emitDestroy();
    }

    #updateLiveness(): void {
      const needed = !this.closing && (this.#requests > 0 || (this.#referenced && this.#flowing && !this.#ended));
      if (needed === this.#holding) return;
      this.#holding = needed;
      if (needed) hold();
      else release();
    }
  }

  return Handle as unknown as SanHandleConstructor;
}
