/** What a connection says of its end, for diagnostics: once, and by what ended it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloseCause } from '../../src/diagnostics/channels.js';
import { type SwitchHandle, WSAENETDOWN, type WSAOVERLAPPED } from '../../src/spi/index.js';
import type { SanConnection } from '../../src/switch/index.js';
import { Bench, type Pair } from './stage.js';

/** Completes the client's last posted receive, as a provider does. */
function complete({ client }: Bench, wsaError: number, bytes: number): void {
  const posted = client.log.of('WSPRecv').at(-1)!.args[5] as WSAOVERLAPPED;
  const handle = client.log.of('WPUCreateSocketHandle').at(-1)!.result as SwitchHandle;
  client.tap.upcalls!.WPUCompleteOverlappedRequest(handle, posted, wsaError, bytes, { value: 0 });
}

const endings: Readonly<
  Record<string, { mine: CloseCause; theirs: CloseCause | null; end(pair: Pair, bench: Bench): void }>
> = {
  'both finish': {
    mine: 'ended',
    theirs: 'ended',
    end: ({ mine, theirs }) => {
      mine.connection.close();
      theirs.connection.close();
    },
  },
  'this side resets': { mine: 'reset', theirs: 'reset-by-peer', end: ({ mine }) => mine.connection.reset() },
  'the peer resets': { mine: 'reset-by-peer', theirs: 'reset', end: ({ theirs }) => theirs.connection.reset() },
  'this side closes with bytes unread': {
    mine: 'reset',
    theirs: 'reset-by-peer',
    end: ({ mine, theirs }, { stage }) => {
      mine.connection.readStop();
      theirs.connection.write(Buffer.from('x'), () => {});
      stage.settle();
      mine.connection.close();
    },
  },
  'the peer dies': { mine: 'peer-died', theirs: null, end: (_pair, { server }) => server.process.kill() },
  'the peer breaks the protocol': {
    mine: 'protocol-violation',
    theirs: 'reset-by-peer',
    end: (_pair, bench) => complete(bench, 0, 3),
  },
  'the own provider fails': {
    mine: 'reset',
    theirs: 'reset-by-peer',
    end: (_pair, bench) => complete(bench, WSAENETDOWN, 0),
  },
};

for (const [how, { mine, theirs, end }] of Object.entries(endings)) {
  test(`${how}: ${mine}`, () => {
    const bench = new Bench();
    const pair = bench.pair();
    const told: [side: string, cause: CloseCause][] = [];
    const listen = (side: string, { events }: SanConnection): void => {
      events!.onClosed = (cause, milliseconds) => {
        assert.ok(milliseconds >= 0);
        told.push([side, cause]);
      };
    };
    listen('mine', pair.mine.connection);
    listen('theirs', pair.theirs.connection);
    end(pair, bench);
    bench.stage.settle();
    const expected =
      theirs === null
        ? [['mine', mine]]
        : [
            ['mine', mine],
            ['theirs', theirs],
          ];
    assert.deepEqual(told.sort(), expected);
  });
}

test('a connection that was never handed over says nothing', () => {
  const bench = new Bench();
  bench.server.listen(bench.name);
  const connecting = bench.connect();
  connecting.socket.close();
  bench.stage.settle();
  assert.equal(connecting.outcome.told, 0);
});
