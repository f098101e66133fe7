import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageBoundaries } from '../../src/net/message-boundaries.js';

const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const PING = 6;
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

function frame(type: number, length: number, stream = 1): Buffer {
  const bytes = Buffer.alloc(9 + length, type);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = 0;
  bytes.writeUInt32BE(stream, 5);
  return bytes;
}

function record(length: number, type = 0x17): Buffer {
  const bytes = Buffer.alloc(5 + length, 0x42);
  bytes[0] = type;
  bytes.writeUInt16BE(0x0303, 1);
  bytes.writeUInt16BE(length, 3);
  return bytes;
}

/** The lengths of the pieces of each chunk. */
function pieces(chunks: readonly Buffer[]): number[] {
  const boundaries = new MessageBoundaries(chunks[0]);
  const lengths: number[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const length = boundaries.cut(chunk.subarray(at));
      lengths.push(length);
      at += length;
    }
  }
  return lengths;
}

test('frames of HTTP/2 are pieces of their own, and runs of some are one piece', () => {
  const frames = [
    Buffer.concat([preface, frame(SETTINGS, 12, 0)]),
    frame(HEADERS, 30),
    frame(HEADERS, 31, 3),
    Buffer.concat([frame(DATA, 100), frame(DATA, 200, 3), frame(DATA, 0)]),
    frame(3, 4),
    Buffer.concat([frame(PING, 8, 0), frame(PING, 8, 0)]),
    frame(7, 8, 0),
  ];
  const lengths = frames.map((bytes) => bytes.length);
  assert.deepEqual(pieces([Buffer.concat(frames)]), lengths);
});

test('a client knows HTTP/2 by the settings of its server', () => {
  const frames = [frame(SETTINGS, 6, 0), frame(HEADERS, 10), frame(HEADERS, 20, 3)];
  assert.deepEqual(pieces([Buffer.concat(frames)]), [15, 19, 29]);
});

test('records of TLS are pieces', () => {
  assert.deepEqual(pieces([Buffer.concat([record(70, 0x16), record(1, 0x14), record(300)])]), [75, 6, 305]);
});

test('other bytes are left whole', () => {
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  assert.deepEqual(pieces([Buffer.from(`${request}${request}`), Buffer.from(request)]), [54, 27]);
  assert.deepEqual(pieces([Buffer.from('short')]), [5]);
});

test('wherever the network cuts the stream, no piece goes beyond the end of a message that starts another kind', () => {
  const message = fc.record({ type: fc.integer({ min: 0, max: 12 }), length: fc.integer({ min: 0, max: 40 }) });
  const cuts = fc.array(fc.nat(400), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), cuts, (messages, places) => {
      const frames = [frame(SETTINGS, 6, 0), ...messages.map(({ type, length }) => frame(type, length))];
      const stream = Buffer.concat(frames);
      // The protocol is known by the first bytes.
      const at = [0, ...places.map((place) => Math.min(Math.max(place, 9), stream.length)), stream.length];
      at.sort((a, b) => a - b);
      const chunks = at
        .slice(1)
        .map((end, i) => stream.subarray(at[i], end))
        .filter(({ length }) => length > 0);
      const ends = new Set<number>();
      let offset = 0;
      for (const length of pieces(chunks)) {
        offset += length;
        ends.add(offset);
      }
      assert.equal(offset, stream.length);
      let end = 0;
      for (const [i, bytes] of frames.entries()) {
        end += bytes.length;
        const next = frames[i + 1];
        if (next === undefined || next[3] !== bytes[3]) assert.ok(ends.has(end), `the end of frame ${i}`);
      }
    }),
  );
});
