import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { type TestContext, test } from 'node:test';
import { consul } from '../../../../../src/control/registry/consul/consul.js';
import { MeshUrl, type Registry, silentLogger } from '../../../../../src/core/index.js';
import { until } from '../../../../support/clock.js';
import { realClock } from '../../../../support/registry-deps.js';

const DEPS = { clock: realClock, random: Math.random, logger: silentLogger, defaultDirectory: '' };

function identity(url: string): string {
  return consul.identity(MeshUrl.parse(url), DEPS);
}

function open(t: TestContext, url: string): Registry {
  const registry = consul.create('r1', MeshUrl.parse(url), DEPS);
  t.after(() => registry.close());
  return registry;
}

test('the client is loaded with the first registry, not with the table', async (t) => {
  const isLoaded = (): boolean =>
    Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('node_modules/consul/'));
  const before = isLoaded();

  open(t, 'consul://127.0.0.1:1/');
  await until('it is loaded', isLoaded);

  assert.equal(before, false);
});

const ADDRESSES: Record<string, string> = {
  'consul://:0/': 'localhost:8500',
  'consul://10.0.0.1:0/': '10.0.0.1:8500',
  'consul://:8501/': 'localhost:8501',
  'consul://10.0.0.1:8501/?address=h:1': '10.0.0.1:8501',
  'consul://:0/?address=a:1, b:2,': 'a:1,b:2',
};

for (const [url, address] of Object.entries(ADDRESSES)) {
  test(`${url} talks to ${address}`, (t) => {
    assert.equal(open(t, url).report().address, address);
  });
}

const WRONG: Record<string, RegExp> = {
  'consul://:0/?address=a:1,b': /consul: address is "a:1,b", expected host:port/,
  'consul://:0/?address=unix:///run/consul': /address is/,
  'consul://:0/?scheme=ftp': /scheme is "ftp", expected http or https/,
};

for (const [url, message] of Object.entries(WRONG)) {
  test(`${url} is refused`, () => {
    assert.throws(() => identity(url), message);
  });
}

test('a token that cannot be sent is refused without being shown', () => {
  assert.throws(
    () => identity('consul://:0/?token=se cret'),
    (error: Error) => /token/.test(error.message) && !error.message.includes('cret'),
  );
});

test('entries are one registry when servers, scheme, token and datacenter are the same', () => {
  const urls = ['', '&token=a', '&token=b', '&datacenter=d', '&scheme=https'].map(
    (more) => `consul://:0/?address=h:1${more}`,
  );

  assert.equal(new Set(urls.map(identity)).size, urls.length);
  assert.equal(identity('consul://:0/?address=h:1&scheme=HTTP&x=y'), identity('consul://h:1/'));
});

test('the token is not in the report', (t) => {
  const registry = open(t, 'consul://127.0.0.1:1/?token=secret-token');

  assert.ok(!JSON.stringify(registry.report()).includes('secret'));
});
