import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { within } from '../support/clock.js';

const DEMO = fileURLToPath(new URL('../../scripts/demo', import.meta.url));
const children = new Set<ChildProcess>();

after(() => {
  for (const child of children) child.kill('SIGTERM');
});

interface Demo {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown[]>;
  output(): string;
  /** Resolves when the output holds `text`. */
  prints(text: string): Promise<void>;
}

function startDemo(...words: string[]): Demo {
  const child = spawn(DEMO, words, { env: { ...process.env, PEONY_DEMO_SKIP_SETUP: '1' } });
  const exited = once(child, 'close');
  children.add(child);
  child.once('exit', () => children.delete(child));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const prints = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (output.includes(text)) resolve();
      };
      child.stdout.on('data', look);
      look();
    });
  return { child, exited, output: () => output, prints };
}

/** Its directory, which every process that it starts has in its command line. */
function folderOf(demo: Demo): string {
  return /(\S+peony-demo-\w+)\/motan\.yaml/.exec(demo.output())![1]!;
}

function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(commandLine)
    .filter((line) => line.includes(text));
}

/** Empty for a process that has ended meanwhile. */
function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

test('the demo holds what it promises and leaves nothing behind', async () => {
  const demo = startDemo();

  const [code] = await within('the demo to end', demo.exited, 120_000);

  assert.equal(code, 0, demo.output());
  assert.match(demo.output(), /"calls":2000,"ok":2000,"exceptions":0,"failures":0/);
  assert.equal(existsSync(folderOf(demo)), false);
  assert.deepEqual(processesWith(folderOf(demo)), []);
});

test('the demo kept running ends with 0 at Ctrl-C and leaves nothing behind', async () => {
  const demo = startDemo('--keep');
  await within('the demo to stay', demo.prints('until Ctrl-C'), 120_000);
  assert.ok(processesWith(folderOf(demo)).length >= 3);

  demo.child.kill('SIGINT');
  const [code] = await within('the demo to end', demo.exited, 60_000);

  assert.equal(code, 0, demo.output());
  assert.equal(existsSync(folderOf(demo)), false);
  assert.deepEqual(processesWith(folderOf(demo)), []);
});

test('a demo that is interrupted stops everything and does not claim success', async () => {
  const demo = startDemo();
  await within('calls to begin', demo.prints('Calls through the agent'), 60_000);

  demo.child.kill('SIGINT');
  const [code] = await within('the demo to end', demo.exited, 60_000);

  assert.equal(code, 1, demo.output());
  assert.equal(existsSync(folderOf(demo)), false);
  assert.deepEqual(processesWith(folderOf(demo)), []);
});

test('a registry that the demo does not know is refused, and nothing is started', async () => {
  const demo = startDemo('--registry', 'etcd');

  const [code] = await within('the demo to end', demo.exited, 60_000);

  assert.equal(code, 2);
  assert.match(demo.output(), /--registry etcd: expected one of file, zookeeper, consul, redis/);
});
