import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIpBlock } from '../../../src/base/index.js';
import { parseTargetEntry } from '../../../src/core/index.js';

const ENTRIES = [
  ['*', { kind: 'any', port: 0 }],
  ['*:443', { kind: 'any', port: 443 }],
  ['Shop.example.com.', { kind: 'name', name: 'shop.example.com', port: 0 }],
  ['localhost:8080', { kind: 'name', name: 'localhost', port: 8080 }],
  ['my_host', { kind: 'name', name: 'my_host', port: 0 }],
  ['*.Example.com', { kind: 'below', suffix: '.example.com', port: 0 }],
  ['*.example.com:443', { kind: 'below', suffix: '.example.com', port: 443 }],
  ['10.1.2.3', { kind: 'block', block: parseIpBlock('10.1.2.3'), port: 0 }],
  ['10.1.2.3:80', { kind: 'block', block: parseIpBlock('10.1.2.3'), port: 80 }],
  ['::1', { kind: 'block', block: parseIpBlock('::1'), port: 0 }],
  ['[::1]', { kind: 'block', block: parseIpBlock('::1'), port: 0 }],
  ['[::1]:80', { kind: 'block', block: parseIpBlock('::1'), port: 80 }],
  ['10.0.0.0/8', { kind: 'block', block: parseIpBlock('10.0.0.0/8'), port: 0 }],
  ['fd00::/8', { kind: 'block', block: parseIpBlock('fd00::/8'), port: 0 }],
] as const;

for (const [text, expected] of ENTRIES) {
  test(`${text} is an entry`, () => {
    assert.deepEqual(parseTargetEntry(text), expected);
  });
}

for (const text of [
  '',
  '.',
  '*.',
  '**',
  'a.*.com',
  '*example.com',
  'http://example.com',
  'example.com/path',
  'example.com:',
  'example.com:0',
  'example.com:65536',
  'example.com:http',
  'user@example.com',
  '-a.com',
  'a..com',
  `${'a'.repeat(64)}.com`,
  '127.1',
  '2130706433',
  '1.2.3.256',
  '10.0.0.1/8',
  '10.0.0.0/8:80',
  '*.10',
  '[::1',
  '[1.2.3]',
  'a b',
]) {
  test(`${JSON.stringify(text)} is no entry`, () => {
    assert.equal(parseTargetEntry(text), null);
  });
}
