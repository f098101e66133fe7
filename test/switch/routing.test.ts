/** The table of subnets and its use (section 3.2 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SIO_ADDRESS_LIST_QUERY, type SOCKADDR, WSAEFAULT, WSAENETDOWN } from '../../src/spi/index.js';
import { Bench, Stage } from './stage.js';
import { at, type Host } from './support.js';

const queries = (host: Host, name: string) =>
  host.log.of('WSPIoctl', name).filter(({ args }) => args[1] === SIO_ADDRESS_LIST_QUERY);

/** Which provider the switch chooses for a connect. */
function carrierOf(host: Host, remote: string, local: string | null): string {
  host.log.clear();
  host.connect(at(remote, 80), local === null ? null : at(local, host.port()));
  return host.log.calls.find(({ fn }) => fn === 'WSPBind' || fn === 'WSPConnect')!.on;
}

test('WSD-TBL-1 each provider is asked for its addresses by WSPIoctl', () => {
  const host = new Stage().host([['10.1.0.2/24'], ['10.2.0.2/24']]);
  host.connect(at('192.168.7.7', 80));
  for (const { name } of host.taps) {
    const asked = queries(host, name);
    assert.ok(asked.length >= 1);
    assert.equal(asked.at(-1)!.result, 0, 'the last one gets the list');
    for (const { error } of asked.slice(0, -1)) assert.equal(error, WSAEFAULT, 'those before learn the size');
  }
});

test('WSD-TBL-4 the table maps the subnets of all lists to their providers', () => {
  const host = new Stage().host([
    ['10.1.0.2/24', '172.16.5.2/16'],
    ['10.2.0.2/24', '10.1.0.130/25'],
  ]);
  const [first, second] = host.taps.map(({ name }) => name);
  assert.equal(carrierOf(host, '10.1.0.9', '10.1.0.2'), first);
  assert.equal(carrierOf(host, '172.16.200.200', '172.16.5.2'), first);
  assert.equal(carrierOf(host, '10.2.0.200', '10.2.0.2'), second);
  assert.equal(carrierOf(host, '10.1.0.200', '10.1.0.130'), second, 'the longest prefix');
  assert.equal(carrierOf(host, '10.3.0.9', null), 'tcpip');
});

test('WSD-TBL-5 the destination decides on a connect, the bound address on a listen', () => {
  const host = new Stage().host([['10.1.0.2/24'], ['10.2.0.2/24']]);
  const [first, second] = host.taps.map(({ name }) => name);
  assert.equal(carrierOf(host, '10.1.0.9', null), first);
  assert.equal(carrierOf(host, '10.2.0.9', null), second);
  // The second network cannot be reached from an address of the first.
  assert.equal(carrierOf(host, '10.2.0.9', '10.1.0.2'), 'tcpip');
  const joined = (local: SOCKADDR): string[] => {
    host.log.clear();
    host.listen(local);
    return host.log.of('WSPListen').map(({ on }) => on);
  };
  assert.deepEqual(joined(at('10.1.0.2', 7000)), ['tcpip', first]);
  assert.deepEqual(joined(at('10.2.0.2', 7000)), ['tcpip', second]);
  assert.deepEqual(joined(at('192.168.7.7', 7000)), ['tcpip']);
});

test('WSD-TBL-6 WSD-TBL-7 after TCP/IP has told of a change every provider is asked again, and the table is theirs', () => {
  const host = new Stage().host([['10.1.0.2/24'], ['10.2.0.2/24']]);
  const [first, second] = host.taps;
  assert.equal(carrierOf(host, '10.1.0.9', null), first!.name);
  const entry = (address: string) => ({ lpSockaddr: at(address, 0), iSockaddrLength: 16, prefixLength: 24 });
  first!.addresses = [entry('10.4.0.2')];
  second!.addresses = [entry('10.1.0.3')];
  // A provider says nothing of its own accord.
  assert.equal(carrierOf(host, '10.1.0.9', null), first!.name);
  host.tcpip.version++;
  assert.equal(carrierOf(host, '10.1.0.9', null), second!.name);
  assert.equal(carrierOf(host, '10.4.0.9', null), first!.name);
  assert.equal(carrierOf(host, '10.2.0.9', null), 'tcpip', 'what nobody lists any more');
  host.log.clear();
  host.tcpip.version++;
  host.connect(at('192.168.7.7', 80));
  for (const { name } of host.taps) assert.ok(queries(host, name).length >= 1);
  host.log.clear();
  host.connect(at('192.168.7.7', 80));
  for (const { name } of host.taps) assert.equal(queries(host, name).length, 0, 'and only then');
});

test('WSD-TBL-11 a connection stays where it is when the addresses change [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair();
  bench.client.tap.addresses = [];
  bench.client.tcpip.version++;
  bench.client.connect(at('192.168.7.7', 80));
  mine.connection.write(Buffer.from('still here'), () => {});
  bench.stage.until(() => theirs.bytes.length === 10, 'it arrives');
  assert.ok(bench.connected().outcome.fellBack, 'later connects are by TCP/IP');
});

test('WSD-TBL-7 a provider that cannot answer after a change serves nothing, and is asked again next time', () => {
  const host = new Stage().host([['10.1.0.2/24'], ['10.2.0.2/24']]);
  const [first, second] = host.taps.map(({ name }) => name);
  assert.equal(carrierOf(host, '10.1.0.9', null), first);
  host.tcpip.version++;
  host.tap.fail('WSPIoctl', WSAENETDOWN, 1);
  assert.equal(carrierOf(host, '10.1.0.9', null), 'tcpip');
  assert.equal(carrierOf(host, '10.1.0.9', null), first);
  assert.equal(carrierOf(host, '10.2.0.9', null), second);
});
