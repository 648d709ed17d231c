/** What the direct proxy makes of heads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ForwardedRequest,
  forwardedFields,
  forwardedRequest,
  type RequestSource,
} from '../../../../../src/data/server/http/proxy/forwarded-head.js';
import { requestMemo } from '../../../../../src/data/server/http/request-memo.js';
import { RequestHead, ResponseHead } from '../../../../../src/wire/http1/index.js';

function source(target: string, host: string, fields: readonly string[] = [], method = 'GET'): RequestSource {
  const head = new RequestHead(method, target, 1, ['Host', host, ...fields]);
  const memo = requestMemo(head);
  return { authority: memo.target.authority, head, memo, remoteHost: '10.0.0.7', target: memo.target };
}

function lines(made: ForwardedRequest): string[] {
  return made.front.toString('latin1').split('\r\n').slice(0, -1);
}

const TARGETS: readonly (readonly [string, string, string, number, boolean])[] = [
  ['/x', 'shop.test', 'shop.test', 80, false],
  ['/x', 'shop.test:8080', 'shop.test', 8080, false],
  ['/x', '[::1]', '[::1]', 80, false],
  ['/x', '[::1]:81', '[::1]', 81, false],
  ['http://other.test/x', 'shop.test', 'other.test', 80, false],
  ['HTTP://other.test:81', 'shop.test', 'other.test', 81, false],
  ['https://other.test/x', 'shop.test', 'other.test', 443, true],
  ['https://other.test:80/x', 'shop.test', 'other.test', 80, true],
];

for (const [target, field, host, port, isTls] of TARGETS) {
  test(`${target} with Host ${field} goes to ${host} port ${port}${isTls ? ' in TLS' : ''}`, () => {
    const made = forwardedRequest(source(target, field), 'me');

    assert.deepEqual([made.host, made.port, made.isTls], [host, port, isTls]);
  });
}

test('a request for the default domain names that one', () => {
  const made = forwardedRequest({ ...source('/x', 'unknown.test'), authority: 'default.test' }, 'me');

  assert.equal(made.host, 'default.test');
  assert.deepEqual(lines(made).slice(0, 2), ['GET /x HTTP/1.1', 'Host: default.test']);
});

test('the path is sent as it came, in origin form', () => {
  const path = (target: string): string => lines(forwardedRequest(source(target, 'h.test'), 'me'))[0]!;

  assert.equal(path('http://h.test/a%2Fb//../c?x=%20&y'), 'GET /a%2Fb//../c?x=%20&y HTTP/1.1');
  assert.equal(path('http://h.test?'), 'GET /? HTTP/1.1');
  assert.equal(lines(forwardedRequest(source('*', 'h.test', [], 'OPTIONS'), 'me'))[0], 'OPTIONS * HTTP/1.1');
});

test('a caller on a unix socket adds no address', () => {
  const made = forwardedRequest({ ...source('/x', 'h.test'), remoteHost: '@' }, 'me');

  assert.ok(!lines(made).some((line) => line.startsWith('X-Forwarded-For')));
});

test('an equal head is made once for one authority', () => {
  const one = source('/x', 'h.test');

  assert.equal(forwardedRequest(one, 'me'), forwardedRequest(one, 'me'));
  assert.notEqual(forwardedRequest({ ...one, authority: 'other.test' }, 'me').authority, 'h.test');
});

test('a field that Connection names stays behind even when it has the name of framing', () => {
  const head = new ResponseHead(200, 'OK', 1, [
    'Connection',
    'content-length, x-a',
    'Content-Length',
    '5',
    'X-A',
    '1',
    'X-B',
    '2',
  ]);

  assert.deepEqual(forwardedFields(head, 'me'), ['Content-Length', '5', 'X-B', '2', 'Via', '1.1 me']);
  assert.equal(head.memo, null, 'the memo is for calls of domains, which share the connections');
});

const VIAS: readonly (readonly [string, string | null])[] = [
  ['1.1 other', null],
  ['1.1 me', null],
  ['1.1 me2, 1.1 me3', null],
  ['1.1 me,1.1\tother, HTTP/1.0   ME (x)', 'passed this agent 2 times'],
  [Array.from({ length: 16 }, () => '1.1 p').join(', '), null],
  [Array.from({ length: 17 }, () => '1.1 p').join(','), 'passed 17 proxies'],
];

for (const [via, loop] of VIAS) {
  test(`Via ${via.slice(0, 40)} ${loop === null ? 'goes on' : `has ${loop}`}`, () => {
    assert.equal(forwardedRequest(source('/x', 'h.test', ['Via', via]), 'me').loop, loop);
  });
}
