/** One socket in several processes, each of which is killed at each step. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Program, Stage } from '../support/stage.js';

const limit = { timeout: 60_000 };
const providers = ['shared-memory', 'tcpip'] as const;
type Provider = (typeof providers)[number];

interface Outcome {
  readonly result?: unknown;
  readonly code?: string;
}

class Sharer {
  readonly program: Program;
  #id = 0;

  constructor(stage: Stage, provider: Provider) {
    const off = { env: { SOCKETS_DIRECT: 'off' }, require: false };
    this.program = stage.start('winsock-sharer', [], {
      preload: null,
      require: true,
      ...(provider === 'tcpip' ? off : {}),
    });
  }

  async outcome(what: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Outcome> {
    const id = ++this.#id;
    this.program.tell({ kind: 'do', id, do: what, s: 's', ...fields });
    return this.program.next<Outcome>(`done ${id}`, 30_000);
  }

  async do<T = unknown>(what: string, fields: Readonly<Record<string, unknown>> = {}): Promise<T> {
    const { result, code } = await this.outcome(what, fields);
    assert.equal(code, undefined, `${what}: ${code}`);
    return result as T;
  }

  async code(what: string, fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const { code, result } = await this.outcome(what, fields);
    assert.ok(code !== undefined, `${what}: ${JSON.stringify(result)}`);
    return code;
  }

  say(text: string): Promise<unknown> {
    return this.do('send', { text });
  }

  hear(length: number): Promise<string> {
    return this.do<string>('recv', { length });
  }
}

interface Cast {
  /** Has the socket first, gets it from there, and is at the other end. */
  readonly first: Sharer;
  readonly next: Sharer;
  readonly peer: Sharer;
}

async function cast(t: TestContext, provider: Provider): Promise<Cast> {
  const stage = new Stage(t);
  const [first, next, peer] = [new Sharer(stage, provider), new Sharer(stage, provider), new Sharer(stage, provider)];
  await Promise.all([first, next, peer].map(({ program }) => program.next('ready')));
  const port = await peer.do<number>('listen', { s: 'listening' });
  const accepted = peer.do('accept', { s: 'listening', name: 's' });
  await first.do('connect', { port });
  assert.equal(await accepted, provider);
  return { first, next, peer };
}

async function give({ first, next }: Cast): Promise<void> {
  const info = await first.do('duplicate', { processId: next.program.pid });
  await next.do('receive', { info });
}

for (const provider of providers) {
  test(
    `WSD-DUP-2 WSD-DUP-8 a socket goes to another process and back, and is used in both [${provider}]`,
    limit,
    async (t) => {
      const players = await cast(t, provider);
      const { first, next, peer } = players;
      await give(players);
      for (let round = 0; round < 5; round++) {
        await first.say(`a${round}`);
        await next.say(`b${round}`);
        await peer.say(`c${round}d${round}`);
        assert.equal(await next.hear(2), `c${round}`);
        assert.equal(await first.hear(2), `d${round}`);
      }
      assert.equal(await peer.hear(20), 'a0b0a1b1a2b2a3b3a4b4');
      assert.equal(await first.do('provider'), provider);
      await first.do('close');
      await next.say('last');
      await next.do('shutdown');
      assert.equal(await peer.hear(10), 'last');
      await peer.do('close');
      assert.equal(await next.hear(1), '');
    },
  );

  test(
    `the first process ends when it has given the socket away, and the connection goes on [${provider}]`,
    limit,
    async (t) => {
      const players = await cast(t, provider);
      const { first, next, peer } = players;
      await peer.say('unread');
      assert.equal(await first.hear(2), 'un');
      await give(players);
      await first.do('close');
      first.program.tell({ kind: 'rest' });
      assert.equal((await first.program.ended()).code, 0);
      assert.equal(await next.hear(4), 'read');
      await next.say('alive');
      assert.equal(await peer.hear(5), 'alive');
    },
  );

  test(
    `WSD-DUP-40 who has the socket dies, with control and without it, and nobody waits for ever [${provider}]`,
    limit,
    async (t) => {
      const cases = [
        ['first', 'next', 'first'],
        ['first', 'next', 'next'],
        ['next', 'first', 'first'],
        ['next', 'first', 'next'],
      ] as const;
      await Promise.all(
        cases.map(async ([victim, survivor, control]) => {
          const players = await cast(t, provider);
          await give(players);
          await players.next.say('1');
          await players[control].say('2');
          assert.equal(await players.peer.hear(2), '12');
          players[victim].program.kill();
          await players[victim].program.ended();
          if (victim === control) {
            // With its process the connection is gone, for the peer and for the others.
            assert.match(await players[survivor].code('send', { text: 'x' }), /WSAECONNRESET/);
            const { result, code } = await players.peer.outcome('recv', { length: 1 });
            assert.ok(result === '' || code === 'WSAECONNRESET', `${result} ${code}`);
          } else {
            await players[survivor].say('still here');
            assert.equal(await players.peer.hear(10), 'still here');
          }
        }),
      );
    },
  );

  test(
    `WSD-DUP-11 WSD-DUP-35 a process listens, others accept, and it ends or is killed [${provider}]`,
    limit,
    async (t) => {
      const stage = new Stage(t);
      const cast = [new Sharer(stage, provider), new Sharer(stage, provider), new Sharer(stage, provider)] as const;
      const [first, next, peer] = cast;
      await Promise.all(cast.map(({ program }) => program.next('ready')));
      const port = await first.do<number>('listen', { s: 'listening' });
      const info = await first.do('duplicate', { s: 'listening', processId: next.program.pid });
      await next.do('receive', { s: 'listening', info });
      const assertSpeak = async (name: string, by: Sharer): Promise<void> => {
        assert.equal(await by.do('accept', { s: 'listening', name }), provider);
        await by.do('send', { s: name, text: 'welcome' });
        assert.equal(await peer.do('recv', { s: name, length: 7 }), 'welcome');
      };
      // The first two wait where the socket was made.
      for (const s of ['a', 'b']) await peer.do('connect', { s, port });
      await assertSpeak('a', next);
      await assertSpeak('b', first);
      await peer.do('connect', { s: 'c', port });
      await assertSpeak('c', next);
      // It has no control, and nothing of the others ends with it.
      first.program.kill();
      await first.program.ended();
      await peer.do('connect', { s: 'd', port });
      await assertSpeak('d', next);
      await next.do('close', { s: 'listening' });
      assert.match(await peer.code('connect', { s: 'e', port }), /WSAECONNREFUSED|WSAENETUNREACH/);
    },
  );
}

test('WSD-DUP-35 a caller that stands still keeps nobody else from accepting [shared-memory]', limit, async (t) => {
  const stage = new Stage(t);
  const cast = Array.from({ length: 4 }, () => new Sharer(stage, 'shared-memory')) as [Sharer, Sharer, Sharer, Sharer];
  const [first, next, still, other] = cast;
  await Promise.all(cast.map(({ program }) => program.next('ready')));
  const port = await first.do<number>('listen', { s: 'listening' });
  const info = await first.do('duplicate', { s: 'listening', processId: next.program.pid });
  await next.do('receive', { s: 'listening', info });
  // It waits where the socket was made, and does not answer when it is to move.
  await still.do('connect', { port });
  still.program.kill('SIGSTOP');
  const accepted = next.do('accept', { s: 'listening', name: 'b' });
  await other.do('connect', { s: 'b', port });
  assert.equal(await accepted, 'shared-memory');
  await other.do('send', { s: 'b', text: 'here' });
  assert.equal(await next.do('recv', { s: 'b', length: 4 }), 'here');
  still.program.kill('SIGCONT');
  assert.equal(await still.code('recv', { length: 1 }), 'WSAECONNRESET');
});

test('WSD-DUP-40 the peer dies while it is asked, and after control has moved [shared-memory]', limit, async (t) => {
  for (const answers of [false, true]) {
    const players = await cast(t, 'shared-memory');
    const { first, next, peer } = players;
    await give(players);
    await first.say('x');
    await peer.hear(1);
    if (answers) await next.say('y');
    // A peer that is stopped does not answer, and is killed while it is asked.
    else peer.program.kill('SIGSTOP');
    const moving = next.outcome('recv', { length: 1 });
    await first.do('provider');
    peer.program.kill();
    const { result, code } = await moving;
    assert.ok(result === '' || code === 'WSAECONNRESET', `${result} ${code}`);
  }
});

test('WSD-DUP-40 the process dies that is about to get control, or that gives it [shared-memory]', limit, async (t) => {
  for (const victim of ['first', 'next'] as const) {
    const players = await cast(t, 'shared-memory');
    const { first, next, peer } = players;
    await give(players);
    await first.say('x');
    await peer.hear(1);
    // Asked while the peer does not answer, so control is neither here nor there.
    peer.program.kill('SIGSTOP');
    const moving = next.outcome('send', { text: 'moving' }).catch(() => ({ code: 'killed' }));
    await first.do('provider');
    players[victim].program.kill();
    await players[victim].program.ended();
    peer.program.kill('SIGCONT');
    if (victim === 'first') assert.equal((await moving).code, 'WSAECONNRESET');
    // Whoever is left either goes on or is told.
    else await first.outcome('send', { text: 'moving' });
    const { result, code } = await peer.outcome('recv', { length: 6 });
    assert.ok(result === '' || result === 'moving' || code === 'WSAECONNRESET', `${victim} died: ${result} ${code}`);
  }
});
