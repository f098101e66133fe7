/** WSADuplicateSocket, and WSASocket with what it has given. */

import {
  AF_INET,
  AF_INET6,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type Out,
  SOCK_STREAM,
  type SOCKADDR,
  WSAECONNRESET,
  WSAEINVAL,
  WSAENOTCONN,
  WSAEOPNOTSUPP,
  type WSAPROTOCOL_INFO,
} from '../spi/index.js';
import { WSAError } from './error.js';
import type { Host } from './host.js';
import { Share } from './share.js';
import { SharedConnection } from './shared-connection.js';
import { SharedListener } from './shared-listener.js';
import { SOCKET, SocketRecord } from './socket.js';
import type { SetOption } from './socket-options.js';
import type { Startup } from './startup.js';

/** What the other process is told of the socket before it needs anything of it. */
interface Description {
  readonly family: number;
  readonly local: SOCKADDR;
  /** Null: it listens. */
  readonly peer: SOCKADDR | null;
  readonly conditional: boolean;
  /** TCP/IP carries it: the kernel's socket comes with the channel. */
  readonly tcpip: boolean;
  readonly options: readonly SetOption[];
}

/** WSADuplicateSocket. Nothing happens to the socket (WSD-DUP-7). */
export function duplicate(record: SocketRecord, processId: number): WSAPROTOCOL_INFO {
  const syscall = 'WSADuplicateSocket';
  if (!Number.isInteger(processId) || processId <= 0 || processId > 0xffff_ffff) throw new WSAError(WSAEINVAL, syscall);
  const listens = record.listener !== null || record.listensElsewhere;
  // There is nothing yet that could move (WSD-DUP-10).
  if (record.local === null || (record.peer === null && !listens)) throw new WSAError(WSAENOTCONN, syscall);
  const shared = listens ? new SharedListener(record) : new SharedConnection(record);
  const share = record.share ?? new Share(shared, record.host.scheduler.later, null);
  if (share.error !== 0) throw new WSAError(share.error, syscall);
  const { tcpip, sharing } = record.host;
  if (listens || record.transfer?.provider === 'tcpip') record.kernelSocket ??= Promise.resolve();
  const { kernelSocket } = record;
  let descriptor: number | null = null;
  const open = async (): Promise<number | null> => {
    await kernelSocket;
    descriptor = tcpip.kernelDescriptor(record.descriptor);
    return descriptor;
  };
  const { family, local, peer, conditional, options } = record;
  const description: Description = { family, local, peer, conditional, tcpip: kernelSocket !== null, options };
  let number: number;
  try {
    const nothing = (): Promise<null> => Promise.resolve(null);
    const offer = sharing.leave(processId, description, kernelSocket === null ? nothing : open, (channel) => {
      if (descriptor !== null) tcpip.closeKernelDescriptor(descriptor);
      share.taken(offer, channel);
    });
    share.offered(offer);
    number = offer.number;
  } catch (error) {
    throw Object.assign(new WSAError(WSAEOPNOTSUPP, syscall), { cause: error });
  }
  record.share = share;
  return { ...tcpip.protocolInfo, iAddressFamily: record.family, dwProviderReserved: number };
}

/** WSASocket with the protocol info of WSADuplicateSocket, which is good for one call in the process that it is for (WSD-DUP-44). */
export function receive(startup: Startup, host: Host, number: number): SOCKET {
  const syscall = 'WSASocket';
  let found: ReturnType<Host['sharing']['take']>;
  try {
    found = host.sharing.take(number);
  } catch (error) {
    throw Object.assign(new WSAError(WSAEOPNOTSUPP, syscall), { cause: error });
  }
  const description = found === null ? null : checkedDescription(found.description);
  if (found === null || description === null) throw new WSAError(WSAEINVAL, syscall);
  const errno: Out<number> = { value: 0 };
  const descriptor = host.tcpip.WSPSocket(description.family, SOCK_STREAM, IPPROTO_TCP, errno);
  if (descriptor === INVALID_SOCKET) throw new WSAError(errno.value, syscall);
  const record = new SocketRecord(startup, host, descriptor, null);
  const { local, peer, conditional, options } = description;
  if (peer === null) record.establishListening(local, conditional, options);
  else record.establishShared(local, peer, options);
  const shared = peer === null ? new SharedListener(record) : new SharedConnection(record);
  const { share, giver } = Share.received(shared, host.scheduler.later);
  record.share = share;
  let known = (): void => {};
  if (description.tcpip) {
    record.kernelSocket = new Promise((resolve) => {
      known = resolve;
    });
  }
  found.open((channel, kernel) => {
    if (kernel !== null) {
      const own = host.tcpip.fromKernelDescriptor(kernel, description.family);
      host.tcpip.closeKernelDescriptor(kernel);
      if (own !== null) {
        record.closeDescriptor();
        record.descriptor = own;
        known();
      }
    }
    if (channel === null || (description.tcpip && kernel === null)) share.lose(WSAECONNRESET);
    else giver.connected(channel);
  });
  return new SOCKET(record);
}

function isAddress(value: unknown): value is SOCKADDR {
  const { sa_family: family, address, port } = (value ?? {}) as Partial<SOCKADDR>;
  return (family === AF_INET || family === AF_INET6) && typeof address === 'string' && Number.isInteger(port);
}

function checkedDescription(value: unknown): Description | null {
  const { family, local, peer, conditional, tcpip, options } = (value ?? {}) as Partial<Description>;
  if ((family !== AF_INET && family !== AF_INET6) || !isAddress(local)) return null;
  if (peer === undefined || (peer !== null && !isAddress(peer))) return null;
  const isOption = ({ level, name, value: set }: SetOption): boolean => [level, name, set].every(Number.isInteger);
  if (
    !Array.isArray(options) ||
    !options.every((option) => typeof option === 'object' && option !== null && isOption(option))
  )
    return null;
  return { family, local, peer, conditional: conditional === true, tcpip: tcpip === true, options };
}
