/** The sequences of the documents, as both processes of a connection record them at the service provider interface. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Stage } from '../support/stage.js';

interface Line {
  t: number;
  end?: number;
  kind: 'call' | 'upcall' | 'condition' | 'session';
  fn: string;
  socket: number;
  result: number | string;
  error: string;
  detail: string;
}

interface Traces {
  server: Line[];
  client: Line[];
  connectedAt: number;
}

/** Traces of an echo server and a client with that many connections at once, both complete. */
async function record(t: TestContext, connections = 1): Promise<Traces> {
  const stage = new Stage(t);
  const prefix = join(stage.directory, 'trace');
  const env = { SOCKETS_DIRECT_TRACE: prefix };
  const server = stage.start('echo-server', [], { env });
  const { port } = await server.next<{ port: number }>('listening');
  const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' }), connections], { env });
  const { connectedAt, provider } = await client.next<{ connectedAt: number; provider: string }>('echo');
  assert.equal(provider, 'shared-memory');
  assert.equal((await client.ended()).code, 0);
  server.tell({ kind: 'close' });
  assert.equal((await server.ended()).code, 0);
  const read = (pid: number): Line[] =>
    readFileSync(`${prefix}.${pid}.jsonl`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line)
      .sort((a, b) => a.t - b.t);
  return { server: read(server.pid), client: read(client.pid), connectedAt };
}

/** The first line from `from` on that fits; fails if there is none. */
function find(lines: Line[], from: number, what: string, fits: (line: Line) => boolean): number {
  const i = lines.findIndex((line, at) => at >= from && fits(line));
  assert.ok(
    i >= 0,
    `no ${what} after line ${from}:\n${lines.map(({ fn, detail, error }) => `${fn} ${detail} ${error}`).join('\n')}`,
  );
  return i;
}

function call(fn: string, detail?: string): (line: Line) => boolean {
  return (line) => line.kind === 'call' && line.fn === fn && (detail === undefined || line.detail === detail);
}

/** Position of the one accept of a server, with the accepting socket. */
function accept(lines: Line[]): { at: number; accept: Line; accepted: number } {
  const at = find(
    lines,
    0,
    'WSPAccept',
    (line) => call('WSPAccept')(line) && String(line.result).startsWith('socket '),
  );
  return { at, accept: lines[at], accepted: Number(String(lines[at].result).slice(7)) };
}

function inside(line: Line, outer: Line): boolean {
  return line.t >= outer.t && line.t <= outer.end!;
}

const limit = { timeout: 30_000 };

test(
  'WSD-LSN-2 WSD-LSN-3 WSD-LSN-4 [shared-memory] a listener is created, bound, listens, and then selects FD_ACCEPT',
  limit,
  async (t) => {
    const { server } = await record(t);
    const listen = find(server, 0, 'WSPListen', call('WSPListen'));
    const { socket } = server[listen];
    const made = find(server, 0, 'WSPSocket', (line) => call('WSPSocket')(line) && line.result === `socket ${socket}`);
    const bound = find(server, made, 'WSPBind', (line) => call('WSPBind')(line) && line.socket === socket);
    const selected = find(
      server,
      listen,
      'WSPEventSelect',
      (line) => call('WSPEventSelect', 'FD_ACCEPT')(line) && line.socket === socket,
    );
    assert.ok(made < bound && bound < listen && listen < selected);
    for (const i of [bound, listen, selected]) assert.equal(server[i].result, 0);
  },
);

test(
  'WSD-ACC-4 WSD-ACC-5 WSD-ACC-6 [shared-memory] the event is signalled, read, and then WSPAccept is called',
  limit,
  async (t) => {
    const { server } = await record(t);
    const selected = find(server, 0, 'WSPEventSelect', call('WSPEventSelect', 'FD_ACCEPT'));
    const listener = server[selected].socket;
    const signalled = find(server, selected, 'WPUSetEvent', ({ fn }) => fn === 'WPUSetEvent');
    const read = find(
      server,
      signalled,
      'WSPEnumNetworkEvents',
      (line) => call('WSPEnumNetworkEvents', 'events 8')(line) && line.socket === listener,
    );
    const { at, accept: accepting } = accept(server);
    assert.ok(read < at);
    assert.equal(accepting.socket, listener);
    // Nothing of the request was acted upon before.
    assert.equal(server.slice(0, at).filter(call('WSPAccept')).length, 0);
  },
);

test(
  'WSD-ACC-7 WSD-ACC-8 WSD-ACC-9 [shared-memory] the condition function is asked once, within WSPAccept, and says CF_ACCEPT',
  limit,
  async (t) => {
    const { server } = await record(t);
    const { accept: accepting } = accept(server);
    const asked = server.filter(({ kind }) => kind === 'condition');
    assert.equal(asked.length, 1);
    assert.ok(inside(asked[0], accepting));
    assert.equal(asked[0].result, 'CF_ACCEPT');
    assert.match(asked[0].detail, /^caller 127\.0\.0\.1:\d+, called 127\.0\.0\.1:\d+$/);
  },
);

test(
  'WSD-ACC-13 WSD-ACC-14 WSD-ACC-17 [shared-memory] within WSPAccept the handle is made, then the event is reset',
  limit,
  async (t) => {
    const { server } = await record(t);
    const { at, accept: accepting, accepted } = accept(server);
    const asked = find(server, at, 'condition', ({ kind }) => kind === 'condition');
    const made = find(server, asked, 'WPUCreateSocketHandle', ({ fn }) => fn === 'WPUCreateSocketHandle');
    const reset = find(server, made, 'WPUResetEvent', ({ fn }) => fn === 'WPUResetEvent');
    assert.ok(inside(server[made], accepting) && inside(server[reset], accepting));
    assert.equal(server[made].socket, accepted);
  },
);

test(
  'WSD-ACC-15 WSD-ACC-16 WSD-ACC-26 [shared-memory] the accepted socket gets buffers, then the session is negotiated, then data comes',
  limit,
  async (t) => {
    const { server } = await record(t);
    const { at, accepted } = accept(server);
    const of = (fits: (line: Line) => boolean) => (line: Line) => line.socket === accepted && fits(line);
    const posted = find(server, at, 'WSPRecv', of(call('WSPRecv')));
    const received = find(
      server,
      posted,
      'negotiation received',
      of(({ fn }) => fn === 'negotiation received'),
    );
    const sent = find(
      server,
      received,
      'negotiation sent',
      of(({ fn }) => fn === 'negotiation sent'),
    );
    const data = find(
      server,
      sent,
      'first data received',
      of(({ fn }) => fn === 'first data received'),
    );
    const completion = find(
      server,
      posted,
      'WPUCompleteOverlappedRequest',
      of(({ fn }) => fn === 'WPUCompleteOverlappedRequest'),
    );
    assert.ok(completion < received && received < data);
    const before = server.slice(at, completion).filter(of(call('WSPRecv')));
    assert.equal(`${before.length} buffers posted`, server[sent].detail);
    assert.ok(before.every(({ error }) => error === 'WSA_IO_PENDING'));
  },
);

test(
  'WSD-CON-5 WSD-CON-9 WSD-CON-10 [shared-memory] FD_CONNECT is selected, WSPConnect would block, and the event tells the end',
  limit,
  async (t) => {
    const { client } = await record(t);
    const selected = find(client, 0, 'WSPEventSelect', call('WSPEventSelect', 'FD_CONNECT'));
    const connect = find(
      client,
      selected,
      'WSPConnect',
      (line) => call('WSPConnect')(line) && line.socket === client[selected].socket,
    );
    assert.equal(client[connect].error, 'WSAEWOULDBLOCK');
    find(client, connect, 'WPUSetEvent', ({ fn }) => fn === 'WPUSetEvent');
  },
);

test(
  'WSD-CON-11 WSD-CON-18 WSD-CON-19 [shared-memory] the result is read, buffers are posted, the session is negotiated, the program is connected',
  limit,
  async (t) => {
    const { client, connectedAt } = await record(t);
    const connect = find(client, 0, 'WSPConnect', call('WSPConnect'));
    const { socket } = client[connect];
    const read = find(
      client,
      connect,
      'WSPEnumNetworkEvents',
      (line) => call('WSPEnumNetworkEvents', 'events 16')(line) && line.socket === socket,
    );
    const posted = find(client, read, 'WSPRecv', (line) => call('WSPRecv')(line) && line.socket === socket);
    const sent = find(client, posted, 'negotiation sent', ({ fn }) => fn === 'negotiation sent');
    const received = find(client, sent, 'negotiation received', ({ fn }) => fn === 'negotiation received');
    assert.ok(connectedAt >= client[received].t);
    const count = client.slice(read, sent).filter(call('WSPRecv')).length;
    assert.equal(`${count} buffers posted`, client[sent].detail);
  },
);

test(
  'WSD-ACC-18 WSD-INI-1 [shared-memory] of 20 requests at once each is announced, asked about and accepted',
  limit,
  async (t) => {
    const { server } = await record(t, 20);
    assert.equal(server[0].fn, 'WSPStartupEx');
    const accepts = server.filter((line) => call('WSPAccept')(line) && String(line.result).startsWith('socket '));
    assert.equal(accepts.length, 20);
    for (const accepting of accepts) {
      const asked = server.filter((line) => line.kind === 'condition' && inside(line, accepting));
      assert.equal(asked.length, 1);
    }
    const reads = server.filter(call('WSPEnumNetworkEvents', 'events 8'));
    assert.ok(reads.length >= 20);
  },
);
