import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StderrText } from '../../../../../src/data/provider/cgi/stderr-text.js';

function textOf(...pieces: (string | Buffer)[]): string {
  const text = new StderrText();
  for (const piece of pieces) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece, 'utf8') : piece;
    text.add(Buffer.concat([Buffer.from('#'), bytes]), 1, bytes.length + 1);
  }
  return text.toString();
}

test('what a terminal would obey is escaped', () => {
  assert.equal(
    textOf('a\x1b[31m\tb\r\nc\0\x9b\u2028d\n'),
    'a\\u001b[31m\\u0009b\\u000d\\nc\\u0000\\u009b\\u2028d',
  );
});

test('text in UTF-8 stays text, also when it comes in pieces; other bytes are latin1', () => {
  const bytes = Buffer.from('é中');

  assert.equal(textOf(bytes.subarray(0, 1), bytes.subarray(1)), 'é中');
  assert.equal(textOf(Buffer.from([0xe9])), 'é');
});

test('no more than the bound is kept, and the cut is shown', () => {
  const text = textOf('x'.repeat(1_000_000), 'more');

  assert.equal(text.length, 2048 + 4);
  assert.ok(text.endsWith('x ...'));
});
