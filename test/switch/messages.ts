/** Looks into the messages that a switch sends. */

import {
  HEADER_SIZE,
  LARGE_FIELDS_SIZE,
  TYPE_CREDIT,
  TYPE_DATA,
  TYPE_FINISH,
  TYPE_GRANT,
  TYPE_LARGE,
  TYPE_NEGOTIATE,
  TYPE_READ,
  TYPE_WRITTEN,
} from '../../src/session/header.js';
import { NEGOTIATION_SIZE, readNegotiation, type SessionOffer } from '../../src/session/negotiation.js';
import type { Out, ProviderSocket, WSABUF, WSAOVERLAPPED } from '../../src/spi/index.js';
import type { Tap } from './tap.js';

/** A control message as it was when WSPSend was called. */
export interface Message {
  readonly socket: ProviderSocket;
  readonly type: number;
  /** Word 3 of the header: with the messages of a large transfer, a number of bytes. */
  readonly word3: number;
  /** Length of the payload that the header tells, and the payload. */
  readonly length: number;
  readonly payload: Buffer;
  /** Bytes of the whole message. */
  readonly size: number;
  readonly flags: number;
  readonly overlapped: WSAOVERLAPPED;
}

export const knownTypes: readonly number[] = [
  ...[TYPE_NEGOTIATE, TYPE_DATA, TYPE_CREDIT, TYPE_FINISH],
  ...[TYPE_LARGE, TYPE_GRANT, TYPE_READ, TYPE_WRITTEN],
];

/** All messages that are sent from now on. */
export function messagesOf(tap: Tap): readonly Message[] {
  const messages: Message[] = [];
  tap.override(
    'WSPSend',
    (inner, s, buffers, count, sent, flags, overlapped, routine, thread, lpErrno: Out<number>) => {
      messages.push(messageIn(s, buffers, flags, overlapped));
      return inner(s, buffers, count, sent, flags, overlapped, routine, thread, lpErrno);
    },
  );
  return messages;
}

function messageIn(
  socket: ProviderSocket,
  buffers: readonly WSABUF[],
  flags: number,
  overlapped: WSAOVERLAPPED,
): Message {
  const bytes = Buffer.concat(
    buffers.map(({ buf, offset, len }) => Buffer.from(buf.bytes.subarray(offset, offset + len))),
  );
  return {
    socket,
    type: bytes.readUInt32LE(0) & 0xff,
    word3: bytes.readUInt32LE(12),
    length: bytes.readUInt32LE(4),
    payload: bytes.subarray(HEADER_SIZE),
    size: bytes.length,
    flags,
    overlapped,
  };
}

/** The descriptor and the first portion in the message of a large send. */
export function largeIn({ payload }: Message): { descriptor: Buffer; first: Buffer } {
  const length = payload.readUInt32LE(0);
  return {
    descriptor: payload.subarray(LARGE_FIELDS_SIZE, LARGE_FIELDS_SIZE + length),
    first: payload.subarray(LARGE_FIELDS_SIZE + ((length + 7) & ~7)),
  };
}

/** What a negotiation message offers. */
export function offerIn({ payload }: Message): SessionOffer {
  const words = new Int32Array(NEGOTIATION_SIZE / 4);
  Buffer.from(words.buffer).set(payload.subarray(0, NEGOTIATION_SIZE));
  const offer = readNegotiation(words, 0, payload.length);
  if (offer === null) throw new Error('no negotiation message');
  return offer;
}
