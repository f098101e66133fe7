import { callFailed, PlatformError } from './error.js';
import type { Libc } from './libc.js';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const POLLHUP = 0x10;

/** Offsets in the scratch block: msghdr, iovec, control messages, payload, and the byte that is a doorbell. */
const HEADER = 0;
const VECTOR = 64;
const CONTROL = 128;
const CONTROL_LENGTH = 256;
const PAYLOAD = CONTROL + CONTROL_LENGTH;
const PAYLOAD_LENGTH = 4096;
const BELL = PAYLOAD + PAYLOAD_LENGTH;
/** Size of cmsghdr, and of what one control message of `n` bytes takes. */
const CMSG_HEADER = 16;
const controlSpace = (length: number): number => (length + 7) & ~7;

const mostDescriptors = 8;

/** A process at the other end of a Unix socket, as the kernel recorded it: at connect() or at listen(). */
export interface PeerCredentials {
  /** 0 if the process is not visible in our pid namespace. */
  pid: number;
  uid: number;
  gid: number;
}

/** What one receive call gave. Whoever asked owns the descriptors and closes those it does not want. */
export interface Received {
  data: Buffer;
  descriptors: number[];
  /** The kernel dropped data or descriptors. */
  truncated: boolean;
}

/** What a connect attempt says about the listener of a Unix socket. */
export type ListenerState = 'alive' | 'dead' | 'absent' | 'unknown';

export interface UnixSockets {
  ringDoorbell(descriptor: number): boolean;
  peerCredentials(socketDescriptor: number): PeerCredentials;
  sendMessage(descriptor: number, data: Uint8Array, descriptors?: readonly number[]): number;
  receiveMessage(descriptor: number, length: number): Received | null | 'end';
  peerHungUp(descriptor: number): boolean;
  probeListener(path: string): ListenerState;
}

export function unixSockets(libc: Libc): UnixSockets {
  // One block that never moves, because msghdr holds addresses. No call is left in the middle, so all may share it.
  const block = new ArrayBuffer(BELL + 8);
  const base = libc.addressOf(block);
  const bell = base + BigInt(BELL);
  const bytes = Buffer.from(block);
  bytes[BELL] = 1;

  function prepareHeader(payloadLength: number, controlLength: number): void {
    bytes.fill(0, HEADER, VECTOR);
    bytes.writeBigUInt64LE(base + BigInt(VECTOR), HEADER + 16);
    bytes.writeBigUInt64LE(1n, HEADER + 24);
    if (controlLength > 0) {
      bytes.writeBigUInt64LE(base + BigInt(CONTROL), HEADER + 32);
      bytes.writeBigUInt64LE(BigInt(controlLength), HEADER + 40);
    }
    bytes.writeBigUInt64LE(base + BigInt(PAYLOAD), VECTOR);
    bytes.writeBigUInt64LE(BigInt(payloadLength), VECTOR + 8);
  }

  function writeRights(descriptors: readonly number[]): number {
    if (descriptors.length === 0) return 0;
    const length = CMSG_HEADER + 4 * descriptors.length;
    bytes.fill(0, CONTROL, CONTROL + controlSpace(length));
    bytes.writeBigUInt64LE(BigInt(length), CONTROL);
    bytes.writeInt32LE(SOL_SOCKET, CONTROL + 8);
    bytes.writeInt32LE(SCM_RIGHTS, CONTROL + 12);
    for (let i = 0; i < descriptors.length; i++) bytes.writeInt32LE(descriptors[i]!, CONTROL + CMSG_HEADER + 4 * i);
    return controlSpace(length);
  }

  function readRights(): number[] {
    const total = Math.min(Number(bytes.readBigUInt64LE(HEADER + 40)), CONTROL_LENGTH);
    const descriptors: number[] = [];
    for (let at = 0; at + CMSG_HEADER <= total; ) {
      const length = Number(bytes.readBigUInt64LE(CONTROL + at));
      if (length < CMSG_HEADER || at + length > total) break;
      const level = bytes.readInt32LE(CONTROL + at + 8);
      const type = bytes.readInt32LE(CONTROL + at + 12);
      if (level === SOL_SOCKET && type === SCM_RIGHTS) {
        for (let i = CMSG_HEADER; i + 4 <= length; i += 4) descriptors.push(bytes.readInt32LE(CONTROL + at + i));
      }
      at += controlSpace(length);
    }
    return descriptors;
  }

  return {
    ringDoorbell(descriptor) {
      if (libc.send(descriptor, bell, 1, MSG_DONTWAIT | MSG_NOSIGNAL) === 1) return true;
      // A full socket means that the peer has bells enough to wake up by.
      return libc.errorName() === 'EAGAIN';
    },

    peerCredentials(socketDescriptor) {
      const credentials = Buffer.alloc(12);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(credentials.length);
      if (libc.getsockopt(socketDescriptor, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) {
        throw callFailed('peer-unreachable', 'SO_PEERCRED', libc.errorName());
      }
      return {
        pid: credentials.readInt32LE(0),
        uid: credentials.readUInt32LE(4),
        gid: credentials.readUInt32LE(8),
      };
    },

    sendMessage(descriptor, data, descriptors = []) {
      if (data.length === 0 || data.length > PAYLOAD_LENGTH) throw new RangeError(`${data.length} bytes`);
      if (descriptors.length > mostDescriptors) throw new RangeError(`${descriptors.length} descriptors`);
      bytes.set(data, PAYLOAD);
      prepareHeader(data.length, writeRights(descriptors));
      const sent = libc.sendmsg(descriptor, base, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent >= 0) return sent;
      const code = libc.errorName();
      if (code === 'EAGAIN') return 0;
      if (code === 'EPIPE' || code === 'ECONNRESET') throw callFailed('peer-gone', 'sendmsg', code);
      const exhausted = code === 'ETOOMANYREFS' || code === 'ENOBUFS' || code === 'ENOMEM';
      throw callFailed(exhausted ? 'resources-exhausted' : 'peer-unreachable', 'sendmsg', code);
    },

    receiveMessage(descriptor, length) {
      if (length <= 0 || length > PAYLOAD_LENGTH) throw new RangeError(`${length} bytes`);
      let resets = 0;
      for (;;) {
        prepareHeader(length, CONTROL_LENGTH);
        const received = libc.recvmsg(descriptor, base, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (received < 0) {
          const code = libc.errorName();
          if (code === 'EINTR') continue;
          if (code === 'EAGAIN') return null;
          // The reset is reported before data that is still queued, and that data may be the peer's reason.
          if (code === 'ECONNRESET') {
            if (resets++ === 0) continue;
            return 'end';
          }
          throw callFailed('peer-unreachable', 'recvmsg', code);
        }
        const descriptors = readRights();
        if (received === 0 && descriptors.length === 0) return 'end';
        const flags = bytes.readInt32LE(HEADER + 48);
        return {
          data: Buffer.from(bytes.subarray(PAYLOAD, PAYLOAD + received)),
          descriptors,
          truncated: (flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0,
        };
      }
    },

    peerHungUp(descriptor) {
      const entry = Buffer.alloc(8);
      entry.writeInt32LE(descriptor, 0);
      return libc.poll(entry, 1, 0) > 0 && (entry.readInt16LE(6) & POLLHUP) !== 0;
    },

    probeListener(path) {
      const name = Buffer.from(`${path}\0`);
      if (name.length > 108) throw new RangeError(`${path} does not fit into a socket address`);
      const address = Buffer.alloc(2 + name.length);
      address.writeUInt16LE(AF_UNIX, 0);
      address.set(name, 2);
      const descriptor = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (descriptor < 0) throw new PlatformError('resources-exhausted', `socket: ${libc.errorName()}`);
      const result = libc.connect(descriptor, address, address.length);
      const code = result === 0 ? '' : libc.errorName();
      libc.close(descriptor);
      if (code === '' || code === 'EAGAIN') return 'alive';
      if (code === 'ECONNREFUSED') return 'dead';
      return code === 'ENOENT' ? 'absent' : 'unknown';
    },
  };
}
