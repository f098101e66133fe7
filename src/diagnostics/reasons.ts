/**
 * Reason codes: why a socket is, or is not, carried by a SAN provider. Every decision has exactly one; users see them in
 * `connectionInfo(socket).reason`, so a code never changes its meaning.
 */

export const reasons = {
  /** The connection runs over a SAN provider. */
  accelerated: 'carried by a SAN provider',
  'off-by-environment': 'SOCKETS_DIRECT=off',
  'denied-by-policy': 'SOCKETS_DIRECT_POLICY or SOCKETS_DIRECT_DENY keeps this socket on TCP/IP',
  'policy-invalid': 'the policy cannot be read or understood, so everything stays on TCP/IP',
  'runtime-untested': 'this runtime or version of Node.js is not in the list of tested ones',
  'platform-unsupported': 'this operating system or processor is not supported',
  'internals-unavailable': 'an internal of Node.js that the drop-in needs is not there',
  'ffi-unavailable': 'the optional package koffi is not installed or cannot be loaded',
  'memory-unavailable': 'shared memory cannot be created, sealed or mapped',
  'user-unknown': 'the own user id is that of every unmapped user, so peers cannot be identified',
  'rendezvous-absent': 'no rendezvous directory of this user and network namespace',
  'rendezvous-unsafe': 'the rendezvous directory belongs to somebody else or is open to others',
  'rendezvous-unavailable': 'the rendezvous directory cannot be created or written',
  'no-provider': 'no SAN provider could be started',
  'not-routed': 'no SAN provider serves the destination or local address',
  'no-listener': 'no process with Sockets Direct listens at the destination',
  'peer-gone': 'the peer process ended during set-up',
  'peer-busy': 'the peer has too many links being set up',
  'peer-permission': 'access to the peer was denied',
  'peer-unreachable': 'the peer could not be reached',
  'peer-other-user': 'the peer belongs to another user',
  'peer-other-namespace': 'the peer is in another network namespace',
  'peer-version': 'the peer speaks another version of the protocol',
  'peer-protocol': 'the peer broke the protocol of a connection, or of setting up a link',
  'link-violation': 'the peer wrote nonsense into memory that serves many connections, and all of them have ended',
  'arena-unsafe': 'the memory offered by the peer is not sealed or not of the agreed size',
  'peer-closing': 'the peer is shutting down',
  'link-limit': 'too many links or connections',
  'connect-timeout': 'the peer did not answer within the connect budget',
  'negotiation-failed': 'the session could not be negotiated',
  'resources-exhausted': 'out of memory, descriptors or ports',
  'provider-error': 'the SAN provider failed before the connection was established',
  refused: 'the peer refused the connection',
  'tls-over-connecting-socket': 'TLS was started on a socket that was still connecting',
  'listener-not-a-server': 'the listening handle does not belong to a net.Server',
  'cluster-distribution': 'connections are distributed by the cluster primary',
  'bound-elsewhere': 'the socket was bound to an address that the SAN does not serve',
  'accepted-by-tcpip': 'the peer connected by TCP/IP',
  'ipv6-scoped': 'link-local addresses with a scope are left to TCP/IP',
} as const;

export type Reason = keyof typeof reasons;
