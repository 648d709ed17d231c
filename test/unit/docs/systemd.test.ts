import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { EXIT_CONFIG } from '../../../src/agent/index.js';
import { parseGoFlags } from '../../../src/control/config/index.js';
import { REPOSITORY } from './pages.js';

const INSTALLED = '/opt/peony/';
const TEXT = fs.readFileSync(path.join(REPOSITORY, 'conf/systemd/peony.service'), 'utf8');
const WORDS = value('ExecStart').split(' ');

test('the unit starts a program of the repository with flags that the agent takes', () => {
  const [program, command, ...flags] = WORDS as [string, string, ...string[]];
  const parsed = parseGoFlags(flags);

  assert.ok(fs.existsSync(installed(program)), program);
  assert.equal(command, 'run');
  assert.equal(parsed.exit, null);
  assert.deepEqual(parsed.rest, []);
});

test('the unit names no file of the repository that is not there', () => {
  const named = [...TEXT.matchAll(/\/opt\/peony\/([\w./-]+)/g)].map(([, file]) => file!);
  const copied = [...TEXT.matchAll(/ (conf\/[\w./-]+)/g)].map(([, file]) => file!);

  assert.ok(named.length > 0 && copied.length > 0);
  for (const file of [...named, ...copied]) assert.ok(fs.existsSync(path.join(REPOSITORY, file)), file);
});

test('the agent may write where the unit makes it start and puts its pid file', () => {
  const { flags } = parseGoFlags(WORDS.slice(2));

  assert.equal(value('WorkingDirectory'), `/var/lib/${value('StateDirectory')}`);
  assert.equal(path.dirname(flags.pidfile), `/run/${value('RuntimeDirectory')}`);
});

test('the unit waits longer for a stop than draining may take', () => {
  assert.equal(value('KillSignal'), 'SIGTERM');
  // Registries 2 s, calls 15 s, each log 1 s.
  assert.ok(Number(value('TimeoutStopSec')) >= 2 + 15 + 2 + 5);
});

test('the unit restarts the agent, but not with a configuration that cannot be read', () => {
  assert.equal(value('Restart'), 'always');
  assert.equal(Number(value('RestartPreventExitStatus')), EXIT_CONFIG);
});

/** The one value of a setting. */
function value(name: string): string {
  const found = [...TEXT.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))];
  assert.equal(found.length, 1, `${name} stands ${found.length} times in the unit`);
  return found[0]![1]!;
}

function installed(file: string): string {
  assert.ok(file.startsWith(INSTALLED), file);
  return path.join(REPOSITORY, file.slice(INSTALLED.length));
}
