import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildRequest, parseArguments } from '../../../src/cli/call.js';
import { main } from '../../../src/cli/main.js';
import { encodeRequest } from '../../../src/cli/motan-client.js';
import { hex, parseFrame } from '../../support/frames.js';
import { RecordingIo } from './recording-io.js';

test('each argument is one JSON value with the types of simple', () => {
  assert.deepEqual(parseArguments(['"world"', '5', '{"$int32":5}', '1.5', '["a"]'], undefined), [
    { type: 'string', value: 'world' },
    { type: 'int64', value: 5n },
    { type: 'int32', value: 5 },
    { type: 'float64', value: 1.5 },
    { type: 'stringArray', elements: ['a'] },
  ]);
});

test('--args-json gives the same values, exact integers included', () => {
  assert.deepEqual(parseArguments([], '["world", 9007199254740993, {"$int32":5}, 3.0]'), [
    { type: 'string', value: 'world' },
    { type: 'int64', value: 9007199254740993n },
    { type: 'int32', value: 5 },
    { type: 'float64', value: 3 },
  ]);
  assert.deepEqual(parseArguments([], '[]'), []);
});

test('a word without quotes is refused with the form that was meant', () => {
  assert.throws(() => parseArguments(['1', 'world'], undefined), {
    code: 'E_VALUE',
    message: /^argument 2: not JSON.*; the string world is written '"world"'$/,
  });
});

test('--args-json that is no array, or comes with arguments, is refused', () => {
  assert.throws(() => parseArguments([], '{"a":1}'), { code: 'E_VALUE', message: /^--args-json: .*array/ });
  assert.throws(() => parseArguments(['1'], '[1]'), { code: 'E_ARGUMENT' });
});

test('the request has the bytes that the specification of Motan2 shows', () => {
  const request = buildRequest('a', 'b', parseArguments(['"hi"'], undefined), {});

  assert.deepEqual(
    encodeRequest(request, 1n),
    hex('F1F1 00 08 30 0000000000000001 0000000B 4D5F70 0A 61 0A 4D5F6D 0A 62 00000007 01 00000002 6869'),
  );
});

test('options become metadata, M_tmo only when a timeout is asked for', () => {
  const options = {
    group: 'g1',
    version: '2.0',
    protocol: 'motan2',
    timeout: 200,
    meta: [['name', 'é']] as const,
  };
  const { metadata } = parseFrame(encodeRequest(buildRequest('s', 'm', [], options), 1n));

  assert.deepEqual(Object.fromEntries(metadata), {
    M_p: 's',
    M_m: 'm',
    M_g: 'g1',
    M_v: '2.0',
    M_pp: 'motan2',
    M_tmo: '200',
    name: Buffer.from('é').toString('latin1'),
  });
  assert.equal(buildRequest('s', 'm', [], {}).metadata.get('M_tmo'), undefined);
});

test('metadata that no peer could read is refused instead of left out', () => {
  assert.throws(() => buildRequest('s', 'm', [], { meta: [['k', '']] }), { code: 'E_ARGUMENT' });
  assert.throws(() => buildRequest('s', 'm', [], { meta: [['k', 'a\nb']] }), { code: 'E_ARGUMENT' });
  assert.throws(() => buildRequest('', 'm', [], {}), { code: 'E_ARGUMENT' });
});

for (const [words, text] of [
  [['s'], /missing required argument 'method'/],
  [['s', 'm', '--port', '0'], /port from 1 to 65535/],
  [['s', 'm', '--direct', 'nowhere'], /host:port or unix/],
  [['s', 'm', '--meta', 'novalue'], /key=value/],
  [['s', 'm', '--repeat', '0'], /from 1 on/],
  [['s', 'm', 'world'], /argument 1: not JSON/],
  [['s', 'm', '--direct', '127.0.0.1:1', '--unix', '/x'], /not both/],
] as const) {
  test(`"call ${words.join(' ')}" is wrong use: exit code 2`, async () => {
    const io = new RecordingIo();

    await main(['call', ...words], 'peony', io);

    assert.match(io.stderr, text);
    assert.equal(io.exitCode, 2);
  });
}
