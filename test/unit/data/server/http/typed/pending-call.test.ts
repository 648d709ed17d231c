import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimerWheel } from '../../../../../../src/base/index.js';
import { Metadata } from '../../../../../../src/core/index.js';
import type { HttpExchange } from '../../../../../../src/data/server/http/exchange.js';
import { CallPlan } from '../../../../../../src/data/server/http/typed/call-plan.js';
import { AnswerMetadata, PendingCall } from '../../../../../../src/data/server/http/typed/pending-call.js';
import { answer, call } from '../../../../../support/calls.js';
import { FakeClock } from '../../../../../support/clock.js';
import { RecordingLogger } from '../../../../../support/plane.js';

/** What a pending call uses of its exchange. */
class FakeExchange {
  isOpen = true;
  outcome = 'ok';
  nowMs = 0;
  readonly statuses: number[] = [];

  awaitReply(): void {}

  watch(): void {}

  respond(status: number): void {
    this.statuses.push(status);
    this.isOpen = false;
  }

  respondWith({ status }: { status: number }): void {
    this.respond(status);
  }
}

function pending(timeoutMs: number) {
  const clock = new FakeClock();
  const timers = new TimerWheel(() => clock.nowMs());
  const exchange = new FakeExchange();
  const schemas = new Map();
  const plan = new CallPlan(new Metadata(), timeoutMs, '127.0.0.1', null, schemas);
  const made = new PendingCall(plan, timers, new AnswerMetadata([], new RecordingLogger()));
  made.begin(exchange as unknown as HttpExchange, call(), timeoutMs);
  const advance = (ms: number): void => {
    clock.advanceMs(ms);
    exchange.nowMs = clock.nowMs();
    timers.advance();
  };
  const reply = (code = 404, type = 1): void =>
    made.onReply(exchange as unknown as HttpExchange, call(), answer({ code, type, message: '' }));
  return { made, timers, exchange, advance, reply };
}

test('a call without a timeout of its own waits for its cluster alone', (t) => {
  const { timers, exchange, reply } = pending(0);
  t.after(() => timers.close());

  assert.equal(timers.size, 0);
  reply();
  assert.deepEqual(exchange.statuses, [404]);
});

test('an answer in time leaves no timer', (t) => {
  const { timers, exchange, advance, reply } = pending(100);
  t.after(() => timers.close());
  advance(90);

  reply();

  assert.equal(timers.size, 0);
  advance(100);
  assert.deepEqual(exchange.statuses, [404]);
});

test('the end of the time is answered once, and counts as failed', (t) => {
  const { timers, exchange, advance, reply } = pending(100);
  t.after(() => timers.close());

  advance(110);
  reply();

  assert.deepEqual(exchange.statuses, [504]);
  assert.equal(exchange.outcome, 'failed');
  assert.equal(timers.size, 0);
});

for (const [code, type, status] of [
  [503, 503, 504],
  [503, 2, 504],
  [400, 1, 504],
  [1234, 2, 422],
] as const) {
  test(`exception ${code} of type ${type} when the time is just over has status ${status}`, (t) => {
    const { timers, exchange, advance, reply } = pending(100);
    t.after(() => timers.close());
    advance(99);

    reply(code, type);

    assert.deepEqual(exchange.statuses, [status]);
    assert.equal(timers.size, 0);
  });
}

test('a caller that is gone leaves no timer', (t) => {
  const { made, timers } = pending(600_000);
  t.after(() => timers.close());

  made.onAborted();

  assert.equal(timers.size, 0);
});
