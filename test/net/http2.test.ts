/** HTTP/2 between two processes, in plain text and over TLS. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from '../support/stage.js';

for (const [i, scheme] of ['http', 'https'].entries()) {
  test(`streams, trailers, push, ping, errors and the end of a session [${scheme}]`, async (t) => {
    const stage = new Stage(t);
    const server = stage.start(new URL('programs/http2-server.js', import.meta.url));
    const ports = [await server.next<{ port: number }>('listening'), await server.next<{ port: number }>('listening')];
    const client = stage.start(new URL('programs/http2-client.js', import.meta.url), [scheme, ports[i].port]);

    const { provider } = await client.next<{ provider: string }>('connected');
    assert.equal(provider, 'shared-memory');
    const session = await server.next<{ provider: string; encrypted: boolean }>('session');
    assert.deepEqual([session.provider, session.encrypted], ['shared-memory', scheme === 'https']);

    const told = async (kind: string): Promise<Record<string, unknown>> => {
      const { kind: _, ...fields } = await client.next<{ kind: string }>(kind);
      return fields;
    };
    const whole = { correct: true, bytes: 1_000_000 };
    assert.deepEqual(await told('echoes'), { results: [whole, whole, whole] });
    assert.deepEqual(await told('trailers'), { body: 'body', checksum: 'abc' });
    assert.deepEqual(await told('push'), { pushed: 'pushed body', body: 'body' });
    assert.deepEqual(await told('ping'), { error: null, payload: '12345678' });
    assert.deepEqual(await told('destroyed'), { end: 'Stream closed with error code NGHTTP2_INTERNAL_ERROR 2' });
    assert.equal((await server.next<{ message: string }>('uncaught')).message, 'thrown by the handler');
    assert.deepEqual(await told('thrown'), { end: 'fine 8' });
    const fine = 'fine 0';
    const cancelled = 'fine 8';
    assert.deepEqual(await told('burst'), {
      ends: [fine, cancelled, fine, cancelled, fine, cancelled, fine, cancelled],
    });
    assert.deepEqual(await told('goaway'), { code: 0, body: 'body' });
    const { end } = await told('gone');
    assert.match(String(end), /^fine 8$|^Session|^Stream/);
    assert.equal((await client.ended()).code, 0);
  });
}
