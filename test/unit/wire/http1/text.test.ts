import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  canonicalName,
  chunkHead,
  connectionOptions,
  HOP_BY_HOP,
  httpDate,
  isFieldValue,
  isTarget,
  isToken,
  RequestHead,
  reasonOf,
  STATUS_TEXT,
} from '../../../../src/wire/http1/index.js';

test('names are written as Go and fasthttp write them', () => {
  for (const [name, canonical] of [
    ['x-lower', 'X-Lower'],
    ['X-UPPER-CASE', 'X-Upper-Case'],
    ['M_s', 'M_s'],
    ['http_x', 'Http_x'],
    ['MOTAN-rid', 'Motan-Rid'],
    ['Content-Type', 'Content-Type'],
    ['-a--b', '-A--B'],
    ['1a', '1a'],
    ['', ''],
  ])
    assert.equal(canonicalName(name!), canonical);
});

test('what could end a field or begin another is no value', () => {
  for (const value of ['', 'a', 'a b\tc', '\xe4\xff', '"<>:;'])
    assert.equal(isFieldValue(value), true, value);
  // U+010D and U+560A end in the bytes of CR and LF: written as latin1 they would be line ends.
  for (const value of ['a\rb', 'a\nb', 'a\r\nb', '\0', '\x0b', '\x7f', '\u010d', '\u560a', '\u4e2d'])
    assert.equal(isFieldValue(value), false, JSON.stringify(value));
});

test('tokens are what RFC 9110 lets stand in names', () => {
  for (const text of ['GET', "!#$%&'*+-.^_`|~09azAZ"]) assert.equal(isToken(text), true, text);
  for (const text of ['', 'a b', 'a:', 'a\r', 'a/b', '"a"', '\xe4', '\u0141', 'a\0'])
    assert.equal(isToken(text), false, JSON.stringify(text));
});

test('what would end a target early can be no part of one', () => {
  for (const text of ['/a?b=c', 'a=%20', '\xe4', '{}']) assert.equal(isTarget(text), true, text);
  for (const text of ['', 'a b', 'a\tb', 'a\r\nb', 'a#b', '\0', '\u010a', '\u0120'])
    assert.equal(isTarget(text), false, JSON.stringify(text));
});

test('all statuses have a reason', () => {
  assert.equal(reasonOf(404), 'Not Found');
  assert.equal(STATUS_TEXT.get(503), 'Service Unavailable');
  assert.equal(reasonOf(799), 'Unknown');
  for (const reason of STATUS_TEXT.values()) assert.equal(isFieldValue(reason), true);
});

test('dates are those of RFC 9110, made once a second', () => {
  assert.equal(httpDate(784_111_777_000), 'Sun, 06 Nov 1994 08:49:37 GMT');
  assert.equal(httpDate(784_111_777_999), 'Sun, 06 Nov 1994 08:49:37 GMT');
  assert.equal(httpDate(784_111_778_000), 'Sun, 06 Nov 1994 08:49:38 GMT');
  assert.equal(httpDate(784_111_777_000), 'Sun, 06 Nov 1994 08:49:37 GMT');
});

test('the line of a chunk is its size', () => {
  assert.equal(chunkHead(1), '1\r\n');
  assert.equal(chunkHead(65_535), 'ffff\r\n');
});

test('the options of a connection name what is for it alone', () => {
  const head = new RequestHead('GET', '/', 1, ['Connection', 'Keep-Alive,\tX-Mine ,', 'connection', 'TE']);

  assert.deepEqual(connectionOptions(head), ['keep-alive', 'x-mine', 'te']);
  assert.deepEqual(connectionOptions(new RequestHead('GET', '/', 1, [])), []);
});

test('fields that frame or route a message are for one connection', () => {
  for (const name of ['connection', 'transfer-encoding', 'upgrade', 'te', 'trailer', 'proxy-connection'])
    assert.ok(HOP_BY_HOP.has(name));
  assert.equal(HOP_BY_HOP.has('content-length'), false);
});
