import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MeshUrl, toBool, toInt } from '../../../src/core/index.js';

test('reads the text of Go: group first, the rest as parameters', () => {
  const url = MeshUrl.parse('motan2://10.0.0.1:9981/com.weibo.Echo?group=g1&a=1&b=x=y&flag=');

  assert.deepEqual(url.toJSON(), {
    protocol: 'motan2',
    host: '10.0.0.1',
    port: 9981,
    path: 'com.weibo.Echo',
    group: 'g1',
    parameters: { a: '1', b: 'x=y', flag: '' },
  });
  assert.equal(url.identity, 'motan2://10.0.0.1:9981/com.weibo.Echo?group=g1');
  assert.equal(url.address, '10.0.0.1:9981');
});

test('reads the text of Java: escaped, with a trailing ampersand', () => {
  const url = MeshUrl.parse('motan2://1.2.3.4:1/a?group=g%2F1&name=%E4%BD%A0&');

  assert.equal(url.group, 'g/1');
  assert.equal(url.text('name'), '你');
});

test('text that is not validly escaped stays as it is', () => {
  assert.equal(MeshUrl.parse('m://h:1/p?a=100%&b=%zz').text('a'), '100%');
  assert.equal(MeshUrl.parse('m://h:1/p?a=100%&b=%zz').text('b'), '%zz');
});

test('a unix socket is a host', () => {
  const url = MeshUrl.parse('motan2://unix:///run/a.sock:0/svc?group=g');

  assert.deepEqual([url.host, url.port, url.path, url.group], ['unix:///run/a.sock', 0, 'svc', 'g']);
});

test('text without a scheme is refused with its beginning', () => {
  assert.throws(() => MeshUrl.parse('10.0.0.1:80'), { code: 'E_URL', message: /10\.0\.0\.1:80/ });
});

test('what is written is read back', () => {
  const word = fc.stringMatching(/^[a-zA-Z0-9._-]{1,12}$/);
  const anyUrl = fc.record({
    host: word,
    port: fc.nat(65_535),
    path: word,
    group: word,
    parameters: fc.dictionary(word, word),
  });

  fc.assert(
    fc.property(anyUrl, ({ host, port, path, group, parameters }) => {
      const entries = Object.entries(parameters).filter(([name]) => name !== 'group');
      const url = new MeshUrl({ protocol: 'motan2', host, port, path, group, parameters: new Map(entries) });
      const back = MeshUrl.parse(url.toText());
      assert.equal(back.toText(), url.toText());
      assert.deepEqual([...back.parameters].sort(), [...url.parameters].sort());
    }),
  );
});

test('the JSON form is read with names in any case, wrong types are named', () => {
  const url = MeshUrl.fromJson({
    Protocol: 'motan2',
    HOST: 'h',
    port: 1,
    Path: 'p',
    Group: 'g',
    Parameters: { a: '1' },
  });
  assert.equal(url.toText(), 'motan2://h:1/p?group=g&a=1');

  assert.throws(() => MeshUrl.fromJson([]), { code: 'E_URL' });
  assert.throws(() => MeshUrl.fromJson({ host: 5 }), { code: 'E_URL', message: /"host"/ });
  assert.throws(() => MeshUrl.fromJson({ port: '1' }), { code: 'E_URL', message: /"port"/ });
});

test('changing a parameter leaves the original alone', () => {
  const url = new MeshUrl({ parameters: new Map([['a', '1']]) });

  assert.equal(url.withParameter('a', '2').text('a'), '2');
  assert.equal(url.text('a'), '1');
});

test('numbers and booleans are read as Go reads them, else the default counts', () => {
  assert.deepEqual(
    ['5', '-5', '+5', '007'].map((text) => toInt(text, 1)),
    [5, -5, 5, 7],
  );
  for (const text of ['', '5.0', '5ms', '0x5', ' 5', '1e3', undefined]) assert.equal(toInt(text, 1), 1);
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True']) assert.equal(toBool(text), true);
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False']) assert.equal(toBool(text), false);
  for (const text of ['yes', 'on', '', 'tRUE', undefined]) assert.equal(toBool(text), null);
});

test('a parameter of a method comes before the general one', () => {
  const url = new MeshUrl({
    parameters: new Map([
      ['m(a,b).retries', '3'],
      ['m().retries', 'x'],
      ['retries', '1'],
    ]),
  });

  assert.equal(url.methodInt('m', 'a,b', 'retries', 0), 3);
  assert.equal(url.methodInt('m', '', 'retries', 0), 1);
  assert.equal(url.methodInt('other', '', 'retries', 0), 1);
  assert.equal(url.methodInt('other', '', 'missing', 7), 7);
});

test('values below 1 are no positive numbers', () => {
  const url = new MeshUrl({
    parameters: new Map([
      ['zero', '0'],
      ['less', '-1'],
      ['one', '1'],
    ]),
  });

  assert.deepEqual(
    ['zero', 'less', 'one', 'none'].map((name) => url.positiveInt(name, 9)),
    [9, 9, 1, 9],
  );
});
