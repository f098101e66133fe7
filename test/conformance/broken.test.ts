/** Providers that are broken on purpose, at least one for each family of provider-side rules: the kit names the rule. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { loadSubject, rules, runConformance, type Subject } from '../../src/conformance/index.js';
import { familyOf } from '../../src/conformance/rules.js';
import simulated from '../../src/providers/simulated/conformance.js';
import {
  CF_DEFER,
  CF_REJECT,
  type ConditionFunction,
  FD_ACCEPT,
  FD_CONNECT_BIT,
  PFL_HIDDEN,
  type ProviderSocket,
  SIO_ADDRESS_LIST_QUERY,
  type SOCKET_ADDRESS_LIST,
  SOMAXCONN,
  type WSABUF,
  WSAEADDRNOTAVAIL,
  WSAEALREADY,
  WSAECONNABORTED,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEINPROGRESS,
  WSAEINVAL,
  WSAETIMEDOUT,
  type WSAOVERLAPPED,
  WSPMemoryRegistrationCacheCallbackGuid,
  WSPRdmaReadGuid,
  WSPRdmaWriteGuid,
  WSPRegisterMemoryGuid,
} from '../../src/spi/index.js';
import { repositoryRoot } from '../../tools/source/files.js';
import { type Alterations, altered } from './altered.js';

interface Broken extends Alterations {
  readonly rule: string;
  readonly what: string;
  /** Which of the scenarios of the rule; default: all. */
  readonly only?: RegExp;
}

/** The condition function, with something done to it. */
function asking(alter: (condition: ConditionFunction) => ConditionFunction): NonNullable<Alterations['table']> {
  return ({ WSPAccept }) => ({
    WSPAccept: (s, addr, addrlen, condition, ...rest) =>
      WSPAccept(s, addr, addrlen, condition === null ? null : alter(condition), ...rest),
  });
}

/** The buffers of receives, to be spoiled when they complete. */
const posted = new WeakMap<WSAOVERLAPPED, readonly WSABUF[]>();
/** Receives of all parties of a rig that have ever been posted. */
let receives = 0;

const broken: readonly Broken[] = [
  {
    rule: 'WSD-ERR-1',
    what: 'WSPBind throws where it should fail',
    table: ({ WSPBind }) => ({
      WSPBind: (...args) => {
        const result = WSPBind(...args);
        if (result !== 0) throw new Error('cannot bind');
        return result;
      },
    }),
  },
  {
    rule: 'WSD-BLK-8',
    what: 'a second WSPConnect is WSAEINPROGRESS',
    table: ({ WSPConnect }) => ({
      WSPConnect: (...args) => {
        const result = WSPConnect(...args);
        const errno = args[7];
        if (errno.value === WSAEALREADY) errno.value = WSAEINPROGRESS;
        return result;
      },
    }),
  },
  {
    rule: 'WSD-COMP-12',
    what: 'longer messages arrive with another first byte',
    table: ({ WSPSend }) => ({
      WSPSend: (s, buffers, ...rest) => {
        const [first] = buffers;
        if (first !== undefined && first.len > 80) first.buf.bytes[first.offset]! ^= 1;
        return WSPSend(s, buffers, ...rest);
      },
    }),
  },
  {
    rule: 'WSD-SPI-1',
    what: 'WSPGetQOSByName is missing',
    table: () => ({ WSPGetQOSByName: undefined }),
  },
  {
    rule: 'WSD-THR-1',
    what: 'the condition function is asked twice',
    table: asking((condition) => (...args) => {
      condition(...args);
      return condition(...args);
    }),
  },
  {
    rule: 'WSD-TBL-2',
    what: 'the address list counts one more than it has',
    table: ({ WSPIoctl }) => ({
      WSPIoctl: (s, code, ...rest) => {
        const result = WSPIoctl(s, code, ...rest);
        if (result === 0 && code === SIO_ADDRESS_LIST_QUERY) (rest[2].value as SOCKET_ADDRESS_LIST).iAddressCount++;
        return result;
      },
    }),
  },
  {
    rule: 'WSD-REG-2',
    what: 'the provider is not hidden',
    info: (info) => ({ ...info, dwProviderFlags: info.dwProviderFlags & ~PFL_HIDDEN }),
  },
  { rule: 'WSD-INI-8', what: 'Winsock 1.1 will do', version: () => 0x0202 },
  {
    rule: 'WSD-INI-15',
    what: 'WSPRdmaRead is declared and not there',
    extension: [WSPRdmaReadGuid, () => null],
    capabilities: { rdmaRead: false },
  },
  {
    rule: 'WSD-SOC-22',
    what: 'an address of somebody else is WSAEINVAL',
    table: ({ WSPBind }) => ({
      WSPBind: (...args) => {
        const result = WSPBind(...args);
        if (args[3].value === WSAEADDRNOTAVAIL) args[3].value = WSAEINVAL;
        return result;
      },
    }),
  },
  {
    rule: 'WSD-EVT-6',
    what: 'WSPEnumNetworkEvents does not reset the event object',
    table: ({ WSPEnumNetworkEvents }) => ({
      WSPEnumNetworkEvents: (s, _event, ...rest) => WSPEnumNetworkEvents(s, null, ...rest),
    }),
  },
  {
    rule: 'WSD-OVL-23',
    what: 'completions are told twice',
    upcalls: ({ WPUCompleteOverlappedRequest }) => ({
      WPUCompleteOverlappedRequest: (...args) => {
        WPUCompleteOverlappedRequest(...args);
        return WPUCompleteOverlappedRequest(...args);
      },
    }),
  },
  {
    rule: 'WSD-MEM-15',
    what: 'flags that do not exist are passed over',
    extension: [
      WSPRegisterMemoryGuid,
      (register) =>
        (s, buffer, offset, length, flags, ...rest) =>
          register(s, buffer, offset, length, Number(flags) & 3 || 3, ...rest),
    ],
  },
  {
    rule: 'WSD-CON-15',
    what: 'where nobody answers the connect is refused for good',
    table: ({ WSPEnumNetworkEvents }) => ({
      WSPEnumNetworkEvents: (s, event, events, errno) => {
        const result = WSPEnumNetworkEvents(s, event, events, errno);
        if (events.iErrorCode[FD_CONNECT_BIT] === WSAETIMEDOUT) events.iErrorCode[FD_CONNECT_BIT] = WSAECONNREFUSED;
        return result;
      },
    }),
  },
  {
    rule: 'WSD-LSN-8',
    what: 'the backlog is not kept',
    table: ({ WSPListen }) => ({ WSPListen: (s, _backlog, errno) => WSPListen(s, SOMAXCONN, errno) }),
  },
  {
    rule: 'WSD-ACC-10',
    what: 'who is deferred is refused',
    table: asking((condition) => (...args) => {
      const verdict = condition(...args);
      return verdict === CF_DEFER ? CF_REJECT : verdict;
    }),
  },
  {
    rule: 'WSD-PRX-7',
    what: 'the addresses of caller and called are exchanged',
    table: asking(
      (condition) =>
        (caller, a, b, c, callee, ...rest) =>
          condition(callee, a, b, c, caller, ...rest),
    ),
  },
  {
    rule: 'WSD-NEG-8',
    what: 'a message that comes before any buffer is dropped',
    table: ({ WSPSend, WSPRecv }) => ({
      WSPRecv: (...args) => {
        receives++;
        return WSPRecv(...args);
      },
      WSPSend: (s, buffers, count, sent, flags, overlapped, ...rest) => {
        if (receives > 0) return WSPSend(s, buffers, count, sent, flags, overlapped, ...rest);
        overlapped.Internal = 0;
        return 0;
      },
    }),
  },
  {
    rule: 'WSD-XFR-32',
    what: 'an RDMA write begins at the start of the memory, whatever the offset',
    only: /WSD-XFR-31/,
    extension: [
      WSPRdmaWriteGuid,
      (write) =>
        (s, buffers, count, descriptor, size, _offset, ...rest) =>
          write(s, buffers, count, descriptor, size, 0, ...rest),
    ],
  },
  {
    rule: 'WSD-CLS-12',
    what: 'handles are never given back',
    upcalls: () => ({ WPUCloseSocketHandle: () => 0 }),
  },
  {
    rule: 'WSD-CLS-20',
    what: 'a peer that has died has closed its connection',
    upcalls: ({ WPUCompleteOverlappedRequest }) => ({
      WPUCompleteOverlappedRequest: (s, overlapped, error, ...rest) =>
        WPUCompleteOverlappedRequest(s, overlapped, error === WSAECONNABORTED ? WSAECONNRESET : error, ...rest),
    }),
  },
  {
    rule: 'WSD-OPT-12',
    what: 'the size of the buffer of an option is not looked at',
    table: ({ WSPGetSockOpt }) => ({
      WSPGetSockOpt: (s, level, name, value, length, errno) => {
        length.value = 4;
        return WSPGetSockOpt(s, level, name, value, length, errno);
      },
    }),
  },
  {
    rule: 'WSD-DUP-43',
    what: 'WSPDuplicateSocket is a success that means nothing',
    table: () => ({ WSPDuplicateSocket: () => 0 }),
  },
  {
    rule: 'WSD-CCH-9',
    what: 'a registration cache is declared, without its callback',
    only: /WSD-CCH-9 a provider/,
    extension: [WSPMemoryRegistrationCacheCallbackGuid, () => null],
  },
  {
    rule: 'WSD-NEG-8',
    what: 'a byte beside a receive buffer is written',
    only: /larger than the buffer/,
    table: ({ WSPRecv }) => ({
      WSPRecv: (...args) => {
        posted.set(args[5], args[1]);
        return WSPRecv(...args);
      },
    }),
    upcalls: ({ WPUCompleteOverlappedRequest }) => ({
      WPUCompleteOverlappedRequest: (s, overlapped, ...rest) => {
        const last = posted.get(overlapped)?.at(-1);
        if (last !== undefined) last.buf.bytes[last.offset + last.len] = 0;
        return WPUCompleteOverlappedRequest(s, overlapped, ...rest);
      },
    }),
  },
];

/** Who is broken, and which scenarios look at it. */
async function failedRules(subject: Subject, only: RegExp): Promise<readonly string[]> {
  receives = 0;
  const report = await runConformance(subject, { only, patience: 5000 });
  return report.rules.filter(({ result }) => result === 'failed').map(({ id }) => id);
}

/** Of the documentation: it spans processes, and its transport can be reached. */
const example = await loadSubject(
  pathToFileURL(join(repositoryRoot(), 'examples/unix-socket-provider/conformance.js')).href,
);
/** Sockets of the example that listen. */
const listening = new WeakSet<ProviderSocket>();

const brokenExample: readonly Broken[] = [
  {
    rule: 'WSD-CLS-20',
    what: 'the connection with a process that was killed is closed, not aborted,',
    only: /killed right after it has accepted/,
    upcalls: ({ WPUCompleteOverlappedRequest }) => ({
      WPUCompleteOverlappedRequest: (s, overlapped, error, ...rest) =>
        WPUCompleteOverlappedRequest(s, overlapped, error === WSAECONNABORTED ? WSAECONNRESET : error, ...rest),
    }),
  },
  {
    rule: 'WSD-LSN-6',
    what: 'a listener with strangers says that somebody asks',
    only: /strangers that say nothing/,
    table: ({ WSPListen, WSPEnumNetworkEvents }) => ({
      WSPListen: (s, ...rest) => {
        listening.add(s);
        return WSPListen(s, ...rest);
      },
      WSPEnumNetworkEvents: (s, event, events, errno) => {
        const result = WSPEnumNetworkEvents(s, event, events, errno);
        if (listening.has(s)) events.lNetworkEvents |= FD_ACCEPT;
        return result;
      },
    }),
  },
];

const all = [
  ...broken.map((one) => ({ ...one, subject: simulated })),
  ...brokenExample.map((one) => ({ ...one, subject: example })),
];

for (const { rule, what, subject, only = new RegExp(`${rule}(?!\\d)`), ...alterations } of all) {
  test(`conformance kit: ${what} breaks ${rule} [${subject.name}]`, async () => {
    assert.deepEqual(await failedRules(altered(subject, {}), only), [], 'as it is it conforms');
    const failed = await failedRules(altered(subject, alterations), only);
    assert.ok(failed.includes(rule), `failed: ${failed.join(', ')}`);
  });
}

test('conformance kit: every family of provider-side rules has a provider that breaks one of it', () => {
  const families = new Set(rules.map(({ id }) => familyOf(id)));
  const covered = new Set(broken.map(({ rule }) => familyOf(rule)));
  assert.deepEqual(
    [...families].filter((family) => !covered.has(family)),
    [],
  );
});
