/** The world of a simulation: order, determinism, blocked and killed processes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../../src/providers/simulated/world.js';

test('tasks run in order of time, and in order of entry at the same time', () => {
  const world = new World(1);
  const order: string[] = [];
  world.schedule(() => order.push('late'), 20);
  world.schedule(() => order.push('first of two'), 10);
  world.schedule(() => order.push('second of two'), 10);
  world.schedule(() => order.push('cancelled'), 5)();
  assert.ok(world.runOut());
  assert.deepEqual(order, ['first of two', 'second of two', 'late']);
  assert.equal(world.now(), 20);
});

test('next tasks come before anything else of their process', () => {
  const world = new World(1);
  const { scheduler } = world.process();
  const order: string[] = [];
  scheduler.soon(() => {
    order.push('task');
    scheduler.soon(() => order.push('soon'));
    scheduler.next(() => order.push('next'));
  });
  scheduler.later(() => order.push('later'), 1);
  world.runOut();
  assert.deepEqual(order, ['task', 'next', 'soon', 'later']);
});

test('a world is determined by its seed', () => {
  const run = (seed: number): string => {
    const world = new World(seed);
    const seen: string[] = [];
    const go = (name: string, left: number): void => {
      seen.push(`${name} ${world.now()}`);
      if (left > 0) world.schedule(() => go(name, left - 1), world.pick(100));
    };
    go('a', 20);
    go('b', 20);
    world.runOut();
    return seen.join(',');
  };
  assert.equal(run(7), run(7));
  assert.notEqual(run(7), run(8));
});

test('a blocked process runs nothing, and goes on where it was; others do not wait', () => {
  const world = new World(1);
  const [blocked, free] = [world.process(), world.process()];
  const order: string[] = [];
  blocked.scheduler.soon(() => {
    blocked.scheduler.next(() => order.push('next'));
    blocked.block(1000);
  });
  blocked.schedule(() => order.push('a'), 100);
  blocked.schedule(() => order.push('b'), 200);
  free.schedule(() => order.push('free'), 500);
  world.runOut();
  assert.deepEqual(order, ['free', 'next', 'a', 'b']);
  assert.equal(world.now(), 1001);
});

test('a stopped process goes on when it is resumed, with all that it has missed', () => {
  const world = new World(1);
  const process = world.process();
  const order: string[] = [];
  process.schedule(() => order.push('missed'), 10);
  process.stop();
  world.schedule(() => process.resume(), 5000);
  assert.equal(
    world.runUntil(() => order.length > 0),
    true,
  );
  assert.equal(world.now(), 5000);
});

test('a killed process runs nothing any more', () => {
  const world = new World(1);
  const process = world.process();
  let ran = 0;
  process.schedule(() => ran++, 10);
  process.scheduler.next(() => ran++);
  process.kill();
  process.scheduler.soon(() => ran++);
  assert.equal(
    world.runUntil(() => ran > 0),
    false,
  );
  assert.equal(world.marks.get('process-killed'), 1);
});
