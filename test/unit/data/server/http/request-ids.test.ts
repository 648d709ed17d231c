import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestIds } from '../../../../../src/data/server/http/request-ids.js';

function value(ids: RequestIds): bigint {
  return (BigInt(ids.high) << 32n) | BigInt(ids.low);
}

test('begins with the milliseconds of the start, shifted by twenty bits', () => {
  const ids = new RequestIds(1_795_733_123_456);

  assert.equal(value(ids), 1_795_733_123_456n << 20n);
});

test('counts up by one across the border of its words', () => {
  const ids = new RequestIds(4095);
  for (let count = 0; count < 2 ** 20; count += 1) ids.next();

  assert.equal(value(ids), 4096n << 20n);
});
