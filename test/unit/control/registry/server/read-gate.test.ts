import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ReadGate } from '../../../../../src/control/registry/server/read-gate.js';

test('no more go on at once than are let in, all come through in order, and failures give their place back', async () => {
  const gate = new ReadGate(3);
  let going = 0;
  let most = 0;
  const order: number[] = [];
  const reads = Array.from({ length: 3_000 }, (_, index) =>
    gate.run(async () => {
      going += 1;
      most = Math.max(most, going);
      order.push(index);
      await turn();
      going -= 1;
      if (index % 10 === 0) throw new Error('refused');
    }),
  );

  const results = await Promise.allSettled(reads);

  assert.equal(most, 3);
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 300);
  assert.deepEqual(
    order,
    [...order].sort((one, other) => one - other),
  );
  assert.equal(await gate.run(async () => 'free'), 'free');
});
