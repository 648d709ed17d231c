import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTENT_BYTES_MAX, RequestEncoder } from '../../../../src/wire/fastcgi/index.js';
import { readRequest } from '../../../support/fastcgi.js';

const NO_BODY = Buffer.alloc(0);

function encode(pairs: readonly (readonly [string, string])[], body = NO_BODY): Uint8Array[] {
  const encoder = new RequestEncoder();
  for (const [name, value] of pairs) encoder.param(name, value);
  return encoder.finish(body);
}

test('writes the bytes of the specification', () => {
  const slices = encode([['A', 'bc']], Buffer.from('xyz'));

  const hex = Buffer.concat(slices).toString('hex');
  const expected =
    '0101000100080000 0001000000000000' +
    '0104000100050000 0102416263' +
    '0104000100000000' +
    '0105000100030000 78797a' +
    '0105000100000000';
  assert.equal(hex, expected.replaceAll(' ', ''));
});

test('a request without parameters and body has both closing records', () => {
  const request = readRequest(Buffer.concat(encode([])));

  assert.deepEqual(request.records, ['1:8', '4:0', '5:0']);
  assert.equal(request.isComplete, true);
});

test('does not ask the backend to keep the connection', () => {
  const request = readRequest(Buffer.concat(encode([])));

  assert.equal(request.role, 1);
  assert.equal(request.flags, 0);
});

test('sizes of names and values take one byte below 128 and four from there', () => {
  for (const size of [0, 1, 127, 128, 255, 256, 65_000]) {
    const pair = ['n'.repeat(Math.max(1, size % 300)), 'v'.repeat(size)] as const;

    const request = readRequest(Buffer.concat(encode([pair, ['NEXT', 'x']])));

    assert.deepEqual([...request.params], [pair, ['NEXT', 'x']]);
  }
});

test('bytes that are not UTF-8 arrive unchanged', () => {
  const value = Buffer.from([0xff, 0x80, 0xe9, 0x7f]).toString('latin1');

  const request = readRequest(Buffer.concat(encode([['A', value]])));

  assert.equal(request.params.get('A'), value);
});

test('a mebibyte of parameters stands in records that hold whole pairs only', () => {
  const pairs = Array.from({ length: 80 }, (_, index) => [`P${index}`, 'y'.repeat(13_300 + index)] as const);

  const bytes = Buffer.concat(encode(pairs));

  const request = readRequest(bytes, { wholePairs: true });
  assert.deepEqual([...request.params], pairs);
  assert.ok(bytes.length > 1024 * 1024);
});

test('a pair that fills a record exactly is not cut', () => {
  const encoder = new RequestEncoder();
  encoder.param('A', 'x'.repeat(CONTENT_BYTES_MAX - 1 - 4 - 1));
  encoder.param('B', 'y');

  const request = readRequest(Buffer.concat(encoder.finish(NO_BODY)), { wholePairs: true });

  assert.equal(encoder.pairBytesMax, CONTENT_BYTES_MAX);
  assert.equal(request.params.get('B'), 'y');
});

test('a pair larger than a record is cut over several, and is told', () => {
  const encoder = new RequestEncoder();
  encoder.param('A', '1');
  encoder.param('BIG', 'x'.repeat(200_000));
  encoder.param('C', '3');

  const request = readRequest(Buffer.concat(encoder.finish(NO_BODY)));

  assert.ok(encoder.pairBytesMax > CONTENT_BYTES_MAX);
  assert.deepEqual([...request.params.keys()], ['A', 'BIG', 'C']);
  assert.equal(request.params.get('BIG')!.length, 200_000);
});

test('a body of any size arrives whole', () => {
  for (const size of [1, 8, 16_384, 16_385, 65_528, 65_529, 131_056, 1_000_003]) {
    const body = Buffer.alloc(size, 'abcdefg');

    const request = readRequest(Buffer.concat(encode([['A', 'b']], body)));

    assert.ok(request.body.equals(body), `${size} bytes`);
    assert.equal(request.isComplete, true);
  }
});

test('a large body is sent by reference', () => {
  const body = Buffer.alloc(64 * 1024 * 1024);

  const slices = encode([['A', 'b']], body);

  const own = slices.filter((slice) => slice.buffer !== body.buffer);
  assert.ok(own.reduce((sum, slice) => sum + slice.length, 0) < 64 * 1024);
  assert.equal(slices.reduce((sum, slice) => sum + slice.length, 0) > body.length, true);
});
