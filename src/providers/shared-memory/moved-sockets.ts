/**
 * What WSPDuplicateSocket leaves for the process that it names, in the directory in which processes find each other: a
 * symbolic link, never followed, under the number in dwProviderReserved and the process id. Whoever removes it has it, so it
 * is good for one WSPSocket (WSD-DUP-26, WSD-DUP-44).
 */

import { randomBytes, randomInt } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { errorCode, PlatformError } from '../../platform/index.js';
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

/** Milliseconds after which nobody comes any more. */
const ageMax = 60_000;
const attempts = 8;

export function newNonce(): Int32Array {
  const bytes = randomBytes(16);
  return new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 16));
}

function nameOf(token: number, processId: number): string {
  return `${token.toString(16)}.${processId}`;
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
  const text = [textOf(socket.local), textOf(socket.remote), socket.backlog, socket.peerToken, nonce].join(',');
  let code = '';
  for (let i = 0; i < attempts; i++) {
    const token = randomInt(1, 2 ** 32);
    try {
      symlinkSync(text, `${folder}/${nameOf(token, processId)}`);
      return token;
    } catch (error) {
      code = errorCode(error);
      if (code === 'ENOENT') makeFolder(folder);
      else if (code !== 'EEXIST') break;
    }
  }
  throw new PlatformError('rendezvous-unavailable', `duplicate: ${code}`, code);
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
  const path = `${folder}/${nameOf(token, process.pid)}`;
  let text: string;
  try {
    text = readlinkSync(path);
    unlinkSync(path);
  } catch {
    return null;
  }
  const [local = '', remote = '', backlog, peerToken = '', nonce = ''] = text.split(',');
  const name = addressOf(local);
  const peer = remote === '' ? null : addressOf(remote);
  const bytes = Buffer.from(nonce, 'hex');
  if (name === null || (remote !== '' && peer === null) || bytes.length !== 16) return null;
  const words = Int32Array.from({ length: 4 }, (_, i) => bytes.readInt32LE(4 * i));
  return { local: name, remote: peer, backlog: Number(backlog) || 1, peerToken, nonce: words };
}

/** Removes what is left for processes that have not come. Returns how many there were. */
export function sweepSockets(folder: string): number {
  let removed = 0;
  try {
    for (const name of readdirSync(folder).slice(0, 256)) {
      const path = `${folder}/${name}`;
      if (Date.now() - lstatSync(path).mtimeMs < ageMax) continue;
      unlinkSync(path);
      removed++;
    }
  } catch {
    // There is no folder, or others sweep as well.
  }
  return removed;
}
