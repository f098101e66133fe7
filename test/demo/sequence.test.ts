import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkAcross, checkOrder, locate, type Side } from '../../demo/sequence.js';
import type { TraceLine } from '../../demo/trace.js';
import { clientTrace, inOrder, serverTrace } from './synthetic.js';

const good: Readonly<Record<Side, () => TraceLine[]>> = { client: clientTrace, server: serverTrace };
const sides = ['client', 'server'] as const;

function holds(side: Side, trace: readonly TraceLine[]): boolean {
  return checkOrder(locate(side, inOrder(trace))).every(({ ok }) => ok);
}

for (const side of sides) {
  describe(`order of the ${side}'s sequence`, () => {
    it('holds for a good trace', () => {
      const failed = checkOrder(locate(side, good[side]())).filter(({ ok }) => !ok);
      assert.deepEqual(failed, []);
    });

    const steps = locate(side, good[side]());
    for (const [index, step] of steps.slice(1).entries()) {
      const previous = steps[index];
      it(`fails if '${step.id}' and '${previous?.id}' are swapped`, () => {
        const trace = good[side]();
        swap(trace, previous?.line ?? null, step.line);
        assert.equal(holds(side, trace), false);
      });
    }

    for (const { id, line, count } of steps) {
      it(`fails without '${id}'`, () => {
        const same = (other: TraceLine) => other.t === line?.t;
        // What is done several times must be gone altogether.
        const repeated = (other: TraceLine) =>
          count > 1 && other.fn === line?.fn && other.detail.slice(0, 9) === line.detail.slice(0, 9);
        const trace = good[side]().filter((other) => !same(other) && !repeated(other));
        assert.equal(holds(side, trace), false);
      });
    }

    it('is not confused by a second connection', () => {
      const trace = good[side]();
      const later = trace.filter(({ t }) => t > 1005).map((line) => moved(line, 100));
      assert.equal(holds(side, [...trace, ...later]), true);
    });
  });
}

describe('order within WSPAccept', () => {
  for (const fn of ['ConditionFunction', 'WPUCreateSocketHandle']) {
    it(`fails if ${fn} came after the return`, () => {
      const trace = serverTrace();
      const accept = find(trace, 'WSPAccept');
      accept.end = find(trace, fn).t - 0.01;
      assert.equal(holds('server', trace), false);
    });
  }

  it('fails if buffers are posted before it has returned', () => {
    const trace = serverTrace();
    find(trace, 'WSPAccept').end = find(trace, 'WSPRecv').t + 0.01;
    assert.equal(holds('server', trace), false);
  });

  it('fails if the request was not accepted', () => {
    const trace = serverTrace();
    find(trace, 'ConditionFunction').result = 'CF_REJECT';
    assert.equal(holds('server', trace), false);
  });
});

describe('registration of receive buffers', () => {
  for (const fn of ['WSPRegisterMemory', 'WSPAllocateReceiveMemory']) {
    it(`${fn} is a step where it is recorded, before the buffers are posted`, () => {
      const trace = clientTrace();
      const posted = find(trace, 'WSPRecv');
      const registration = { ...posted, fn, t: posted.t - 0.4, end: posted.t - 0.3 };
      assert.equal(holds('client', [...trace, registration]), true);
      assert.equal(
        locate('client', inOrder([...trace, registration])).some(({ id }) => id === 'registered'),
        true,
      );
      const late = { ...registration, t: posted.t + 0.1 };
      assert.equal(holds('client', [...trace, late]), false);
    });
  }
});

describe('order between the processes', () => {
  const across = (client: TraceLine[], server: TraceLine[]) =>
    checkAcross(locate('client', inOrder(client)), locate('server', inOrder(server)));

  it('holds for a good pair', () => {
    assert.deepEqual(
      across(clientTrace(), serverTrace()).filter(({ ok }) => !ok),
      [],
    );
  });

  it('fails if the server knows of the request before the client has made it', () => {
    const early = serverTrace().map((line) => moved(line, -5));
    assert.equal(
      across(clientTrace(), early).some(({ ok }) => !ok),
      true,
    );
  });

  it('fails if the client is connected before the server has decided', () => {
    const late = serverTrace().map((line) => moved(line, 5));
    assert.equal(
      across(clientTrace(), late).some(({ ok }) => !ok),
      true,
    );
  });

  it('fails if one side is missing', () => {
    assert.equal(
      across(clientTrace(), []).some(({ ok }) => !ok),
      true,
    );
  });
});

describe('steps', () => {
  it('count the buffers that were posted before the first message', () => {
    for (const side of sides) {
      const posted = locate(side, good[side]()).find(({ id }) => id === 'posted');
      assert.equal(posted?.count, 2);
    }
  });

  it('are all missing in an empty trace, and none of the checks holds', () => {
    for (const side of sides)
      assert.equal(
        checkOrder(locate(side, [])).some(({ ok }) => ok),
        false,
      );
  });
});

/** Exchanges the start times of two lines of the trace. */
function swap(trace: TraceLine[], a: TraceLine | null, b: TraceLine | null): void {
  const one = trace.find((line) => line.t === a?.t);
  const other = trace.find((line) => line.t === b?.t);
  assert.ok(one !== undefined && other !== undefined);
  const repeated = trace.filter((line) => line !== one && line.fn === one.fn && line.socket === one.socket);
  [one.t, other.t] = [other.t, one.t];
  // A step that is done several times is swapped as a whole.
  for (const line of repeated)
    if (line.t < one.t && line.detail.slice(0, 9) === one.detail.slice(0, 9)) line.t = one.t + 0.01;
}

function moved(line: TraceLine, by: number): TraceLine {
  return { ...line, t: line.t + by, ...(line.end === undefined ? {} : { end: line.end + by }) };
}

function find(trace: readonly TraceLine[], fn: string): TraceLine {
  const line = trace.find((candidate) => candidate.fn === fn);
  assert.ok(line !== undefined, fn);
  return line;
}
