import assert from 'node:assert/strict';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { commandFile, FileCommandWatch } from '../../../../src/control/registry/file-command.js';
import { COMMAND_BYTES_MAX } from '../../../../src/core/index.js';
import { CommandWatch } from '../../../support/registry-contract.js';
import { realClock, removeDirectory, temporaryDirectory } from '../../../support/registry-deps.js';

async function place(t: TestContext) {
  const directory = await temporaryDirectory();
  t.after(() => removeDirectory(directory));
  const file = commandFile(directory, { kind: 'service', group: 'g1' });
  await mkdir(path.dirname(file), { recursive: true });
  const watch = new FileCommandWatch(file, realClock);
  const listener = new CommandWatch();
  watch.add(listener);
  return { file, watch, listener };
}

test('names make no way out of the directory, and agents have one of their own', () => {
  assert.equal(commandFile('/r', { kind: 'service', group: '../g' }), '/r/.command/service/%2E.%2Fg.json');
  assert.equal(commandFile('/r', { kind: 'agent', application: 'shop' }), '/r/.command/agent/shop.json');
});

test('a file is followed that is written, edited in place at once, replaced and removed', async (t) => {
  const { file, watch, listener } = await place(t);

  await watch.look();
  await writeFile(file, 'aaa');
  await watch.look();
  await writeFile(file, 'bbb');
  await watch.look();
  await writeFile(`${file}.new`, 'ccc');
  await rename(`${file}.new`, file);
  await watch.look();
  await rm(file);
  await watch.look();

  assert.deepEqual(listener.texts, [null, 'aaa', 'bbb', 'ccc', null]);
});

test('what is no file, or too long, is told once, takes nothing away, and is over with the next good look', async (t) => {
  const { file, watch, listener } = await place(t);
  await writeFile(file, 'text');
  await watch.look();

  await writeFile(file, 'x'.repeat(COMMAND_BYTES_MAX + 1));
  await watch.look();
  await watch.look();
  const problem = watch.problem;
  await writeFile(file, 'text');
  await watch.look();

  assert.equal(listener.troubles.length, 1);
  assert.match(problem!, /g1\.json cannot be read: over 1048576 bytes/);
  assert.equal(watch.problem, null);
  assert.deepEqual(listener.texts, ['text']);
});

test('who comes later is told what is known, and who has gone is not', async (t) => {
  const { file, watch, listener } = await place(t);
  await writeFile(file, 'text');
  await watch.look();
  const late = new CommandWatch();

  watch.add(late);
  await late.untilText('text');
  watch.remove(listener);
  await writeFile(file, 'other text');
  await watch.look();

  assert.deepEqual(late.texts, ['text', 'other text']);
  assert.deepEqual(listener.texts, ['text']);
  assert.equal(watch.listenerCount, 1);
});
