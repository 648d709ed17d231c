/** bin/peony as people start it: once for an answer, or as an agent that stays. Everything ends with the test file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { within } from '../support/clock.js';

export const PEONY = fileURLToPath(new URL('../../bin/peony', import.meta.url));
const RUN_MS_MAX = 20_000;

// Said once here instead of as a riddle in every test.
if (!existsSync(fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)))) {
  throw new Error('these tests start bin/peony, which is not built: npm run build');
}

const children = new Set<ChildProcess>();
/** Short, because unix sockets are made in it. */
export const folder = mkdtempSync(join(tmpdir(), 'peony-cli-'));

after(async () => {
  await Promise.all(
    [...children].map(async (child) => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }),
  );
  rmSync(folder, { recursive: true, force: true });
});

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Buffer | string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `bin/peony` to its end. */
export function peony(words: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return run(PEONY, words, options);
}

export async function run(
  command: string,
  words: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const child = launch(command, words, options.env);
  const output = collect(child);
  child.stdin!.on('error', () => undefined); // a command that reads nothing may be gone already
  child.stdin!.end(options.input ?? '');
  const [code] = (await within(`${words.join(' ')} to end`, once(child, 'close'), RUN_MS_MAX)) as [
    number | null,
  ];
  return { code, ...output };
}

export interface StartedAgent {
  /** Of the forward listener. */
  readonly port: number;
  /** Words that lead `peony status` and the like to it. */
  readonly ask: readonly string[];
  stop(): Promise<Finished>;
}

/** Starts an agent in motan-go's way, without a command, and waits for its forward port. */
export async function startAgent(name: string, port: number, sections: string): Promise<StartedAgent> {
  const config = join(folder, `${name}.yaml`);
  const socket = join(folder, `${name}.sock`);
  writeFileSync(
    config,
    `motan-agent:
  application: cli-test
  host: 127.0.0.1
  managementUnixSock: ${socket}
  runtime_dir: ${join(folder, name)}
  snapshot_dir: ${join(folder, `${name}-snapshot`)}
  pidfile: ${join(folder, `${name}.pid`)}
${sections}`,
  );
  const child = launch(PEONY, ['-c', config, '-port', `${port}`, '-log_dir', join(folder, `${name}-log`)]);
  const output = collect(child);
  await within(`${name} to start`, started(child, output), RUN_MS_MAX);
  return {
    port,
    ask: ['--unix', socket],
    async stop() {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      const [code] = (await within(`${name} to stop`, closed, RUN_MS_MAX)) as [number | null];
      return { code, ...output };
    },
  };
}

function launch(command: string, words: readonly string[], env: RunOptions['env'] = {}): ChildProcess {
  const child = spawn(command, words, { cwd: folder, env: { ...process.env, ...env } });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** What it has printed so far; grows. */
function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  return output;
}

function started(child: ChildProcess, output: { stdout: string; stderr: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout!.on('data', () => {
      if (output.stdout.includes('agent started')) resolve();
    });
    child.once('close', (code) => reject(new Error(`ended with ${code}: ${output.stderr}${output.stdout}`)));
  });
}
