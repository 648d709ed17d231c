import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldNodes, type NodesByAddress } from '../../../../src/control/bridge/held-nodes.js';
import { MeshUrl } from '../../../../src/core/index.js';

const HOLD_MS = 1000;

function nodes(...ports: number[]): NodesByAddress {
  return new Map(ports.map((port) => [`h:${port}`, MeshUrl.parse(`motan2://h:${port}/s?group=g`)]));
}

function portsOf(held: HeldNodes): number[] {
  return [...held.nodes.values()].map(({ port }) => port).sort();
}

test('an answer that lacks up to half counts at once', () => {
  const held = new HeldNodes(HOLD_MS);
  held.take(nodes(1, 2, 3, 4), 0);

  held.take(nodes(1, 2), 1);

  assert.deepEqual(portsOf(held), [1, 2]);
  assert.equal(held.untilMs, null);
});

for (const [what, answer] of [
  ['an empty answer', nodes()],
  ['an answer that lacks more than half', nodes(4)],
] as const) {
  test(`${what} counts when it has stood for a while`, () => {
    const held = new HeldNodes(HOLD_MS);
    held.take(nodes(1, 2, 3, 4), 0);

    held.take(answer, 100);
    const during = portsOf(held);
    held.take(answer, 900);
    const isOverEarly = held.expire(1099);
    const isOver = held.expire(1100);

    assert.deepEqual(during, [1, 2, 3, 4]);
    assert.deepEqual([isOverEarly, isOver], [false, true]);
    assert.equal(held.nodes.size, answer.size);
  });
}

test('as many others instead are a sudden loss too, and count beside those that are held', () => {
  const held = new HeldNodes(HOLD_MS);
  held.take(nodes(1, 2), 0);

  held.take(nodes(3, 4), 0);

  assert.deepEqual(portsOf(held), [1, 2, 3, 4]);
  assert.equal(held.heldCount, 2);
});

test('what comes back ends the hold', () => {
  const held = new HeldNodes(HOLD_MS);
  held.take(nodes(1, 2, 3, 4), 0);
  held.take(nodes(), 0);

  held.take(nodes(1, 2), 500);

  assert.deepEqual(portsOf(held), [1, 2]);
  assert.equal(held.heldCount, 0);
});

test('while nobody answers the time of the hold does not run', () => {
  const held = new HeldNodes(HOLD_MS);
  held.take(nodes(1, 2), 0);
  held.take(nodes(), 0);

  held.suspend();
  const isOver = held.expire(50_000);
  held.resume(60_000);
  held.take(nodes(), 60_000);

  assert.equal(isOver, false);
  assert.equal(held.untilMs, 61_000);
  assert.deepEqual(portsOf(held), [1, 2]);
});
