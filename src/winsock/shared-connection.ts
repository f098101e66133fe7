/** A connection that several processes share. */

import { FD_CLOSE, WSAECONNRESET, WSAEINVAL } from '../spi/index.js';
import type { MovableConnection } from '../switch/index.js';
import type { Shared } from './share.js';
import type { SocketRecord } from './socket.js';
import type { Stream } from './stream.js';
import { TcpStream } from './tcp-stream.js';
import { checkedTransfer } from './transfer-state.js';

function isMovable(stream: Stream): stream is Stream & MovableConnection {
  return 'duplicate' in stream;
}

export class SharedConnection implements Shared {
  readonly #record: SocketRecord;
  /** What a SAN connection was here before it went on elsewhere. */
  #former: MovableConnection | null = null;
  /** TCP/IP: every process has the kernel's socket, and one of them reads it. */
  #tcp: TcpStream | null;
  #over = false;

  constructor(record: SocketRecord) {
    this.#record = record;
    const stream = record.transfer?.stream;
    this.#tcp = stream instanceof TcpStream ? stream : null;
  }

  whenIdle(callback: () => void): void {
    const { transfer } = this.#record;
    if (transfer === null) callback();
    else transfer.whenIdle(callback);
  }

  take(processId: number, wanted: () => boolean, taken: (cargo: object | number | null) => void): void {
    const record = this.#record;
    const { transfer } = record;
    if (transfer === null) {
      taken(WSAECONNRESET);
      return;
    }
    const { stream } = transfer;
    if (!isMovable(stream)) {
      record.transfer = null;
      taken({ transfer: transfer.takeState(), san: null });
      return;
    }
    stream.suspend(() => {
      // Who wanted it may have gone while the peer was asked.
      if (!wanted()) {
        stream.resume();
        taken(null);
        return;
      }
      const state = transfer.takeState();
      const moved = stream.duplicate(processId);
      record.transfer = null;
      this.#former = stream;
      taken(typeof moved === 'number' ? moved : { transfer: state, san: moved });
    });
  }

  put(cargo: unknown): number {
    const { transfer, san } = (cargo ?? {}) as { transfer?: unknown; san?: unknown };
    const state = checkedTransfer(transfer);
    if (state === null) return WSAEINVAL;
    const record = this.#record;
    let stream: Stream;
    if (san === null) {
      this.#tcp ??= record.kernelSocket !== null ? new TcpStream(record.host, record.descriptor) : null;
      if (this.#tcp === null) return WSAEINVAL;
      stream = this.#tcp;
    } else {
      const received = record.host.switch.receiveConnection(san, this.#former);
      if (typeof received === 'number') return received;
      this.#former = null;
      stream = received;
    }
    record.goOn(stream, state);
    return 0;
  }

  arrived(): void {}

  lost(wsaError: number): void {
    const record = this.#record;
    const { transfer } = record;
    this.#over = true;
    if (transfer !== null) transfer.fail(wsaError);
    // The peer is to learn it too, and where control was there is nobody left to say it.
    else this.#tcp?.reset();
    record.changed(FD_CLOSE, wsaError);
  }

  closedHere(): void {
    this.#record.transfer?.cancelReceives();
  }

  closedForGood(): void {
    this.#over = true;
    this.#record.transfer?.close();
  }

  clear(): void {
    this.#former?.closeFormer();
    this.#former = null;
    if (this.#tcp === null) this.#record.closeDescriptor();
    else if (!this.#over) this.#tcp.release();
  }
}
