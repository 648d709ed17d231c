/** `registry.snap`: the bytes that motan-go writes, and files that are not what they should be. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { makeFolder, posted, Scene } from './scene.js';

/** As motan-go 1.2.0 wrote it, but for its names. */
const OF_MOTAN_GO =
  '{"register_nodes":[{"protocol":"motan2","host":"127.0.0.1","port":28882,"path":"com.x.Echo","group":"g1","parameters":' +
  '{"application":"app","export":"motan2:28882","nodeType":"service","proxy":"motan2:8100","proxyRegistry":"zk","registry":"zk"}}],' +
  '"subscribe_nodes":[{"protocol":"motan2","host":"","port":0,"path":"com.x.Echo","group":"g1","parameters":' +
  '{"application":"app","proxyRegistry":"zk","registry":"zk"}}]}';

async function recovered(folder: string): Promise<Scene> {
  const scene = new Scene(folder);
  await scene.registrations.open(true);
  return scene;
}

test('what is registered is written as motan-go writes it', async (t) => {
  const scene = await Scene.open(t);
  await scene.registrations.add('service', posted(), null);
  await scene.registrations.add('refer', posted(), null);

  const text = readFileSync(scene.snap.file, 'utf8');

  assert.equal(
    text,
    OF_MOTAN_GO.replace('127.0.0.1', '10.9.9.9')
      .replaceAll('28882', '9990')
      .replace('"export"', '"export"')
      .replaceAll('"nodeType"', '"filter":"accessLog","nodeType"')
      .replace(
        /"application":"app","proxyRegistry"/,
        '"application":"app","filter":"accessLog","proxyRegistry"',
      ),
  );
  assert.equal(statSync(scene.snap.file).mode & 0o777, 0o644 & ~process.umask());
  assert.deepEqual(readdirSync(dirname(scene.snap.file)), ['registry.snap']);
});

test('a file of motan-go is restored, on the export port of now', async (t) => {
  const folder = makeFolder(t);
  const file = new Scene(folder).snap.file;
  writeFileSync(file, OF_MOTAN_GO);

  const scene = await recovered(folder);

  assert.deepEqual(
    scene.services.map(({ url }) => [url.port, url.host, url.text('proxy')]),
    [[9990, '10.9.9.9', 'motan2:8100']],
  );
  assert.equal(scene.refers.length, 1);
});

for (const [what, text] of Object.entries({
  'half a file': OF_MOTAN_GO.slice(0, 200),
  'an empty file': '',
  'a list': '[]',
  'lists that are none': '{"register_nodes":{}}',
})) {
  test(`${what} is put aside, and nothing is restored`, async (t) => {
    const folder = makeFolder(t);
    const { file } = new Scene(folder).snap;
    writeFileSync(file, text);

    const scene = await recovered(folder);

    assert.deepEqual(scene.registrations.list(), []);
    assert.equal(existsSync(file), false);
    assert.equal(readFileSync(`${file}.broken`, 'utf8'), text);
  });
}

test('entries that make no sense are left out, the others are restored', async (t) => {
  const folder = makeFolder(t);
  const { file } = new Scene(folder).snap;
  const good = JSON.parse(OF_MOTAN_GO) as { register_nodes: object[]; subscribe_nodes: null };
  const [first] = good.register_nodes;
  good.register_nodes = [
    { path: 3 },
    null as never,
    { ...first, protocol: 'breeze' },
    { ...first, parameters: { registry: 'gone', proxy: 'motan2:1' } },
    { ...first, path: 'com.x.Good' },
    { ...first, path: 'com.x.Fixed' },
  ];
  good.subscribe_nodes = null;
  writeFileSync(file, JSON.stringify(good));

  const scene = await recovered(folder);

  assert.deepEqual(scene.paths, ['com.x.Good']);
  assert.ok(existsSync(file));
});

test('a lease that makes no sense restores nothing: what should end must not stay', async (t) => {
  const folder = makeFolder(t);
  const first = new Scene(folder);
  await first.registrations.open(false);
  await first.registrations.add('service', posted(), { kind: 'ttl', seconds: 10 });
  await first.registrations.close();
  const text = readFileSync(first.snap.file, 'utf8');
  writeFileSync(first.snap.file, text.replace('"kind":"ttl"', '"kind":"other"'));

  const scene = await recovered(folder);

  assert.deepEqual(scene.paths, []);
});

test('a disk that cannot be written refuses nothing, and is told', async (t) => {
  const scene = await Scene.open(t);
  mkdirSync(scene.snap.file);

  await scene.registrations.add('service', posted(), null);

  assert.equal(scene.registrations.list().length, 1);
  assert.notEqual(scene.snap.trouble, null);
  assert.deepEqual(readdirSync(dirname(scene.snap.file)), ['registry.snap']);
});
