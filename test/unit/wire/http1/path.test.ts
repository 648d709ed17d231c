import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodePath,
  encodePath,
  isQueryPlain,
  normalizePath,
  parseForm,
  queryEscape,
  queryEscapePercent,
  splitTarget,
} from '../../../../src/wire/http1/index.js';

const ALL_BYTES = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
const latin1Text = fc.array(fc.integer({ min: 1, max: 255 })).map((codes) => String.fromCharCode(...codes));

test('escapes of a path are decoded to bytes', () => {
  assert.equal(decodePath('/a'), '/a');
  assert.equal(decodePath('/a%20b%2Fc%3f'), '/a b/c?');
  assert.equal(decodePath('/%E4%B8%AD'), '/\xe4\xb8\xad');
  assert.equal(decodePath('/a+b'), '/a+b');
  assert.equal(decodePath('/%252e'), '/%2e');
});

test('a path with a broken escape or a NUL is refused', () => {
  for (const raw of ['/%', '/%1', '/%zz', '/%%20', '/%2', '/%00', '/a%00.php', '/a\0', '/%u0041', '/% 1'])
    assert.equal(decodePath(raw), null, raw);
});

test('paths are normalised, and never leave the root', () => {
  for (const [path, normal] of [
    ['/', '/'],
    ['', '/'],
    ['/a/b', '/a/b'],
    ['/a/b/', '/a/b/'],
    ['//', '/'],
    ['//a///b//', '/a/b/'],
    ['/a/./b', '/a/b'],
    ['/a/.', '/a/'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/../', '/a/'],
    ['/..', '/'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['/a/../../../b', '/b'],
    ['a/b', '/a/b'],
    ['../a', '/a'],
    ['/.well-known/x', '/.well-known/x'],
    ['/a/...', '/a/...'],
    ['/a/..b', '/a/..b'],
    ['/a/b..', '/a/b..'],
    ['/a//../b', '/b'],
    ['/*', '/*'],
  ])
    assert.equal(normalizePath(path!), normal, path);
});

test('a normalised path stays as it is and has no part that goes up', () => {
  const segment = fc.constantFrom('', '.', '..', 'a', '...', '.a', 'b ');
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 12 }), (segments) => {
      const normal = normalizePath(segments.join('/'));

      assert.equal(normalizePath(normal), normal);
      assert.ok(normal.startsWith('/'));
      assert.doesNotMatch(normal, /\/\/|\/\.\.?(?:\/|$)/);
    }),
  );
});

test('a path is encoded as fasthttp encodes it', () => {
  assert.equal(encodePath('/a b?c#d%20'), '/a%20b%3Fc%23d%2520');
  assert.equal(encodePath('/{id}'), '/%7Bid%7D');
  assert.equal(encodePath('/\xe4\r\n\x7f'), '/%E4%0D%0A%7F');
  const plain = "/-_.~!$&'()*+,:;=@azAZ09";
  assert.equal(encodePath(plain), plain);
  assert.equal(encodePath('/"<>[\\]^`{|}'), '/%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D');
});

test('an encoded path decodes to what it was', () => {
  fc.assert(
    fc.property(latin1Text, (text) => {
      const encoded = encodePath(text);

      assert.equal(decodePath(encoded), text);
      assert.match(encoded, /^[\x21-\x7e]*$/);
    }),
  );
});

test('keys and values are escaped so that they separate nothing', () => {
  assert.equal(queryEscape('a b&c=d+e/\xe4'), 'a+b%26c%3Dd%2Be%2F%E4');
  assert.equal(queryEscapePercent('a b&c=d+e/\xe4'), 'a%20b%26c%3Dd%2Be%2F%E4');
  assert.match(queryEscape(ALL_BYTES), /^[-+_.~%0-9A-Za-z]*$/);
});

test('bytes are plain exactly when escaping leaves them as they are', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'azAZ09-_.~ /+%\xe4'), maxLength: 12 }), (text) => {
      const bytes = Buffer.from(`==${text}==`, 'latin1');
      assert.equal(isQueryPlain(bytes, 2, bytes.length - 2), queryEscape(text) === text);
    }),
  );
  assert.ok(isQueryPlain(Buffer.from('abcdefg'), 0, 7));
});

test('a form is read as it was written', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(latin1Text, latin1Text), { maxLength: 20 }), (pairs) => {
      const named = pairs.map(([key, value]): [string, string] => [`k${key}`, value]);
      const text = named.map(([key, value]) => `${queryEscape(key)}=${queryEscape(value)}`).join('&');

      assert.deepEqual(parseForm(text), named);
    }),
  );
});

test('a form that nobody wrote well is read all the same', () => {
  assert.deepEqual(parseForm(''), []);
  assert.deepEqual(parseForm('a'), [['a', '']]);
  assert.deepEqual(parseForm('&&a=1&a=2&'), [
    ['a', '1'],
    ['a', '2'],
  ]);
  assert.deepEqual(parseForm('a=b=c&=d&%zz=%&%4'), [
    ['a', 'b=c'],
    ['', 'd'],
    ['%zz', '%'],
    ['%4', ''],
  ]);
  assert.deepEqual(parseForm('__proto__=1'), [['__proto__', '1']]);
});

test('a form of too many pairs is refused', () => {
  assert.equal(parseForm('a&'.repeat(1000)).length, 1000);
  assert.throws(() => parseForm('a&'.repeat(1001)), { name: 'HttpError', status: 400 });
  assert.throws(() => parseForm('a&b&c', 2), { status: 400 });
});

test('targets are taken apart', () => {
  const none = { scheme: '', authority: '', path: '', query: '', hasQuery: false };
  assert.deepEqual(splitTarget('/a?b?c'), { ...none, path: '/a', query: 'b?c', hasQuery: true });
  assert.deepEqual(splitTarget('//a/b'), { ...none, path: '//a/b' });
  assert.deepEqual(splitTarget('/a?'), { ...none, path: '/a', hasQuery: true });
  assert.deepEqual(splitTarget('/http://a'), { ...none, path: '/http://a' });
  assert.deepEqual(splitTarget('*'), { ...none, path: '*' });
  assert.deepEqual(splitTarget('a:443'), { ...none, authority: 'a:443' });
  assert.deepEqual(splitTarget('HTTP://A:80'), { ...none, scheme: 'http', authority: 'A:80', path: '/' });
  assert.deepEqual(splitTarget('https://a?x'), {
    scheme: 'https',
    authority: 'a',
    path: '/',
    query: 'x',
    hasQuery: true,
  });
  assert.deepEqual(splitTarget('http://a/b?c=http://d/'), {
    scheme: 'http',
    authority: 'a',
    path: '/b',
    query: 'c=http://d/',
    hasQuery: true,
  });
});
