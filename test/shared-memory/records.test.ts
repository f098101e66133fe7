/** Connect records carry addresses unchanged, in the text that the rest of the world uses. */

import assert from 'node:assert/strict';
import { SocketAddress } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadPlatform } from '../../src/platform/index.js';
import { matchAddress } from '../../src/providers/shared-memory/addresses.js';
import { ProxyDriver } from '../../src/providers/shared-memory/proxy.js';
import { addressBytes, CONNECT_SIZE, readConnect, writeConnect } from '../../src/providers/shared-memory/records.js';
import { AF_INET, AF_INET6, type SOCKADDR } from '../../src/spi/index.js';

const v4 = (address: string, port = 80): SOCKADDR => ({ sa_family: AF_INET, address, port });
const v6 = (address: string, port = 80): SOCKADDR => ({ sa_family: AF_INET6, address, port });

function roundTrip(callee: SOCKADDR, caller: SOCKADDR): { callee: SOCKADDR; caller: SOCKADDR } | null {
  const words = new Int32Array(64);
  writeConnect(words, 8, 5, 6, callee, caller);
  assert.equal(words[2 + CONNECT_SIZE / 4], 0, 'nothing behind the record');
  return readConnect(words, 8);
}

test('WSD-PRX-7 addresses cross the link in canonical text', () => {
  const property = fc.property(fc.ipV4(), fc.ipV6(), fc.nat(65535), fc.nat(65535), (four, six, p, q) => {
    const canonical = new SocketAddress({ address: six, family: 'ipv6' }).address;
    const read = roundTrip(v4(four, p), v6(six, q));
    assert.deepEqual(read, { callee: v4(four, p), caller: v6(canonical, q) });
    assert.deepEqual(roundTrip(read.caller, read.callee), { callee: read.caller, caller: read.callee });
  });
  fc.assert(property, { numRuns: 500 });
});

test('the corner cases of IPv6 text are those of the system', () => {
  for (const text of [
    '::',
    '::1',
    '1::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::FFFF:1.2.3.4',
    '::1.2.3.4',
    '::102:304',
    '::1:0',
    '0:0:1::',
    '1:0:0:2:0:0:0:3',
    '1:0:0:2:3:0:0:4',
    '1:0:2:3:4:5:6:7',
    'fe80::1',
    '2001:0DB8:0:0:0:0:0:1',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    '64:ff9b::1.2.3.4',
  ]) {
    const canonical = new SocketAddress({ address: text, family: 'ipv6' }).address;
    assert.equal(roundTrip(v6(text), v4('1.2.3.4'))?.callee.address, canonical, text);
  }
});

test('an IPv4 address has the bytes of the mapped one', () => {
  assert.deepEqual(addressBytes('10.1.2.3'), addressBytes('::ffff:10.1.2.3'));
  assert.equal(addressBytes('10.1.2.3').toString('hex'), '00000000000000000000ffff0a010203');
  assert.equal(addressBytes('2001:db8::8').toString('hex'), '20010db8000000000000000000000008');
});

test('a connect record of no known family is none', () => {
  const words = new Int32Array(32);
  for (const at of [3, 8]) {
    for (const family of [0, 1, 3, 10, 0xffff]) {
      writeConnect(words, 0, 1, 1, v4('1.2.3.4'), v4('4.3.2.1'));
      words[at] = (family << 16) | 80;
      assert.equal(readConnect(words, 0), null);
    }
  }
});

test('WSD-TBL-2 the provider lists the loopback network and every address of the host', () => {
  const proxy = new ProxyDriver((listener) => loadPlatform().notifyAddresses(listener));
  proxy.load();
  const list = proxy.addresses;
  proxy.unload();
  assert.ok(list.some(({ lpSockaddr, prefixLength }) => lpSockaddr.address === '127.0.0.1' && prefixLength === 8));
  for (const { lpSockaddr, iSockaddrLength, prefixLength } of list) {
    assert.equal(lpSockaddr.port, 0);
    assert.equal(iSockaddrLength, lpSockaddr.sa_family === AF_INET ? 16 : 28);
    if (lpSockaddr.address !== '127.0.0.1') assert.equal(prefixLength, lpSockaddr.sa_family === AF_INET ? 32 : 128);
  }
});

test('an exact address matches better than a wildcard, and text that is no address matches nothing', () => {
  assert.equal(matchAddress('127.0.0.1', v4('127.0.0.1')), 2);
  assert.equal(matchAddress('0.0.0.0', v4('127.0.0.1')), 1);
  assert.equal(matchAddress('0.0.0.0', v6('::1')), 0);
  assert.equal(matchAddress('::', v4('127.0.0.1')), 1);
  assert.equal(matchAddress('::', v6('::1')), 1);
  assert.equal(matchAddress('127.0.0.1', v4('127.0.0.2')), 0);
  assert.equal(matchAddress('2001:DB8::1', v6('2001:db8:0::1')), 2);
  for (const text of ['', ':::', 'fffff::', '1:2:3:4:5:6:7:8:9:10:11', '300.1.1.1', '.', '1.2.3', 'ff'.repeat(20)]) {
    assert.equal(matchAddress(text, v4('127.0.0.1')), 0, text);
    assert.equal(matchAddress(text, v6('::1')), 0, text);
    assert.equal(matchAddress(text, v6('::')), 0, text);
  }
});
