/** What simulations have found, each in its smallest form. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Endpoint, type Host, Rig } from '../../simulation/rig.js';
import { SpiCheck } from '../../simulation/spi-check.js';
import type { SimulatedOptions } from '../../src/providers/simulated/settings.js';
import { WSAECONNRESET, WSAENOBUFS } from '../../src/spi/index.js';

interface Joined {
  readonly rig: Rig;
  readonly client: Host;
  readonly mine: Endpoint;
  readonly theirs: Endpoint;
}

function join(options: Partial<SimulatedOptions>, spi?: (rig: Rig) => SpiCheck): Joined {
  const rig = new Rig(1);
  const providers = [options];
  const client = rig.host(spi === undefined ? { providers } : { providers, wrap: (one) => spi(rig).wrap(one) });
  const server = rig.host({ providers });
  const listening = server.listen(80);
  const connecting = client.connect(server.name(80));
  assert.ok(rig.until(() => listening.connections.length === 1 && connecting.outcome !== null));
  return { rig, client, mine: connecting.connection!, theirs: listening.connections[0]! };
}

test('WSD-MEM-29 memory of sends that failed with the connection is given back before its socket is closed [simulated]', () => {
  const ignore = { bound: () => {}, accepted: () => {}, connectEnded: () => {}, between: () => {} };
  let check: SpiCheck | null = null;
  const { rig, mine, theirs } = join({ providerMemory: false, immediateSends: false, latency: 1000 }, ({ world }) => {
    check = new SpiCheck(world, 'client', ignore);
    return check;
  });
  mine.read();
  // Several sends are pending when the reset comes; the check throws if memory that nobody uses is still registered.
  for (let i = 0; i < 5; i++) mine.write('x');
  theirs.connection.reset();
  assert.ok(rig.until(() => mine.error === WSAECONNRESET));
  assert.equal(check!.outstanding.registrations, 0);
});

test('nothing follows a message that could not be sent', () => {
  const { rig, client, mine, theirs } = join({});
  theirs.read();
  client.providers[0]!.faults.failNext('WSPGetSendBuffer', 0, WSAENOBUFS);
  assert.equal(mine.write('first '), true);
  assert.equal(mine.write('second '), false);
  assert.equal(mine.write('third'), false);
  assert.ok(rig.until(() => theirs.error !== 0));
  assert.equal(theirs.text, 'first ');
  assert.deepEqual(mine.results, [WSAENOBUFS, WSAENOBUFS]);
});

test('a write on a connection that has just been reset fails with the reset', () => {
  const { rig, client, mine, theirs } = join({});
  mine.read();
  theirs.connection.reset();
  // The provider has told the reset, and the switch has not settled it.
  const lost = () => [...client.providers[0]!.sockets].some(({ connection }) => connection?.error === WSAECONNRESET);
  assert.ok(rig.until(lost));
  assert.equal(mine.error, 0);
  assert.equal(mine.write('late'), false);
  assert.ok(rig.until(() => mine.results.length > 0));
  assert.deepEqual(mine.results, [WSAECONNRESET]);
});
