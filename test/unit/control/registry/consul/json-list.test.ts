import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readJsonList } from '../../../../../src/control/registry/consul/json-list.js';

async function read(text: string): Promise<unknown[]> {
  const elements: unknown[] = [];
  await readJsonList(Buffer.from(text), (element) => elements.push(element));
  return elements;
}

test('a list is read as JSON.parse reads it', async () => {
  const list = [
    {},
    { a: '}],["\\' },
    { 'b"': ['\\"', { c: [[{}]] }], d: 'ü]}\u2028' },
    { e: null, f: [1, -2.5e3, true, 'x\\\\'] },
  ];

  for (const text of ['[]', ' [\n]\n', JSON.stringify(list), JSON.stringify(list, null, 4)])
    assert.deepEqual(await read(text), JSON.parse(text));
});

const WRONG: Record<string, RegExp> = {
  '': /no JSON list/,
  '{}': /no JSON list/,
  '<html>[': /no JSON list/,
  '[': /no JSON list of objects/,
  '[1]': /no JSON list of objects/,
  '[{}': /no JSON list of objects/,
  '[{': /object without an end/,
  '[{"a': /string without an end/,
  '[{"a\\"]}]': /string without an end/,
  '[{"a":}]': /JSON/,
  '[{"a":[}]]}]': /JSON/,
};

for (const [text, reason] of Object.entries(WRONG)) {
  test(`refuses ${JSON.stringify(text)}`, async () => {
    await assert.rejects(read(text), reason);
  });
}

test('refuses an element that is longer than any entry', async () => {
  await assert.rejects(read(`[{"a":[${'1,'.repeat(600_000)}1]}]`), /JSON object of over 1048576 bytes/);
});

test('lets others have their turn amid a long list', async () => {
  const text = JSON.stringify(Array.from({ length: 1_000 }, () => ({ a: 'x'.repeat(1_000) })));
  let turns = 0;
  let isDone = false;
  const takeTurn = (): void => {
    turns += 1;
    if (!isDone) setImmediate(takeTurn);
  };
  setImmediate(takeTurn);

  const elements = await read(text);
  isDone = true;

  assert.equal(elements.length, 1_000);
  assert.ok(turns >= 10, `${turns} turns`);
});

test('reads a list of very many empty objects in a time that grows with its length', async () => {
  let count = 0;
  await readJsonList(Buffer.from(`[${'{},'.repeat(300_000)}{}]`), () => {
    count += 1;
  });

  assert.equal(count, 300_001);
});
