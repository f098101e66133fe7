/** Which lines of a trace are the steps of the documents' sequence. Times are not judged here, see sequence.ts. */

import type { TraceLine } from './trace.js';

export interface Located {
  id: string;
  text: string;
  rules: string;
  line: TraceLine | null;
  count?: number;
  inside?: string;
}

type Trace = readonly TraceLine[];

/** The provider is started, asked for its addresses and for its extension functions. */
export function startupSteps(trace: Trace): Located[] {
  const ioctl = (code: string) => all(trace, 'WSPIoctl').filter(({ detail }) => detail.startsWith(code));
  const extensions = ioctl('SIO_GET_EXTENSION_FUNCTION_POINTER');
  return [
    step('startup', 'WSPStartupEx', 'INI-2, INI-3', first(all(trace, 'WSPStartupEx'))),
    step('helper-socket', 'WSPSocket', 'INI-11', first(all(trace, 'WSPSocket'))),
    step('addresses', 'WSPIoctl(SIO_ADDRESS_LIST_QUERY)', 'TBL-1', first(ioctl('SIO_ADDRESS_LIST_QUERY'))),
    {
      ...step('extensions', 'WSPIoctl(SIO_GET_EXTENSION_FUNCTION_POINTER)', 'INI-12', first(extensions)),
      count: extensions.length,
    },
  ];
}

/** The companion socket that listens. */
export function listenerSteps(trace: Trace): Located[] {
  const socket = listener(trace);
  return [
    step('listen-socket', 'WSPSocket', 'LSN-2, SOC-6', creation(trace, socket)),
    step('listen-bind', 'WSPBind', 'SOC-13', first(all(trace, 'WSPBind', socket))),
    step('listen', 'WSPListen', 'LSN-3', first(all(trace, 'WSPListen', socket))),
    step('listen-select', 'WSPEventSelect(FD_ACCEPT)', 'LSN-4', select(trace, socket, 'FD_ACCEPT')),
  ];
}

/** One connection, from the request to the first data. */
export function connectionSteps(side: 'client' | 'server', trace: Trace): Located[] {
  return side === 'server' ? acceptSteps(trace) : connectSteps(trace);
}

function acceptSteps(trace: Trace): Located[] {
  const listening = listener(trace);
  const accept = first(all(trace, 'WSPAccept', listening).filter(succeeded));
  const enumerate = nearest(all(trace, 'WSPEnumNetworkEvents', listening), accept);
  const inAccept = (lines: Trace) => nearest(lines, accept === null ? null : { t: accept.end ?? accept.t });
  const verdict = inAccept(all(trace, 'ConditionFunction').filter(({ result }) => result === 'CF_ACCEPT'));
  const handle = inAccept(all(trace, 'WPUCreateSocketHandle').filter(({ socket }) => socket !== listening));
  const socket = accept === null ? null : ordinal(accept.result);
  return [
    step('accept-event', 'WPUSetEvent (FD_ACCEPT)', 'ACC-4', nearest(all(trace, 'WPUSetEvent'), enumerate)),
    step('accept-enumerate', 'WSPEnumNetworkEvents', 'ACC-5', enumerate),
    step('accept', 'WSPAccept', 'ACC-6, ACC-7', accept),
    { ...step('condition', 'ConditionFunction: CF_ACCEPT', 'ACC-8, ACC-11', verdict), inside: 'accept' },
    { ...step('handle', 'WPUCreateSocketHandle', 'ACC-13', handle), inside: 'accept' },
    ...posting(trace, socket),
    session(trace, socket, 'negotiation-received', 'negotiation received', 'NEG-2'),
    session(trace, socket, 'negotiation-sent', 'negotiation sent', 'NEG-4'),
    session(trace, socket, 'first-data', 'first data received', 'ACC-26'),
  ];
}

function connectSteps(trace: Trace): Located[] {
  const connect = first(all(trace, 'WSPConnect').filter((line) => succeeded(line) || line.error === 'WSAEWOULDBLOCK'));
  const socket = connect?.socket ?? null;
  const enumerate = first(all(trace, 'WSPEnumNetworkEvents', socket));
  return [
    step('connect-socket', 'WSPSocket', 'CON-2, SOC-6', creation(trace, socket)),
    step('connect-bind', 'WSPBind', 'SOC-13', first(all(trace, 'WSPBind', socket))),
    step('connect-select', 'WSPEventSelect(FD_CONNECT)', 'CON-5', select(trace, socket, 'FD_CONNECT')),
    step('connect', 'WSPConnect', 'CON-7, CON-9', connect),
    step('connect-event', 'WPUSetEvent (FD_CONNECT)', 'CON-10', nearest(all(trace, 'WPUSetEvent'), enumerate)),
    step('connect-enumerate', 'WSPEnumNetworkEvents', 'CON-11', enumerate),
    ...posting(trace, socket),
    session(trace, socket, 'negotiation-sent', 'negotiation sent', 'NEG-2'),
    session(trace, socket, 'negotiation-received', 'negotiation received', 'NEG-4'),
    session(trace, socket, 'first-data', 'first data received', 'CON-19'),
  ];
}

/**
 * Receive buffers are posted, of registered memory. The registration is a step only where it is recorded: it is an
 * extension function, and memory may have been registered long before, for several connections.
 */
function posting(trace: Trace, socket: number | null): Located[] {
  const receives = all(trace, 'WSPRecv', socket);
  const posted = first(receives);
  const registered = trace.filter(({ fn }) => fn === 'WSPRegisterMemory' || fn === 'WSPAllocateReceiveMemory');
  const registration = nearest(
    registered.filter((line) => line.socket === socket),
    posted,
  );
  // From the first message on, buffers are posted again as they are used.
  const message = first(all(trace, 'WPUCompleteOverlappedRequest', socket));
  const early = message === null ? receives : receives.filter(({ t }) => t < message.t);
  return [
    ...(registration === null ? [] : [step('registered', registration.fn, 'NEG-14', registration)]),
    { ...step('posted', 'WSPRecv', 'NEG-1, NEG-3', posted), count: Math.max(1, early.length) },
  ];
}

function step(id: string, text: string, rules: string, line: TraceLine | null): Located {
  return { id, text, rules: rules === '' ? '' : `WSD-${rules.replaceAll(', ', ', WSD-')}`, line };
}

function session(trace: Trace, socket: number | null, id: string, fn: string, rules: string): Located {
  return step(id, fn, rules, first(all(trace, fn, socket)));
}

/** The listening socket's ordinal; null if nothing listens. */
function listener(trace: Trace): number | null {
  return first(all(trace, 'WSPListen'))?.socket ?? null;
}

/** The call that made the socket. It names it in its result, because there was none to call it on. */
function creation(trace: Trace, socket: number | null): TraceLine | null {
  return first(all(trace, 'WSPSocket').filter(({ result }) => socket !== null && ordinal(result) === socket));
}

function select(trace: Trace, socket: number | null, event: string): TraceLine | null {
  return first(all(trace, 'WSPEventSelect', socket).filter(({ detail }) => detail.includes(event)));
}

/** Lines of one function; with a socket only those of that socket, with null none. */
function all(trace: Trace, fn: string, socket?: number | null): TraceLine[] {
  return trace.filter((line) => line.fn === fn && (socket === undefined || line.socket === socket));
}

function first(lines: Trace): TraceLine | null {
  return lines[0] ?? null;
}

/** The last one before `anchor`, or if there is none, the next one after it, whose place is then found to be wrong. */
function nearest(lines: Trace, anchor: { t: number } | null): TraceLine | null {
  if (anchor === null) return null;
  return lines.findLast(({ t }) => t <= anchor.t) ?? first(lines);
}

function succeeded(line: TraceLine): boolean {
  return line.error === '' && line.result !== -1;
}

/** `socket 3` or 3. */
function ordinal(result: number | string): number | null {
  const digits = /\d+$/.exec(String(result));
  return digits === null ? null : Number(digits[0]);
}
