import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { CommandFiles } from '../../../../src/control/registry/index.js';
import { COMMAND_BYTES_MAX, type CommandScope } from '../../../../src/core/index.js';
import { until } from '../../../support/clock.js';
import { RecordingLogger, removeDirectory, temporaryDirectory } from '../../../support/registry-deps.js';

const G1: CommandScope = { kind: 'service', group: 'g1' };
const SAVED = { text: '{"clientCommandList":[]}', receivedAtMs: 77 };
const CONTENT = { registry: 'zk', scope: G1, receivedAtMs: 77, text: 'text' };

async function place(t: TestContext, retryMs?: number) {
  const root = await temporaryDirectory();
  const directory = path.join(root, 'snapshot');
  const logger = new RecordingLogger();
  const open = () => new CommandFiles({ directory, logger, ...(retryMs === undefined ? {} : { retryMs }) });
  const files = open();
  t.after(async () => {
    await files.close();
    await removeDirectory(root);
  });
  const commands = path.join(directory, '.peony', 'commands');
  const write = async (content: unknown): Promise<void> => {
    await mkdir(commands, { recursive: true });
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    await writeFile(path.join(commands, 'zk~service~g1.json'), text);
  };
  return { directory, commands, logger, open, files, write };
}

test('a later process finds what was saved', async (t) => {
  const { files, open, commands } = await place(t);
  const agents: CommandScope = { kind: 'agent', application: 'g1' };

  files.save('zk', G1, SAVED);
  files.save('zk', agents, { text: 'for agents', receivedAtMs: 78 });
  files.save('other/registry', { kind: 'service', group: '../g1' }, { text: 'escaped', receivedAtMs: 79 });
  await files.close();

  const later = open();
  assert.deepEqual(await later.load('zk', G1), SAVED);
  assert.equal((await later.load('zk', agents))?.text, 'for agents');
  assert.equal((await later.load('other/registry', { kind: 'service', group: '../g1' }))?.text, 'escaped');
  assert.equal(await later.load('zk', { kind: 'service', group: 'g2' }), null);
  assert.equal((await readdir(commands)).length, 3);
});

test('what is wished is found before it is written, and what is forgotten is gone', async (t) => {
  const { files, open } = await place(t);

  files.save('zk', G1, SAVED);
  const before = await files.load('zk', G1);
  await files.flush();
  files.save('zk', G1, null);
  const forgotten = await files.load('zk', G1);
  await files.flush();

  assert.deepEqual(before, SAVED);
  assert.equal(forgotten, null);
  assert.equal(await open().load('zk', G1), null);
});

test('names that are too long for a file are kept apart', async (t) => {
  const { files, open } = await place(t);
  const scopes = ['a', 'b'].map((end) => ({ kind: 'service', group: 'x'.repeat(300) + end }) as const);

  for (const scope of scopes) files.save('zk', scope, { text: scope.group.slice(-1), receivedAtMs: 1 });
  await files.flush();

  const texts = await Promise.all(scopes.map(async (scope) => (await open().load('zk', scope))?.text));
  assert.deepEqual(texts, ['a', 'b']);
});

test('a text of the greatest length is saved and found, whatever is in it', async (t) => {
  const { files, open } = await place(t);
  const text = '\u0001'.repeat(COMMAND_BYTES_MAX);

  files.save('zk', G1, { text, receivedAtMs: 1 });
  await files.flush();

  assert.equal((await open().load('zk', G1))?.text, text);
});

for (const [what, content] of [
  ['half a file', JSON.stringify(CONTENT).slice(0, 40)],
  ['no object', '7'],
  ['another registry', { ...CONTENT, registry: 'other' }],
  ['another group', { ...CONTENT, scope: { kind: 'service', group: 'g2' } }],
  ['another kind', { ...CONTENT, scope: { kind: 'agent', application: 'g1' } }],
  ['a text that is none', { ...CONTENT, text: 5 }],
  ['an empty text', { ...CONTENT, text: ' ' }],
  ['a text that is too long', { ...CONTENT, text: 'x'.repeat(COMMAND_BYTES_MAX + 1) }],
  ['no time', { ...CONTENT, receivedAtMs: null }],
] as const) {
  test(`a file with ${what} is refused by name`, async (t) => {
    const { files, logger, write, commands } = await place(t);
    await write(content);

    const found = await files.load('zk', G1);

    assert.equal(found, null);
    assert.equal(logger.lines.length, 1);
    assert.equal(logger.lines[0]!.fields.file, path.join(commands, 'zk~service~g1.json'));
  });
}

test('a file that is a link is refused by name, wherever it points', async (t) => {
  const { files, logger, write, commands, directory } = await place(t);
  await write(CONTENT);
  const file = path.join(commands, 'zk~service~g1.json');
  await writeFile(path.join(directory, 'elsewhere'), await readFile(file));
  await rm(file);
  await symlink(path.join(directory, 'elsewhere'), file);

  assert.equal(await files.load('zk', G1), null);
  assert.match(logger.lines[0]!.message, /symbolic link/);
});

test('a directory that cannot be written is told once, and written when it can', async (t) => {
  const { files, open, logger, directory } = await place(t, 20);
  await writeFile(directory, 'a file in the way');

  files.save('zk', G1, SAVED);
  await files.flush();
  await files.flush();
  const lines = logger.lines.length;
  assert.notEqual(files.lastError, null);
  await rm(directory);
  await until('it is written', () => files.lastError === null);

  assert.equal(lines, 1);
  assert.deepEqual(await open().load('zk', G1), SAVED);
});

test('readers never see half a file', async (t) => {
  const { files, commands } = await place(t);

  for (let count = 0; count < 20; count += 1) {
    files.save('zk', G1, { text: 'x'.repeat(count * 1_000 + 1), receivedAtMs: count });
    const writing = files.flush();
    const text = await readFile(path.join(commands, 'zk~service~g1.json'), 'utf8').catch(() => '{}');
    JSON.parse(text);
    await writing;
  }

  assert.deepEqual(await readdir(commands), ['zk~service~g1.json']);
});
