import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeSimpleArguments,
  decodeSimpleValue,
  encodeSimple,
  encodeSimpleArguments,
  type SimpleValue,
} from '../../../../src/wire/serialization/index.js';
import { hex } from '../../../support/golden.js';

const EXAMPLES: readonly (readonly [string, SimpleValue])[] = [
  ['01 00000001 61', { type: 'string', value: 'a' }],
  ['02 0000000A 00000001 61 00000001 62', { type: 'stringMap', entries: [['a', 'b']] }],
  ['03 00000002 0102', { type: 'bytes', value: Buffer.from([1, 2]) }],
  ['04 0000000A 00000001 61 00000001 62', { type: 'stringArray', elements: ['a', 'b'] }],
  ['0501', { type: 'bool', value: true }],
  ['07 FFFE', { type: 'int16', value: -2 }],
  ['08 8001', { type: 'int32', value: 64 }],
  ['0901', { type: 'int64', value: -1n }],
  ['0A 3FC00000', { type: 'float32', value: 1.5 }],
  ['0B 3FF8000000000000', { type: 'float64', value: 1.5 }],
  [
    '14 00000008 01 00000001 61 0902',
    {
      type: 'map',
      entries: [
        [
          { type: 'string', value: 'a' },
          { type: 'int64', value: 1n },
        ],
      ],
    },
  ],
  [
    '15 00000004 0902 0904',
    {
      type: 'array',
      elements: [
        { type: 'int64', value: 1n },
        { type: 'int64', value: 2n },
      ],
    },
  ],
  [
    '15 0000000A 04 00000005 00000001 71',
    { type: 'array', elements: [{ type: 'stringArray', elements: ['q'] }] },
  ],
];

for (const [bytes, value] of EXAMPLES) {
  test(`${bytes} is read and written as ${value.type}`, () => {
    assert.deepEqual(decodeSimpleValue(hex(bytes)), value);
    assert.equal(encodeSimple(value).toString('hex'), hex(bytes).toString('hex'));
  });
}

test('arguments follow each other without a count', () => {
  const values: SimpleValue[] = [
    { type: 'string', value: 'a' },
    { type: 'null' },
    { type: 'byte', value: 200 },
  ];

  assert.deepEqual(decodeSimpleArguments(encodeSimpleArguments(values)), values);
  assert.deepEqual(decodeSimpleArguments(Buffer.alloc(0)), []);
  assert.equal(encodeSimpleArguments([]).length, 0);
});

test('an empty body is a null value', () => {
  assert.deepEqual(decodeSimpleValue(Buffer.alloc(0)), { type: 'null' });
});

test('a string that is not UTF-8 keeps its bytes', () => {
  const bytes = hex('01 00000003 61FF80');

  const value = decodeSimpleValue(bytes);

  assert.deepEqual(value, { type: 'string', value: Buffer.from([0x61, 0xff, 0x80]) });
  assert.deepEqual(encodeSimple(value), bytes);
});

test('keys and elements that are not UTF-8 keep their bytes and repeated keys stay', () => {
  const bytes = hex('02 00000014 00000001 FF 00000001 FE 00000001 FF 00000001 62');

  assert.deepEqual(encodeSimple(decodeSimpleValue(bytes)), bytes);
});

test('a byte order mark at the start of a string stays', () => {
  const bytes = hex('01 00000004 EFBBBF61');

  assert.deepEqual(encodeSimple(decodeSimpleValue(bytes)), bytes);
});

test('the extremes of every integer survive', () => {
  const values: SimpleValue[] = [
    { type: 'int64', value: -(2n ** 63n) },
    { type: 'int64', value: 2n ** 63n - 1n },
    { type: 'int64', value: 2n ** 53n + 1n },
    { type: 'int32', value: -(2 ** 31) },
    { type: 'int32', value: 2 ** 31 - 1 },
    { type: 'int16', value: -32768 },
    { type: 'byte', value: 255 },
    { type: 'float64', value: -0 },
  ];

  assert.deepEqual(decodeSimpleArguments(encodeSimpleArguments(values)), values);
});

test('int32 of ten bytes, as Java writes it, keeps its low 32 bits', () => {
  assert.deepEqual(decodeSimpleValue(hex('08 FFFFFFFFFFFFFFFFFF01')), { type: 'int32', value: -2147483648 });
});

const MALFORMED: readonly (readonly [string, string, number])[] = [
  ['0C', 'unknown simple tag 12', 0],
  ['16', 'unknown simple tag 22', 0],
  ['00 FF', 'unknown simple tag 255', 1],
  ['01', 'size of string needs 4 bytes, 0 are left', 1],
  ['01 000000', 'size of string needs 4 bytes, 3 are left', 1],
  ['01 FFFFFFFF 61', 'string needs 4294967295 bytes, 1 are left', 5],
  ['05', 'bool needs 1 bytes, 0 are left', 1],
  ['07 FF', 'int16 needs 2 bytes, 1 are left', 1],
  ['08 80', 'varint needs 1 bytes, 0 are left', 2],
  ['08 8080808080808080808001', 'varint is longer than 10 bytes', 1],
  ['09 FFFFFFFFFFFFFFFFFFFF01', 'varint is longer than 10 bytes', 1],
  ['0A 3FC000', 'float32 needs 4 bytes, 3 are left', 1],
  ['15 00000005 0902', 'container of 5 bytes, 2 are left', 1],
  // The element is whole, but reaches beyond its container.
  ['15 00000001 0902', 'varint needs 1 bytes, 0 are left', 6],
  ['02 00000005 00000001 61 00000001 62', 'size of string needs 4 bytes, 0 are left', 10],
  ['14 00000002 0501 0501', 'tag needs 1 bytes, 0 are left', 7],
];

for (const [bytes, message, offset] of MALFORMED) {
  test(`${bytes} is refused at byte ${offset}`, () => {
    assert.throws(() => decodeSimpleArguments(hex(bytes)), { name: 'ProtocolError', message, offset });
  });
}

test('bytes behind the value of an answer are refused', () => {
  assert.throws(() => decodeSimpleValue(hex('00 00')), {
    name: 'ProtocolError',
    message: '1 bytes follow the value',
    offset: 1,
  });
});

function nested(depth: number): SimpleValue {
  let value: SimpleValue = { type: 'array', elements: [] };
  for (let level = 1; level < depth; level += 1) value = { type: 'array', elements: [value] };
  return value;
}

test('64 containers inside each other pass, 65 are refused in both directions', () => {
  const deep = encodeSimple(nested(64));
  const deeper = Buffer.concat([Buffer.from([21, 0, 0, deep.length >> 8, deep.length & 255]), deep]);

  assert.deepEqual(decodeSimpleValue(deep), nested(64));
  assert.throws(() => decodeSimpleValue(deeper), {
    name: 'ProtocolError',
    message: 'value is nested deeper than 64',
  });
  assert.throws(() => encodeSimple(nested(65)), { code: 'E_VALUE' });
});

test('the count of values is bounded, keys and elements included', () => {
  const limits = { depthMax: 8, valuesMax: 3 };

  assert.equal(decodeSimpleArguments(hex('04 00000008 00000000 00000000'), limits).length, 1);
  assert.throws(() => decodeSimpleArguments(hex('04 0000000C 00000000 00000000 00000000'), limits), {
    message: 'body has more than 3 values',
  });
});

test('an integer that its width cannot hold is refused by name', () => {
  assert.throws(() => encodeSimple({ type: 'int32', value: 2 ** 31 }), {
    code: 'E_VALUE',
    message: '2147483648 is not an int32 (-2147483648 to 2147483647)',
  });
  assert.throws(() => encodeSimple({ type: 'byte', value: 1.5 }), { code: 'E_VALUE' });
  assert.throws(() => encodeSimple({ type: 'int64', value: 2n ** 63n }), { code: 'E_VALUE' });
});

test('an explicit empty string map is written as tag 2', () => {
  assert.equal(encodeSimple({ type: 'stringMap', entries: [] }).toString('hex'), '0200000000');
});

test('values larger than the first buffer are written whole', () => {
  const values: SimpleValue[] = [
    { type: 'string', value: 'x'.repeat(100_000) },
    { type: 'stringArray', elements: Array.from({ length: 5_000 }, (_, index) => `item ${index}`) },
  ];

  assert.deepEqual(decodeSimpleArguments(encodeSimpleArguments(values)), values);
});
