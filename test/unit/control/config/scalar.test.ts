import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from '../../../../src/control/config/near.js';
import { decimalText } from '../../../../src/control/config/node.js';
import { resolveScalar } from '../../../../src/control/config/scalar.js';

test('plain scalars mean what they mean to go-yaml v2', () => {
  for (const [text, type, value] of [
    ['', 'null', null],
    ['~', 'null', null],
    ['Null', 'null', null],
    ['y', 'boolean', true],
    ['Off', 'boolean', false],
    ['oN', 'string', 'oN'],
    ['010', 'integer', 8],
    ['0o10', 'integer', 8],
    ['08', 'float', 8],
    ['-0x1F', 'integer', -31],
    ['0b11', 'integer', 3],
    ['1_0', 'integer', 10],
    ['+7', 'integer', 7],
    ['9007199254740993', 'integer', 9007199254740993n],
    ['18446744073709551616', 'float', 2 ** 64],
    ['1.0', 'float', 1],
    ['1e3', 'float', 1000],
    ['.5', 'float', 0.5],
    ['1.', 'float', 1],
    ['.', 'string', '.'],
    ['-', 'string', '-'],
    ['1.2.3', 'string', '1.2.3'],
    ['12:30', 'string', '12:30'],
    ['2019-08-13', 'string', '2019-08-13'],
    ['.inf', 'float', Number.POSITIVE_INFINITY],
    ['1e999', 'string', '1e999'],
  ] as const) {
    assert.deepEqual(resolveScalar(text), { type, value }, text);
  }
});

test('floats become the shortest decimal without exponent', () => {
  for (const [value, text] of [
    [1, '1'],
    [0.1, '0.1'],
    [1e21, '1000000000000000000000'],
    [1.5e-7, '0.00000015'],
    [-2.5e22, '-25000000000000000000000'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
  ] as const) {
    assert.equal(decimalText(value), text);
  }
});

test('the near name is found and a far one is not', () => {
  const names = ['requestTimeout', 'retries', 'wrr'];

  assert.equal(nearestName('requestTimeOut', names), 'requestTimeout');
  assert.equal(nearestName('reqeustTimeout', names), 'requestTimeout');
  assert.equal(nearestName('wr', names), 'wrr');
  assert.equal(nearestName('timeout', names), null);
});
