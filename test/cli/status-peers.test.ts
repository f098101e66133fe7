/** How `status` shows by which way memory of peers is read. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { view } from '../../src/cli/status-view.js';
import { type PeerStatus, type Status, status } from '../../src/diagnostics/status.js';
import { parseStatus } from '../../src/status/validate.js';

function shown(peers: readonly PeerStatus[]): string {
  const thread: Status = { ...status(), peers };
  return view({
    version: 1,
    processes: [{ pid: thread.pid, program: 'x', state: 'running', threads: [thread], silent: [] }],
    problems: [],
  });
}

test('status tells by which way memory of peers is read, and why, once it was asked for', () => {
  const text = shown([
    { pid: 11, connections: 1, memory: 'direct' },
    { pid: 12, connections: 1, memory: 'not-permitted' },
    { pid: 13, connections: 1, memory: 'not-permitted' },
    { pid: 14, connections: 1, memory: 'not-tried' },
  ]);
  assert.match(text, /RDMA reads from 11: .*straight from the memory of the peer process/);
  assert.match(text, /RDMA reads from 12, 13: the kernel does not let this process read the peer/);
  assert.doesNotMatch(text, /14/);
  const newer = shown([{ pid: 11, connections: 1, memory: 'by-magic' as PeerStatus['memory'] }]);
  assert.match(newer, /RDMA reads from 11: by-magic/, 'a newer version knows more');
});

test('a document without peers is one of an older version, and a wrong one is none', () => {
  const { peers: _, ...older } = status();
  assert.deepEqual(parseStatus(JSON.stringify(older))?.peers, []);
  const peer = { pid: 1, connections: 1, memory: 'direct' };
  for (const wrong of [7, [1], [{ ...peer, memory: '\u001b[2J' }], [{ ...peer, pid: -1 }]]) {
    assert.equal(parseStatus(JSON.stringify({ ...older, peers: wrong })), null);
  }
  assert.deepEqual(parseStatus(JSON.stringify({ ...older, peers: [peer] }))?.peers, [peer]);
});
