/** Providers that are installed and removed while the switch runs, and addresses that come and go (sections 2 and 3.2 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reason } from '../../src/diagnostics/reasons.js';
import { Faults, noFaults } from '../../src/providers/simulated/faults.js';
import { AddressAssignments } from '../../src/providers/simulated/proxy.js';
import {
  CF_ACCEPT,
  FD_ACCEPT,
  type SanServiceProvider,
  type SOCKADDR,
  WSASYSNOTREADY,
  WSPRdmaWriteGuid,
} from '../../src/spi/index.js';
import type { SwitchOptions } from '../../src/switch/index.js';
import { type Knobs, type SimulatedHost, Stage } from './stage.js';
import { at, Program } from './support.js';
import { Tap } from './tap.js';

/** The catalog of a host, the list of WSD-REG-3, and who wants to know of changes. */
class Installation {
  readonly catalog: SanServiceProvider[] = [];
  readonly list = new Set<string>();
  readonly watchers = new Set<() => void>();
  enumerations = 0;

  readonly options: Partial<SwitchOptions> = {
    providers: () => {
      this.enumerations++;
      return [...this.catalog];
    },
    sanProviders: () => this.list,
    watchProviders: (changed) => {
      this.watchers.add(changed);
      return () => this.watchers.delete(changed);
    },
    startReason: (_provider, { reason }) => reason,
  };

  install(provider: SanServiceProvider, listed = true): void {
    this.catalog.push(provider);
    if (listed) this.list.add(provider.protocolInfo.ProviderId);
    this.tell();
  }

  remove(provider: SanServiceProvider): void {
    this.catalog.splice(this.catalog.indexOf(provider), 1);
    this.tell();
  }

  tell(): void {
    for (const changed of [...this.watchers]) changed();
  }
}

/** A network of two hosts; each of both has one provider on it, and more can be installed. */
class Arrival {
  readonly stage = new Stage();
  readonly installation = new Installation();
  readonly server: SimulatedHost;
  readonly client: SimulatedHost;
  #guids = 0;

  constructor(knobs: Knobs = {}) {
    this.server = this.stage.host([['10.1.0.1/24']], knobs, this.installation.options);
    this.client = this.stage.host([['10.1.0.2/24'], ['10.2.0.2/24']]);
  }

  /** One of the server's, with a GUID of its own, on the n-th network. */
  provider(network: number, addresses: readonly string[], host = this.server, knobs: Knobs = {}): Tap {
    const provider = this.stage.provider(host.process, `network-${network}`, addresses, {
      name: `late-${this.#guids}`,
      ...knobs,
    });
    const tap = new Tap(host.log, provider);
    const ProviderId = `00000000-0000-0000-0000-00000000000${this.#guids++}`;
    return Object.assign(tap, { protocolInfo: { ...provider.protocolInfo, ProviderId } });
  }

  /** The server's switch has been used. */
  start(): void {
    this.server.connect(at('192.168.7.7', 80));
  }

  /** Listens, and notes what the face is told of its reason. */
  listen(local: SOCKADDR) {
    const changes: Reason[] = [];
    const tcpip = this.server.tcpip.socket(local);
    const socket = this.server.switch.openSocket(tcpip);
    const accepted: Program[] = [];
    socket.listen(511, {
      condition: () => CF_ACCEPT,
      accepted: (connection) => accepted.push(new Program(connection)),
      reasonChanged: (reason) => changes.push(reason),
    });
    return { socket, accepted, changes };
  }

  connect(remote: SOCKADDR) {
    const network = remote.address.split('.').slice(0, 3).join('.');
    const connecting = this.client.connect(remote, at(`${network}.2`, this.client.port()));
    this.stage.until(() => connecting.outcome.settled, 'the connect ends');
    return connecting.outcome;
  }
}

/** What a provider has been asked, with the arguments that are not places for answers. */
function asked(host: SimulatedHost, { name }: Tap): unknown[] {
  return host.log.calls
    .filter(({ on, fn }) => on === name && fn.startsWith('WSP'))
    .map(({ fn, args }) => [fn, ...args.filter((arg) => typeof arg !== 'object')]);
}

test('WSD-REG-6 the switch lets itself be told of changes from its first use to its cleanup, and asks the catalog at no other time', () => {
  const { installation, server, stage } = new Arrival();
  assert.equal(installation.watchers.size, 0);
  server.connect(at('192.168.7.7', 80));
  assert.deepEqual([installation.watchers.size, installation.enumerations], [1, 1]);
  server.listen(at('0.0.0.0', 7000)).socket.close();
  server.connect(at('192.168.7.7', 80));
  assert.equal(installation.enumerations, 1);
  installation.tell();
  assert.equal(installation.enumerations, 2);
  stage.settle();
  assert.ok(server.switch.cleanup());
  assert.equal(installation.watchers.size, 0);
  server.connect(at('192.168.7.7', 80));
  assert.deepEqual([installation.watchers.size, installation.enumerations], [1, 3]);
});

test('WSD-REG-5 a provider of the catalog is one of a SAN only if its GUID is in the list; others are not touched', () => {
  const arrival = new Arrival();
  const { installation, server } = arrival;
  const [listed, unlisted, visible] = [1, 2, 3].map((n) => arrival.provider(n, [`10.${n}.0.1/24`]));
  installation.install(unlisted!, false);
  installation.install(listed!);
  const dwProviderFlags = 0;
  installation.install(Object.assign(visible!, { protocolInfo: { ...visible!.protocolInfo, dwProviderFlags } }));
  arrival.start();
  assert.ok(server.log.of('WSPStartupEx', listed!.name).length === 1);
  for (const { name } of [unlisted!, visible!]) {
    assert.deepEqual(
      server.log.calls.filter(({ on }) => on === name),
      [],
    );
  }
  const states = server.switch.providers().map(({ name, state, reason }) => [name, state, reason]);
  assert.deepEqual(states, [
    [listed!.name, 'started', null],
    [unlisted!.name, 'left-out', 'provider-invalid'],
    [visible!.name, 'left-out', 'provider-invalid'],
  ]);
});

test('WSD-REG-7 after a change the catalog and the list decide again: only what is new and in the list is started', () => {
  const arrival = new Arrival();
  const { installation, server } = arrival;
  const [first, second, stranger] = [1, 2, 3].map((n) => arrival.provider(n, [`10.${n}.0.1/24`]));
  installation.install(first!);
  arrival.start();
  server.log.clear();
  installation.install(stranger!, false);
  installation.install(second!);
  assert.deepEqual(
    server.log.of('WSPStartupEx').map(({ on }) => on),
    [second!.name],
  );
  assert.equal(server.log.of('WSPCleanup').length, 0);
  // The list alone has changed.
  installation.list.add(stranger!.protocolInfo.ProviderId);
  installation.remove(stranger!);
  installation.install(stranger!);
  assert.equal(server.log.of('WSPStartupEx', stranger!.name).length, 1);
});

test('WSD-REG-8 a provider that comes late is asked the same, in the same order, as one that was there at first', () => {
  const early = new Arrival();
  const [there] = [early.provider(1, ['10.1.0.1/24'])];
  early.installation.install(there);
  early.start();
  const late = new Arrival();
  late.installation.install(late.provider(2, ['10.2.0.1/24']));
  late.start();
  const coming = late.provider(1, ['10.1.0.1/24']);
  late.installation.install(coming);
  const expected = asked(early.server, there);
  assert.ok(expected.length > 5);
  assert.deepEqual(asked(late.server, coming), expected);
  const [startup] = late.server.log.of('WSPStartupEx', coming.name);
  assert.equal(startup!.args[2], late.server.tcpip.protocolInfo, 'the protocol info of TCP/IP');
});

test('WSD-REG-9 a provider that comes late listens for every socket that listens at the wildcard [simulated]', () => {
  const arrival = new Arrival();
  const { installation, server, stage } = arrival;
  const [first, second] = [1, 2].map((n) => arrival.provider(n - 1, [`10.${n}.0.1/24`]));
  installation.install(first!);
  const listeners = [7000, 7001].map((port) => arrival.listen(at('0.0.0.0', port)));
  const other = arrival.listen(at('10.1.0.1', 7002));
  const closed = arrival.listen(at('0.0.0.0', 7003));
  closed.socket.close();
  assert.ok(arrival.connect(at('10.2.0.1', 7000)).fellBack);
  server.log.clear();
  installation.install(second!);
  for (const port of [7000, 7001]) {
    const [listen] = server.log.of('WSPListen', second!.name).filter(({ socket }) => {
      const [bind] = server.log.of('WSPBind').filter((call) => call.socket === socket);
      return (bind!.args[1] as SOCKADDR).port === port;
    });
    assert.deepEqual(server.log.names(listen!.socket!), ['WSPSocket', 'WSPBind', 'WSPListen', 'WSPEventSelect']);
    const [bind] = server.log.of('WSPBind').filter(({ socket }) => socket === listen!.socket);
    assert.equal((bind!.args[1] as SOCKADDR).address, '0.0.0.0');
    const [select] = server.log.of('WSPEventSelect').filter(({ socket }) => socket === listen!.socket);
    assert.equal(select!.args[2], FD_ACCEPT);
  }
  assert.equal(server.log.of('WSPListen', second!.name).length, 2, 'and for no other');
  assert.equal(server.log.of('WSPListen', first!.name).length, 0, 'those that listen go on');
  assert.equal(server.log.of('WSPListen', 'tcpip').length, 0);
  assert.deepEqual(other.changes, []);
  const outcome = arrival.connect(at('10.2.0.1', 7001));
  assert.ok(outcome.connection !== null, `${outcome.reason}`);
  stage.until(() => listeners[1]!.accepted.length === 1, 'it arrives at the socket of the program');
});

test('WSD-REG-9 the first provider of all makes what listens by TCP/IP alone listen on the SAN too [simulated]', () => {
  const arrival = new Arrival();
  const { installation } = arrival;
  const wildcard = arrival.listen(at('0.0.0.0', 7000));
  const exact = arrival.listen(at('10.1.0.1', 7001));
  const elsewhere = arrival.listen(at('10.9.0.1', 7002));
  for (const { socket } of [wildcard, exact, elsewhere]) assert.equal(socket.reason, 'no-provider');
  assert.ok(arrival.connect(at('10.1.0.1', 7000)).fellBack);
  installation.install(arrival.provider(0, ['10.1.0.1/24']));
  // What the documents do not say: sockets at an address that the provider serves (gap G-1).
  for (const { socket, changes } of [wildcard, exact]) {
    assert.deepEqual([socket.reason, changes], ['accelerated', ['accelerated']]);
  }
  assert.deepEqual([elsewhere.socket.reason, elsewhere.changes], ['not-routed', ['not-routed']]);
  for (const port of [7000, 7001]) assert.ok(arrival.connect(at('10.1.0.1', port)).connection !== null);
});

test('WSD-REG-11 a provider that is removed gets nothing new, keeps its connections, and is cleaned up after the last [simulated]', () => {
  const arrival = new Arrival();
  const { installation, server, stage } = arrival;
  const [tap, other] = [arrival.provider(0, ['10.1.0.1/24']), arrival.provider(1, ['10.2.0.1/24'])];
  installation.install(tap);
  installation.install(other);
  const listening = arrival.listen(at('0.0.0.0', 7000));
  const mine = new Program(arrival.connect(at('10.1.0.1', 7000)).connection!);
  stage.until(() => listening.accepted.length === 1, 'accepted');
  const [theirs] = listening.accepted;
  server.log.clear();
  installation.remove(tap);
  assert.equal(server.log.of('WSPCloseSocket', tap.name).length, 1, 'it does not listen');
  assert.equal(server.log.of('WSPCloseSocket', other.name).length, 0);
  assert.equal(listening.socket.reason, 'accelerated', 'by the other');
  assert.ok(arrival.connect(at('10.1.0.1', 7000)).fellBack);
  server.connect(at('10.1.0.9', 80), at('10.1.0.1', server.port()));
  assert.deepEqual(
    server.log.of('WSPConnect').map(({ on }) => on),
    ['tcpip'],
  );
  mine.connection.write(Buffer.from('still here'), () => {});
  stage.until(() => theirs!.bytes.length === 10, 'it arrives');
  assert.equal(server.log.of('WSPCleanup').length, 0);
  assert.equal(server.switch.providers().find(({ name }) => name === tap.name)!.state, 'removed');
  for (const { connection } of [mine, theirs!]) connection.close();
  stage.until(() => server.log.of('WSPCleanup').length > 0, 'cleaned up');
  assert.deepEqual(
    server.log.of('WSPCleanup').map(({ on }) => on),
    [tap.name],
  );
  const closes = server.log.calls.filter(({ on, fn }) => on === tap.name && fn.startsWith('WSP')).map(({ fn }) => fn);
  assert.equal(closes.at(-1), 'WSPCleanup', 'the last that is asked of it');
  installation.install(tap);
  assert.ok(arrival.connect(at('10.1.0.1', 7000)).connection !== null, 'and it can come again');
});

test('a provider that comes back while it still has connections is not started twice [simulated]', () => {
  const arrival = new Arrival();
  const { installation, server, stage } = arrival;
  const tap = arrival.provider(0, ['10.1.0.1/24']);
  installation.install(tap);
  const listening = arrival.listen(at('0.0.0.0', 7000));
  const { connection } = arrival.connect(at('10.1.0.1', 7000));
  stage.until(() => listening.accepted.length === 1, 'accepted');
  installation.remove(tap);
  assert.deepEqual(listening.changes, ['no-provider']);
  installation.install(tap);
  assert.deepEqual(listening.changes, ['no-provider', 'accelerated']);
  connection!.reset();
  stage.settle();
  assert.equal(server.log.of('WSPStartupEx').length, 1);
  assert.equal(server.log.of('WSPCleanup').length, 0);
  assert.ok(arrival.connect(at('10.1.0.1', 7000)).connection !== null);
});

test('WSD-INI-18 a provider that misbehaves when it comes is left out with the reason, and the others go on', () => {
  const faults: readonly [string, (tap: Tap) => void, RegExp][] = [
    ['an error', (tap) => tap.fail('WSPStartupEx', WSASYSNOTREADY), /WSPStartupEx: WSASYSNOTREADY/],
    [
      'an exception',
      (tap) =>
        tap.override('WSPSocket', () => {
          throw new TypeError('not a function');
        }),
      /throws: TypeError: not a function/,
    ],
    ['a function too few', (tap) => tap.lacking.add('WSPListen'), /no WSPListen/],
    ['no extension', (tap) => tap.without.add(WSPRdmaWriteGuid), /no WSPRdmaWrite/],
    [
      'addresses that are none',
      (tap) => Object.assign(tap, { addresses: [{ lpSockaddr: at('10.1.0', 0) }] }),
      /LIST_QUERY/,
    ],
    ['no list', (tap) => Object.assign(tap, { addresses: 7 }), /SIO_ADDRESS_LIST_QUERY: WSAEFAULT/],
    [
      'a cleanup that throws as well',
      (tap) => {
        tap.fail('WSPSocket', WSASYSNOTREADY);
        tap.override('WSPCleanup', () => {
          throw new Error('again');
        });
      },
      /WSPSocket: WSASYSNOTREADY; WSPCleanup throws/,
    ],
  ];
  for (const [what, spoil, detail] of faults) {
    const arrival = new Arrival();
    const { installation, server } = arrival;
    const [good, bad] = [arrival.provider(0, ['10.1.0.1/24']), arrival.provider(1, ['10.2.0.1/24'])];
    installation.install(good);
    const listening = arrival.listen(at('0.0.0.0', 7000));
    spoil(bad);
    installation.install(bad);
    const found = server.switch.providers().find(({ name }) => name === bad.name)!;
    assert.deepEqual([found.state, found.reason], ['left-out', 'provider-failed'], what);
    assert.match(found.detail!, detail, what);
    assert.equal(server.log.of('WSPListen', bad.name).length, 0);
    assert.ok(arrival.connect(at('10.1.0.1', 7000)).connection !== null, what);
    assert.deepEqual(listening.changes, []);
    // It is not tried again, unless it is installed again.
    installation.tell();
    assert.equal(server.log.of('WSPStartupEx', bad.name).length, 1, what);
  }
});

test('WSD-TBL-6 when TCP/IP tells of a change the table follows, and listeners are extended and withdrawn [simulated]', () => {
  const assignments = new AddressAssignments(['10.1.0.1/24']);
  const stage = new Stage();
  const server = stage.host([['10.1.0.1/24']], { assignments });
  const client = stage.host([['10.1.0.2/24', '10.6.0.2/24']]);
  const changed = (): void => {
    server.tcpip.version++;
    for (const tell of [...server.tcpip.watchers!]) tell();
    stage.settle();
  };
  const connect = (address: string) => {
    const local = at(address.replace(/\d+$/, '2'), client.port());
    const connecting = client.connect(at(address, 7000), local);
    stage.until(() => connecting.outcome.settled, 'the connect ends');
    return connecting.outcome;
  };
  server.listen(at('10.1.0.1', 7001));
  const exact = server.listen(at('10.6.0.1', 7000));
  assert.equal(exact.socket.reason, 'not-routed');
  assignments.assign('10.6.0.1/24');
  changed();
  assert.equal(exact.socket.reason, 'accelerated', 'nobody has listened or connected since');
  const { connection } = connect('10.6.0.1');
  assert.ok(connection !== null);
  stage.until(() => exact.accepted.length === 1, 'accepted');
  const theirs = new Program(exact.accepted[0]!);
  server.log.clear();
  assignments.withdraw('10.6.0.1/24');
  changed();
  assert.equal(exact.socket.reason, 'not-routed');
  assert.equal(server.log.of('WSPCloseSocket', server.tap.name).length, 2, 'the helper socket and the listener');
  assert.ok(connect('10.6.0.1').fellBack);
  connection.write(Buffer.from('still here'), () => {});
  stage.until(() => theirs.bytes.length === 10, 'a connection stays where it is');
});

test('what is being negotiated when its address goes is not lost [simulated]', () => {
  const assignments = new AddressAssignments(['10.1.0.1/24']);
  const stage = new Stage();
  const server = stage.host([['10.1.0.1/24']], { assignments });
  const client = stage.host([['10.1.0.2/24']]);
  const { socket, accepted } = server.listen(at('10.1.0.1', 7000), () => {
    assignments.withdraw('10.1.0.1/24');
    server.tcpip.version++;
    for (const tell of [...server.tcpip.watchers!]) tell();
    return CF_ACCEPT;
  });
  const { outcome } = client.connect(at('10.1.0.1', 7000), at('10.1.0.2', 50_001));
  stage.until(() => outcome.settled && accepted.length === 1, 'both ends have it');
  assert.ok(outcome.connection !== null);
  stage.settle();
  assert.equal(socket.reason, 'not-routed');
});

test('where TCP/IP cannot tell, a change shows at the next use', () => {
  const assignments = new AddressAssignments(['10.1.0.1/24']);
  const host = new Stage().host([['10.1.0.1/24']], { assignments });
  host.tcpip.watchers = null;
  const exact = host.listen(at('10.6.0.1', 7000));
  assignments.assign('10.6.0.1/24');
  host.tcpip.version++;
  assert.equal(exact.socket.reason, 'not-routed');
  host.connect(at('192.168.7.7', 80));
  host.stage.settle();
  assert.equal(exact.socket.reason, 'accelerated');
});

test('a listener that no SAN serves keeps the switch from being cleaned up, and hears of what is installed later [simulated]', () => {
  const arrival = new Arrival();
  const { socket } = arrival.listen(at('0.0.0.0', 7000));
  assert.equal(socket.reason, 'no-provider');
  assert.equal(arrival.server.switch.cleanup(), false);
  arrival.installation.install(arrival.provider(0, ['10.1.0.1/24']));
  assert.equal(socket.reason, 'accelerated');
  socket.close();
  assert.ok(arrival.server.switch.cleanup());
});

test('a socket that is closed after its provider was removed is given nothing that still negotiated [simulated]', () => {
  const arrival = new Arrival();
  const { stage, installation, server, client } = arrival;
  const provider = arrival.provider(0, ['10.1.0.1/24']);
  installation.install(provider);
  const listening = server.listen(at('0.0.0.0', 7000));
  const { outcome } = client.connect(at('10.1.0.1', 7000), at('10.1.0.2', 50_001));
  stage.until(() => server.log.of('WSPAccept').length > 0, 'accepted by the provider');
  assert.equal(listening.accepted.length, 0);
  installation.remove(provider);
  listening.socket.close();
  stage.settle();
  assert.equal(listening.accepted.length, 0);
  assert.equal(outcome.reason, 'negotiation-failed');
  assert.equal(server.switch.usage.connections, 0);
});

test('WSD-TBL-6 a provider that comes back while its connections go on is asked for its addresses again [simulated]', () => {
  const arrival = new Arrival();
  const { installation, server } = arrival;
  const assignments = new AddressAssignments(['10.1.0.1/24']);
  const provider = arrival.provider(0, [], server, { assignments });
  installation.install(provider);
  arrival.listen(at('0.0.0.0', 7000));
  assert.ok(arrival.connect(at('10.1.0.1', 7000)).connection !== null);
  installation.remove(provider);
  assignments.assign('10.6.0.1/24');
  server.tcpip.version++;
  for (const tell of [...server.tcpip.watchers!]) tell();
  arrival.stage.settle();
  installation.install(provider);
  const [found] = server.switch.providers();
  assert.deepEqual([found!.state, found!.addresses], ['started', ['10.1.0.1/24', '10.6.0.1/24']]);
});

test('a provider that can never again be asked for its addresses is not asked without end [simulated]', () => {
  const stage = new Stage();
  const faults = new Faults(stage.world);
  const host = stage.host([['10.1.0.1/24']], { faults });
  const { socket } = host.listen(at('0.0.0.0', 7000));
  assert.equal(socket.reason, 'accelerated');
  faults.knobs = { ...noFaults, calls: { WSPSocket: 1 } };
  host.tcpip.version++;
  for (const tell of [...host.tcpip.watchers!]) tell();
  assert.ok(stage.world.runOut(1000), 'the event loop has nothing left to do');
});
