/** Messages of the kernel about addresses: NETLINK_ROUTE, see rtnetlink(7). Numbers are in the order of bytes of the host. */

import { SocketAddress } from 'node:net';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
/** Duplicate address detection still runs, or has found one. */
const IFA_F_TENTATIVE = 0x40;
const IFA_F_DADFAILED = 0x08;
const AF_INET = 2;
const AF_INET6 = 10;

/** Bytes of nlmsghdr, ifaddrmsg and rtattr. */
const headerSize = 16;
const addressSize = 8;
const attributeSize = 4;

/** An address of an interface of this network namespace. */
export interface InterfaceAddress {
  /** Textual, without zone. */
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  /** Bits of the subnet. */
  readonly prefixLength: number;
  /** The interface, by which it can be told from others: its index. */
  readonly device: number;
}

/** What a message says. `done` ends the answer to a request; `interrupted`: something has changed while it was made. */
export type AddressMessage =
  | { readonly kind: 'added' | 'removed'; readonly address: InterfaceAddress }
  | { readonly kind: 'done'; readonly interrupted: boolean }
  | { readonly kind: 'error' };

/** A request for all addresses of both families. */
export function addressRequest(): Buffer {
  const request = Buffer.alloc(headerSize + addressSize);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(RTM_GETADDR, 4);
  request.writeUInt16LE(NLM_F_REQUEST | NLM_F_DUMP, 6);
  return request;
}

/** The messages of one read, in order. What is of another kind, or cut off, is left out. */
export function* addressMessages(bytes: Buffer): Generator<AddressMessage> {
  for (let at = 0; at + headerSize <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < headerSize || at + length > bytes.length) return;
    const message = parse(bytes.subarray(at, at + length));
    if (message !== null) yield message;
    at += align(length);
  }
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function parse(message: Buffer): AddressMessage | null {
  const type = message.readUInt16LE(4);
  if (type === NLMSG_DONE) return { kind: 'done', interrupted: (message.readUInt16LE(6) & NLM_F_DUMP_INTR) !== 0 };
  if (type === NLMSG_ERROR) return { kind: 'error' };
  if ((type !== RTM_NEWADDR && type !== RTM_DELADDR) || message.length < headerSize + addressSize) return null;
  const family = message.readUInt8(headerSize);
  if (family !== AF_INET && family !== AF_INET6) return null;
  const size = family === AF_INET ? 4 : 16;
  let local: Buffer | null = null;
  let flags = message.readUInt8(headerSize + 2);
  for (let at = headerSize + addressSize; at + attributeSize <= message.length; ) {
    const length = message.readUInt16LE(at);
    if (length < attributeSize || at + length > message.length) break;
    const value = message.subarray(at + attributeSize, at + length);
    const name = message.readUInt16LE(at + 2);
    // Of a point-to-point interface IFA_ADDRESS is the peer's.
    if ((name === IFA_LOCAL || (name === IFA_ADDRESS && local === null)) && value.length === size) local = value;
    if (name === IFA_FLAGS && value.length === 4) flags = value.readUInt32LE();
    at += align(length);
  }
  if (local === null) return null;
  const usable = type === RTM_NEWADDR && (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) === 0;
  const address = family === AF_INET ? local.join('.') : ipv6Text(local);
  return {
    kind: usable ? 'added' : 'removed',
    address: {
      address,
      family: family === AF_INET ? 'ipv4' : 'ipv6',
      prefixLength: message.readUInt8(headerSize + 1),
      device: message.readUInt32LE(headerSize + 4),
    },
  };
}

/** As everybody else writes it, with the longest run of zeros left out. */
function ipv6Text(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new SocketAddress({ address: words.join(':'), family: 'ipv6' }).address;
}
