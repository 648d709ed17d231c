import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

interface Processes {
  start(command: string, args: string[], options: object): ChildProcess;
  stop(child: ChildProcess): Promise<void>;
  freePorts(count: number): Promise<number[]>;
  listening(port: number, child: ChildProcess, timeoutMs: number): Promise<void>;
  family(pid: number): number[];
  PortTaken: new () => Error;
}

const file: string = new URL('../../../bench/lib/processes.mjs', import.meta.url).href;
const { start, stop, freePorts, listening, family, PortTaken } = (await import(file)) as Processes;

const WAIT_MS = 20_000;

/** A Node program as a benchmark starts its programs; it is ended with the test. */
function startNode(t: TestContext, source: string): ChildProcess {
  const folder = mkdtempSync(join(tmpdir(), 'peony-processes-'));
  const options = { cpu: null, cwd: folder, logFile: join(folder, 'output') };
  const child = start(process.execPath, ['-e', source], options);
  t.after(async () => {
    await stop(child);
    rmSync(folder, { recursive: true, force: true });
  });
  return child;
}

async function listenHere(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

test('free ports of one call differ', async () => {
  const ports = await freePorts(50);

  assert.equal(new Set(ports).size, 50);
});

test('a program listens when its own socket does', async (t) => {
  const [port = 0] = await freePorts(1);
  const child = startNode(t, `require('node:net').createServer().listen(${port}, '127.0.0.1')`);

  await listening(port, child, WAIT_MS);
});

test('the listener of another program is not taken for that of the program that is awaited', async (t) => {
  const port = await listenHere(t);
  const child = startNode(t, 'setInterval(() => {}, 1000)');

  await assert.rejects(listening(port, child, WAIT_MS), PortTaken);
});

test('a program that ends as its port is in use is told from one that ends for another reason', async (t) => {
  const [port = 0] = await freePorts(1);
  const collided = startNode(
    t,
    "console.error('listen EADDRINUSE: address already in use'); process.exit(1)",
  );
  const broken = startNode(t, "console.error('no such option'); process.exit(1)");

  await assert.rejects(listening(port, collided, WAIT_MS), PortTaken);
  await assert.rejects(listening(port, broken, WAIT_MS), (error: Error) => {
    assert.notEqual(error.constructor, PortTaken);
    assert.match(error.message, /no such option/);
    return true;
  });
});

test('the family of a process has its children', async (t) => {
  const [port = 0] = await freePorts(1);
  const source = `
    const worker = require('node:child_process').spawn('sleep', ['60']);
    process.on('SIGTERM', () => { worker.kill(); process.exit(); });
    worker.on('spawn', () => require('node:net').createServer().listen(${port}, '127.0.0.1'));`;
  const parent = startNode(t, source);
  await listening(port, parent, WAIT_MS);

  const pids = family(parent.pid ?? 0);

  assert.equal(pids.length, 2);
  assert.equal(pids[0], parent.pid);
});
