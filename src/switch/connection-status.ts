/** A connection for status displays. */

import type { ConnectionStatus } from '../diagnostics/status.js';
import type { Session } from '../session/index.js';
import type { SOCKADDR } from '../spi/index.js';

interface Shown {
  readonly provider: string;
  readonly localAddress: SOCKADDR;
  readonly peerAddress: SOCKADDR;
}

/** `age`: milliseconds. */
export function statusOf(
  { provider, localAddress, peerAddress }: Shown,
  session: Session,
  initiator: boolean,
  peerPid: number | null,
  age: number,
): ConnectionStatus {
  return {
    provider,
    reason: 'accelerated',
    role: initiator ? 'connect' : 'accept',
    state: session.closing ? 'closing' : 'open',
    localAddress: { address: localAddress.address, port: localAddress.port },
    peerAddress: { address: peerAddress.address, port: peerAddress.port },
    peerPid,
    age: Math.round(age),
    bytesRead: session.bytesReceived,
    bytesWritten: session.bytesSent,
    credits: session.credits,
  };
}
