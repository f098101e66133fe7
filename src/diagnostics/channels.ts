/**
 * What Sockets Direct publishes through `node:diagnostics_channel`. Nothing is made or published while nobody subscribes, and
 * what a subscriber throws does not reach the connection: Node.js reports it as an uncaught exception in a later turn.
 *
 * The channels are about sockets and servers of `node:net`, be they made by a program with the preload or through the
 * package's own module. Subscribers are called in the turn in which it happens, in no particular asynchronous context.
 */

import diagnosticsChannel from 'node:diagnostics_channel';
import type net from 'node:net';
import type { Reason } from './reasons.js';

/** One end of a connection. */
export interface Endpoint {
  /** IPv4 or IPv6, as text. */
  readonly address: string;
  readonly port: number;
}

/** `sockets-direct:connect`: a SAN carries the socket. Comes right before the socket's own 'connect'. */
export interface ConnectMessage {
  /** A tls.TLSSocket if the program connects by TLS. */
  readonly socket: net.Socket;
  /** Name of the SAN service provider, for example `shared-memory`. */
  readonly provider: string;
  readonly localAddress: Endpoint;
  readonly peerAddress: Endpoint;
  /** Milliseconds from the connect to the negotiated session. */
  readonly duration: number;
}

/** `sockets-direct:accept`: a SAN connection has reached a server. Comes right after the server's own 'connection'. */
export interface AcceptMessage {
  /** Of a TLS server: the socket below the TLSSocket. */
  readonly socket: net.Socket;
  readonly server: net.Server;
  readonly provider: string;
  readonly localAddress: Endpoint;
  readonly peerAddress: Endpoint;
}

/** `sockets-direct:fallback`: TCP/IP carries a connect, or no SAN listens beside a server. */
export interface FallbackMessage {
  /** The socket that connects; null for a server. */
  readonly socket: net.Socket | null;
  /** The server that listens; null for a connect. */
  readonly server: net.Server | null;
  /** Where the connect leads to, or where the server listens. Null: the server has no address yet. */
  readonly address: Endpoint | null;
  readonly reason: Reason;
  /** The reason as a sentence. */
  readonly text: string;
}

/** `sockets-direct:connect-error`: a connect has failed without TCP/IP being tried. The socket's own 'error' follows. */
export interface ConnectErrorMessage {
  readonly socket: net.Socket;
  readonly address: Endpoint;
  /** `refused`: the peer does not want the connection. Others: SOCKETS_DIRECT_REQUIRE forbids TCP/IP. */
  readonly reason: Reason;
  readonly text: string;
  /** Code of the error that the program gets, for example `ECONNREFUSED`. */
  readonly code: string;
}

/**
 * How a SAN connection came to its end.
 *
 * * `ended`: both sides have finished sending.
 * * `reset-by-peer`: the peer gave it up, or closed it with bytes of ours unread.
 * * `reset`: this side gave it up, or closed it with bytes of the peer's unread.
 * * `peer-died`: the peer's process or event loop is gone.
 * * `protocol-violation`: the peer broke the protocol.
 */
export type CloseCause = 'ended' | 'reset-by-peer' | 'reset' | 'peer-died' | 'protocol-violation';

/**
 * `sockets-direct:close`: a SAN connection is over for both sides. That can be before the socket's own 'close', or after it,
 * while what was written is still sent. Not published for connections that end with the process.
 */
export interface CloseMessage {
  readonly socket: net.Socket;
  readonly provider: string;
  readonly localAddress: Endpoint;
  readonly peerAddress: Endpoint;
  /** Bytes, as `bytesRead` and `bytesWritten` of the socket. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Milliseconds since the connection was made. */
  readonly duration: number;
  readonly cause: CloseCause;
}

export const connectChannel = diagnosticsChannel.channel('sockets-direct:connect');
export const acceptChannel = diagnosticsChannel.channel('sockets-direct:accept');
export const fallbackChannel = diagnosticsChannel.channel('sockets-direct:fallback');
export const connectErrorChannel = diagnosticsChannel.channel('sockets-direct:connect-error');
export const closeChannel = diagnosticsChannel.channel('sockets-direct:close');
