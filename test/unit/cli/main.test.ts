import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRun, main } from '../../../src/cli/main.js';
import { RecordingIo } from './recording-io.js';

const COMMANDS = [
  'check',
  'config',
  'state',
  'status',
  'services',
  'registry',
  'commands',
  'bridge',
  'call',
  'decode',
  'version',
];

async function peony(...argv: string[]): Promise<RecordingIo> {
  const io = new RecordingIo();
  await main(argv, 'peony', io);
  return io;
}

test('without a command, and with flags first, the agent runs as motan-go does', () => {
  assert.equal(isRun([]), true);
  assert.equal(isRun(['-c', 'motan.yaml', '-port', '9981']), true);
  assert.equal(isRun(['--log_dir=x']), true);
  assert.equal(isRun(['-help']), true);
});

test('a command, and the usual questions, are not taken for flags of the agent', () => {
  assert.equal(isRun(['status']), false);
  assert.equal(isRun(['-h']), false);
  assert.equal(isRun(['--help']), false);
  assert.equal(isRun(['--version']), false);
});

test('help names every command and ends with 0', async () => {
  const io = await peony('--help');

  assert.equal(io.exitCode, 0);
  for (const command of ['run', ...COMMANDS]) assert.match(io.stdout, new RegExp(`^  ${command} `, 'm'));
});

for (const command of COMMANDS) {
  test(`the help of ${command} has examples and --json`, async () => {
    const io = await peony(command, '--help');

    assert.equal(io.exitCode, 0);
    assert.match(io.stdout, new RegExp(`Examples:\n(?:.*\n)*.*peony ${command}`));
    assert.match(io.stdout, /--json/);
  });
}

for (const words of [
  ['run', '--help'],
  ['run', '-h'],
  ['help', 'run'],
]) {
  test(`"peony ${words.join(' ')}" explains the flags in Go's spelling`, async () => {
    const io = await peony(...words);

    assert.equal(io.exitCode, 0);
    for (const flag of ['-c string', '-port int', '-log_dir string', '-recover'])
      assert.ok(io.stdout.includes(`\n  ${flag}\n`));
    assert.match(io.stdout, /Examples:/);
  });
}

test('a flag that does not exist gives the usage and exit code 2, with and without the word run', async () => {
  for (const words of [
    ['run', '-prot', '1'],
    ['-prot', '1'],
  ]) {
    const io = await peony(...words);

    assert.equal(io.exitCode, 2);
    assert.match(io.stderr, /^flag provided but not defined: -prot .*-port/);
    assert.equal(io.stdout, '');
  }
});

test('an unknown command is named with the one that was probably meant', async () => {
  const io = await peony('statsu');

  assert.equal(io.exitCode, 2);
  assert.match(io.stderr, /unknown command 'statsu'\n\(Did you mean status\?\)/);
});

test('an option that a command does not have ends with 2', async () => {
  const io = await peony('version', '--colour');

  assert.equal(io.exitCode, 2);
  assert.match(io.stderr, /unknown option '--colour'/);
});
