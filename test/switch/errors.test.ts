/** What errors of a provider mean, before and after a connection exists (section 20 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type SwitchHandle,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEMFILE,
  WSAENETDOWN,
  WSAENETRESET,
  WSAENOBUFS,
  WSAENOTSOCK,
  WSAETIMEDOUT,
  type WSAOVERLAPPED,
  WSASYSNOTREADY,
} from '../../src/spi/index.js';
import { Bench, Stage } from './stage.js';
import { at } from './support.js';

const setupErrors = [WSAEMFILE, WSAENOBUFS, WSAENETDOWN, WSAEFAULT, WSAENOTSOCK];

test('WSD-ERR-2 whatever a provider fails in before there is a connection, TCP/IP makes it', () => {
  const faults: [fn: string, errors: readonly number[]][] = [
    ['WSPStartupEx', [WSASYSNOTREADY, WSAEFAULT]],
    ['WSPIoctl', [WSAENETDOWN]],
    ['WSPSocket', setupErrors],
    ['WSPBind', setupErrors],
    ['WSPEventSelect', setupErrors],
    ['WSPConnect', [...setupErrors, WSAETIMEDOUT]],
  ];
  for (const [fn, errors] of faults) {
    for (const error of errors) {
      const stage = new Stage();
      const host = stage.host([['10.1.0.2/24']]);
      host.tap.fail(fn, error);
      const { outcome, tcpip } = host.connect(at('10.1.0.9', 80), at('10.1.0.2', 50_001));
      stage.settle();
      assert.deepEqual([outcome.told, outcome.fellBack], [1, true], `${fn} ${error}`);
      const [connect] = host.log.of('WSPConnect', 'tcpip');
      assert.deepEqual([connect!.socket, connect!.args[1]], [tcpip, at('10.1.0.9', 80)]);
      assert.equal(host.listen(at('10.1.0.2', 7000)).status, 0, 'and listens');
    }
  }
});

test('WSD-ERR-3 an error of an established connection goes to the program, and to nobody else', () => {
  for (const error of [WSAECONNRESET, WSAECONNABORTED, WSAENETRESET, WSAENETDOWN]) {
    const bench = new Bench();
    const { mine } = bench.pair();
    let written = -1;
    mine.connection.write(Buffer.alloc(1_000_000), (wsaError) => {
      written = wsaError;
    });
    const posted = bench.client.log.of('WSPRecv').at(-1)!.args[5] as WSAOVERLAPPED;
    const handle = bench.client.log.of('WPUCreateSocketHandle').at(-1)!.result as SwitchHandle;
    bench.client.tap.upcalls!.WPUCompleteOverlappedRequest(handle, posted, error, 0, { value: 0 });
    bench.stage.settle();
    const expected = error === WSAECONNABORTED ? WSAECONNRESET : error;
    assert.deepEqual(mine.told, [`error ${expected}`]);
    assert.equal(written, expected, 'the write that waits fails as well');
    assert.equal(bench.client.log.of('WSPConnect', 'tcpip').length, 0);
    assert.equal(bench.client.log.names(bench.clientSocket).at(-1), 'WSPCloseSocket');
  }
});

test('WSD-ERR-3 a data call that fails ends the connection with its error', () => {
  for (const fn of ['WSPSend', 'WSPRecv']) {
    const bench = new Bench();
    const { mine, theirs } = bench.pair();
    bench.client.tap.fail(fn, WSAENETDOWN);
    if (fn === 'WSPSend') mine.connection.write(Buffer.from('x'), () => {});
    else theirs.connection.write(Buffer.from('x'), () => {});
    bench.stage.settle();
    assert.deepEqual(mine.told, [`error ${WSAENETDOWN}`], fn);
    assert.deepEqual(theirs.told, [`error ${WSAECONNRESET}`]);
    assert.equal(bench.client.log.of('WSPConnect', 'tcpip').length, 0);
  }
});

test('WSD-ERR-3 a pending send that has failed ends the connection with its error [simulated]', () => {
  const bench = new Bench({ providerMemory: false, immediateSends: false });
  const { mine } = bench.pair();
  bench.client.tap.fail('WSPGetOverlappedResult', WSAENETRESET);
  const results: number[] = [];
  for (let i = 0; i < 3; i++) mine.connection.write(Buffer.from('x'), (wsaError) => results.push(wsaError));
  bench.stage.settle();
  assert.deepEqual(mine.told, [`error ${WSAENETRESET}`]);
  assert.ok(results.length > 0);
  assert.equal(bench.client.log.names(bench.clientSocket).filter((fn) => fn === 'WSPCloseSocket').length, 1);
});
