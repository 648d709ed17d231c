import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  breezeToJson,
  decodeBreezeArguments,
  decodeBreezeStringMap,
  encodeBreezeStringMap,
} from '../../../../src/wire/serialization/index.js';
import { hex } from '../../../support/golden.js';

const EXAMPLES: readonly (readonly [string, unknown])[] = [
  ['0161', 'a'],
  ['50', { $int32: 0 }],
  ['7F5E', { $int32: 47 }],
  ['9820', 16],
  ['DB 01 3F 3F 0161 0162', { a: 'b' }],
  ['DB00', {}],
  ['DC 01 3F 0161', ['a']],
  ['DA 02 0161 51', ['a', { $int32: 1 }]],
  ['DB 01 3F DC 016B 01 3F 0176', { k: ['v'] }],
  ['DE 016D 00000006 01 55 02 02 6869', { $message: 'm', fields: { 1: { $int32: 5 }, 2: 'hi' } }],
];

for (const [bytes, json] of EXAMPLES) {
  test(`${bytes} is ${JSON.stringify(json)}`, () => {
    const [value] = decodeBreezeArguments(hex(bytes));

    assert.deepEqual(breezeToJson(value!, { exact: true }), json);
  });
}

test('a message is found again by its number, also in a later argument', () => {
  const values = decodeBreezeArguments(hex('DE 016D 00000000 DC 01 E0 00000002 01 9A DF 01 00000000'));

  assert.deepEqual(
    values.map((value) => breezeToJson(value)),
    [{ $message: 'm', fields: {} }, [{ $message: 'm', fields: { 1: true } }], { $message: 'm', fields: {} }],
  );
});

const MALFORMED: readonly (readonly [string, string, number])[] = [
  ['A1', 'unknown breeze type 0xa1', 0],
  ['DD', 'unknown breeze type 0xdd', 0],
  ['DC 01 99 00', 'unknown breeze type 0x99', 2],
  ['DF 01 00000000', 'message reference 1 names nothing', 0],
  ['E5', 'message reference 6 names nothing', 0],
  ['DE 016D 00000002 01', 'message of 2 bytes, 1 are left', 3],
  ['DE 016D 00000001 01', 'tag needs 1 bytes, 0 are left', 8],
  ['DA 03 50', 'container of 3 elements, 1 bytes are left', 1],
  ['DA A18D06', 'container of 100001 elements is over 100000', 1],
  ['DC 01 9A 50', '0x50 is not a bool', 3],
  ['3F FFFFFFFF7F', 'size of string 34359738367 is too large', 1],
];

for (const [bytes, message, offset] of MALFORMED) {
  test(`${bytes} is refused at byte ${offset}`, () => {
    assert.throws(() => decodeBreezeArguments(hex(bytes)), { name: 'ProtocolError', message, offset });
  });
}

test('containers inside each other are bounded', () => {
  const deep = hex(`${'DA01'.repeat(65)}50`);

  assert.throws(() => decodeBreezeArguments(deep), { message: 'value is nested deeper than 64' });
});

test('a map of strings survives, in order, with long and foreign text', () => {
  const entries: [string, string][] = [
    ['weight', '10'],
    ['', ''],
    ['键', '值'.repeat(200)],
  ];

  assert.deepEqual([...decodeBreezeStringMap(encodeBreezeStringMap(entries))], entries);
  assert.equal(encodeBreezeStringMap([]).toString('hex'), 'db00');
});

test('a map of strings is empty for null and for an empty body, and nothing else is taken for one', () => {
  assert.equal(decodeBreezeStringMap(Buffer.alloc(0)).size, 0);
  assert.equal(decodeBreezeStringMap(hex('99')).size, 0);
  assert.throws(() => decodeBreezeStringMap(hex('50')), { name: 'ProtocolError' });
  assert.throws(() => decodeBreezeStringMap(hex('DB 01 3F 7F 0161 02')), { name: 'ProtocolError' });
});
