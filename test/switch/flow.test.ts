/** Flow control of the session, on providers that have none (section 9.1 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MEM_READ, MEM_WRITE } from '../../src/spi/index.js';
import { Bench, type Knobs } from './stage.js';

const withoutFlowControl: readonly Knobs[] = [
  { flowControl: false, providerMemory: true },
  { flowControl: false, providerMemory: false },
];

test('WSD-FLW-1 WSD-FLW-3 on a NIC without flow control no message is sent for which no buffer is posted [simulated]', () => {
  for (const knobs of withoutFlowControl) {
    const bench = new Bench(knobs);
    const { mine, theirs } = bench.pair(false);
    const { log } = bench.server;
    let sent = 1;
    let most = 0;
    bench.client.tap.override('WSPSend', (inner, ...args) => {
      sent++;
      const posted = log.of('WSPRecv').filter(({ socket }) => socket === bench.serverSocket).length;
      assert.ok(sent <= posted, `message ${sent} has one of ${posted} buffers`);
      most = Math.max(most, sent);
      return inner(...args);
    });
    const bytes = Buffer.alloc(3_000_000);
    for (let i = 0; i < bytes.length; i++) bytes[i] = i * 7 + (i >> 8);
    mine.connection.write(bytes, () => {});
    bench.stage.settle();
    assert.ok(most > 1 && theirs.bytes.length === 0, 'the program does not read, and the peer is held back');
    assert.ok(mine.connection.writeQueueSize > 0 || most < bytes.length / 16_384);
    theirs.connection.readStart();
    bench.stage.settle();
    assert.ok(theirs.bytes.equals(bytes), 'every byte once and in order');
    assert.deepEqual([...mine.told, ...theirs.told], []);
  }
});

test('WSD-FLW-5 a receive buffer is posted again once its message is consumed [simulated]', () => {
  for (const knobs of withoutFlowControl) {
    const bench = new Bench(knobs);
    const { mine, theirs } = bench.pair();
    const { log } = bench.server;
    const posted = (): number => log.of('WSPRecv').filter(({ socket }) => socket === bench.serverSocket).length;
    const completed = (): number => log.of('WPUCompleteOverlappedRequest').length;
    const outstanding = posted() - completed();
    assert.ok(outstanding > 0);
    for (let i = 1; i <= 50; i++) {
      mine.connection.write(Buffer.from('a small message'), () => {});
      bench.stage.until(() => theirs.received.length === i, 'it arrives');
      bench.stage.settle();
      assert.equal(posted() - completed(), outstanding, 'as many as before');
    }
    const records = new Set(log.of('WSPRecv').map(({ args }) => args[5]));
    assert.equal(records.size, outstanding, 'the same ones');
    for (const { args } of log.of('WPUCompleteOverlappedRequest')) {
      const uses = log.of('WSPRecv').filter((call) => call.args[5] === args[1]).length;
      assert.ok(uses >= 2);
    }
  }
});

test('WSD-FLW-5 buffers are posted again also while the program does not read [simulated]', () => {
  const bench = new Bench();
  const { mine } = bench.pair(false);
  const { log } = bench.server;
  const before = log.of('WSPRecv').length - log.of('WPUCompleteOverlappedRequest').length;
  for (let i = 0; i < 3; i++) mine.connection.write(Buffer.from('a small message'), () => {});
  bench.stage.settle();
  assert.equal(log.of('WPUCompleteOverlappedRequest').length, 4, 'three, and the negotiation');
  assert.equal(log.of('WSPRecv').length - 4, before);
});

test('WSD-FLW-6 each connection has a pool of registered buffers of its own, one part to send and one to receive [simulated]', () => {
  const bench = new Bench({ providerMemory: false });
  const listening = bench.server.listen(bench.name);
  const connecting = [bench.connect(), bench.connect()];
  bench.stage.until(() => listening.accepted.length === 2, 'accepted');
  bench.stage.until(() => connecting.every(({ outcome }) => outcome.settled), 'connected');
  for (const { log } of [bench.client, bench.server]) {
    const registered = log.of('WSPRegisterMemory');
    assert.equal(registered.length, 4);
    const owners = new Map<object, unknown[]>();
    for (const { socket, args } of registered) owners.set(socket!, [...(owners.get(socket!) ?? []), args[4]]);
    assert.equal(owners.size, 2);
    for (const parts of owners.values()) assert.deepEqual(parts.sort(), [MEM_READ, MEM_WRITE]);
    const memory = new Set(registered.map(({ args }) => args[1]));
    assert.equal(memory.size, 4, 'none is shared');
    for (const fn of ['WSPSend', 'WSPRecv']) {
      for (const { socket, buffers } of log.of(fn)) {
        const own = registered.filter((call) => call.socket === socket).map(({ args }) => args[1]);
        assert.ok(buffers.every(({ buf }) => own.includes(buf)));
      }
    }
  }
});

test('WSD-FLW-7 a program that stops reading gets nothing more, and the peer is held back until it reads on [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair();
  const bytes = Buffer.from(Array.from({ length: 4_000_000 }, (_, i) => i * 3 + (i >> 10)));
  mine.connection.write(bytes, () => {});
  bench.stage.until(() => theirs.bytes.length > 0, 'some arrives');
  theirs.connection.readStop();
  const { length } = theirs.bytes;
  bench.stage.settle();
  assert.equal(theirs.bytes.length, length);
  const sent = bench.client.log.of('WSPSend').length;
  assert.ok(sent < bytes.length / 16_384, 'by far not everything is sent');
  theirs.connection.readStart();
  bench.stage.settle();
  assert.ok(theirs.bytes.equals(bytes));
});
