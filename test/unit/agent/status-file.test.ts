import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { readPidFile, writePidFile } from '../../../src/agent/pid-file.js';
import { readStatusFile, writeStatusFile } from '../../../src/agent/status-file.js';
import { silentLogger } from '../../../src/core/index.js';

let directory: string;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'status-'));
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

test('the status file says what the status is, in three bytes', async () => {
  const runtime = path.join(directory, 'deep', 'runtime');

  await writeStatusFile(runtime, true, silentLogger);
  const up = fs.readFileSync(path.join(runtime, 'status'), 'utf8');
  await writeStatusFile(runtime, false, silentLogger);
  const down = fs.readFileSync(path.join(runtime, 'status'), 'utf8');

  assert.deepEqual([up, down], ['200', '503']);
  assert.deepEqual(fs.readdirSync(runtime), ['status']);
});

for (const [text, expected] of [
  ['200', true],
  ['200\n', true],
  ['503', false],
  ['2', false],
  ['', false],
] as const) {
  test(`a status file with ${JSON.stringify(text)} means ${expected}`, async () => {
    fs.writeFileSync(path.join(directory, 'status'), text);

    assert.equal(await readStatusFile(directory, silentLogger), expected);
  });
}

test('without a status file the agent starts at 503', async () => {
  assert.equal(await readStatusFile(directory, silentLogger), false);
});

test('a status that cannot be stored is told, not thrown', async () => {
  fs.writeFileSync(path.join(directory, 'file'), '');

  assert.equal(await writeStatusFile(path.join(directory, 'file'), true, silentLogger), false);
});

test('the pid file is decimal without a newline, and replaces an old one', async () => {
  const file = path.join(directory, 'agent.pid');
  fs.writeFileSync(file, '99999999999');

  assert.equal(await readPidFile(file, silentLogger), null);
  await writePidFile(file, 4242, silentLogger);

  assert.equal(fs.readFileSync(file, 'utf8'), '4242');
  assert.equal(await readPidFile(file, silentLogger), 4242);
});
