/**
 * Values of the golden vectors. Not applicable here: hessian2, fastjson, protobuf and grpc-pb values, because Peony passes
 * those bodies on as bytes and never reads them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeBreezeArguments,
  decodeSimpleArguments,
  encodeBreezeStringMap,
  encodeSimpleArguments,
  jsonToSimple,
  simpleToJson,
} from '../../src/wire/serialization/index.js';
import { canonical, canonicalVector, hex, type Vector, vectors } from '../support/golden.js';

const OPAQUE = new Set(['hessian2', 'fastjson', 'protobuf', 'grpc-pb']);
const values = vectors.filter((vector) => vector.kind === 'value' || vector.kind === 'arguments');
const simple = values.filter((vector) => vector.fields.serialization === 'simple');
const breeze = values.filter((vector) => vector.fields.serialization === 'breeze');
const opaque = values.filter((vector) => OPAQUE.has(vector.fields.serialization!));
/** Java writes a large int32 as ten bytes, Peony as five like Go; every peer reads both. */
const WIDE_INT32 = ['java/simple/value/int32_2147483647', 'java/simple/value/int32_-2147483648'];
/** Java dropped the entry whose value was null before it wrote the map, so the bytes hold less than the value. */
const LOSSY = 'java/simple/value/map_ss_nullvalue';
const whole = simple.filter((vector) => vector.name !== LOSSY);
const exact = simple.filter((vector) => !WIDE_INT32.includes(vector.name));

function expected(vector: Vector) {
  return (vector.fields.arguments ?? [vector.fields.value!]).map(canonicalVector);
}

test('every value vector is simple, breeze or named as not applicable', () => {
  assert.equal(simple.length + breeze.length + opaque.length, values.length);
});

test(`${whole.length} simple vectors decode to the value that the peer wrote`, () => {
  for (const vector of whole) {
    assert.deepEqual(decodeSimpleArguments(hex(vector.hex)).map(canonical), expected(vector), vector.name);
  }
});

test('the simple map of which Java dropped a null entry decodes to what is left', () => {
  const vector = simple.find((candidate) => candidate.name === LOSSY)!;

  const [value] = decodeSimpleArguments(hex(vector.hex));

  assert.deepEqual(value, { type: 'stringMap', entries: [['b', 'x']] });
});

test(`${exact.length} simple vectors encode to the bytes of the peer`, () => {
  for (const vector of exact) {
    const values = decodeSimpleArguments(hex(vector.hex));

    assert.equal(encodeSimpleArguments(values).toString('hex'), vector.hex, vector.name);
  }
});

test(`the ${WIDE_INT32.length} int32 that Java sign-extends to ten bytes encode to five`, () => {
  const encoded = WIDE_INT32.map((name) => {
    const vector = simple.find((candidate) => candidate.name === name)!;
    return encodeSimpleArguments(decodeSimpleArguments(hex(vector.hex))).toString('hex');
  });

  assert.deepEqual(encoded, ['08feffffff0f', '08ffffffff0f']);
});

test(`all ${simple.length} simple vectors survive exact JSON and back, but for the payload of a NaN`, () => {
  for (const vector of simple) {
    const values = decodeSimpleArguments(hex(vector.hex));
    const json = JSON.stringify(values.map((value) => simpleToJson(value, { exact: true })));

    const back = (JSON.parse(json) as unknown[]).map((item) => jsonToSimple(item));

    const wanted = encodeSimpleArguments(values)
      .toString('hex')
      .replace('7ff8000000000001', '7ff8000000000000');
    assert.equal(encodeSimpleArguments(back).toString('hex'), wanted, vector.name);
  }
});

test(`all ${breeze.length} breeze vectors decode to the value that the peer wrote`, () => {
  for (const vector of breeze) {
    assert.deepEqual(decodeBreezeArguments(hex(vector.hex)).map(canonical), expected(vector), vector.name);
  }
});

test('breeze maps of strings encode to the bytes of the peer', () => {
  const maps = breeze.filter(
    (vector) => vector.fields.value?.t === 'map[string]string' && vector.name !== 'go/breeze/value/map_ss_3',
  );
  assert.ok(maps.length >= 2);

  for (const vector of maps) {
    const entries = Object.entries(vector.fields.value!.v as Record<string, string>);
    assert.equal(encodeBreezeStringMap(entries).toString('hex'), vector.hex, vector.name);
  }
});
