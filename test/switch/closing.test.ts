/** How connections end, as their providers see it (section 14 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MEM_READ, MEM_WRITE } from '../../src/spi/index.js';
import { Bench, type Knobs, type Pair, type SimulatedHost } from './stage.js';
import { at } from './support.js';

/** All that was asked about a socket after it was closed. */
function afterClose({ log }: SimulatedHost, socket: object): readonly string[] {
  const names = log.names(socket).filter((fn) => fn.startsWith('WSP'));
  const closed = names.indexOf('WSPCloseSocket');
  assert.ok(closed >= 0, 'it is closed');
  return names.slice(closed + 1);
}

/** Ways in which a connection ends. */
const endings: Readonly<Record<string, (pair: Pair, bench: Bench) => void>> = {
  'both finish and close': ({ mine, theirs }) => {
    for (const { connection } of [mine, theirs]) {
      connection.shutdown(() => {});
      connection.close();
    }
  },
  'one closes, and the other one after it': ({ mine, theirs }, { stage }) => {
    mine.connection.close();
    stage.until(() => theirs.told.length > 0, 'it ends');
    theirs.connection.close();
  },
  'a reset': ({ mine, theirs }) => {
    mine.connection.reset();
    theirs.connection.close();
  },
  'a reset with much unsent': ({ mine, theirs }) => {
    mine.connection.write(Buffer.alloc(2_000_000), () => {});
    mine.connection.reset();
    theirs.connection.reset();
  },
  'the process of the peer dies': ({ mine }, { server, stage }) => {
    server.process.kill();
    stage.until(() => mine.told.length > 0, 'it is told');
    mine.connection.close();
  },
};

for (const [how, end] of Object.entries(endings)) {
  test(`WSD-CLS-16 WSPCloseSocket comes once for each socket, and nothing is asked about it afterwards: ${how} [simulated]`, () => {
    for (const providerMemory of [true, false]) {
      for (const immediateSends of [true, false]) {
        const bench = new Bench({ providerMemory, immediateSends });
        const pair = bench.pair();
        const [clientSocket, serverSocket] = [bench.clientSocket, bench.serverSocket];
        end(pair, bench);
        bench.stage.settle();
        assert.deepEqual(afterClose(bench.client, clientSocket), []);
        if (bench.server.process.isAlive) assert.deepEqual(afterClose(bench.server, serverSocket), []);
      }
    }
  });
}

test('WSD-CLS-7 memory that no transfer uses is deregistered before WSPCloseSocket [simulated]', () => {
  const knobs: readonly Knobs[] = [{ immediateSends: true }, { immediateSends: false }];
  for (const sends of knobs) {
    const bench = new Bench({ providerMemory: false, ...sends });
    const { mine, theirs } = bench.pair();
    mine.connection.write(Buffer.from('x'), () => {});
    bench.stage.until(() => theirs.received.length > 0, 'it arrives');
    bench.stage.settle();
    const socket = bench.clientSocket;
    mine.connection.reset();
    const { log } = bench.client;
    const registered = log.of('WSPRegisterMemory');
    const steps = log.names(socket);
    assert.ok(steps.indexOf('WSPDeregisterMemory') >= 0);
    assert.ok(steps.lastIndexOf('WSPDeregisterMemory') < steps.indexOf('WSPCloseSocket'));
    const released = log.of('WSPDeregisterMemory').map(({ args, result }) => {
      assert.equal(result, 0, 'the provider agrees that nothing uses it');
      return registered.find((call) => call.result === args[1])!.args[4];
    });
    // Receives are still posted, so their memory goes with the socket.
    assert.deepEqual(released, [MEM_READ]);
    assert.deepEqual(registered.map(({ args }) => args[4]).sort(), [MEM_READ, MEM_WRITE]);
  }
});

/** The last thing that a process does: its providers work until everything is sent, for at most a second. */
function endProcess({ client, stage: { world } }: Bench): void {
  const end = world.now() + 1_000_000;
  const turn = (): boolean => {
    world.step();
    return false;
  };
  client.switch.endWithProcess(turn, () => world.now() > end);
  client.process.kill();
}

test('WSD-CLS-6 what is unsent when the process ends is sent before it is gone, closed or not [simulated]', () => {
  for (const closed of [true, false]) {
    const bench = new Bench();
    const { mine, theirs } = bench.pair();
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i * 31 + (i >> 8)));
    mine.connection.write(bytes.subarray(0, 299_000), () => {});
    // What a write that waits has not let through yet is the owner's to tell.
    Object.assign(mine, { unwritten: () => (closed ? [] : [bytes.subarray(299_000)]) });
    if (closed) mine.connection.write(bytes.subarray(299_000), () => {});
    if (closed) mine.connection.close();
    endProcess(bench);
    bench.stage.settle();
    assert.ok(theirs.bytes.equals(bytes));
    assert.deepEqual(theirs.told, ['end']);
    assert.deepEqual(mine.told, [], 'the program is told nothing any more');
  }
});

test('WSD-CLS-6 a peer that does not read does not hold the end of the process for ever [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair(false);
  mine.connection.write(Buffer.alloc(3_000_000), () => {});
  endProcess(bench);
  assert.equal(theirs.bytes.length, 0);
  theirs.connection.readStart();
  bench.stage.settle();
  assert.deepEqual(theirs.told, ['error 10054'], 'it learns that something is missing');
});

test('WSD-CLS-1 WSD-CLS-2 the end of sending is told in a message, and the socket stays open for the other direction [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair();
  const sent = bench.client.log.of('WSPSend').length;
  mine.connection.shutdown(() => {});
  bench.stage.until(() => theirs.told.includes('end'), 'the end is told');
  assert.equal(bench.client.log.of('WSPSend').length, sent + 1);
  assert.ok(!bench.client.log.names(bench.clientSocket).includes('WSPCloseSocket'));
  theirs.connection.write(Buffer.from('still open'), () => {});
  bench.stage.until(() => mine.bytes.length === 10, 'the other direction goes on');
});

test('WSD-CLS-21 cleanup calls WSPCleanup of TCP/IP and of every SAN provider, once nothing is open any more [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair();
  assert.equal(bench.client.switch.cleanup(), false, 'a connection is open');
  assert.equal(bench.server.switch.cleanup(), false, 'a socket listens');
  const cancelled = bench.connect();
  cancelled.socket.close();
  const refused = bench.client.connect(at('10.1.0.1', 7001), at('10.1.0.2', 50_100));
  assert.equal(bench.client.switch.cleanup(), false);
  bench.stage.until(() => refused.outcome.settled, 'nobody is there');
  assert.equal(bench.client.log.of('WSPCleanup').length, 0);
  mine.connection.close();
  theirs.connection.close();
  bench.stage.settle();
  assert.equal(bench.client.switch.cleanup(), true);
  assert.deepEqual(
    bench.client.log.of('WSPCleanup').map(({ on, result }) => [on, result]),
    [
      [bench.client.tap.name, 0],
      ['tcpip', 0],
    ],
  );
  const pending = bench.client.connect(bench.name, at('10.1.0.2', 50_101));
  assert.equal(bench.client.switch.cleanup(), false, 'a socket connects');
  pending.socket.close();
  assert.equal(bench.client.switch.cleanup(), true, 'it was started again');
  assert.equal(bench.client.log.of('WSPStartupEx').length, 2);
});

test('WSD-BLK-2 WSD-CLS-2 whatever the program does, no function is asked for that a SAN provider need not have [simulated]', () => {
  for (const end of Object.values(endings)) {
    const bench = new Bench();
    const pair = bench.pair();
    pair.mine.connection.write(Buffer.from('x'), () => {});
    pair.mine.connection.readStop();
    // Connects that are cancelled, in both of their stages.
    bench.connect().socket.close();
    const negotiating = bench.connect();
    bench.stage.until(() => bench.server.log.of('WSPAccept').length > 1, 'accepted');
    negotiating.socket.close();
    pair.mine.connection.readStart();
    pair.mine.connection.shutdown(() => {});
    end(pair, bench);
    pair.listening.socket.close();
    bench.stage.settle();
    for (const { tap } of [bench.client, bench.server]) assert.deepEqual([...tap.missed], []);
  }
});

test('WSD-CLS-4 a close sends everything before WSPCloseSocket, which never has to wait [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair(false);
  const bytes = Buffer.from(Array.from({ length: 400_000 }, (_, i) => i * 13 + (i >> 9)));
  mine.connection.write(bytes, () => {});
  mine.connection.close();
  bench.stage.settle();
  assert.ok(!bench.client.log.names(bench.clientSocket).includes('WSPCloseSocket'), 'the peer does not read yet');
  theirs.connection.readStart();
  bench.stage.until(() => theirs.told.length > 0, 'the end is told');
  assert.ok(theirs.bytes.equals(bytes));
  theirs.connection.close();
  bench.stage.settle();
  for (const { log } of [bench.client, bench.server]) {
    assert.ok(log.of('WSPCloseSocket').every(({ result }) => result === 0));
  }
  assert.ok(bench.client.log.names(bench.clientSocket).includes('WSPCloseSocket'));
});
