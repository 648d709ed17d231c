import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { registries } from '../../../../src/control/registry/index.js';
import { MeshUrl, silentLogger } from '../../../../src/core/index.js';
import { Watch } from '../../../support/registry-contract.js';
import { realClock, removeDirectory, temporaryDirectory } from '../../../support/registry-deps.js';

const ANNOUNCER = fileURLToPath(new URL('../../../support/announcer.ts', import.meta.url));
const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1');

interface Shared {
  readonly directory: string;
  readonly watch: Watch;
  /** Starts a process that announces a node on this port, and waits until it has. */
  announcer(port: number, parameter?: string): Promise<ChildProcess>;
}

async function share(t: TestContext): Promise<Shared> {
  const directory = await temporaryDirectory();
  const deps = { clock: realClock, logger: silentLogger, random: Math.random, defaultDirectory: directory };
  const registry = registries.file.create('r1', MeshUrl.parse('file://:0/'), deps);
  const children: ChildProcess[] = [];
  t.after(async () => {
    for (const child of children) await end(child, 'SIGKILL');
    await registry.close();
    await removeDirectory(directory);
  });
  const watch = new Watch();
  watch.subscription = registry.subscribe(REFER, watch);
  const announcer = async (port: number, parameter = 'by=it'): Promise<ChildProcess> => {
    const node = `motan2://127.0.0.1:${port}/com.x.Echo?group=g1&${parameter}`;
    const child = spawn(process.execPath, ['--import', 'tsx', ANNOUNCER, directory, node], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const [line] = await once(createInterface({ input: child.stdout! }), 'line');
    assert.equal(line, 'ready');
    return child;
  };
  return { directory, watch, announcer };
}

async function end(child: ChildProcess, signal: 'SIGKILL' | null): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  if (signal === null) child.stdin!.end();
  else child.kill(signal);
  await ended;
}

test('the node of a process that is killed disappears within two seconds, the others stay', async (t) => {
  const { watch, announcer } = await share(t);
  const first = await announcer(8001);
  await announcer(8002);
  await watch.until(() => watch.nodes.length === 2);

  await end(first, 'SIGKILL');
  await watch.until(() => watch.nodes.length === 1, 2000);

  assert.deepEqual(watch.ports(), [8002]);
});

test('a process that ends well withdraws its node', async (t) => {
  const { watch, announcer } = await share(t);
  const child = await announcer(8001);
  await watch.until(() => watch.nodes.length === 1);

  await end(child, null);
  await watch.until(() => watch.nodes.length === 0);

  assert.equal(child.exitCode, 0);
});

test('a node that a second process has taken over stays when the first one ends', async (t) => {
  const { watch, announcer } = await share(t);
  const first = await announcer(8001);
  await announcer(8001);
  const marker = await announcer(8002);
  await watch.until(() => watch.nodes.length === 2);

  await end(first, null);
  await end(marker, null);
  await watch.until(() => watch.nodes.length === 1);

  assert.deepEqual(watch.ports(), [8001]);
});

test('a node comes back to the first process when the second, which had taken it over, is killed', async (t) => {
  const { watch, announcer } = await share(t);
  await announcer(8001, 'by=first');
  const second = await announcer(8001, 'by=second');
  await watch.until(() => watch.nodes[0]?.text('by') === 'second');

  await end(second, 'SIGKILL');
  await watch.until(() => watch.nodes[0]?.text('by') === 'first');

  assert.deepEqual(watch.ports(), [8001]);
});
