import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { failed, failure } from '../../../../src/core/index.js';
import { EndpointHealth } from '../../../../src/data/endpoint/endpoint-health.js';
import { endpointSettings } from '../../../../src/data/endpoint/settings.js';
import { answer } from '../../../support/calls.js';
import { cluster } from '../../../support/plane.js';

const timeout = failed(failure('E_TIMEOUT', 'late'));
const business = answer({ code: 1, type: 2, message: 'business' });
const missing = answer({ code: 404, type: 1, message: 'provider not exist serviceKey=g_s' });

function start(t: TestContext, errorCountThreshold: string): { health: EndpointHealth; beats: (1 | 2)[] } {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const parameters = { errorCountThreshold, keepaliveInterval: '1000' };
  const state = cluster({ parameters, nodes: [1] });
  const beats: (1 | 2)[] = [];
  const health = new EndpointHealth(
    { sendHeartbeat: (protocol) => beats.push(protocol) },
    endpointSettings(state, state.endpoints[0]!),
  );
  t.after(() => health.close());
  return { health, beats };
}

test('errors in a row up to the bound fuse, then a heartbeat goes out every interval', (t) => {
  const { health, beats } = start(t, '3');

  for (const reply of [timeout, timeout, answer(), timeout, business, timeout, timeout])
    health.onReply(reply, 2);
  assert.deepEqual([health.isGood, health.errorCount], [true, 2]);
  health.onReply(timeout, 2);
  assert.deepEqual([health.isGood, health.keepaliveType], [false, 1]);
  t.mock.timers.tick(999);
  assert.equal(beats.length, 0);
  t.mock.timers.tick(1);
  t.mock.timers.tick(1000);

  assert.deepEqual(beats, [2, 2]);
});

test('an answered heartbeat makes it good and ends the heartbeats', (t) => {
  const { health, beats } = start(t, '1');
  health.onReply(timeout, 2);
  t.mock.timers.tick(1000);

  health.onSignOfLife();
  t.mock.timers.tick(10_000);

  assert.deepEqual([health.isGood, health.errorCount, health.keepaliveType, beats.length], [true, 0, 0, 1]);
});

test('a threshold of 0 never fuses', (t) => {
  const { health } = start(t, '0');

  for (let count = 0; count < 1000; count += 1) health.onReply(timeout, 2);

  assert.equal(health.isGood, true);
});

test('heartbeats use the protocol of the first good call', (t) => {
  const { health, beats } = start(t, '1');
  health.onReply(answer(), 1);
  health.onReply(answer(), 2);
  health.onReply(timeout, 2);

  t.mock.timers.tick(1000);

  assert.deepEqual(beats, [1]);
});

test('a node without the service is probed with growing pauses', (t) => {
  const { health, beats } = start(t, '2');
  health.onReply(missing, 2);
  health.onReply(missing, 2);
  assert.equal(health.keepaliveType, 2);

  for (const [pauseMs, count] of [
    [1000, 1],
    [2000, 2],
    [4000, 3],
  ] as const) {
    t.mock.timers.tick(pauseMs - 1);
    assert.equal(beats.length, count - 1);
    t.mock.timers.tick(1);
    assert.equal(beats.length, count);
    health.onSignOfLife();
    assert.equal(health.isGood, true);
    health.onReply(missing, 2);
    assert.equal(health.isGood, false, 'one such answer is enough after a probe');
  }
});

test('a good answer lets the next probes begin with the short pause again', (t) => {
  const { health, beats } = start(t, '1');
  health.onReply(answer(), 2);
  for (const pauseMs of [1000, 2000]) {
    health.onReply(missing, 2);
    t.mock.timers.tick(pauseMs);
    health.onSignOfLife();
  }
  assert.equal(beats.length, 2);

  health.onReply(answer(), 2);
  health.onReply(missing, 2);
  t.mock.timers.tick(1000);

  assert.equal(beats.length, 3);
});

test('an error of another kind makes a node without the service a failing one', (t) => {
  const { health } = start(t, '1');
  health.onReply(missing, 2);

  health.onReply(timeout, 2);

  assert.deepEqual([health.isGood, health.keepaliveType], [false, 1]);
});

test('a connection that comes back is asked at once', (t) => {
  const { health, beats } = start(t, '1');
  health.onConnected();
  assert.equal(beats.length, 0, 'a good node is not asked');
  health.onReply(timeout, 2);

  health.onConnected();

  assert.deepEqual(beats, [2]);
});

test('a closed one sends no more heartbeats', (t) => {
  const { health, beats } = start(t, '1');
  health.onReply(timeout, 2);

  health.close();
  t.mock.timers.tick(100_000);

  assert.equal(beats.length, 0);
});
