import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const RUNNER = fileURLToPath(new URL('../../../scripts/run-tests.mjs', import.meta.url));
const HEAD = "import { test } from 'node:test';\n";

test('counts nested tests and ends with the totals alone', (t) => {
  const files = { 'unit/a.test.ts': `${HEAD}test('a', async (t) => { await t.test('b', () => {}); });` };

  const run = runTests(t, files, ['unit']);

  assert.equal(run.lastLine, '2 passed, 0 failed, 0 skipped');
  assert.equal(run.status, 0);
});

test('adds up the layers', (t) => {
  const files = {
    'unit/a.test.ts': `${HEAD}test('a', () => {});`,
    'golden/b.test.ts': `${HEAD}test('b', () => {}); test('c', () => { throw new Error('no good'); });`,
  };

  const run = runTests(t, files, ['unit', 'golden']);

  assert.equal(run.lastLine, '2 passed, 1 failed, 0 skipped');
  assert.match(run.text, /no good/);
  assert.equal(run.status, 1);
});

test('counts a file that does not load as a failure', (t) => {
  const run = runTests(t, { 'unit/a.test.ts': "import './missing.js';" }, ['unit']);

  assert.equal(run.lastLine, '0 passed, 1 failed, 0 skipped');
});

test('counts a file that ends the process with an error as a failure although its tests passed', (t) => {
  const body = `${HEAD}test('a', () => {}); process.on('exit', () => { process.exitCode = 3; });`;

  const run = runTests(t, { 'unit/a.test.ts': body }, ['unit']);

  assert.equal(run.lastLine, '1 passed, 1 failed, 0 skipped');
  assert.match(run.text, /ended with code 3/);
});

test('ends a file that outlives its time and names what was unfinished', (t) => {
  const body = `${HEAD}test('waits for ever', () => new Promise(() => { setInterval(() => {}, 1000); }));`;

  const run = runTests(t, { 'unit/a.test.ts': body }, ['unit', '--timeout-seconds', '3']);

  assert.equal(run.lastLine, '0 passed, 1 failed, 0 skipped');
  assert.match(run.text, /waits for ever/);
});

test('counts a file without tests and a layer without files as failures', (t) => {
  const run = runTests(t, { 'unit/a.test.ts': 'export {};' }, ['unit', 'golden']);

  assert.equal(run.lastLine, '0 passed, 2 failed, 0 skipped');
});

test('lists skips with their reason', (t) => {
  const body = `${HEAD}test('a', { skip: 'no such peer' }, () => {});`;

  const run = runTests(t, { 'unit/a.test.ts': body }, ['unit']);

  assert.equal(run.lastLine, '0 passed, 0 failed, 1 skipped');
  assert.match(run.text, /SKIPPED[\s\S]*no such peer/);
});

test('takes a skip in interop for a failure where CI is set', (t) => {
  const body = `${HEAD}test('a', (t) => { t.skip('no such peer'); });`;

  const run = runTests(t, { 'interop/a.test.ts': body }, ['interop'], 'true');

  assert.equal(run.lastLine, '0 passed, 1 failed, 0 skipped');
});

test('counts steps that failed before it', (t) => {
  const files = { 'unit/a.test.ts': `${HEAD}test('a', () => {});` };

  const run = runTests(t, files, ['unit', '--failed-step', 'types']);

  assert.equal(run.lastLine, '1 passed, 1 failed, 0 skipped');
});

function runTests(t: TestContext, files: Record<string, string>, args: string[], ci = '') {
  const folder = mkdtempSync(join(tmpdir(), 'peony-run-tests-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const env = { ...process.env, CI: ci };
  const run = spawnSync(process.execPath, [RUNNER, ...args, '--tests', folder], { encoding: 'utf8', env });
  const lines = run.stdout.trimEnd().split('\n');
  return { text: run.stdout, lastLine: lines.at(-1), status: run.status };
}
