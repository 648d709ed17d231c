import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readText, readTwo, type Span } from '../../../../../src/data/server/http/simple-bytes.js';
import { encodeSimple, type SimpleValue } from '../../../../../src/wire/serialization/index.js';

function span(): Span {
  return { start: 0, end: 0 };
}

function text(bytes: Buffer, start = 0, end = bytes.length): string {
  const found = span();
  readText(bytes, start, end, found);
  return bytes.toString('latin1', found.start, found.end);
}

function two(bytes: Buffer): [string, string] {
  const [first, second] = [span(), span()];
  readTwo(bytes, 0, bytes.length, first, second);
  return [
    bytes.toString('latin1', first.start, first.end),
    bytes.toString('latin1', second.start, second.end),
  ];
}

const bytes = (value: string): SimpleValue => ({ type: 'bytes', value: Buffer.from(value) });

test('finds the text of strings and byte arrays, wherever they lie', () => {
  const value = encodeSimple({ type: 'string', value: 'hello' });
  const around = Buffer.concat([Buffer.from('xx'), value, Buffer.from('yy')]);

  assert.equal(text(value), 'hello');
  assert.equal(text(encodeSimple(bytes('hello'))), 'hello');
  assert.equal(text(around, 2, 2 + value.length), 'hello');
});

test('takes nothing and null for empty', () => {
  assert.equal(text(Buffer.alloc(0)), '');
  assert.equal(text(encodeSimple({ type: 'null' })), '');
});

test('refuses other values, sizes beyond the end, and bytes behind the value', () => {
  for (const wrong of [
    encodeSimple({ type: 'bool', value: true }),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from([1, 0xff, 0xff, 0xff, 0xff]),
    Buffer.from([1, 0, 0, 0, 2, 65]),
    Buffer.concat([encodeSimple(bytes('a')), Buffer.from([0])]),
  ])
    assert.throws(() => text(wrong), { name: 'ProtocolError' }, wrong.toString('hex'));
});

test('finds both elements of an array, nulls among them', () => {
  const array = (...elements: SimpleValue[]): Buffer => encodeSimple({ type: 'array', elements });

  assert.deepEqual(two(array(bytes('head'), bytes('body'))), ['head', 'body']);
  assert.deepEqual(two(array({ type: 'null' }, bytes('body'))), ['', 'body']);
  assert.deepEqual(two(array(bytes('head'), { type: 'null' })), ['head', '']);
});

test('refuses arrays of another shape', () => {
  const array = (...elements: SimpleValue[]): Buffer => encodeSimple({ type: 'array', elements });
  const good = array(bytes('head'), bytes('body'));

  for (const wrong of [
    Buffer.alloc(0),
    array(),
    array(bytes('head')),
    array(bytes('a'), bytes('b'), bytes('c')),
    array({ type: 'int32', value: 1 }, bytes('body')),
    encodeSimple(bytes('head')),
    good.subarray(0, -1),
    Buffer.concat([good, Buffer.from([0])]),
  ])
    assert.throws(() => two(wrong), { name: 'ProtocolError' }, wrong.toString('hex'));
});
