import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { SnapshotFiles } from '../../../../src/control/registry/index.js';
import { MeshUrl } from '../../../../src/core/index.js';
import {
  RecordingLogger,
  realClock,
  removeDirectory,
  temporaryDirectory,
} from '../../../support/registry-deps.js';

const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1&requestTimeout=5');
const NODE = MeshUrl.parse('motan2://10.0.0.5:9982/com.x.Echo?group=g1&weight=3');
const OWN = '.peony/g1~com.x.Echo.json';
const PREVIOUS = '.peony/g1~com.x.Echo.previous.json';
const PEERS = 'g1_com.x.Echo';
const OWN_CONTENT = { group: 'g1', path: 'com.x.Echo', savedAtMs: 5, nodes: [NODE.toText()] };

interface Place {
  readonly directory: string;
  readonly logger: RecordingLogger;
  readonly snapshots: SnapshotFiles;
  read(name: string): Promise<string>;
  write(name: string, content: unknown): Promise<void>;
}

async function place(t: TestContext): Promise<Place> {
  const root = await temporaryDirectory();
  const directory = path.join(root, 'made', 'snapshot');
  const logger = new RecordingLogger();
  const snapshots = new SnapshotFiles({ directory, clock: realClock, logger });
  t.after(async () => {
    await snapshots.close();
    await removeDirectory(root);
  });
  return {
    directory,
    logger,
    snapshots,
    read: (name) => readFile(path.join(directory, name), 'utf8'),
    write: async (name, content) => {
      const file = path.join(directory, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
    },
  };
}

test('a snapshot has the bytes that the peers write', async (t) => {
  const { snapshots, read } = await place(t);

  snapshots.save('g1', 'com.x.Echo', [NODE, NODE.with({ port: 9983 })]);
  await snapshots.flush();

  assert.equal(
    await read(PEERS),
    '{"group":"g1","path":"com.x.Echo","nodes":[{"extInfo":"","address":"10.0.0.5:9982"},{"extInfo":"","address":"10.0.0.5:9983"}]}',
  );
});

test('a client that splits addresses at the colon finds no unix socket and no double', async (t) => {
  const { snapshots, read } = await place(t);

  snapshots.save('g1', 'com.x.Echo', [
    NODE,
    NODE.with({ protocol: 'motan' }),
    NODE.with({ host: 'unix:///s', port: 0 }),
  ]);
  await snapshots.flush();

  assert.deepEqual(JSON.parse(await read(PEERS)).nodes, [{ extInfo: '', address: '10.0.0.5:9982' }]);
});

test('what was saved is loaded again with every parameter', async (t) => {
  const { snapshots } = await place(t);
  const nodes = [NODE, NODE.with({ port: 9983 }).withParameter('odd', 'a&b=c')];

  snapshots.save('g1', 'com.x.Echo', nodes);
  await snapshots.flush();
  const snapshot = await snapshots.load(REFER);

  assert.deepEqual(snapshot!.nodes, nodes);
  assert.ok(Date.now() - snapshot!.savedAtMs < 60_000);
});

test('closing writes what is left', async (t) => {
  const { snapshots, read } = await place(t);

  snapshots.save('g1', 'com.x.Echo', [NODE]);
  await snapshots.close();

  assert.equal(JSON.parse(await read(OWN)).nodes.length, 1);
});

test('the last of several wishes is written, without left-over files', async (t) => {
  const { directory, snapshots, read } = await place(t);

  snapshots.save('g1', 'com.x.Echo', [NODE]);
  snapshots.save('g1', 'com.x.Echo', [NODE.with({ port: 1 })]);
  await snapshots.flush();

  assert.deepEqual(JSON.parse(await read(PEERS)).nodes, [{ extInfo: '', address: '10.0.0.5:1' }]);
  assert.deepEqual((await readdir(directory)).sort(), ['.peony', PEERS]);
  assert.deepEqual(await readdir(path.join(directory, '.peony')), ['g1~com.x.Echo.json']);
});

test('changes are written on their own, at most once a period', async (t) => {
  const { directory } = await place(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, wallMs: () => nowMs };
  const snapshots = new SnapshotFiles({
    directory,
    clock,
    logger: new RecordingLogger(),
    writeEveryMs: 10_000,
  });
  const advance = async (byMs: number): Promise<number> => {
    nowMs += byMs;
    t.mock.timers.tick(byMs);
    await snapshots.flushed();
    const snapshot = await snapshots.load(REFER);
    return snapshot?.nodes[0]?.port ?? 0;
  };

  snapshots.save('g1', 'com.x.Echo', [NODE.with({ port: 1 })]);
  const first = await advance(200);
  snapshots.save('g1', 'com.x.Echo', [NODE.with({ port: 2 })]);
  const soon = await advance(9000);
  const later = await advance(1000);

  assert.deepEqual([first, soon, later], [1, 1, 2]);
});

test('an unchanged snapshot is not written again', async (t) => {
  const { directory, snapshots } = await place(t);
  snapshots.save('g1', 'com.x.Echo', [NODE]);
  await snapshots.flush();
  const before = await stat(path.join(directory, OWN));

  snapshots.save('g1', 'com.x.Echo', [NODE]);
  await snapshots.flush();

  assert.equal((await stat(path.join(directory, OWN))).ino, before.ino);
});

test('the generation before is kept', async (t) => {
  const { snapshots, read } = await place(t);
  snapshots.save('g1', 'com.x.Echo', [NODE]);
  await snapshots.flush();

  snapshots.save('g1', 'com.x.Echo', [NODE.with({ port: 1 })]);
  await snapshots.flush();

  assert.deepEqual(JSON.parse(await read(PREVIOUS)).nodes, [NODE.toText()]);
});

const REFUSED: readonly (readonly [claim: string, content: unknown])[] = [
  ['torn', '{"group":"g1","path":"com.x.Ec'],
  ['empty', ''],
  ['about another service', { ...OWN_CONTENT, path: 'com.x.Other' }],
  ['about another group', { ...OWN_CONTENT, group: 'g2' }],
  ['without a time', { ...OWN_CONTENT, savedAtMs: 'yesterday' }],
  ['without nodes', { ...OWN_CONTENT, nodes: [] }],
  ['with nodes that are no urls', { ...OWN_CONTENT, nodes: ['10.0.0.5:9982'] }],
  ['with nodes of another service', { ...OWN_CONTENT, nodes: [NODE.with({ path: 'com.x.Other' }).toText()] }],
  ['with nodes without a port', { ...OWN_CONTENT, nodes: [NODE.with({ port: 0 }).toText()] }],
  ['with nodes without a host', { ...OWN_CONTENT, nodes: [NODE.with({ host: '' }).toText()] }],
  ['with a group that is no text', { ...OWN_CONTENT, group: ['g1'] }],
  ['a list', [OWN_CONTENT]],
  ['with nodes that are no list', { ...OWN_CONTENT, nodes: {} }],
  ['null', 'null'],
];

for (const [claim, content] of REFUSED) {
  test(`a snapshot that is ${claim} is refused by name, and the generation before is taken`, async (t) => {
    const { directory, logger, snapshots, write } = await place(t);
    await write(OWN, content);
    await write(PREVIOUS, OWN_CONTENT);

    const snapshot = await snapshots.load(REFER);

    assert.equal(snapshot!.file, path.join(directory, PREVIOUS));
    assert.deepEqual(
      logger.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields.file),
      [path.join(directory, OWN)],
    );
  });
}

const UNREADABLE: readonly (readonly [claim: string, spoil: (file: string) => Promise<void>])[] = [
  [
    'a symbolic link',
    async (file) => {
      await rename(file, `${file}.elsewhere`);
      await symlink(`${file}.elsewhere`, file);
    },
  ],
  ['over the bound', (file) => truncate(file, 9 * 1024 * 1024)],
  [
    'a directory',
    async (file) => {
      await rename(file, `${file}.elsewhere`);
      await mkdir(file);
    },
  ],
];

for (const [claim, spoil] of UNREADABLE) {
  test(`a snapshot that is ${claim} is refused by name, and the generation before is taken`, async (t) => {
    const { directory, logger, snapshots, write } = await place(t);
    await write(OWN, OWN_CONTENT);
    await write(PREVIOUS, OWN_CONTENT);
    await spoil(path.join(directory, OWN));

    const snapshot = await snapshots.load(REFER);

    assert.equal(snapshot!.file, path.join(directory, PREVIOUS));
    assert.deepEqual(
      logger.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields.file),
      [path.join(directory, OWN)],
    );
  });
}

test('a place of snapshots that cannot be entered is told, and stops nothing', async (t) => {
  const { logger, snapshots, write } = await place(t);
  await write('.peony', 'a file');

  assert.equal(await snapshots.load(REFER), null);

  assert.ok(logger.lines.some(({ level }) => level === 'warn'));
});

test('a snapshot of a peer is taken when there is none of ours', async (t) => {
  const { snapshots, write } = await place(t);
  await write(PEERS, { group: 'g1', path: 'com.x.Echo', nodes: [{ extInfo: '', address: '10.0.0.5:9982' }] });

  const snapshot = await snapshots.load(REFER);

  assert.deepEqual(snapshot!.nodes, [REFER.with({ host: '10.0.0.5', port: 9982 })]);
});

for (const nodes of [[], [{ address: 'nonsense' }], [{}], 'x']) {
  test(`a snapshot of a peer with nodes ${JSON.stringify(nodes)} is refused`, async (t) => {
    const { snapshots, write } = await place(t);
    await write(PEERS, { group: 'g1', path: 'com.x.Echo', nodes });

    assert.equal(await snapshots.load(REFER), null);
  });
}

test('there is no snapshot where none was written', async (t) => {
  const { logger, snapshots } = await place(t);

  assert.equal(await snapshots.load(REFER), null);
  assert.deepEqual(logger.lines, []);
});

test('names from configuration do not leave the directory', async (t) => {
  const { directory, logger, snapshots } = await place(t);
  const refer = REFER.with({ group: '..', path: '../../evil' });
  const node = NODE.with({ group: refer.group, path: refer.path });

  snapshots.save(refer.group, refer.path, [node]);
  await snapshots.flush();

  assert.deepEqual((await snapshots.load(refer))!.nodes, [node]);
  assert.deepEqual(await readdir(directory), ['.peony']);
  assert.deepEqual(await readdir(path.join(directory, '.peony')), ['%2E.~%2E.%2F..%2Fevil.json']);
  assert.match(logger.lines[0]!.message, /no snapshot for peers/);
});

test('services with names of any length have snapshots of their own', async (t) => {
  const { snapshots } = await place(t);
  const paths = ['a', 'b'].map((end) => `com.${'x'.repeat(300)}.${end}`);

  paths.forEach((name, index) => {
    snapshots.save('g1', name, [NODE.with({ path: name, port: index + 1 })]);
  });
  await snapshots.flush();
  const loaded = await Promise.all(paths.map((name) => snapshots.load(REFER.with({ path: name }))));

  assert.deepEqual(
    loaded.map((snapshot) => snapshot!.nodes[0]!.port),
    [1, 2],
  );
});

test('a directory that cannot be written is reported, and made good by the next round', async (t) => {
  const { directory, snapshots } = await place(t);
  await mkdir(path.dirname(directory), { recursive: true });
  await writeFile(directory, 'in the way');
  snapshots.save('g1', 'com.x.Echo', [NODE]);
  await snapshots.flush();
  const during = snapshots.lastError;

  await removeDirectory(directory);
  await snapshots.flush();

  assert.match(during ?? '', /snapshot of com\.x\.Echo in g1/);
  assert.equal(snapshots.lastError, null);
  assert.deepEqual((await snapshots.load(REFER))!.nodes, [NODE]);
});
