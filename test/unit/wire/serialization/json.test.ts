import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  jsonTextToArguments,
  jsonTextToSimple,
  jsonToSimple,
  type SimpleValue,
  simpleToJson,
} from '../../../../src/wire/serialization/index.js';

const INFERRED: readonly (readonly [string, SimpleValue])[] = [
  ['null', { type: 'null' }],
  ['true', { type: 'bool', value: true }],
  ['"world"', { type: 'string', value: 'world' }],
  ['5', { type: 'int64', value: 5n }],
  ['-0', { type: 'int64', value: 0n }],
  ['9007199254740993', { type: 'int64', value: 9007199254740993n }],
  ['1.5', { type: 'float64', value: 1.5 }],
  ['3.0', { type: 'float64', value: 3 }],
  ['1e3', { type: 'float64', value: 1000 }],
  ['["a","b"]', { type: 'stringArray', elements: ['a', 'b'] }],
  ['[]', { type: 'array', elements: [] }],
  [
    '[1,"a"]',
    {
      type: 'array',
      elements: [
        { type: 'int64', value: 1n },
        { type: 'string', value: 'a' },
      ],
    },
  ],
  ['{"a":"b"}', { type: 'stringMap', entries: [['a', 'b']] }],
  [
    '{"a":1}',
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
  ['{}', { type: 'null' }],
];

for (const [text, value] of INFERRED) {
  test(`${text} becomes ${value.type}`, () => {
    assert.deepEqual(jsonTextToSimple(text), value);
  });
}

const TYPED: readonly (readonly [unknown, SimpleValue])[] = [
  [{ $int32: 5 }, { type: 'int32', value: 5 }],
  [{ $int16: -1 }, { type: 'int16', value: -1 }],
  [{ $byte: 255 }, { type: 'byte', value: 255 }],
  [{ $int64: '9223372036854775807' }, { type: 'int64', value: 2n ** 63n - 1n }],
  [{ $float32: 1.5 }, { type: 'float32', value: 1.5 }],
  [{ $float64: 3 }, { type: 'float64', value: 3 }],
  [{ $float64: '-Infinity' }, { type: 'float64', value: -Infinity }],
  [{ $bytes: 'AQI=' }, { type: 'bytes', value: Buffer.from([1, 2]) }],
  [{ $text: '/w==' }, { type: 'string', value: Buffer.from([255]) }],
  [{ $stringMap: {} }, { type: 'stringMap', entries: [] }],
  [{ $stringArray: [] }, { type: 'stringArray', elements: [] }],
  [{ $array: ['a'] }, { type: 'array', elements: [{ type: 'string', value: 'a' }] }],
  [
    { $map: [[1, true]] },
    {
      type: 'map',
      entries: [
        [
          { type: 'int64', value: 1n },
          { type: 'bool', value: true },
        ],
      ],
    },
  ],
];

for (const [json, value] of TYPED) {
  test(`${JSON.stringify(json)} is taken as ${value.type} and exact JSON writes it so`, () => {
    assert.deepEqual(jsonToSimple(json), value);
    assert.deepEqual(simpleToJson(value, { exact: true }), json);
  });
}

test('a type hint decides for the outermost value', () => {
  assert.deepEqual(jsonTextToSimple('5', { type: 'int32' }), { type: 'int32', value: 5 });
  assert.deepEqual(jsonTextToSimple('13510798882111488', { type: 'float64' }), {
    type: 'float64',
    value: 2 ** 53 * 1.5,
  });
});

const REFUSED: readonly (readonly [string, string])[] = [
  ['{"a":[{"$int32":2147483648}]}', '$.a[0].$int32 must be from -2147483648 to 2147483647, got 2147483648'],
  [
    '9223372036854775808',
    '$ must be from -9223372036854775808 to 9223372036854775807, got 9223372036854775808',
  ],
  ['{"$int32":"x"}', '$.$int32 must be an integer, got "x"'],
  ['{"$int32":1.5}', '$.$int32 must be an integer, got 1.5'],
  ['{"$bytes":"?"}', '$.$bytes must be base64'],
  ['{"$map":[[1]]}', '$.$map[0] must be a pair [key, value]'],
];

for (const [text, message] of REFUSED) {
  test(`${text} is refused with the place`, () => {
    assert.throws(() => jsonTextToSimple(text), { code: 'E_VALUE', message });
  });
}

test('an unknown typed form is refused, unless typed forms are off', () => {
  assert.throws(() => jsonToSimple({ $int23: 5 }), { code: 'E_VALUE', message: /unknown type \$int23/ });
  assert.deepEqual(jsonToSimple({ $int32: 'x' }, { typedForms: false }), {
    type: 'stringMap',
    entries: [['$int32', 'x']],
  });
});

test('text that is not JSON, or nested beyond the bound, is refused', () => {
  assert.throws(() => jsonTextToSimple('{"a":}'), { code: 'E_VALUE', message: /^not JSON: / });
  assert.throws(() => jsonTextToSimple('01'), { code: 'E_VALUE' });
  assert.throws(() => jsonTextToSimple(`${'['.repeat(100)}1${']'.repeat(100)}`), { code: 'E_VALUE' });
  assert.throws(() => jsonTextToSimple(`${'['.repeat(200_000)}${']'.repeat(200_000)}`), { code: 'E_VALUE' });
});

test('strings that look like the mark of an exact number stay strings', () => {
  const text = '["#0", "\\u00230", "##1", "n0", 12345678901234567]';

  assert.deepEqual(jsonTextToSimple(text), {
    type: 'array',
    elements: [
      { type: 'string', value: '#0' },
      { type: 'string', value: '#0' },
      { type: 'string', value: '##1' },
      { type: 'string', value: 'n0' },
      { type: 'int64', value: 12345678901234567n },
    ],
  });
});

test('readable JSON loses types but no digits and no bytes', () => {
  assert.equal(simpleToJson({ type: 'int64', value: 5n }), 5);
  assert.equal(simpleToJson({ type: 'int64', value: 9007199254740993n }), '9007199254740993');
  assert.equal(simpleToJson({ type: 'int32', value: 5 }), 5);
  assert.deepEqual(simpleToJson({ type: 'bytes', value: Buffer.from('hi') }), { $bytes: 'aGk=' });
  assert.equal(simpleToJson({ type: 'bytes', value: Buffer.from('hi') }, { bytesAs: 'text' }), 'hi');
  assert.deepEqual(simpleToJson({ type: 'bytes', value: Buffer.from([255]) }, { bytesAs: 'text' }), {
    $bytes: '/w==',
  });
});

test('maps that no JSON object can hold are pairs', () => {
  const repeated: SimpleValue = {
    type: 'stringMap',
    entries: [
      ['a', '1'],
      ['a', '2'],
    ],
  };
  const byNumber: SimpleValue = { type: 'map', entries: [[{ type: 'int64', value: 1n }, { type: 'null' }]] };
  const unordered: SimpleValue = {
    type: 'stringMap',
    entries: [
      ['2', 'b'],
      ['1', 'a'],
    ],
  };

  for (const value of [repeated, byNumber, unordered]) {
    const json = JSON.stringify(simpleToJson(value, { exact: true }));
    assert.deepEqual(jsonToSimple(JSON.parse(json)), value);
  }
});

test('a key named __proto__ is a key like any other', () => {
  const value: SimpleValue = { type: 'stringMap', entries: [['__proto__', 'x']] };

  assert.equal(JSON.stringify(simpleToJson(value)), '{"__proto__":"x"}');
  assert.deepEqual(jsonTextToSimple('{"__proto__":"x"}'), value);
});

test('arguments are the elements of an array, inferred or by their types', () => {
  assert.deepEqual(jsonTextToArguments('[5,"a"]'), [
    { type: 'int64', value: 5n },
    { type: 'string', value: 'a' },
  ]);
  assert.deepEqual(jsonTextToArguments('[5,"YQ=="]', { types: ['int32', 'bytes'] }), [
    { type: 'int32', value: 5 },
    { type: 'bytes', value: Buffer.from('a') },
  ]);
  assert.deepEqual(jsonTextToArguments(' [ ] ', { types: [] }), []);
});

for (const [text, types, message] of [
  ['{"a":1}', null, 'the arguments must be a JSON array, got an object'],
  ['[1]', [], 'the method takes 0 arguments (), got 1'],
  ['["a"]', ['string', 'int32'], 'the method takes 2 arguments (string, int32), got 1'],
  [
    '["a",2147483648]',
    ['string', 'int32'],
    'argument 2: $ must be from -2147483648 to 2147483647, got 2147483648',
  ],
  [
    '[{"a":{"b":9223372036854775808}}]',
    null,
    'argument 1: $.a.b must be from -9223372036854775808 to 9223372036854775807, got 9223372036854775808',
  ],
  ['[1e400]', null, 'argument 1: $ is beyond what a float64 holds: 1e400'],
  ['[1e39]', ['float32'], 'argument 1: $ is beyond what a float32 holds: 1e39'],
  ['["\\ud800"]', null, 'argument 1: $ has half of a surrogate pair'],
  ['[{"\\ud800":1}]', null, 'argument 1: $.\ud800 has half of a surrogate pair'],
  ['[["a","\\udc00"]]', ['stringArray'], 'argument 1: $[1] has half of a surrogate pair'],
] as const) {
  test(`arguments ${text} of ${types === null ? 'any type' : `types ${types.join(',')}`} are refused`, () => {
    assert.throws(() => jsonTextToArguments(text, { types }), { code: 'E_VALUE', message });
  });
}

test('numbers are as exact in texts that JSON.parse reads right as in others', () => {
  for (const number of [
    '0',
    '-7',
    '123456789012345',
    '-999999999999999',
    '1234567890123456',
    '-0',
    '0.5',
    '1E2',
  ]) {
    const [alone] = jsonTextToArguments(`[${number}]`);
    // The fraction beside it forbids the short way.
    const [beside] = jsonTextToArguments(`[${number},1.5]`);
    assert.deepEqual(alone, beside, number);
  }
});
