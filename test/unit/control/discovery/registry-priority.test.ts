import assert from 'node:assert/strict';
import { test } from 'node:test';
import { priorityOf } from '../../../../src/control/discovery/registry-priority.js';

for (const [text, expected] of [
  ['', [0, 0, 0]],
  ['a > b', [0, 1, 2]],
  ['b>a , c', [1, 0, 1]],
  ['c', [1, 1, 0]],
  [' > ', [0, 0, 0]],
] as const) {
  test(`priority ${JSON.stringify(text)} puts a, b and c at ${expected.join(', ')}`, () => {
    assert.deepEqual(['a', 'b', 'c'].map(priorityOf(text)), expected);
  });
}
