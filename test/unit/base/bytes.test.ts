import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { copyBytes, equalBytes } from '../../../src/base/index.js';

test('tells equal bytes from others at any place', () => {
  const bytes = Buffer.from('..needle..');

  assert.equal(equalBytes(bytes, 2, Buffer.from('needle')), true);
  assert.equal(equalBytes(bytes, 1, Buffer.from('needle')), false);
  assert.equal(equalBytes(bytes, 2, Buffer.from('needlf')), false);
  assert.equal(equalBytes(bytes, 7, Buffer.from('needle')), false);
  assert.equal(equalBytes(bytes, 0, Buffer.alloc(0)), true);
});

test('copies any range, with a view of the source or without', () => {
  const from = randomBytes(1000);
  const fromView = new DataView(from.buffer, from.byteOffset, from.length);

  for (const view of [fromView, null]) {
    for (let length = 0; length < 300; length += 1) {
      const into = Buffer.alloc(400, 0xaa);
      const intoView = new DataView(into.buffer, into.byteOffset, into.length);
      copyBytes(from, view, length % 7, (length % 7) + length, into, intoView, 11);

      assert.ok(into.subarray(11, 11 + length).equals(from.subarray(length % 7, (length % 7) + length)));
      assert.equal(into[10], 0xaa);
      assert.equal(into[11 + length], 0xaa);
    }
  }
});
