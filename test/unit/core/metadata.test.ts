import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1Text, Metadata, utf8Text } from '../../../src/core/index.js';

test('a value that is set again keeps its place', () => {
  const metadata = Metadata.of([
    ['a', '1'],
    ['b', '2'],
  ]);

  metadata.set('a', '3');

  assert.deepEqual(
    [...metadata.entries()],
    [
      ['a', '3'],
      ['b', '2'],
    ],
  );
});

test('a copy is independent', () => {
  const metadata = Metadata.of([['a', '1']]);
  const copy = metadata.copy();

  copy.set('b', '2');
  copy.delete('a');

  assert.deepEqual([...metadata.entries()], [['a', '1']]);
  assert.equal(copy.size, 1);
});

test('a missing value is undefined, or empty as text', () => {
  const metadata = new Metadata();

  assert.equal(metadata.get('__proto__'), undefined);
  assert.equal(metadata.text('constructor'), '');
});

test('text goes to bytes-as-text and back', () => {
  for (const text of ['', 'abc', '你好 \u{1F600}', 'é']) assert.equal(utf8Text(latin1Text(text)), text);
});
