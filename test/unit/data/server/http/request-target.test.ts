import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestTarget } from '../../../../../src/data/server/http/request-target.js';
import { HttpError, RequestHead } from '../../../../../src/wire/http1/index.js';

function target(text: string, method = 'GET', host = 'from.host') {
  return requestTarget(new RequestHead(method, text, 1, ['Host', host]));
}

test('takes host and port of origin form from Host', () => {
  assert.deepEqual(target('/a%20b//c?x=%2F', 'GET', 'Some.Host.:81'), {
    form: 'origin',
    scheme: 'http',
    authority: 'Some.Host.:81',
    host: 'some.host',
    port: 81,
    rawPath: '/a%20b//c',
    query: 'x=%2F',
    hasQuery: true,
    path: '/a b/c',
  });
});

test('takes host and port of absolute form from its authority', () => {
  assert.deepEqual(target('HTTPS://Other.Host/a?'), {
    form: 'absolute',
    scheme: 'https',
    authority: 'Other.Host',
    host: 'other.host',
    port: 443,
    rawPath: '/a',
    query: '',
    hasQuery: true,
    path: '/a',
  });
});

test('gives an absolute form without path the root', () => {
  assert.equal(target('http://other').rawPath, '/');
  assert.equal(target('http://other?x').query, 'x');
});

test('takes host and port of CONNECT from its target', () => {
  const { form, host, port, path } = target('[::1]:443', 'CONNECT');

  assert.deepEqual({ form, host, port, path }, { form: 'authority', host: '[::1]', port: 443, path: '' });
});

test('knows the asterisk', () => {
  const { form, host, path } = target('*', 'OPTIONS');

  assert.deepEqual({ form, host, path }, { form: 'asterisk', host: 'from.host', path: '*' });
});

test('resolves dots, also encoded ones, and never goes above the root', () => {
  for (const [raw, path] of [
    ['/a/../b', '/b'],
    ['/%2e%2e/b', '/b'],
    ['/a/%2E%2e/../../b', '/b'],
    ['//a/./b/', '/a/b/'],
    ['/a%2Fb', '/a/b'],
  ] as const)
    assert.equal(target(raw).path, path, raw);
});

test('refuses a path that cannot be decoded', () => {
  for (const raw of ['/%', '/%zz', '/%0', '/a%00b'])
    assert.throws(
      () => target(raw),
      (error) => error instanceof HttpError && error.status === 400,
      raw,
    );
});
