import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { TICK_MS, TimerWheel, type WheelTimer } from '../../../src/base/index.js';
import { FakeClock } from '../../support/clock.js';

class Timer implements WheelTimer {
  deadlineMs: number;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;
  readonly firedMs: number[] = [];
  whenFired: () => void = () => undefined;

  constructor(deadlineMs: number) {
    this.deadlineMs = deadlineMs;
  }

  onDeadline(nowMs: number): void {
    this.firedMs.push(nowMs);
    this.whenFired();
  }
}

function start(t: TestContext): { clock: FakeClock; wheel: TimerWheel } {
  const clock = new FakeClock();
  const wheel = new TimerWheel(() => clock.nowMs());
  t.after(() => wheel.close());
  return { clock, wheel };
}

test('a timer fires once, not early and at most a tick late', (t) => {
  const { clock, wheel } = start(t);
  const anyTimes = fc.array(fc.double({ min: 0.1, max: 100_000, noNaN: true }), {
    minLength: 1,
    maxLength: 30,
  });

  fc.assert(
    fc.property(anyTimes, (delays) => {
      const startMs = clock.nowMs();
      const timers = delays.map((delay) => new Timer(startMs + delay));
      for (const timer of timers) wheel.add(timer);
      while (wheel.size > 0) {
        clock.advanceMs(1);
        wheel.advance();
      }
      for (const timer of timers) {
        assert.equal(timer.firedMs.length, 1);
        const lateMs = timer.firedMs[0]! - timer.deadlineMs;
        assert.ok(lateMs >= 0 && lateMs <= TICK_MS + 1, `${lateMs} ms late`);
      }
    }),
    { numRuns: 20 },
  );
});

test('a timer that was removed never fires, and removing it again does nothing', (t) => {
  const { clock, wheel } = start(t);
  const [first, second, third] = [new Timer(20), new Timer(20), new Timer(20)];
  for (const timer of [first, second, third]) wheel.add(timer);

  wheel.remove(second);
  wheel.remove(second);
  clock.advanceMs(100);
  wheel.advance();

  assert.deepEqual(
    [first, second, third].map((timer) => timer.firedMs.length),
    [1, 0, 1],
  );
  assert.equal(wheel.size, 0);
});

test('deadlines beyond one turn of the wheel wait for their turn', (t) => {
  const { clock, wheel } = start(t);
  const turnMs = 4096 * TICK_MS;
  const [near, far] = [new Timer(50), new Timer(50 + turnMs)];
  wheel.add(near);
  wheel.add(far);

  clock.advanceMs(60);
  wheel.advance();
  assert.deepEqual([near.firedMs.length, far.firedMs.length], [1, 0]);
  clock.advanceMs(turnMs - 20);
  wheel.advance();
  assert.equal(far.firedMs.length, 0);
  clock.advanceMs(20);
  wheel.advance();

  assert.equal(far.firedMs.length, 1);
});

test('a clock that jumps far ahead fires everything once', (t) => {
  const { clock, wheel } = start(t);
  const timers = Array.from({ length: 500 }, (_, index) => new Timer(index * 300));
  for (const timer of timers) wheel.add(timer);

  clock.advanceMs(1_000_000);
  wheel.advance();

  assert.ok(timers.every((timer) => timer.firedMs.length === 1));
});

test('a deadline that is over already fires at the next tick', (t) => {
  const { clock, wheel } = start(t);
  clock.advanceMs(1000);
  const timer = new Timer(10);
  wheel.add(timer);

  clock.advanceMs(TICK_MS);
  wheel.advance();

  assert.equal(timer.firedMs.length, 1);
});

test('what fires may add and remove timers, its neighbours too', (t) => {
  const { clock, wheel } = start(t);
  const [first, neighbour, added] = [new Timer(20), new Timer(20), new Timer(200)];
  wheel.add(neighbour);
  wheel.add(first); // the last one added fires first
  first.whenFired = () => {
    wheel.remove(neighbour);
    wheel.add(added);
  };

  clock.advanceMs(30);
  wheel.advance();
  assert.deepEqual(
    [first, neighbour, added].map((timer) => timer.firedMs.length),
    [1, 0, 0],
  );
  clock.advanceMs(200);
  wheel.advance();

  assert.equal(added.firedMs.length, 1);
});

test('after a long rest a new timer keeps its time', (t) => {
  const { clock, wheel } = start(t);
  clock.advanceMs(10_000_000);
  const timer = new Timer(clock.nowMs() + 50);
  wheel.add(timer);

  clock.advanceMs(45);
  wheel.advance();
  assert.equal(timer.firedMs.length, 0);
  clock.advanceMs(10);
  wheel.advance();

  assert.equal(timer.firedMs.length, 1);
});
