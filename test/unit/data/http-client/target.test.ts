import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTarget, targetName } from '../../../../src/data/http-client/index.js';

test('reads host and port, addresses in brackets, and unix sockets', () => {
  const targets = ['a.b:81', 'a.b', '[::1]:90', '127.0.0.1:1', 'unix:///run/x.sock'];

  const read = targets.map((text) => parseTarget(text, 80));

  assert.deepEqual(read, [
    { host: 'a.b', port: 81, tlsName: null },
    { host: 'a.b', port: 80, tlsName: null },
    { host: '::1', port: 90, tlsName: null },
    { host: '127.0.0.1', port: 1, tlsName: null },
    { path: '/run/x.sock' },
  ]);
});

test('reads nothing out of what is no address', () => {
  const wrong = [
    '',
    ':80',
    'a:',
    'a:0',
    'a:65536',
    'a:b',
    'u@h:1',
    'h/p',
    'h?q',
    '::1:80',
    'unix://',
    'a b',
    'h:1\r\n',
  ];

  for (const text of wrong) assert.equal(parseTarget(text, 80), null, text);
});

test('names a target so that the name reads back', () => {
  const names = ['a.b:81', '[::1]:90', 'unix:///run/x.sock'].map((text) =>
    targetName(parseTarget(text, 80)!),
  );
  const secure = targetName(parseTarget('a.b', 443, '')!);

  assert.deepEqual(names, ['a.b:81', '[::1]:90', 'unix:/run/x.sock']);
  assert.equal(secure, 'https://a.b:443');
});

test('the certificate has to be of the host unless another name is given', () => {
  const own = parseTarget('a.b:1', 443, '');
  const other = parseTarget('a.b:1', 443, 'c.d');

  assert.deepEqual(
    [own, other],
    [
      { host: 'a.b', port: 1, tlsName: 'a.b' },
      { host: 'a.b', port: 1, tlsName: 'c.d' },
    ],
  );
});
