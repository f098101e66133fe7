/** How the switch starts its providers (section 3 of the digest), and what it is (section 1). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AF_INET,
  AF_INET6,
  CF_ACCEPT,
  INVALID_SOCKET,
  PFL_HIDDEN,
  procedureNames,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  type SOCKADDR,
  WINSOCK_VERSION,
  WSAENOBUFS,
  WSASYSNOTREADY,
  WSPMemoryRegistrationCacheCallbackGuid,
  WSPRdmaReadGuid,
} from '../../src/spi/index.js';
import { Bench, Stage } from './stage.js';
import { at, Program } from './support.js';
import { mandatoryExtensions } from './tap.js';

/** A host with two providers whose networks have nothing in common. */
const twoNetworks = [['10.1.0.2/24'], ['10.2.0.2/24']] as const;

test('WSD-INI-2 WSD-INI-10 at the first need every provider is started, by WSPStartupEx and before all else', () => {
  const host = new Stage().host(twoNetworks);
  let classic = 0;
  for (const tap of host.taps) Object.assign(tap, { WSPStartup: () => classic++ });
  host.connect(at('10.2.0.9', 80), at('10.2.0.2', host.port()));
  host.connect(at('10.1.0.9', 80), at('10.1.0.2', host.port()));
  const startups = host.log.of('WSPStartupEx');
  assert.deepEqual(
    startups.map(({ on }) => on),
    host.taps.map(({ name }) => name),
    'each once',
  );
  for (const { name } of host.taps) {
    assert.equal(host.log.calls.find(({ on }) => on === name)!.fn, 'WSPStartupEx');
  }
  assert.equal(classic, 0);
});

test('WSD-INI-3 WSD-INI-6 WSPStartupEx gets version 2.2, a WSPDATA, the protocol info of TCP/IP, up-calls and a place for the table', () => {
  const host = new Stage().host(twoNetworks);
  host.connect(at('10.1.0.9', 80));
  for (const { args } of host.log.of('WSPStartupEx')) {
    const [version, data, info, upcalls, table] = args as [number, object, object, object, { value: object }];
    assert.equal(version, WINSOCK_VERSION);
    assert.ok('wVersion' in data && 'wHighVersion' in data && 'szDescription' in data);
    assert.equal(info, host.tcpip.protocolInfo);
    assert.ok('WPUCompleteOverlappedRequest' in upcalls && 'WPUCreateSocketHandle' in upcalls);
    assert.deepEqual(
      procedureNames.filter((name) => !(name in table.value)),
      [],
    );
  }
});

test('WSD-INI-11 after the start one helper socket is made, and the address list is asked for on it', () => {
  const host = new Stage().host([['10.1.0.2/24']]);
  host.connect(at('192.168.7.7', 80));
  const { calls } = host.log;
  const own = calls.filter(({ on, fn }) => on === host.tap.name && fn.startsWith('WSP'));
  assert.deepEqual(
    own.slice(0, 3).map(({ fn }) => fn),
    ['WSPStartupEx', 'WSPSocket', 'WSPIoctl'],
  );
  const [, socket, query] = own;
  assert.equal(query!.args[1], SIO_ADDRESS_LIST_QUERY);
  assert.equal(query!.socket, socket!.result);
  assert.equal(host.log.of('WSPSocket').length, 1, 'nothing else needs a socket');
  assert.equal(host.log.names(socket!.result as object).at(-1), 'WSPCloseSocket', 'and it does not stay');
});

test('WSD-INI-12 each extension function is fetched with one WSPIoctl of its GUID', () => {
  const host = new Stage().host([['10.1.0.2/24']]);
  host.connect(at('192.168.7.7', 80));
  const fetches = host.log.of('WSPIoctl').filter(({ args }) => args[1] === SIO_GET_EXTENSION_FUNCTION_POINTER);
  const guids = fetches.map(({ args }) => args[2] as string);
  for (const guid of [...mandatoryExtensions, WSPRdmaReadGuid, WSPMemoryRegistrationCacheCallbackGuid]) {
    assert.equal(guids.filter((one) => one === guid).length, 1, guid);
  }
  assert.equal(new Set(guids).size, guids.length, 'none is asked for twice');
  for (const { args } of fetches) assert.equal(args[3], 16, 'bytes of a GUID');
});

test('WSD-INI-18 a provider that does not start, or lacks what it must have, is left out, and the others go on', () => {
  const faults: ((host: ReturnType<Stage['host']>) => void)[] = [
    (host) => host.tap.fail('WSPStartupEx', WSASYSNOTREADY),
    (host) => host.tap.fail('WSPSocket', WSAENOBUFS),
    (host) => host.tap.fail('WSPIoctl', WSAENOBUFS),
    ...mandatoryExtensions.map((guid) => (host: ReturnType<Stage['host']>) => void host.tap.without.add(guid)),
  ];
  for (const [i, spoil] of faults.entries()) {
    const host = new Stage().host(twoNetworks);
    spoil(host);
    const { outcome } = host.connect(at('10.1.0.9', 80));
    assert.ok(outcome.fellBack, `fault ${i}`);
    host.connect(at('10.2.0.9', 80), at('10.2.0.2', host.port()));
    const connects = host.log.of('WSPConnect').map(({ on }) => on);
    assert.deepEqual(connects, ['tcpip', host.taps[1]!.name], `fault ${i}`);
    const cleanups = host.log.of('WSPCleanup', host.tap.name).length;
    assert.equal(cleanups, i === 0 ? 0 : 1, 'released if it was started');
  }
});

test('WSD-COMP-1 the switch has the SPI above and below it: what it is asked it asks on, by the same functions', () => {
  const { client, server, stage, name } = new Bench();
  const listening = server.listen(name);
  assert.equal(listening.status, 0);
  const [onTcpip] = server.log.of('WSPListen', 'tcpip');
  assert.deepEqual([onTcpip!.socket, onTcpip!.args[1]], [listening.tcpip, 511]);
  assert.equal(server.log.of('WSPListen', server.tap.name).length, 1);
  const onSan = client.connect(name, at('10.1.0.2', 50_001));
  const elsewhere = client.connect(at('192.168.7.7', 80));
  stage.until(() => onSan.outcome.connection !== null, 'connected');
  const names = client.log.of('WSPConnect').map(({ on, args }) => [on, (args[1] as SOCKADDR).address]);
  assert.deepEqual(names, [
    [client.tap.name, name.address],
    ['tcpip', '192.168.7.7'],
  ]);
  assert.equal(client.log.of('WSPConnect', 'tcpip')[0]!.socket, elsewhere.tcpip, 'the socket of the program');
});

test('WSD-COMP-2 one socket of the program listens on all providers, and none of them shows [simulated]', () => {
  const stage = new Stage();
  const server = stage.host([['10.1.0.1/24'], ['10.2.0.1/24']]);
  const client = stage.host(twoNetworks);
  const asked: [string, string][] = [];
  const listening = server.listen(at('0.0.0.0', 7000), (caller, callee) => {
    asked.push([caller.address, callee.address]);
    return CF_ACCEPT;
  });
  for (const network of ['10.1.0', '10.2.0']) client.connect(at(`${network}.1`, 7000), at(`${network}.2`, 50_001));
  stage.until(() => listening.accepted.length === 2, 'both arrive at the one socket');
  assert.deepEqual(asked.sort(), [
    ['10.1.0.2', '10.1.0.1'],
    ['10.2.0.2', '10.2.0.1'],
  ]);
  assert.deepEqual(listening.accepted.map(({ localAddress }) => localAddress.address).sort(), ['10.1.0.1', '10.2.0.1']);
  for (const { localAddress, peerAddress } of listening.accepted) {
    assert.equal(localAddress.port, 7000);
    assert.equal(peerAddress.sa_family, AF_INET);
  }
  for (const { protocolInfo } of server.taps) assert.ok(protocolInfo.dwProviderFlags & PFL_HIDDEN);
});

test('WSD-COMP-4 who carries is decided for each connection, whatever others of the process do', () => {
  const { client, server, stage, name } = new Bench();
  server.listen(name);
  const carriers = [name, at('192.168.7.7', 80), name, at('192.168.7.7', 80)].map((remote, i) => {
    const { outcome } = client.connect(remote, remote === name ? at('10.1.0.2', 50_001 + i) : null);
    stage.until(() => outcome.settled, 'connected');
    return outcome.fellBack ? 'tcpip' : outcome.connection!.provider;
  });
  assert.deepEqual(carriers, [client.tap.name, 'tcpip', client.tap.name, 'tcpip']);
});

test('WSD-COMP-6 two SAN providers with their own subnets and TCP/IP work side by side [simulated]', () => {
  const stage = new Stage();
  const server = stage.host([['10.1.0.1/24'], ['10.2.0.1/24']]);
  const client = stage.host(twoNetworks);
  const listening = server.listen(at('0.0.0.0', 7000));
  const [first, second] = ['10.1.0', '10.2.0'].map((network) =>
    client.connect(at(`${network}.1`, 7000), at(`${network}.2`, 50_001)),
  );
  const third = client.connect(at('192.168.7.7', 7000));
  stage.until(() => [first!, second!].every(({ outcome }) => outcome.settled), 'both are connected');
  assert.ok(third.outcome.fellBack);
  const programs = listening.accepted.map((connection) => new Program(connection));
  for (const [i, { outcome }] of [first!, second!].entries()) {
    outcome.connection!.write(Buffer.from(`over ${i}`), () => {});
  }
  stage.until(() => programs.every(({ received }) => received.length > 0), 'all arrives');
  assert.deepEqual(programs.map(({ bytes }) => bytes.toString()).sort(), ['over 0', 'over 1']);
  const senders = client.taps.map(({ name }) => client.log.of('WSPSend', name).length > 0);
  assert.deepEqual(senders, [true, true], 'each network has carried its own');
});

test('WSD-COMP-10 every address and family that a provider is given is of IP', () => {
  const stage = new Stage();
  const server = stage.host([['10.1.0.1/24', 'fd00::1/64']]);
  const client = stage.host([['10.1.0.2/24', 'fd00::2/64']]);
  const listening = server.listen(at('::', 7000));
  client.connect(at('10.1.0.1', 7000), at('10.1.0.2', 50_001));
  client.connect(at('fd00::1', 7000), at('fd00::2', 50_001));
  stage.until(() => listening.accepted.length === 2, 'both are accepted');
  const families: unknown[] = [];
  for (const { log, tap } of [server, client]) {
    for (const { args } of log.of('WSPSocket', tap.name)) families.push(args[0]);
    for (const fn of ['WSPBind', 'WSPConnect']) {
      for (const { args } of log.of(fn, tap.name)) families.push((args[1] as SOCKADDR).sa_family);
    }
  }
  assert.ok(families.length >= 9);
  assert.deepEqual([...new Set(families)].sort(), [AF_INET, AF_INET6]);
  assert.ok(!server.log.of('WSPSocket').some(({ result }) => result === INVALID_SOCKET));
});
