import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from '../../../src/base/index.js';

test('gives a buffer that is large enough, and the same again after it came back', () => {
  const pool = new BufferPool();

  const first = pool.take(100_000);
  assert.equal(first.length, 131_072);
  assert.notEqual(pool.take(100_000), first);
  pool.give(first);

  assert.equal(pool.take(131_072), first);
});

test('keeps a bounded amount and nothing beyond the largest class', () => {
  const pool = new BufferPool();
  const huge = pool.take(17 * 1024 * 1024);
  assert.equal(huge.length, 17 * 1024 * 1024);
  pool.give(huge);
  assert.notEqual(pool.take(17 * 1024 * 1024), huge);

  const given = Array.from({ length: 10 }, () => pool.take(16 * 1024 * 1024));
  for (const buffer of given) pool.give(buffer);
  const again = new Set(Array.from({ length: 10 }, () => pool.take(16 * 1024 * 1024)));

  assert.equal(given.filter((buffer) => again.has(buffer)).length, 2);
});
