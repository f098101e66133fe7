/**
 * What the switch shows to the program's side (`src/net`, later `src/winsock`): the upper face of WSD-COMP-1.
 *
 * All errors here are Winsock numbers; 0 is success. Nothing is called back before the call that started it has returned,
 * except where a comment says so.
 */

import type { CloseCause } from '../diagnostics/channels.js';
import type { Reason } from '../diagnostics/reasons.js';
import type { SOCKADDR } from '../spi/index.js';
import type { MovedConnection, MovedListener } from './moved.js';

/**
 * Why a socket has to stay on TCP/IP although a SAN might carry it, or null. Asked with the destination of a connect and with
 * the bound address of a listener.
 */
export type Exclusion = (role: 'connect' | 'listen', address: SOCKADDR) => Reason | null;

/** What a connection tells its owner. The owner may call any method of the connection from inside. */
export interface ConnectionEvents {
  /** Bytes for the program, at most 64 KiB. The buffer belongs to the receiver and is never written again. */
  onData(chunk: Buffer): void;
  /**
   * Bytes of which the last is urgent. Without this function the urgent byte is dropped and the rest are data like any
   * other, which is what a kernel does for sockets that do not ask for urgent data.
   */
  onUrgent?(chunk: Buffer): void;
  /** The peer has finished sending, and everything it sent has been delivered. */
  onEnd(): void;
  /**
   * The connection is lost and everything that arrived has been delivered: WSAECONNRESET, WSAECONNABORTED. Nothing
   * follows. Writes that wait fail as well, through their own callback.
   */
  onError(wsaError: number): void;
  /**
   * The process ends: what the program has written and its owner has not given to the connection yet, because a write
   * waits. Nothing follows.
   */
  unwritten?(): readonly Uint8Array[];
  /** The connection is over for both sides, `milliseconds` after it was made. Not called when the process ends. */
  onClosed?(cause: CloseCause, milliseconds: number): void;
}

/** An established SAN connection with its session (WSD-CON-19, WSD-ACC-26): a byte stream with half-close. */
export interface SanConnection {
  /** Name of the provider, for example `shared-memory`. */
  readonly provider: string;
  readonly localAddress: SOCKADDR;
  readonly peerAddress: SOCKADDR;
  /** To be set before the first `readStart`. */
  events: ConnectionEvents | null;
  /** Bytes given to `write` that the wire has not taken yet. Falls while a write waits. */
  readonly writeQueueSize: number;
  /**
   * True: the bytes are taken, `done` is not called and the chunk may be used again. False: the chunk must stay as it is
   * until `done` is called, once, later, with 0 or WSAECONNRESET, WSAECONNABORTED, WSAESHUTDOWN or, after `close` or
   * `reset`, WSA_OPERATION_ABORTED.
   */
  write(chunk: Uint8Array, done: (wsaError: number) => void): boolean;
  /** Same for several chunks, in order, as one write. */
  writev(chunks: readonly Uint8Array[], done: (wsaError: number) => void): boolean;
  /** Same for at most URGENT_MAX (4096) bytes of which the last is urgent. They keep their place in the stream. */
  writeUrgent(chunk: Uint8Array, done: (wsaError: number) => void): boolean;
  /**
   * Writes of more bytes go by RDMA from now on, if the peer takes them so: the chunk itself is in use
   * until `done`. A connection that is closed meanwhile is reset.
   */
  set largeThreshold(bytes: number);
  /** Ends the sending direction after everything written so far. `done` follows in a later turn. */
  shutdown(done: (wsaError: number) => void): void;
  /** Starts delivery. A new connection does not deliver. */
  readStart(): void;
  /** Stops delivery at once, also from inside `onData`. What has arrived stays in the session, and the peer is held back. */
  readStop(): void;
  /** Closes in both directions. What was written is still sent in the background (WSD-CLS-5); unread bytes make it a reset, as with TCP. */
  close(): void;
  /** Closes abortively: unsent bytes are lost and the peer's receive fails with WSAECONNRESET (WSD-CLS-5). */
  reset(): void;
}

/** A connection that can go on in another process. Nothing is called back before the call that started it has returned. */
export interface MovableConnection extends SanConnection {
  /**
   * Nothing is sent any more, and `done` is called when nothing comes either, because the peer waits as well, or because the
   * connection is gone: what has arrived moves all the same. What the program writes meanwhile goes along.
   */
  suspend(done: () => void): void;
  /**
   * After `suspend`: what `Switch.receiveConnection` of a process with that id needs, as plain data and bytes. Nothing can
   * be asked of the connection here any more but `closeFormer`. Or the error of WSPDuplicateSocket: it has not moved.
   */
  duplicate(processId: number): MovedConnection | number;
  /** After `suspend`: it does not move, and goes on here. */
  resume(): void;
  /** After `duplicate`: it will not come back to this process. */
  closeFormer(): void;
}

/** Who accepts SAN connections of a listening socket. */
export interface AcceptHandler {
  /**
   * CF_ACCEPT, CF_REJECT or CF_DEFER, in the call stack of the provider's WSPAccept (WSD-ACC-8). Must not throw or wait.
   * Anything else refuses. After CF_DEFER the request stays first, and is asked about again by `acceptDeferred` and
   * whenever another one arrives.
   */
  condition(caller: SOCKADDR, callee: SOCKADDR): number;
  /** The session is negotiated. The connection does not deliver before its `readStart`. */
  accepted(connection: SanConnection): void;
  /** Instead of `accepted` after CF_ACCEPT: the request was withdrawn, or could not be accepted or negotiated. */
  lost?(caller: SOCKADDR): void;
  /** Providers or addresses have come or gone, and the answer to whether a SAN listens is another one (`SwitchSocket.reason`). */
  reasonChanged?(reason: Reason): void;
}

/** Who waits for a connect. Exactly one of the three is called, once. */
export interface ConnectHandler {
  connected(connection: SanConnection): void;
  /** Final: the SAN said that TCP/IP would fail as well (WSD-CON-13), or a fallback is forbidden by SOCKETS_DIRECT_REQUIRE. */
  failed(wsaError: number, reason: Reason): void;
  /**
   * TCP/IP carries it: the switch has called the TCP/IP provider's WSPConnect on the program's own socket. `status` is
   * what the native call returned (0, or a negative errno of libuv). May be called before `connect` returns.
   */
  fallback(reason: Reason, status: number): void;
}

/** The private record that the switch keeps for a socket of the program (WSD-SOC-2). */
export interface SwitchSocket {
  /**
   * WSD-LSN-1: TCP/IP's WSPListen first; if that succeeds, SAN providers that serve the bound address join. Returns the
   * status of the TCP/IP listen (0, or a negative errno of libuv). `reason` tells afterwards whether a SAN listens.
   * `sanBacklog`: requests that wait on each SAN before more are refused (WSD-LSN-8); SOMAXCONN by default.
   */
  listen(backlog: number, handler: AcceptHandler, sanBacklog?: number): number;
  /**
   * SAN providers join a listening of TCP/IP that somebody else does, at that address: the primary of a cluster, for one.
   * `reason` tells afterwards whether a SAN listens.
   */
  join(local: SOCKADDR, handler: AcceptHandler): void;
  /**
   * What `receive` needs in a process with that id, as plain data, for each SAN that listens. Requests that come from now on
   * wait for that process (WSD-DUP-35); `close` when it has them.
   */
  duplicate(processId: number): MovedListener[];
  /**
   * SANs that have listened in another process for the same TCP/IP socket listen here from now on, and those that serve its
   * address here and did not there. `backlog` is for the latter.
   */
  receive(local: SOCKADDR, backlog: number, moved: readonly MovedListener[], handler: AcceptHandler): void;
  /** Asks the condition function again about the requests for which it said CF_DEFER, if they still wait (WSD-ACC-10). */
  acceptDeferred(): void;
  /** Remembers an option for companions made from now on, if a provider can have it (WSD-SOC-17). `value`: 32 bits. */
  setOption(level: number, name: number, value: number): void;
  /** SAN first where the routing table knows the destination, then TCP/IP (WSD-CON-1 to WSD-CON-19). */
  connect(remote: SOCKADDR, handler: ConnectHandler): void;
  /** Ends listening on every SAN, or cancels a pending connect (WSD-CON-22). The TCP/IP socket stays the caller's to close. */
  close(): void;
  /** Why this socket is or is not on a SAN; null while undecided. */
  readonly reason: Reason | null;
}
