/** Traces as the recorder would write them for one good connection; tests take them and break them. */

import type { TraceLine } from '../../demo/trace.js';

type Part = Partial<TraceLine> & { fn: string };

/** One line a millisecond, from `start` on; a call takes half of one unless it says how long. */
function lines(pid: number, start: number, parts: readonly Part[]): TraceLine[] {
  return parts.map((part, index) => {
    const t = start + index;
    const kind = part.kind ?? 'call';
    const end = kind === 'call' ? { end: t + 0.5 } : {};
    return { t, ...end, pid, socket: 0, result: 0, error: '', detail: '', ...part, kind };
  });
}

const startup: readonly Part[] = [
  { fn: 'WSPStartupEx', detail: 'TCP/IP' },
  { fn: 'WSPSocket', result: 'socket 1' },
  { fn: 'WSPIoctl', socket: 1, detail: 'SIO_ADDRESS_LIST_QUERY' },
  { fn: 'WSPIoctl', socket: 1, detail: 'SIO_GET_EXTENSION_FUNCTION_POINTER A' },
  { fn: 'WSPIoctl', socket: 1, detail: 'SIO_GET_EXTENSION_FUNCTION_POINTER B' },
];

const setEvent: Part = { kind: 'upcall', fn: 'WPUSetEvent', detail: 'event 2' };
const completed: Part = { kind: 'upcall', fn: 'WPUCompleteOverlappedRequest' };

export function clientTrace(): TraceLine[] {
  const K = 2;
  return lines(100, 1000, [
    ...startup,
    { fn: 'WSPSocket', result: 'socket 2' },
    { fn: 'WSPBind', socket: K },
    { fn: 'WSPEventSelect', socket: K, detail: 'FD_CONNECT' },
    { fn: 'WSPConnect', socket: K, result: -1, error: 'WSAEWOULDBLOCK' },
    setEvent,
    { fn: 'WSPEnumNetworkEvents', socket: K, detail: 'events 16' },
    { fn: 'WSPRecv', socket: K, result: -1, error: 'WSA_IO_PENDING' },
    { fn: 'WSPRecv', socket: K, result: -1, error: 'WSA_IO_PENDING' },
    { kind: 'session', fn: 'negotiation sent', socket: K },
    { ...completed, socket: K },
    { fn: 'WSPRecv', socket: K, result: -1, error: 'WSA_IO_PENDING' },
    { kind: 'session', fn: 'negotiation received', socket: K },
    { ...completed, socket: K },
    { kind: 'session', fn: 'first data received', socket: K },
  ]);
}

/** Starts so that it fits {@link clientTrace}: the request is signalled 0.2 ms after the connect, and so on. */
export function serverTrace(): TraceLine[] {
  const L = 2;
  const C = 3;
  const before = lines(200, 900, [
    ...startup,
    { fn: 'WSPSocket', result: 'socket 2' },
    { fn: 'WSPBind', socket: L },
    { fn: 'WSPListen', socket: L },
    { fn: 'WSPEventSelect', socket: L, detail: 'FD_ACCEPT' },
  ]);
  const connection = lines(200, 1008.2, [
    { ...setEvent, t: 1008.2 },
    { fn: 'WSPEnumNetworkEvents', socket: L, detail: 'events 8', t: 1008.3, end: 1008.35 },
    { fn: 'WSPAccept', socket: L, result: 'socket 3', t: 1008.4, end: 1008.7 },
    { kind: 'condition', fn: 'ConditionFunction', socket: L, result: 'CF_ACCEPT', t: 1008.5 },
    { kind: 'upcall', fn: 'WPUCreateSocketHandle', socket: C, result: 'handle', t: 1008.6 },
    { fn: 'WSPRecv', socket: C, result: -1, error: 'WSA_IO_PENDING', t: 1008.8, end: 1008.85 },
    { fn: 'WSPRecv', socket: C, result: -1, error: 'WSA_IO_PENDING', t: 1008.9, end: 1008.95 },
    { ...completed, socket: C, t: 1014 },
    { kind: 'session', fn: 'negotiation received', socket: C, t: 1014.1 },
    { kind: 'session', fn: 'negotiation sent', socket: C, t: 1014.2 },
    { ...completed, socket: C, t: 1017 },
    { kind: 'session', fn: 'first data received', socket: C, t: 1017.1 },
  ]);
  return [...before, ...connection];
}

/** A trace is read in time order, whatever was done to its times. */
export function inOrder(trace: readonly TraceLine[]): TraceLine[] {
  return [...trace].sort((a, b) => a.t - b.t);
}
