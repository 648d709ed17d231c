import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRequestBlock, parseResponseBlock } from '../../../../src/wire/http1/index.js';
import { latin1 } from './transcript.js';

test('the block of a request is a head, also without Host', () => {
  const head = parseRequestBlock(latin1('GET /p?a=b HTTP/1.1\r\nX-A: \xe4\r\n\r\n'));

  assert.equal(head.method, 'GET');
  assert.equal(head.target, '/p?a=b');
  assert.equal(head.host, '');
  assert.deepEqual(head.fields, ['X-A', '\xe4']);
});

test('the block that motan-go makes of a request without fields is read', () => {
  const head = parseRequestBlock(latin1('GET /p HTTP/1.1\r\nHost: fake.domain\r\n\r\n'));

  assert.equal(head.host, 'fake.domain');
});

test('the block of an answer is a head', () => {
  const head = parseResponseBlock(latin1('HTTP/1.1 302 Found\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n'));

  assert.equal(head.status, 302);
  assert.deepEqual(head.getAll('set-cookie'), ['a', 'b']);
});

test('Transfer-Encoding: identity, which motan-go writes into blocks of answers, says nothing', () => {
  const block = 'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: identity\r\nC: d\r\n\r\n';

  assert.deepEqual(parseResponseBlock(latin1(block)).fields, ['A', 'b', 'C', 'd']);
});

test('a block that is not exactly one head is refused', () => {
  const good = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  for (let at = 0; at < good.length; at += 1)
    assert.throws(() => parseRequestBlock(latin1(good.slice(0, at))), { name: 'HttpError', status: 400 });
  assert.throws(() => parseRequestBlock(latin1(`${good}x`)), { status: 400 });
  assert.throws(() => parseRequestBlock(latin1(`\r\n${good}`)), { status: 400 });
  assert.throws(() => parseResponseBlock(latin1('HTTP/1.1 200 OK\r\n\r\nbody')), { status: 400 });
  assert.throws(() => parseResponseBlock(Buffer.alloc(0)), { status: 400 });
});

test('a block is read as strictly as a head', () => {
  for (const lines of [
    'Host: a\nX: y',
    'Host: a\r\nHost: a',
    'X : y',
    'X: a\r\n b',
    'Content-Length: +1',
    'X: \0',
  ])
    assert.throws(
      () => parseRequestBlock(latin1(`GET / HTTP/1.1\r\n${lines}\r\n\r\n`)),
      { status: 400 },
      lines,
    );
  assert.throws(() => parseRequestBlock(latin1('GET /a b HTTP/1.1\r\n\r\n')), { status: 400 });
});

test('a block over the bound is refused', () => {
  assert.throws(() => parseRequestBlock(latin1(`GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`)), {
    status: 431,
  });
});
