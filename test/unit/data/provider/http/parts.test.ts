/** The parts of provider http that need no backend. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LocationMatcher } from '../../../../../src/core/index.js';
import { writePairFront, writeValueFront } from '../../../../../src/data/provider/http/answer-front.js';
import { Argument } from '../../../../../src/data/provider/http/argument.js';
import { backendCode, fasthttpText, goText } from '../../../../../src/data/provider/http/failures.js';
import { FieldSet } from '../../../../../src/data/provider/http/field-set.js';
import { pathOfMethod, Rewriting } from '../../../../../src/data/provider/http/rewriting.js';
import { UrlFormat } from '../../../../../src/data/provider/http/url-format.js';
import { decodeBreezeArguments, decodeSimpleArguments } from '../../../../../src/wire/serialization/index.js';
import { BREEZE_BYTE, backendCall, callHead, SIMPLE_BYTE, simple } from '../../../../support/backend-call.js';

const SIMPLE = 6;
const BREEZE = 8;

for (const size of [0, 1, 127, 128, 16_383, 16_384, 70_000]) {
  test(`the front of a value of ${size} bytes reads back in both serializations`, () => {
    const into = Buffer.alloc(10 + size, 'v');

    const fronts = [true, false].map((isText) => {
      const simpleAt = writeValueFront(into, 10, size, isText, SIMPLE);
      const [fromSimple] = decodeSimpleArguments(Buffer.from(into.subarray(simpleAt)));
      const breezeAt = writeValueFront(into, 10, size, isText, BREEZE);
      const [fromBreeze] = decodeBreezeArguments(Buffer.from(into.subarray(breezeAt)));
      return [fromSimple?.type, valueBytes(fromSimple), fromBreeze?.type, valueBytes(fromBreeze)];
    });

    assert.deepEqual(fronts, [
      ['string', size, 'string', size],
      ['bytes', size, 'bytes', size],
    ]);
  });
}

function valueBytes(value: object | undefined): number {
  const content = (value as { value?: string | Buffer }).value;
  return content === undefined ? -1 : content.length;
}

test('the front of a transparent answer makes an array of block and body', () => {
  const block = Buffer.from('HTTP/1.1 200 OK\r\n\r\n');
  const into = Buffer.concat([Buffer.alloc(40), Buffer.from('body')]);

  const start = writePairFront(into, 40, 4, block);

  assert.deepEqual(decodeSimpleArguments(into.subarray(start)), [
    {
      type: 'array',
      elements: [
        { type: 'bytes', value: block },
        { type: 'bytes', value: Buffer.from('body') },
      ],
    },
  ]);
});

test('one string or byte array is found in place, whatever its bytes are', () => {
  const argument = new Argument();
  const call = backendCall(callHead('m'), { body: simple.text(Buffer.from([0xff, 0])) });

  argument.read(call);

  assert.deepEqual([argument.kind, argument.bytes === call.bytes, argument.size], ['string', true, 2]);
});

test('what an argument was does not show in the next one', () => {
  const argument = new Argument();
  argument.read(backendCall(callHead('m'), { body: simple.map({ a: 'b' }) }));

  argument.read(backendCall(callHead('m'), { body: simple.null }));

  assert.deepEqual([argument.kind, argument.pairs, argument.size, argument.hasMore], ['none', [], 0, false]);
});

const OTHERS: [string, number, number[], string][] = [
  ['a bool', SIMPLE_BYTE, [5, 1], 'bool'],
  ['a list of strings', SIMPLE_BYTE, [4, 0, 0, 0, 0], '[]string'],
  ['a map of anything', SIMPLE_BYTE, [20, 0, 0, 0, 4, 5, 1, 5, 1], 'map[interface {}]interface {}'],
  ['a breeze list', BREEZE_BYTE, [0xda, 0], '[]interface {}'],
];
for (const [what, serialization, bytes, type] of OTHERS) {
  test(`${what} has no form in HTTP and is called ${type}`, () => {
    const argument = new Argument();

    argument.read(backendCall(callHead('m'), { body: Buffer.from(bytes), serialization }));

    assert.deepEqual([argument.kind, argument.type], ['other', type]);
  });
}

test('a field set keeps order and takes the last value of a name', () => {
  const fields = new FieldSet();
  fields.set('x-a', '1');
  fields.set('b', ' 2\t');
  fields.set('X-A', '3');

  assert.equal(fields.toText(), 'X-A: 3\r\nB: 2\r\n');
});

for (const [name, value] of [
  ['a\r\nb', 'c'],
  ['a', 'b\nc'],
  ['a', '\0'],
  ['', 'c'],
  ['\u00e4', 'c'],
  ['a', '\x7f'],
] as const) {
  test(`the field ${JSON.stringify([name, value])} is trouble and not sent`, () => {
    const fields = new FieldSet();

    fields.set(name, value);

    assert.notEqual(fields.trouble, null);
    assert.equal(fields.toText(), '');
  });
}

test('the path of a method is decoded once and resolved, and gets no slash that it had not', () => {
  const paths = ['/a%2e', '/a%252e', '/%zz', 'a/../b', '/a/../../b', '/a%00b'].map(pathOfMethod);

  assert.deepEqual(paths, ['/a.', '/a%2e', '/%zz', 'b', '/b', '/a%00b']);
});

test('locations are asked only when rewriting is enabled', () => {
  const nobody: LocationMatcher = { match: () => null };

  assert.equal(new Rewriting(false, nobody).apply('/p', ''), '/p');
  assert.equal((new Rewriting(true, nobody).apply('/p', '') as { code: string }).code, 'E_NO_LOCATION');
  assert.equal((new Rewriting(true, null).apply('/p', '') as { code: string }).code, 'E_NO_LOCATION');
});

/** format, method, target */
const URLS: [string, string, string | null][] = [
  ['http://h:1/a/%s', 'm', '/a/m'],
  ['http://h/a', 'm', '/a'],
  ['http://h', 'm', '/'],
  ['http://h?x=%s', 'm', '/?x=m'],
  ['http://h/a#%s', 'm', '/a'],
  ['HTTPS://h/%s.php', 'a b', '/a%20b.php'],
  ['http://h/%s', 'a\nb', null],
  ['http://h/%s', '.', null],
  ['http://h/%s', 'a/..', null],
  ['http://h/%s', '..hidden', '/..hidden'],
  ['http://h/%s', 'a?b=../c', '/a?b=../c'],
  ['http://h%s', 'm', null],
];
for (const [format, method, target] of URLS) {
  test(`${format} with ${JSON.stringify(method)} is ${target}`, () => {
    assert.equal(UrlFormat.parse(format)!.targetOf(method), target);
  });
}

test('a url has the port of its scheme unless it names one', () => {
  const targets = ['http://h/', 'https://h/', 'https://h:1/'].map((text) => UrlFormat.parse(text)?.target);

  assert.deepEqual(targets, [
    { host: 'h', port: 80, tlsName: null },
    { host: 'h', port: 443, tlsName: 'h' },
    { host: 'h', port: 1, tlsName: 'h' },
  ]);
});

test('what the system says is told in the words of Go', () => {
  const target = { host: 'h', port: 1, tlsName: null };
  const refused = { kind: 'refused', text: 'connect ECONNREFUSED 10.0.0.1:1' } as const;
  const unknown = { kind: 'refused', text: 'getaddrinfo ENOTFOUND h' } as const;

  assert.equal(fasthttpText(refused, target, false), 'dial tcp4 10.0.0.1:1: connect: connection refused');
  assert.equal(fasthttpText(unknown, target, false), 'dial tcp4 h:1: lookup: no such host');
  assert.equal(
    fasthttpText({ kind: 'connect-timeout', text: '' }, target, false),
    'dialing to the given TCP address timed out',
  );
  assert.equal(
    goText(refused, target, 'GET', 'http://h:1/'),
    'Get "http://h:1/": dial tcp 10.0.0.1:1: connect: connection refused',
  );
  assert.equal(backendCode(refused), 'E_BACKEND_DOWN');
});
