import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { registries } from '../../../../src/control/registry/index.js';
import { nodeFilePath, serviceDirectory } from '../../../../src/control/registry/node-file.js';
import { ownIdentity } from '../../../../src/control/registry/process-identity.js';
import { MeshUrl, type Registry } from '../../../../src/core/index.js';
import { Watch } from '../../../support/registry-contract.js';
import {
  RecordingLogger,
  realClock,
  removeDirectory,
  temporaryDirectory,
} from '../../../support/registry-deps.js';

const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1');
const NODE = MeshUrl.parse('motan2://127.0.0.1:8001/com.x.Echo?group=g1&a=b');

interface Place {
  readonly root: string;
  /** The directory of REFER's service; it exists. */
  readonly service: string;
  readonly logger: RecordingLogger;
  open(): Registry;
  watch(registry: Registry, refer?: MeshUrl): Watch;
}

async function place(t: TestContext): Promise<Place> {
  const root = await temporaryDirectory();
  const service = serviceDirectory(root, REFER.group, REFER.path);
  await mkdir(service, { recursive: true });
  const logger = new RecordingLogger();
  const opened: Registry[] = [];
  t.after(async () => {
    for (const registry of opened) await registry.close();
    await removeDirectory(root);
  });
  const open = (): Registry => {
    const deps = { clock: realClock, logger, random: Math.random, defaultDirectory: root };
    const registry = registries.file.create('r1', MeshUrl.parse('file://:0/'), deps);
    opened.push(registry);
    return registry;
  };
  const watch = (registry: Registry, refer = REFER): Watch => {
    const made = new Watch();
    made.subscription = registry.subscribe(refer, made);
    return made;
  };
  return { root, service, logger, open, watch };
}

async function put(file: string, content: unknown): Promise<void> {
  await writeFile(`${file}.new`, typeof content === 'string' ? content : JSON.stringify(content));
  await rename(`${file}.new`, file);
}

test('a node is one file under group and service, with its owner', async (t) => {
  const { root, service, open } = await place(t);
  const registry = open();

  registry.announce(NODE, 'unavailable');
  await registry.settled(5000);

  const names = await readdir(service);
  assert.deepEqual(names, ['motan2~127.0.0.1~8001.json']);
  assert.equal(path.relative(root, service), path.join('g1', 'com.x.Echo'));
  const content = JSON.parse(await readFile(path.join(service, names[0]!), 'utf8'));
  assert.equal(content.url, NODE.toText());
  assert.equal(content.availability, 'unavailable');
  assert.deepEqual(content.owner, ownIdentity());
});

test('files are readable and writable by the group, directories too', async (t) => {
  const { root, open } = await place(t);
  const registry = open();
  const node = NODE.with({ group: 'new-group' });

  registry.announce(node, 'available');
  await registry.settled(5000);

  const file = nodeFilePath(root, node);
  assert.equal((await stat(file)).mode & 0o777, 0o664);
  assert.equal((await stat(path.dirname(file))).mode & 0o777, 0o775);
  assert.equal((await stat(path.dirname(path.dirname(file)))).mode & 0o777, 0o775);
});

test('names that would leave the directory stay inside it', async (t) => {
  const { root, open, watch } = await place(t);
  const registry = open();
  const node = NODE.with({ group: '../../g', path: '/etc/passwd', host: '..' });
  const seen = watch(registry, node);

  registry.announce(node, 'available');
  await seen.until(() => seen.nodes.length === 1);

  const file = nodeFilePath(root, node);
  assert.equal(
    path.relative(root, file),
    path.join('%2E.%2F..%2Fg', '%2Fetc%2Fpasswd', 'motan2~%2E.~8001.json'),
  );
  assert.equal((await stat(file)).isFile(), true);
});

test('parameters that the text form cannot carry arrive unchanged', async (t) => {
  const { open, watch } = await place(t);
  const registry = open();
  const node = NODE.withParameter('rule', 'a=1&b=2 100%25');
  const seen = watch(registry);

  registry.announce(node, 'available');
  await seen.until(() => seen.nodes.length === 1);

  assert.equal(seen.nodes[0]!.text('rule'), 'a=1&b=2 100%25');
});

test('a node written by hand without an owner is listed', async (t) => {
  const { service, open, watch } = await place(t);
  await put(path.join(service, 'by-hand.json'), { url: 'motan2://127.0.0.1:9000/com.x.Echo?group=g1' });

  const seen = watch(open());
  await seen.until(() => seen.nodes.length === 1);

  assert.deepEqual(seen.ports(), [9000]);
});

const REFUSED: readonly (readonly [claim: string, content: unknown])[] = [
  ['no JSON', '{"url": "motan2'],
  ['an empty file', ''],
  ['a list', []],
  ['null', 'null'],
  ['no url', {}],
  ['a url without host', { url: 'motan2://:0/com.x.Echo?group=g1' }],
  ['a url of another service', { url: 'motan2://127.0.0.1:1/com.x.Other?group=g1' }],
  ['a url of another group', { url: 'motan2://127.0.0.1:1/com.x.Echo?group=g2' }],
  ['an unknown availability', { url: NODE.toText(), availability: 'maybe' }],
  ['an owner that is none', { url: NODE.toText(), owner: { pid: 'x' } }],
  ['more than 64 KiB', { url: NODE.toText(), filler: 'x'.repeat(65_536) }],
];

for (const [claim, content] of REFUSED) {
  test(`a file with ${claim} is left out and named in log and report`, async (t) => {
    const { service, logger, open, watch } = await place(t);
    await put(path.join(service, 'bad.json'), content);
    await put(path.join(service, 'good.json'), { url: 'motan2://127.0.0.1:9000/com.x.Echo?group=g1' });
    const registry = open();

    const seen = watch(registry);
    await seen.until(() => seen.nodes.length > 0);

    assert.deepEqual(seen.ports(), [9000]);
    assert.match(registry.report().lastError ?? '', /bad\.json skipped: ./);
    const named = logger.lines.filter(
      ({ level, fields }) => level === 'warn' && String(fields.file).endsWith('bad.json'),
    );
    assert.equal(named.length, 1);
  });
}

test('a file that is no regular file is left out', async (t) => {
  const { service, open, watch } = await place(t);
  await mkdir(path.join(service, 'directory.json'));
  await symlink('/dev/zero', path.join(service, 'endless.json'));
  await put(path.join(service, 'good.json'), { url: 'motan2://127.0.0.1:9000/com.x.Echo?group=g1' });

  const seen = watch(open());
  await seen.until(() => seen.nodes.length > 0);

  assert.deepEqual(seen.ports(), [9000]);
});

test('a malformed file that is put right is listed, and the report is clean again', async (t) => {
  const { service, open, watch } = await place(t);
  const file = path.join(service, 'a.json');
  await put(file, 'nonsense');
  const registry = open();
  const seen = watch(registry);
  await seen.until(() => seen.answers > 0);

  await put(file, { url: 'motan2://127.0.0.1:9000/com.x.Echo?group=g1' });
  await seen.until(() => seen.nodes.length === 1);

  assert.equal(registry.report().lastError, null);
});

test('the file of a process that is gone is left out and removed', async (t) => {
  const { service, open, watch } = await place(t);
  const self = ownIdentity();
  const gone = {
    'rebooted.json': { ...self, boot: 'another-boot' },
    'reused-pid.json': { ...self, startTicks: '1' },
    'no-pid.json': { ...self, pid: 2 ** 22 + 1 },
  };
  for (const [name, owner] of Object.entries(gone))
    await put(path.join(service, name), { url: NODE.toText(), owner });

  const seen = watch(open());
  await seen.until(() => seen.answers > 0);

  assert.deepEqual(seen.nodes, []);
  assert.deepEqual(await readdir(service), []);
});

test('the file of a process that cannot be judged from here counts', async (t) => {
  const { service, open, watch } = await place(t);
  const owner = { ...ownIdentity(), pid: 2 ** 22 + 1, pidNamespace: 'pid:[1]' };
  await put(path.join(service, 'container.json'), { url: NODE.toText(), owner });

  const seen = watch(open());
  await seen.until(() => seen.answers > 0);

  assert.deepEqual(seen.ports(), [8001]);
});

test('a file that is lost is written again', async (t) => {
  const { root, open, watch } = await place(t);
  const registry = open();
  const seen = watch(registry);
  registry.announce(NODE, 'available');
  await seen.until(() => seen.nodes.length === 1);

  await rm(nodeFilePath(root, NODE));
  await seen.until(() => seen.nodes.length === 0);
  await seen.until(() => seen.nodes.length === 1);

  assert.deepEqual(seen.ports(), [8001]);
});

test('a directory that is removed with everything is made again, nodes and watch included', async (t) => {
  const { root, open, watch } = await place(t);
  const registry = open();
  const seen = watch(registry);
  registry.announce(NODE, 'available');
  await seen.until(() => seen.nodes.length === 1);

  await rm(root, { recursive: true });
  await seen.until(() => seen.nodes.length === 0);
  await seen.until(() => seen.nodes.length === 1);
  open().announce(NODE.with({ port: 8002 }), 'available');
  await seen.until(() => seen.nodes.length === 2);

  assert.deepEqual(seen.ports(), [8001, 8002]);
});

test('a directory that cannot be read is trouble, said once, and over when it can', async (t) => {
  const { service, open, watch } = await place(t);
  await rm(service, { recursive: true });
  await writeFile(service, 'in the way');
  const registry = open();
  const seen = watch(registry);
  await seen.until(() => seen.troubles.length > 0);
  const during = registry.report().lastError;

  await rm(service);
  await seen.until(() => seen.answers > 0);

  assert.notEqual(during, null);
  assert.equal(seen.troubles.length, 1);
  assert.equal(registry.report().lastError, null);
});

test('an announcement that cannot be written is reported and made good later', async (t) => {
  const { service, open } = await place(t);
  await rm(service, { recursive: true });
  await writeFile(service, 'in the way');
  const registry = open();

  registry.announce(NODE, 'available');
  const early = await registry.settled(50);
  const during = registry.report();
  await rm(service);
  const late = await registry.settled(10_000);

  assert.equal(early, false);
  assert.equal(during.announced[0]!.seen, 'absent');
  assert.match(during.lastError ?? '', /cannot be written/);
  assert.equal(late, true);
  assert.equal(registry.report().lastError, null);
});

test('what a dead writer left half written is removed, what is fresh is not', async (t) => {
  const { service, open, watch } = await place(t);
  const old = path.join(service, '.0123.tmp');
  await writeFile(old, '{');
  await utimes(old, 1, 1);
  await writeFile(path.join(service, '.4567.tmp'), '{');

  const seen = watch(open());
  await seen.until(() => seen.answers > 0);

  assert.deepEqual(await readdir(service), ['.4567.tmp']);
  assert.deepEqual(seen.nodes, []);
});

test('closing leaves the file of another owner in place', async (t) => {
  const { root, open } = await place(t);
  const registry = open();
  registry.announce(NODE, 'available');
  await registry.settled(5000);
  const file = nodeFilePath(root, NODE);
  await put(file, { url: NODE.toText() });

  await registry.close();

  assert.equal((await stat(file)).isFile(), true);
});
