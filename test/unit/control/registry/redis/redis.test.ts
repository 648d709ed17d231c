import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { plainCause } from '../../../../../src/control/registry/redis/kept-connection.js';
import { redis } from '../../../../../src/control/registry/redis/redis.js';
import { MeshUrl, silentLogger } from '../../../../../src/core/index.js';
import { until } from '../../../../support/clock.js';
import { realClock } from '../../../../support/registry-deps.js';

const DEPS = { clock: realClock, random: Math.random, logger: silentLogger, defaultDirectory: '' };

function urlOf(parameters: string): MeshUrl {
  return MeshUrl.parse(`redis://:0/?${parameters}`);
}

function identity(parameters: string): string {
  return redis.identity(urlOf(parameters), DEPS);
}

test('the client is loaded with the first registry, not with the table', async (t) => {
  const isLoaded = (): boolean =>
    Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('node_modules/ioredis/'));
  const before = isLoaded();

  const registry = redis.create('r', urlOf('address=127.0.0.1:1'), DEPS);
  t.after(() => registry.close());
  await until('it is loaded', isLoaded);

  assert.equal(before, false);
});

for (const [parameters, reason] of [
  ['', /address is "", expected host:port/],
  ['address=h', /address is "h"/],
  ['address=h:1,h:2', /address is "h:1,h:2", expected one server, or `cluster: true`/],
  ['address=unix:///run/redis.sock', /address is "unix/],
  ['sentinels=h:1', /sentinels without masterName/],
  ['masterName=m', /sentinels is ""/],
  ['sentinels=h&masterName=m', /sentinels is "h"/],
  ['sentinels=h:1&masterName=m&cluster=true', /a cluster, or sentinels and masterName/],
  ['address=h:1&cluster=true&db=1', /db is "1", expected 0/],
  ['address=h:1&db=-1', /db is "-1"/],
  ['address=h:1&db=one', /db is "one"/],
  ['address=h:1&username=u', /username without password/],
  ['sentinels=h:1&masterName=m&sentinelUsername=u', /sentinelUsername without sentinelPassword/],
  ['address=h:1&tlsCaFile=/a', /`tls: true` beside it/],
  ['address=h:1&tls=true&tlsCaFile=/no/such/file', /tlsCaFile is "\/no\/such\/file"/],
  ['address=h:1&keyPrefix={a}', /keyPrefix is "\{a\}"/],
  ['address=h:1&leaseTime=2', /leaseTime is "2", expected seconds from 3 to 3600/],
  ['address=h:1&leaseTime=3601', /leaseTime is "3601"/],
  ['address=h:1&lookInterval=0', /lookInterval is "0"/],
  ['address=h:1&lookInterval=x', /lookInterval is "x"/],
] as const) {
  test(`an entry with "${parameters}" is refused with key and value`, () => {
    assert.throws(() => identity(parameters), { code: 'E_REGISTRY', message: reason });
  });
}

test('a wrong entry is told without its passwords', () => {
  const parameters = 'address=h&password=secret-1&sentinelPassword=secret-2&username=u';
  assert.throws(
    () => identity(parameters),
    (error: Error) => !/secret/.test(error.message),
  );
});

test('entries that mean the same are one registry, others are not', () => {
  const same = identity('address=h:1');

  assert.equal(identity('address=h:1,&keyPrefix=peony&leaseTime=15&lookInterval=5&db=0'), same);
  assert.equal(redis.identity(MeshUrl.parse('redis://h:1/?address=other:2'), DEPS), same);
  for (const more of ['db=1', 'keyPrefix=p', 'password=p', 'cluster=true', 'tls=true', 'leaseTime=10'])
    assert.notEqual(identity(`address=h:1&${more}`), same);
});

for (const [parameters, address] of [
  ['address=127.0.0.1:1', '127.0.0.1:1'],
  ['address=[::1]:1,127.0.0.1:1&cluster=true', '[::1]:1,127.0.0.1:1'],
  ['sentinels=127.0.0.1:1,127.0.0.1:2&masterName=m', 'm of the Sentinels 127.0.0.1:1,127.0.0.1:2'],
] as const) {
  test(`the report of "${parameters}" says where it is`, async () => {
    const registry = redis.create('r', urlOf(`${parameters}&password=secret`), DEPS);

    const report = registry.report();
    await registry.close();

    assert.equal(report.address, address);
    assert.doesNotMatch(JSON.stringify(report), /secret/);
  });
}

test('causes are told without the advice that the client gives', () => {
  const odd = new Error('Unknown RESP type 72 "H". Please report this.');
  const all = Object.assign(new Error('Failed to refresh slots cache.'), {
    lastNodeError: new Error('NOAUTH'),
  });

  assert.equal(plainCause(odd), 'what answers there does not speak the protocol of Redis');
  assert.equal(plainCause(all), 'NOAUTH');
  assert.equal(plainCause(new Error('Socket timeout. Expecting data')), 'the server is silent');
  assert.equal(plainCause(new Error('connect ECONNREFUSED 127.0.0.1:1')), 'connect ECONNREFUSED 127.0.0.1:1');
});
