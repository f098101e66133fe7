/** Stands for the link of a connection that has moved here and whose peer has not answered: keeps what is sent until then. */

import type { WSABUF, WSAOVERLAPPED } from '../../spi/index.js';
import type { ConnectionLink, LinkConnection } from './link-face.js';
import { Pumps } from './pumps.js';

interface Kept {
  readonly overlapped: WSAOVERLAPPED | null;
  readonly length: number;
  send(link: ConnectionLink, id: number): boolean;
}

export class Outbox implements ConnectionLink {
  readonly isDead = false;
  /** RDMA begins with what the peer answers. */
  readonly memory = null;
  readonly pumps = new Pumps(() => {});
  readonly hasRecords = false;
  readonly lastReceived = 0;
  readonly decided = 0;
  #kept: Kept[] = [];
  #begun: Uint8Array = new Uint8Array(0);

  tryBegin(length: number, buffer: WSABUF): boolean {
    this.begin(length, buffer);
    return true;
  }

  begin(length: number, buffer: WSABUF): void {
    const memory = new ArrayBuffer((length + 7) & ~7);
    this.#begun = new Uint8Array(memory);
    buffer.len = length;
    buffer.buf = { bytes: this.#begun, words: new Int32Array(memory) };
    buffer.offset = 0;
  }

  commit(length: number, _id: number, overlapped: WSAOVERLAPPED | null): boolean {
    const bytes = this.#begun;
    const kept: Kept = {
      overlapped,
      length,
      send(link, id) {
        const buffer: WSABUF = { len: 0, buf: { bytes, words: new Int32Array(bytes.buffer) }, offset: 0 };
        link.begin(length, buffer);
        buffer.buf.bytes.set(bytes.subarray(0, length), buffer.offset);
        return link.commit(length, id, this.overlapped);
      },
    };
    this.#kept.push(kept);
    return false;
  }

  endSends(_id: number, connection: LinkConnection, wsaError: number): void {
    const ended = this.#kept;
    this.#kept = ended.map((kept) => ({ ...kept, overlapped: null }));
    for (const { overlapped } of ended) if (overlapped !== null) connection.sent(overlapped, wsaError, 0);
  }

  /** Everything goes to the link, in order. */
  moveTo(link: ConnectionLink, id: number, connection: LinkConnection): void {
    for (const kept of this.#kept.splice(0)) {
      const sent = kept.send(link, id);
      if (sent && kept.overlapped !== null) connection.sent(kept.overlapped, 0, kept.length);
    }
  }

  // There is nobody to tell anything yet.
  sendRecord(): boolean {
    return true;
  }
  sendClose(): void {}
  withdraw(): boolean {
    return false;
  }
  replace(): void {}
  release(): void {}
  forget(): void {}
}
