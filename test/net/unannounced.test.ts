import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from '../support/stage.js';

test("whoever watches Node's channels sees the program's sockets and not those of links", async (t) => {
  const program = new Stage(t).start(new URL('programs/watched.js', import.meta.url));
  for (let i = 0; i < 3; i++) {
    assert.equal((await program.next<{ provider: string }>('connected')).provider, 'shared-memory');
  }
  const { clients, servers, listens } = await program.next<Record<string, number>>('seen');
  assert.deepEqual({ clients, servers, listens }, { clients: 3, servers: 3, listens: 1 });
});
