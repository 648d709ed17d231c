import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ageText,
  countText,
  durationText,
  measuredMs,
  printable,
  roundedMs,
  table,
} from '../../../src/cli/output.js';

test('columns are as wide as their widest cell, numbers stand right', () => {
  const text = table(
    ['name', 'calls', 'on'],
    [
      ['forward', 5, true],
      ['x', 12_345, null],
    ],
    'none',
  );

  assert.equal(text, '  name     calls  on\n  forward      5  yes\n  x        12345  -\n');
});

test('a table without rows says so', () => {
  assert.equal(table(['name'], [], 'none is open'), '  none is open\n');
});

test('control characters of a peer cannot move the cursor', () => {
  assert.equal(printable('a\u001b[2Jb\nc\u009bd é'), 'a\\x1b[2Jb\\x0ac\\x9bd é');
  assert.equal(table(['name'], [['\u001b[31m']], ''), '  name\n  \\x1b[31m\n');
});

test('durations have one unit that fits', () => {
  assert.deepEqual([-5, 450, 1_500, 119_000, 7_100_000, 7_200_000, 200_000_000].map(durationText), [
    '0 ms',
    '450 ms',
    '1 s',
    '119 s',
    '118 min',
    '2 h',
    '2 days',
  ]);
  assert.equal(ageText(1_000, 4_000), '3 s ago');
  assert.equal(ageText(null, 4_000), 'never');
});

test('measured times keep three digits for people and three decimals for programs', () => {
  assert.deepEqual([0.1234, 12.34, 123.4].map(measuredMs), ['0.12 ms', '12.3 ms', '123 ms']);
  assert.equal(roundedMs(1.23456), 1.235);
});

test('one is singular', () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => countText(count, 'error')),
    ['0 errors', '1 error', '2 errors'],
  );
});
