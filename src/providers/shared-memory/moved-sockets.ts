/**
 * What WSPDuplicateSocket leaves for the process that it names, in the directory in which processes find each other: a note
 * under the number in dwProviderReserved, good for one WSPSocket (WSD-DUP-26, WSD-DUP-44).
 */

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { leaveNote, takeNote } from '../../platform/private-notes.js';
import { AF_INET, AF_INET6, type SOCKADDR } from '../../spi/index.js';
import { isAddress } from './addresses.js';

/** A socket on its way. */
export interface MovedSocket {
  readonly local: SOCKADDR;
  /** Null: it listens. */
  readonly remote: SOCKADDR | null;
  readonly backlog: number;
  /** Event loop at the other end, and what the connection is known by there. */
  readonly peerToken: string;
  readonly nonce: Int32Array;
}

export function newNonce(): Int32Array {
  const bytes = randomBytes(16);
  return new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 16));
}

function textOf(address: SOCKADDR | null): string {
  return address === null ? '' : `${address.sa_family} ${address.port} ${address.address}`;
}

function addressOf(text: string): SOCKADDR | null {
  const [family, port, address = ''] = text.split(' ');
  const name = { sa_family: Number(family), port: Number(port), address };
  const known = name.sa_family === AF_INET || name.sa_family === AF_INET6;
  return known && isAddress(name) && name.port > 0 && name.port < 65_536 ? name : null;
}

/** The number under which the socket is left. Throws PlatformError `rendezvous-unavailable`. */
export function leaveSocket(folder: string, processId: number, socket: MovedSocket): number {
  const nonce = Buffer.from(socket.nonce.buffer, socket.nonce.byteOffset, 16).toString('hex');
  makeFolder(folder);
  const text = [textOf(socket.local), textOf(socket.remote), socket.backlog, socket.peerToken, nonce].join(',');
  return leaveNote(folder, processId, text);
}

/** What is wrong with it shows when something is left there. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch {
    // There is one already, or there can be none.
  }
}

/** The socket, once; null if there is none for this process in the folder. */
export function takeSocket(folder: string, token: number): MovedSocket | null {
  const text = takeNote(folder, token);
  if (text === null) return null;
  const [local = '', remote = '', backlog, peerToken = '', nonce = ''] = text.split(',');
  const name = addressOf(local);
  const peer = remote === '' ? null : addressOf(remote);
  const bytes = Buffer.from(nonce, 'hex');
  if (name === null || (remote !== '' && peer === null) || bytes.length !== 16) return null;
  const words = Int32Array.from({ length: 4 }, (_, i) => bytes.readInt32LE(4 * i));
  return { local: name, remote: peer, backlog: Number(backlog) || 1, peerToken, nonce: words };
}
