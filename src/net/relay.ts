/**
 * What becomes of a SAN connection whose socket goes to another process: memory cannot be passed on like a descriptor, so
 * the other process gets one end of a kernel pair, and this process carries the bytes between the other end and the SAN.
 *
 * The event loop is held until both directions have finished or one side is gone, because with the relay the connection
 * ends; TCP's would go on without this process.
 */

import net from 'node:net';
import type { NativeTcpHandle } from '../providers/tcpip/native.js';
import type { ConnectionEvents, SanConnection } from '../switch/face.js';
import { hold, release } from '../switch/liveness.js';
import type { Detached } from './san-handle-face.js';

export class Relay implements ConnectionEvents {
  readonly #connection: SanConnection;
  readonly #rest: Detached;
  #far: net.Socket | null = null;
  #over = false;
  readonly #taken = (wsaError: number): void => {
    if (wsaError === 0) this.#far?.resume();
    else this.#abort();
  };

  /** Nothing flows before `attach`. `rest`: what the socket's handle had of the connection and the socket had not taken. */
  constructor(connection: SanConnection, rest: Detached) {
    this.#connection = connection;
    this.#rest = rest;
    connection.events = this;
    hold();
  }

  /** The kernel's end is there; null: it could not be had, and the connection is reset. */
  attach(handle: NativeTcpHandle | null): void {
    if (handle === null || this.#over) {
      handle?.close();
      this.#connection.reset();
      this.#end();
      return;
    }
    const options = { handle, allowHalfOpen: true, readable: true, writable: true };
    const far = new net.Socket(options as unknown as net.SocketConstructorOpts);
    this.#far = far;
    far.setNoDelay(true);
    far.on('data', (chunk: Buffer) => {
      if (!this.#connection.write(chunk, this.#taken)) far.pause();
    });
    far.on('end', () => {
      if (!this.#rest.finished) this.#connection.shutdown((wsaError) => wsaError !== 0 && this.#abort());
    });
    far.on('drain', () => this.#connection.readStart());
    far.on('error', () => this.#connection.reset());
    far.on('close', () => {
      this.#connection.close();
      this.#end();
    });
    if (this.#rest.chunk !== null) far.write(this.#rest.chunk);
    if (this.#rest.ended) far.end();
    else if (!far.writableNeedDrain) this.#connection.readStart();
  }

  onData(chunk: Buffer): void {
    if (!this.#far!.write(chunk)) this.#connection.readStop();
  }

  onEnd(): void {
    this.#far!.end();
  }

  onError(): void {
    this.#abort();
  }

  /** The SAN side is lost: the process that has the socket sees a reset, as it would of TCP. */
  #abort(): void {
    if (this.#far === null) this.#over = true;
    else if (!this.#far.destroyed) this.#far.resetAndDestroy();
  }

  #end(): void {
    release();
  }
}
