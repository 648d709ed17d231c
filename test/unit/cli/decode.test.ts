import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Command } from 'commander';
import { addDecodeCommand } from '../../../src/cli/decode.js';

const HEX = 'F1F1 00 08 30 0000000000000001 0000000B 4D5F700A610A4D5F6D0A62 00000007 01 00000002 6869';
const RAW = Buffer.from(HEX.replaceAll(' ', ''), 'hex');
const FOLDER = mkdtempSync(join(tmpdir(), 'peony-decode-'));
after(() => rmSync(FOLDER, { recursive: true }));

interface Outcome {
  readonly lines: readonly Record<string, unknown>[];
  readonly errors: readonly string[];
  readonly code: number;
}

async function run(args: readonly string[], stdin: readonly (Buffer | string)[] = []): Promise<Outcome> {
  const lines: Record<string, unknown>[] = [];
  const errors: string[] = [];
  let code = -1;
  const program = new Command().exitOverride();
  addDecodeCommand(program, {
    stdin: (async function* () {
      yield* stdin;
    })(),
    write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
    writeError: (line) => errors.push(line),
    setExitCode: (chosen) => {
      code = chosen;
    },
  });
  await program.parseAsync(['decode', ...args], { from: 'user' });
  return { lines, errors, code };
}

function file(name: string, content: Buffer | string): string {
  const path = join(FOLDER, name);
  writeFileSync(path, content);
  return path;
}

test('hex in the argument becomes one JSON line a frame and exit code 0', async () => {
  const { lines, code } = await run([`${HEX} ${HEX}`]);

  assert.deepEqual(
    lines.map(({ body }) => body),
    [['hi'], ['hi']],
  );
  assert.equal(code, 0);
});

test('standard input is raw or hex by its looks, in pieces', async () => {
  const raw = await run([], [RAW.subarray(0, 5), RAW.subarray(5)]);
  const hex = await run(['-'], ['f1:f1,00 0x08\n', HEX.slice(10)]);

  assert.deepEqual(raw.lines, hex.lines);
  assert.equal(raw.lines[0]!.kind, 'request');
});

test('a file is raw or hex by its looks', async () => {
  const raw = await run(['--file', file('frame.bin', RAW)]);
  const hex = await run(['--file', file('frame.hex', `${HEX}\n`)]);

  assert.deepEqual(raw.lines, hex.lines);
  assert.equal(raw.code, 0);
});

test('--raw and --hex say what the input is', async () => {
  const raw = await run(['--raw', '--file', file('digits', 'f1f1')]);
  const hex = await run(['--hex', '--file', file('text', 'hello')]);

  assert.deepEqual(raw.lines, [{ error: 'not a Motan frame', offset: 0 }]);
  assert.deepEqual(hex.lines, []);
  assert.deepEqual(hex.errors, ['peony decode: not hex: "h" after 0 digits']);
});

test('bytes that stop making sense end in an error line with their offset and exit code 2', async () => {
  const { lines, code } = await run([`${HEX} 00`]);

  assert.equal(lines.length, 2);
  assert.deepEqual(lines[1], { error: 'not a Motan frame', offset: 39 });
  assert.equal(code, 2);
});

test('an input that cannot be read says why with exit code 2', async () => {
  const missing = await run(['--file', join(FOLDER, 'missing')]);
  const odd = await run(['f1f']);
  const both = await run(['--hex', '--raw', 'f1']);

  assert.match(missing.errors[0]!, /ENOENT/);
  assert.deepEqual(odd.errors, ['peony decode: hex of 3 digits ends within a byte']);
  assert.deepEqual(both.errors, ['peony decode: --hex and --raw exclude each other']);
  assert.deepEqual([missing.code, odd.code, both.code], [2, 2, 2]);
});

test('the help has examples and names the exit codes', () => {
  const program = new Command();
  addDecodeCommand(program);
  const texts: string[] = [];
  const command = program.commands[0]!.configureOutput({ writeOut: (text) => texts.push(text) });

  command.outputHelp();

  assert.match(texts.join(''), /Examples:[\s\S]*peony decode/);
  assert.match(texts.join(''), /Exit code: 0, or 2/);
});
