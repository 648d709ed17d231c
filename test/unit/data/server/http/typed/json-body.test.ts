import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Failure,
  Metadata,
  type MethodSchema,
  Reply,
  ReplyHead,
  VALUE_TYPES,
} from '../../../../../../src/core/index.js';
import { answerToJson, encodeArguments } from '../../../../../../src/data/server/http/typed/json-body.js';
import {
  decodeSimpleArguments,
  encodeBreezeStringMap,
  encodeSimple,
  type SimpleValue,
} from '../../../../../../src/wire/serialization/index.js';

function schema(fields: Partial<MethodSchema>): MethodSchema {
  return { args: null, returns: null, desc: '', description: '', ...fields };
}

function decoded(json: string | Buffer, of: MethodSchema | null = null): SimpleValue[] {
  const encoded = encodeArguments(Buffer.from(json), of);
  assert.ok(Buffer.isBuffer(encoded), JSON.stringify(encoded));
  return decodeSimpleArguments(encoded);
}

function refused(json: string | Buffer, of: MethodSchema | null = null): Failure {
  const encoded = encodeArguments(Buffer.from(json), of);
  assert.ok(!Buffer.isBuffer(encoded), 'it is taken');
  return encoded;
}

test('arguments without a schema are inferred, and typed forms name other types', () => {
  assert.deepEqual(decoded('["a", 5, 1.5, true, null, {"$int32": 7}]'), [
    { type: 'string', value: 'a' },
    { type: 'int64', value: 5n },
    { type: 'float64', value: 1.5 },
    { type: 'bool', value: true },
    { type: 'null' },
    { type: 'int32', value: 7 },
  ]);
});

test('arguments with a schema have its types, and keys that begin with $ are data', () => {
  const types = schema({ args: ['int32', 'float32', 'bytes', 'map', 'int64'] });

  assert.deepEqual(
    decoded('[5, "NaN", "AAH/", {"$int32": 7}, "9223372036854775807"]', types).map(({ type }) => type),
    ['int32', 'float32', 'bytes', 'map', 'int64'],
  );
  const [inner] = decoded('[[{"$int32": 7}]]', schema({ args: ['array'] }));
  assert.deepEqual(inner, {
    type: 'array',
    elements: [
      {
        type: 'map',
        entries: [
          [
            { type: 'string', value: '$int32' },
            { type: 'int64', value: 7n },
          ],
        ],
      },
    ],
  });
});

test('an empty body has no arguments', () => {
  assert.deepEqual(decoded(''), []);
  assert.deepEqual(decoded('', schema({ args: [] })), []);
  assert.match(refused('', schema({ args: ['string'] })).message, /takes 1 argument \(string\), got 0/);
});

test('keys that mean something to JavaScript are data', () => {
  const [value] = decoded('[{"__proto__": {"polluted": 1}, "constructor": 1, "toString": 2}]');

  assert.deepEqual(
    value!.type === 'map' ? value!.entries.map(([key]) => (key.type === 'string' ? key.value : null)) : null,
    ['__proto__', 'constructor', 'toString'],
  );
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

test('of repeated keys the last counts', () => {
  assert.deepEqual(decoded('[{"a": "1", "a": "2"}]'), [{ type: 'stringMap', entries: [['a', '2']] }]);
});

test('a string of 1 MiB full of commas is one value', () => {
  const text = ',:"\\'.repeat(256 * 1024);

  assert.deepEqual(
    decoded(JSON.stringify([text, text, text])),
    Array(3).fill({ type: 'string', value: text }),
  );
});

const DEEP = 100_000;
for (const [what, json, code, message] of [
  ['text', 'hello', 'E_BAD_ARGUMENTS', /^not JSON: /],
  ['half an array', '["a"', 'E_BAD_ARGUMENTS', /^not JSON: /],
  ['two arrays', '[] []', 'E_BAD_ARGUMENTS', /^not JSON: /],
  ['NaN', '[NaN]', 'E_BAD_ARGUMENTS', /^not JSON: /],
  ['a comment', '[/* */]', 'E_BAD_ARGUMENTS', /^not JSON: /],
  ['a byte order mark', '\ufeff[]', 'E_BAD_ARGUMENTS', /^not JSON: /],
  ['an object', '{"a": 1}', 'E_BAD_ARGUMENTS', /must be a JSON array, got an object/],
  ['null', 'null', 'E_BAD_ARGUMENTS', /must be a JSON array, got null/],
  ['an integer beyond int64', '[9223372036854775808]', 'E_BAD_ARGUMENTS', /argument 1: \$ must be from/],
  ['an integer of 50 digits', `[${'9'.repeat(50)}]`, 'E_BAD_ARGUMENTS', /argument 1: \$ must be an integer/],
  ['half a character', '["\\ud83d"]', 'E_BAD_ARGUMENTS', /surrogate/],
  ['an unknown typed form', '[{"$int": 1}]', 'E_BAD_ARGUMENTS', /unknown type \$int/],
  [
    'arrays inside of arrays',
    `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`,
    'E_BAD_ARGUMENTS',
    /nested deeper than 64/,
  ],
  [
    'the same with fractions',
    `${'['.repeat(DEEP)}1.5${']'.repeat(DEEP)}`,
    'E_BAD_ARGUMENTS',
    /nested too deep/,
  ],
  ['a million values', `[${'1,'.repeat(1_000_000)}1]`, 'E_TOO_LARGE', /more than 1000000 values/],
  ['a million keys', `[{${'"":1,'.repeat(500_000)}"":1}]`, 'E_TOO_LARGE', /more than 1000000 values/],
] as const) {
  test(`${what} is refused with ${code}`, () => {
    const cause = refused(json);

    assert.equal(cause.code, code);
    assert.match(cause.message, message);
    assert.ok(cause.message.length < 400, cause.message);
  });
}

test('bytes that are not UTF-8 are refused', () => {
  assert.equal(refused(Buffer.from('["\xe4"]', 'latin1')).message, 'the body is not UTF-8');
});

test('a wrong type names the argument and the place in it', () => {
  const types = schema({ args: ['string', 'stringMap'] });

  assert.equal(refused('[1, {}]', types).message, 'argument 1: $ must be a string, got 1');
  assert.equal(refused('["a", {"k": 1}]', types).message, 'argument 2: $ must be a string, got 1');
});

function reply(body: Buffer, serialization: number, versionStatus = 0x08): Reply {
  const head = new ReplyHead(new Metadata(), null);
  // Something stands before and behind, as in a read buffer.
  const bytes = Buffer.concat([Buffer.from('xx'), body, Buffer.from('yy')]);
  return new Reply(null, head, null, 2, 1, versionStatus, serialization << 3, bytes, 2, 2 + body.length);
}

function json(value: SimpleValue, of: MethodSchema | null = null): unknown {
  const text = answerToJson(reply(encodeSimple(value), 6), of);
  assert.ok(Buffer.isBuffer(text), JSON.stringify(text));
  return JSON.parse(text.toString());
}

test('values come back as JSON: integers exact, bytes as base64', () => {
  assert.equal(json({ type: 'string', value: 'ü' }), 'ü');
  assert.equal(json({ type: 'int64', value: 5n }), 5);
  assert.equal(json({ type: 'int64', value: 2n ** 63n - 1n }), '9223372036854775807');
  assert.deepEqual(json({ type: 'bytes', value: Buffer.from([0, 1, 255]) }), { $bytes: 'AAH/' });
  assert.equal(
    json({ type: 'bytes', value: Buffer.from([0, 1, 255]) }, schema({ returns: 'bytes' })),
    'AAH/',
  );
  assert.deepEqual(json({ type: 'float64', value: Number.NaN }), { $float64: 'NaN' });
  assert.equal(json({ type: 'null' }), null);
});

test('text and bytes that hold JSON come back as that JSON where the schema says so', () => {
  const page = schema({ returns: 'json' });

  assert.deepEqual(json({ type: 'string', value: '{"a": [1]}' }, page), { a: [1] });
  assert.deepEqual(json({ type: 'bytes', value: Buffer.from('"ü"') }, page), 'ü');
  assert.equal(json({ type: 'int32', value: 7 }, page), 7);
});

test('a page that breaks the promise of JSON is told as a bad answer', () => {
  const page = schema({ returns: 'json' });

  for (const value of [Buffer.from('<html>'), Buffer.from([0x22, 0xff, 0x22])]) {
    const told = answerToJson(reply(encodeSimple({ type: 'bytes', value }), 6), page);
    assert.ok(!Buffer.isBuffer(told));
    assert.equal(told.code, 'E_BAD_ANSWER');
    assert.match(told.message, /not the JSON that its schema promises/);
  }
});

test('a key __proto__ of an answer is a key of the JSON', () => {
  const value: SimpleValue = { type: 'stringMap', entries: [['__proto__', 'x']] };

  assert.equal(answerToJson(reply(encodeSimple(value), 6), null).toString(), '{"__proto__":"x"}');
});

test('an empty answer is null, in whatever serialization', () => {
  for (const serialization of [0, 6, 8, 5]) {
    assert.equal(answerToJson(reply(Buffer.alloc(0), serialization), null).toString(), 'null');
  }
});

test('answers in breeze and JSON are read as well', () => {
  assert.equal(answerToJson(reply(encodeBreezeStringMap([['a', 'b']]), 8), null).toString(), '{"a":"b"}');
  assert.equal(answerToJson(reply(Buffer.from('{"a": 1.0}'), 2), null).toString(), '{"a": 1.0}');
});

for (const [what, body, serialization, code, message] of [
  ['protobuf', '\x08\x01', 5, 'E_BAD_ANSWER', /in protobuf, which typed calls do not read/],
  ['hessian2', 'N', 0, 'E_BAD_ANSWER', /in hessian2/],
  ['a number beyond the table', 'x', 31, 'E_BAD_ANSWER', /in unknown/],
  ['a broken value', '\x01\x00\x00\x00\x09a', 6, 'E_BAD_ANSWER', /not simple/],
  ['two values', '\x00\x00', 6, 'E_BAD_ANSWER', /not simple/],
  ['two values of breeze', '\x99\x99', 8, 'E_BAD_ANSWER', /not breeze: more than one value/],
  ['broken JSON', '{', 2, 'E_BAD_ANSWER', /not json/],
  ['JSON that is not UTF-8', '"\xe4"', 2, 'E_BAD_ANSWER', /not json: it is not UTF-8/],
] as const) {
  test(`an answer of ${what} is told plainly`, () => {
    const cause = answerToJson(reply(Buffer.from(body, 'latin1'), serialization), null);

    assert.ok(!Buffer.isBuffer(cause));
    assert.equal(cause.code, code);
    assert.match(cause.message, message);
  });
}

test('a status without an exception is no value', () => {
  const cause = answerToJson(reply(encodeSimple({ type: 'null' }), 6, 0x09), null);

  assert.ok(!Buffer.isBuffer(cause));
  assert.equal(cause.code, 'E_BAD_EXCEPTION');
});

test('whatever the body, it becomes arguments that can be read back, or a failure', () => {
  const types = fc.option(fc.array(fc.constantFrom(...VALUE_TYPES), { maxLength: 3 }), { nil: null });
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.array(fc.jsonValue()).map((value) => JSON.stringify(value)),
    fc.array(fc.double()).map((values) => `[${values.join()}]`),
  );
  fc.assert(
    fc.property(text, types, (body, args) => {
      const encoded = encodeArguments(Buffer.from(body), args === null ? null : schema({ args }));
      if (!Buffer.isBuffer(encoded)) return encoded.code === 'E_BAD_ARGUMENTS';
      const values = decodeSimpleArguments(encoded);
      return args === null || values.every(({ type }, at) => type === args[at]);
    }),
    { numRuns: 2000 },
  );
});

test('whatever a node answers, it becomes JSON or a failure', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 0, max: 31 }), (body, serialization) => {
      const json = answerToJson(reply(Buffer.from(body), serialization), null);
      if (!Buffer.isBuffer(json)) return json.code === 'E_BAD_ANSWER';
      JSON.parse(json.toString());
      return true;
    }),
    { numRuns: 3000 },
  );
});
