/** What all servers of the bench share: the ready line, and the totals when the bench closes their standard input. */

import type { AddressInfo, Server } from 'node:net';
import type { ServerReady, Totals } from './protocol.js';

export function runServer(server: Server, totals: Totals): void {
  // The longest queue that the kernel allows: what is measured is the cost of connections, not a short queue.
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
    const ready: ServerReady = { port: (server.address() as AddressInfo).port, pid: process.pid };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
  });
  process.stdin.resume();
  process.stdin.on('end', () => {
    process.stdout.write(`${JSON.stringify(totals)}\n`, () => process.exit(0));
  });
}

export function noTotals(): Totals {
  return { bytes: 0, connections: 0, requests: 0 };
}
