/** What a TCP socket can do and the handle of Node.js cannot: urgent data, and more options. */

import { constants } from 'node:os';
import type { Libc } from './libc.js';

const MSG_OOB = 0x1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SIOCATMARK = 0x8905;

/** All of them on a descriptor that stays its owner's. Errors are negative errno values, as libuv has them. */
export interface StreamSockets {
  /** Receives at most `into.length` bytes without waiting: how many, or 0 at the end of data. */
  receive(descriptor: number, into: Uint8Array): number;
  /** Sends one byte of urgent data without waiting; 1 if it is taken. */
  sendUrgent(descriptor: number, byte: Uint8Array): number;
  /** True if the next byte is the urgent one. */
  atUrgentMark(descriptor: number): boolean;
  /** Sets an option of 32 bits; numbers are the kernel's. Returns 0. */
  setSocketOption(descriptor: number, level: number, name: number, value: number): number;
}

export function streamSockets(libc: Libc): StreamSockets {
  const word = Buffer.alloc(4);
  const failure = (): number => -((constants.errno as Record<string, number>)[libc.errorName()] ?? constants.errno.EIO);
  return {
    receive(descriptor, into) {
      const count = libc.recv(descriptor, into, into.length, MSG_DONTWAIT);
      return count < 0 ? failure() : count;
    },
    sendUrgent(descriptor, byte) {
      const count = libc.send(descriptor, byte, 1, MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL);
      return count < 0 ? failure() : count;
    },
    atUrgentMark(descriptor) {
      return libc.ioctl(descriptor, SIOCATMARK, word) === 0 && word.readInt32LE() !== 0;
    },
    setSocketOption(descriptor, level, name, value) {
      word.writeInt32LE(value);
      return libc.setsockopt(descriptor, level, name, word, 4) === 0 ? 0 : failure();
    },
  };
}
