import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagram } from '../../demo/diagram.js';
import { sentence } from '../../demo/explain.js';
import { chunk, digest, payload } from '../../demo/payload.js';
import { locate } from '../../demo/sequence.js';
import { parseTrace, traceFile } from '../../demo/trace.js';
import { clientTrace, serverTrace } from './synthetic.js';

describe('trace', () => {
  it('is read in time order, although calls are written when they return', () => {
    const inner =
      '{"t":2,"pid":1,"provider":"p","kind":"upcall","fn":"WPUSetEvent","socket":0,"result":1,"error":"","detail":""}';
    const outer =
      '{"t":1,"end":3,"pid":1,"provider":"p","kind":"call","fn":"WSPAccept","socket":4,"result":"socket 5","error":"","detail":""}';
    const trace = parseTrace(`${inner}\n${outer}\n`);
    assert.deepEqual(
      trace.map(({ fn, end, socket }) => [fn, end, socket]),
      [
        ['WSPAccept', 3, 4],
        ['WPUSetEvent', undefined, 0],
      ],
    );
  });

  it('refuses a line that is none', () => {
    assert.throws(() => parseTrace('{"a":1}\n'), /not a line of a trace/);
    assert.throws(() => parseTrace('null\n'), /not a line of a trace/);
  });

  it('has a file for each process', () => {
    assert.equal(traceFile('/tmp/trace', 12), '/tmp/trace.12.jsonl');
  });
});

describe('diagram', () => {
  const rows = diagram([...locate('client', clientTrace()), ...locate('server', serverTrace())]).split('\n');

  it('has a row for each step of both processes, in time order', () => {
    const times = rows.slice(2).map((row) => Number.parseFloat(row));
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
    assert.equal(times.length, locate('client', clientTrace()).length + locate('server', serverTrace()).length);
  });

  it('has the client on the left and the server on the right', () => {
    const columns = (text: string) => rows.find((row) => row.includes(text))?.split(' | ');
    assert.match(columns('WSPConnect')?.[1] ?? '', /^WSPConnect -> WSAEWOULDBLOCK +CON-7, CON-9 \|?$/);
    assert.match(columns('ConditionFunction')?.[2] ?? '', /^ {2}ConditionFunction: CF_ACCEPT/);
  });

  it('keeps its columns aligned', () => {
    assert.ok(rows.every((row) => row.indexOf(' | ') === rows[0]?.indexOf(' | ')));
    assert.ok(rows.every((row) => row.length <= (rows[1]?.length ?? 0)));
  });
});

describe('payload', () => {
  it('tells chunks apart, also those that are 256 apart', () => {
    assert.notDeepEqual(chunk(0), chunk(256));
  });

  it('has the promised length and a digest of its own', () => {
    let bytes = 0;
    for (const part of payload(2)) bytes += part.length;
    assert.equal(bytes, 2 << 20);
    assert.notEqual(digest(1), digest(2));
  });
});

describe('explanation', () => {
  it('is the sentence of the reason', () => {
    const text = sentence({ provider: 'tcpip', reason: 'ffi-unavailable' });
    assert.match(text ?? '', /^Shared memory cannot be used here: the optional package koffi .*\(ffi-unavailable\)\.$/);
  });

  it('does not invent one', () => {
    for (const info of [null, {}, { reason: null }, { reason: 'accelerated' }, { reason: 'toString' }]) {
      assert.equal(sentence(info), null);
    }
  });
});
