import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { registries } from '../../../../../src/control/registry/index.js';
import { MeshUrl } from '../../../../../src/core/index.js';
import { RecordingLogger, realClock } from '../../../../support/registry-deps.js';
import { brief, load } from '../../config/load-fixture.js';

function deps() {
  return { clock: realClock, random: Math.random, logger: new RecordingLogger(), defaultDirectory: '' };
}

function identity(parameters: string): string {
  return registries.zookeeper.identity(MeshUrl.parse(`zookeeper://:0/?${parameters}`), deps());
}

async function addressOf(url: string): Promise<string> {
  const registry = registries.zookeeper.create('zk', MeshUrl.parse(url), deps());
  const { address } = registry.report();
  await registry.close();
  return address;
}

test('servers and chroot are taken from address, or from host, port and path', async () => {
  assert.equal(await addressOf('zookeeper://127.0.0.1:1/'), '127.0.0.1:1');
  assert.equal(await addressOf('zookeeper://127.0.0.1:1/?path=/a/b&address=h:2'), '127.0.0.1:1/a/b');
  assert.equal(await addressOf('zookeeper://127.0.0.1:1/a'), '127.0.0.1:1/a');
  assert.equal(
    await addressOf('zookeeper://:0/?address=127.0.0.1:1, 127.0.0.1:2/a/b/'),
    '127.0.0.1:1,127.0.0.1:2/a/b',
  );
});

test('entries that differ in servers, chroot or credentials are different places', () => {
  const places = ['address=h:1', 'address=h:2', 'address=h:1/a', 'address=h:1&username=u&password=p'];

  assert.equal(new Set([...places, 'address=h:1&username=u&password=q'].map(identity)).size, 5);
  assert.equal(identity('address=h:1/a'), identity('address=h:1&path=a'));
});

test('values that make no sense are refused with key and value, passwords without theirs', () => {
  assert.throws(() => identity(''), /zookeeper: address is "", expected host:port/);
  assert.throws(() => identity('address=h'), /address is "h"/);
  assert.throws(() => identity('address=h:0'), /address is "h:0"/);
  assert.throws(() => identity('address=unix:///run/a.sock'), /address is "unix:/);
  assert.throws(() => identity('address=h:1/a//b'), /\/a\/\/b is no path/);
  assert.throws(() => identity('address=h:1&username=a:b&password=geheim'), /username is "a:b"/);
  assert.throws(() => identity('address=h:1&username=a'), /username without password/);
  assert.throws(
    () => identity('address=h:1&password=geheim'),
    (error: Error) => !error.message.includes('geheim') && /username is ""/.test(error.message),
  );
});

test('the configuration takes a chroot behind the last address, and there only', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'peony-config-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'motan.yaml');
  writeFileSync(
    file,
    [
      'motan-registry:',
      '  good: {protocol: zk, address: "h1:2181,h2:2181/a/b", username: ann, password: geheim}',
      '  bad: {protocol: zk, address: "h1:2181/a,h2:2181"}',
      '  direct: {protocol: direct, address: "h1:1/a"}',
    ].join('\n'),
  );

  const config = load(['-c', file]);

  assert.equal(config.registries.get('good')?.url.text('address'), 'h1:2181,h2:2181/a/b');
  assert.deepEqual(config.problems.map(brief), [
    '3:32 error address motan-registry.bad.address',
    '4:39 error address motan-registry.direct.address',
  ]);
});
