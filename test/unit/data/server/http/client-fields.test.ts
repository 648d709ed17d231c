import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connectionNames,
  isForwarded,
  isMetadataKey,
  timeoutText,
} from '../../../../../src/data/server/http/client-fields.js';
import { RequestHead } from '../../../../../src/wire/http1/index.js';

function head(...fields: string[]): RequestHead {
  return new RequestHead('GET', '/', 1, ['Host', 'a', ...fields]);
}

test('forwards nothing that is for one hop, said anew, or read as HTTP_PROXY', () => {
  for (const name of [
    'connection',
    'keep-alive',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'proxy-authorization',
    'proxy-connection',
    'host',
    'content-length',
    'expect',
    'proxy',
    'x-peony-timeout-ms',
  ])
    assert.equal(isForwarded(name, []), false, name);
  assert.equal(isForwarded('x-other', []), true);
});

test('forwards nothing that the Connection field names', () => {
  const names = connectionNames(head('Connection', 'close, X-One', 'Connection', 'x-two'));

  assert.equal(isForwarded('x-one', names), false);
  assert.equal(isForwarded('x-two', names), false);
  assert.equal(isForwarded('x-three', names), true);
});

test('makes metadata of no key that routes or that agents set', () => {
  for (const key of [
    'm_p',
    'm_anything',
    'host',
    'http_proxy',
    'http_method',
    'http_querystring',
    'remoteip',
  ])
    assert.equal(isMetadataKey(key), false, key);
  assert.equal(isMetadataKey('x-m_p'), true);
});

test('reads a time in whole milliseconds above zero', () => {
  for (const [text, expected] of [
    ['250', '250'],
    ['0', ''],
    ['-5', ''],
    ['1.5', ''],
    ['1e3', ''],
    ['9999999999', ''],
  ] as const)
    assert.equal(timeoutText(head('X-Peony-Timeout-Ms', text)), expected, text);
  assert.equal(timeoutText(head()), '');
});
