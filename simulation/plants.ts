/** Planted bugs: what a simulation has to find within some dozens of seeds, or it is blind. */

import { HEADER_SIZE } from '../src/session/index.js';
import {
  FD_CONNECT,
  FD_CONNECT_BIT,
  type SanServiceProvider,
  type WSABUF,
  WSAECONNREFUSED,
  WSAETIMEDOUT,
  type WSPPROC_TABLE,
  type WSPUPCALLTABLEEX,
} from '../src/spi/index.js';
import type { Plant } from './simulation.js';

type Sabotage = {
  table?: (inner: WSPPROC_TABLE) => Partial<WSPPROC_TABLE>;
  upcalls?: (inner: WSPUPCALLTABLEEX) => Partial<WSPUPCALLTABLEEX>;
};

function sabotage(provider: SanServiceProvider, { table, upcalls }: Sabotage): SanServiceProvider {
  return {
    name: provider.name,
    protocolInfo: provider.protocolInfo,
    WSPStartupEx: (version, data, tcpip, up, out) => {
      const result = provider.WSPStartupEx(version, data, tcpip, { ...up, ...upcalls?.(up) }, out);
      if (out.value !== null) out.value = { ...out.value, ...table?.(out.value) };
      return result;
    },
  };
}

/** Every so many opportunities the bug strikes. */
const oneIn = 20;

/** A completion of a receive is sometimes lost. */
const lostCompletion: Plant = (provider, world) =>
  sabotage(provider, {
    upcalls: (inner) => ({
      WPUCompleteOverlappedRequest: (s, overlapped, error, bytes, lpErrno) => {
        if (error === 0 && world.chance(1 / oneIn)) return 0;
        return inner.WPUCompleteOverlappedRequest(s, overlapped, error, bytes, lpErrno);
      },
    }),
  });

/** A completion is sometimes told twice. */
const doubleCompletion: Plant = (provider, world) =>
  sabotage(provider, {
    upcalls: (inner) => ({
      WPUCompleteOverlappedRequest: (s, overlapped, error, bytes, lpErrno) => {
        inner.WPUCompleteOverlappedRequest(s, overlapped, error, bytes, lpErrno);
        if (!world.chance(1 / oneIn)) return 0;
        return inner.WPUCompleteOverlappedRequest(s, overlapped, error, bytes, lpErrno);
      },
    }),
  });

/** The first word of the header of a message that is about to be sent. */
function changeHeader(change: (word: number) => number, buffer: WSABUF): void {
  const i = buffer.offset >> 2;
  buffer.buf.words[i] = change(buffer.buf.words[i]!);
}

/** The session's wire sometimes drops the credits of a message. */
const droppedCredit: Plant = (provider, world) =>
  sabotage(provider, {
    table: (inner) => ({
      WSPSend: (...args) => {
        if (world.chance(1 / oneIn)) changeHeader((word) => word & 0xffff, args[1][0]!);
        return inner.WSPSend(...args);
      },
    }),
  });

/** A byte of a payload is sometimes wrong. */
const wrongByte: Plant = (provider, world) =>
  sabotage(provider, {
    table: (inner) => ({
      WSPSend: (...args) => {
        const [buffer] = args[1];
        if (buffer!.len > HEADER_SIZE + 24 && world.chance(1 / oneIn)) {
          buffer!.buf.bytes[buffer!.offset + buffer!.len - 1]! ^= 1;
        }
        return inner.WSPSend(...args);
      },
    }),
  });

/** The connector gives up by itself, without asking whether the acceptor was faster. */
const selfishWithdrawal: Plant = (provider, world) =>
  sabotage(provider, {
    table: (inner) => ({
      WSPEnumNetworkEvents: (s, event, events, lpErrno) => {
        const result = inner.WSPEnumNetworkEvents(s, event, events, lpErrno);
        const connected = (events.lNetworkEvents & FD_CONNECT) !== 0 && events.iErrorCode[FD_CONNECT_BIT] === 0;
        if (connected && world.chance(1 / oneIn)) events.iErrorCode[FD_CONNECT_BIT] = WSAETIMEDOUT;
        return result;
      },
    }),
  });

/** A final error where TCP/IP would have done it. */
const falseFinality: Plant = (provider, world) =>
  sabotage(provider, {
    table: (inner) => ({
      WSPEnumNetworkEvents: (s, event, events, lpErrno) => {
        const result = inner.WSPEnumNetworkEvents(s, event, events, lpErrno);
        if (events.iErrorCode[FD_CONNECT_BIT] !== 0 && world.chance(0.5)) {
          events.iErrorCode[FD_CONNECT_BIT] = WSAECONNREFUSED;
        }
        return result;
      },
    }),
  });

/** A socket is sometimes not closed. */
const leakedSocket: Plant = (provider, world) =>
  sabotage(provider, {
    table: (inner) => ({
      WSPCloseSocket: (s, lpErrno) => (world.chance(1 / oneIn) ? 0 : inner.WSPCloseSocket(s, lpErrno)),
    }),
  });

export const plants: Readonly<Record<string, Plant>> = {
  'lost-completion': lostCompletion,
  'double-completion': doubleCompletion,
  'dropped-credit': droppedCredit,
  'wrong-byte': wrongByte,
  'selfish-withdrawal': selfishWithdrawal,
  'false-finality': falseFinality,
  'leaked-socket': leakedSocket,
};
