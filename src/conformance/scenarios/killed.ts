/** Real processes that are killed at one step after the other, or stand still: what the other side sees then. */

import assert from 'node:assert/strict';
import {
  INVALID_SOCKET,
  type ProviderSocket,
  WSA_IO_PENDING,
  WSAECONNABORTED,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEHOSTUNREACH,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import type { ProviderBench } from '../bench.js';
import { buffer, name, notify, poll, text, unregistered } from '../memory.js';
import type { Selected } from '../node.js';
import type { Peer } from '../processes.js';
import { type Scenario, scenario } from '../scenario.js';

/** After these TCP/IP is not tried, so none may stand for a peer that has died (WSD-CON-15). */
const final = [WSAECONNRESET, WSAECONNREFUSED, WSAEHOSTUNREACH];

const options = { part: 'faults', hooks: ['processes'] } as const;

interface Asked {
  readonly peer: Peer;
  readonly connecting: Selected;
  readonly port: number;
}

/** A process that listens, and a request of the client that has arrived there. */
async function asked(bench: ProviderBench): Promise<Asked> {
  const peer = bench.peer();
  const port = bench.port();
  await peer.call('listen', port);
  const connecting = bench.client.connect(name(port, await peer.call('address')), bench.port());
  return { peer, connecting, port };
}

/** A process that has accepted the client. */
async function accepted(bench: ProviderBench): Promise<{ peer: Peer; mine: ProviderSocket }> {
  const { peer, connecting } = await asked(bench);
  await peer.call('accept');
  assert.equal(await bench.outcome(connecting), 0);
  bench.client.log.length = 0;
  return { peer, mine: connecting.socket };
}

/** The client's connection is lost, and stays so. */
function assertLost({ client }: ProviderBench, mine: ProviderSocket): void {
  for (let i = 0; i < 2; i++) {
    assert.equal(client.failure(client.send(mine, unregistered(), notify())), WSAECONNABORTED);
    assert.equal(client.failure(client.recv(mine, unregistered(), notify())), WSAECONNABORTED);
  }
}

async function assertFallsBack(bench: ProviderBench, connecting: Selected): Promise<void> {
  const error = await bench.outcome(connecting);
  assert.ok(error !== 0 && !final.includes(error), `${error}`);
}

export const killed: readonly Scenario[] = [
  scenario(
    'WSD-CON-15 killed while a request waits in its queue: the connect ends so that TCP/IP is tried',
    async (bench) => {
      const { peer, connecting } = await asked(bench);
      await peer.call('requested');
      await peer.kill();
      await assertFallsBack(bench, connecting);
    },
    options,
  ),

  scenario(
    'WSD-CON-15 WSD-ACC-22 killed in its condition function: the connect ends so that TCP/IP is tried',
    async (bench) => {
      const { peer, connecting } = await asked(bench);
      await peer.dies('dieInCondition');
      await assertFallsBack(bench, connecting);
    },
    options,
  ),

  scenario(
    'WSD-CLS-20 WSD-OVL-23 killed right after it has accepted: what is pending ends once, with WSAECONNABORTED',
    async (bench) => {
      const { client } = bench;
      const { peer, mine } = await accepted(bench);
      const told = client.post(mine, 64).overlapped;
      const polled = client.post(mine, 64, poll()).overlapped;
      await peer.kill();
      await bench.until(() => polled.Internal !== WSS_OPERATION_IN_PROGRESS, 'the end is noticed');
      await bench.settle();
      assert.deepEqual([told.Internal, polled.OffsetHigh], [WSAECONNABORTED, WSAECONNABORTED]);
      assert.equal(client.completions.length, 1);
      assertLost(bench, mine);
    },
    options,
  ),

  scenario(
    'WSD-CLS-20 killed in the completion of a message: the other side loses the connection and keeps its socket',
    async (bench) => {
      const { client } = bench;
      const { peer, mine } = await accepted(bench);
      await peer.call('post', 64);
      await peer.call('dieInCompletion');
      const { overlapped } = client.post(mine, 64);
      client.say(mine, 'the last it hears', poll());
      await bench.until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'the end is noticed');
      assert.equal(overlapped.Internal, WSAECONNABORTED);
      assertLost(bench, mine);
      assert.ok(!client.log.some((what) => what.startsWith('close')), 'its handle is kept');
    },
    options,
  ),

  scenario(
    'WSD-COMP-12 WSD-OVL-23 killed while it sends: what has come is whole and in order, and then the end',
    async (bench) => {
      const { client } = bench;
      const { peer, mine } = await accepted(bench);
      const posted = Array.from({ length: 400 }, () => client.post(mine, 64));
      await peer.call('flood', posted.length);
      await bench.until(() => client.completions.length >= 50, 'some have come');
      await peer.kill();
      await bench.until(() => client.completions.length === posted.length, 'every receive has ended');
      const lost = client.completions.findIndex(({ error }) => error !== 0);
      const came = lost < 0 ? posted : posted.slice(0, lost);
      came.forEach(({ at, overlapped }, i) => {
        assert.equal(text(at, overlapped.InternalHigh), `message ${i}`);
      });
      for (const { error, bytes } of client.completions.slice(came.length)) {
        assert.deepEqual([error, bytes], [WSAECONNABORTED, 0]);
      }
    },
    options,
  ),

  scenario(
    'WSD-OVL-23 WSD-CLS-20 killed while sends wait for it: each of them ends once',
    async (bench) => {
      const { client } = bench;
      const { peer, mine } = await accepted(bench);
      // Nothing is taken from now on, so that sends have to wait for wire.
      peer.standStill();
      const memory = client.memory(mine, 65_536);
      let started = 0;
      for (let pending = 0; pending < 3 && started < 400; started++) {
        const result = client.send(mine, buffer(memory), notify());
        if (result === 0) continue;
        assert.equal(client.failure(result), WSA_IO_PENDING);
        pending++;
      }
      await peer.kill();
      await bench.until(() => client.completions.length === started, 'every send has ended');
      await bench.settle();
      assert.equal(client.completions.length, started);
      assert.ok(client.completions.every(({ error }) => error === 0 || error === WSAECONNABORTED));
      assertLost(bench, mine);
    },
    options,
  ),

  scenario(
    'WSD-OVL-23 WSD-MEM-10 killed while its memory is written: each RDMA operation ends once',
    async (bench) => {
      const { client } = bench;
      const { peer, mine } = await accepted(bench);
      const descriptor = Uint8Array.from(await peer.call('expose', 65_536));
      const memory = client.memory(mine, 65_536);
      const { errno } = client;
      const write = (): number =>
        client.rdmaWrite(
          mine,
          [buffer(memory)],
          1,
          descriptor,
          descriptor.length,
          0,
          null,
          0,
          notify(),
          null,
          null,
          errno,
        );
      let started = 0;
      for (; started < 100; started++) {
        if (write() !== 0) assert.equal(client.failure(-1), WSA_IO_PENDING);
      }
      await peer.kill();
      await bench.until(() => client.completions.length === started, 'every write has ended');
      await bench.until(() => client.failure(client.send(mine, unregistered(), notify())) === WSAECONNABORTED, 'lost');
      assert.equal(client.failure(write()), WSAECONNABORTED);
      assert.equal(client.completions.length, started);
    },
    { ...options, needs: ['rdmaWrite'] },
  ),

  scenario(
    'WSD-ACC-32 killed while its connect waits here: nobody is accepted, or a connection that ends',
    async (bench) => {
      const { server } = bench;
      const port = bench.port();
      const listener = server.listen(port);
      const peer = bench.peer();
      await peer.call('connect', server.address, port, bench.port());
      await bench.until(() => listener.event.signalled, 'the request has arrived');
      await peer.kill();
      await bench.settle();
      const result = server.accept(listener);
      if (result === INVALID_SOCKET) {
        assert.notEqual(server.failure(result), 0);
      } else {
        const { overlapped } = server.post(result, 64);
        await bench.until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'the end is noticed');
        assert.equal(overlapped.Internal, WSAECONNABORTED);
      }
      assert.equal(server.failure(server.accept(listener)), WSAEWOULDBLOCK, 'it is no longer in the queue');
    },
    options,
  ),

  scenario(
    'WSD-CON-29 WSD-CON-10 a process that stands still: the connect ends in its budget, and can no longer be accepted',
    async (bench) => {
      const { peer, connecting } = await asked(bench);
      await peer.call('requested');
      peer.standStill();
      assert.equal(await bench.outcome(connecting), WSAETIMEDOUT);
      peer.goOn();
      bench.client.close(connecting.socket);
      // By then whatever the client has said has arrived there.
      await peer.call('address');
      await bench.settle();
      assert.ok([WSAEWOULDBLOCK, WSAECONNRESET].includes(await peer.call('failToAccept')));
    },
    { ...options, connectBudget: 1500 },
  ),

  scenario(
    'WSD-CON-14 WSD-LSN-6 where a listener was killed another process can listen, and is found',
    async (bench) => {
      const { peer, port } = await asked(bench);
      await peer.kill();
      const next = bench.peer();
      await next.call('listen', port);
      const connecting = bench.client.connect(name(port, await next.call('address')), bench.port());
      await next.call('accept');
      assert.equal(await bench.outcome(connecting), 0);
      await next.call('post', 64);
      bench.client.say(connecting.socket, 'hello', poll());
      assert.deepEqual(await next.call('received', 1), [[0, 'hello']]);
    },
    options,
  ),
];
