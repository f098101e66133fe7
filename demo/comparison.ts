/** A short side-by-side with TCP, on one listener. `npm run bench` is the place for figures to rely on. */

import { median } from '../bench/harness/statistics.js';
import { figure, table } from '../bench/table.js';
import { DemoClient, DemoServer } from './programs.js';

export interface Figures {
  /** GET of 64 bytes, one after the other. */
  p50Us: number;
  /** The same over 16 connections. */
  requestsPerS: number;
}

export interface Comparison {
  sharedMemory: Figures;
  tcp: Figures;
}

const CONNECTIONS = 16;
const MS = 500;
const ROUNDS = 3;

/** With processes of its own, because what is traced is slower. */
export async function compare(): Promise<Comparison> {
  const server = new DemoServer({ preload: true });
  const port = await server.port();
  const san = new DemoClient(port, { preload: true, env: { SOCKETS_DIRECT_REQUIRE: 'shared-memory' } });
  const tcp = new DemoClient(port, { preload: false });
  const rounds: { san: Figures; tcp: Figures }[] = [];
  try {
    for (let round = 0; round < ROUNDS; round++) {
      // Who goes first changes, so that the second is not always the one that finds a warm server.
      const tcpFirst = round % 2 === 0 ? await figures(tcp) : null;
      const sanFigures = await figures(san);
      rounds.push({ san: sanFigures, tcp: tcpFirst ?? (await figures(tcp)) });
    }
  } finally {
    for (const { child } of [san, tcp, server]) child.kill();
  }
  // The first round has warmed up both the clients and the server's side of each.
  const measured = rounds.slice(1);
  const middle = (pick: (round: { san: Figures; tcp: Figures }) => number) => median(measured.map(pick));
  return {
    sharedMemory: { p50Us: middle((r) => r.san.p50Us), requestsPerS: middle((r) => r.san.requestsPerS) },
    tcp: { p50Us: middle((r) => r.tcp.p50Us), requestsPerS: middle((r) => r.tcp.requestsPerS) },
  };
}

async function figures(client: DemoClient): Promise<Figures> {
  const latency = await client.ask({ do: 'latency', path: '/small', ms: MS });
  const load = await client.ask({ do: 'load', path: '/small', ms: MS, connections: CONNECTIONS });
  return { p50Us: Number(latency.p50Us), requestsPerS: Number(load.perS) };
}

export function formatComparison({ sharedMemory, tcp }: Comparison): string {
  const row = (label: string, ours: number, theirs: number) => [
    label,
    figure(ours),
    figure(theirs),
    `${figure(ours / theirs)} x`,
  ];
  return table([
    ['', 'shared memory', 'TCP', ''],
    row('GET of 64 bytes, one connection, p50 in us', sharedMemory.p50Us, tcp.p50Us),
    row(`GET of 64 bytes, ${CONNECTIONS} connections, requests/s`, sharedMemory.requestsPerS, tcp.requestsPerS),
  ]);
}
