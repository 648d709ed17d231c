/** No file descriptor left: connections that exist go on, the process does not spin, and accepting goes on later. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import net from 'node:net';
import readline from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ListenerReport } from '../../../src/core/index.js';
import { until, within } from '../../support/clock.js';
import { request } from '../../support/frames.js';
import { answerOk, connectPeer, type PeerConnection, ScriptedUpstream } from '../../support/scripted-peer.js';

interface Seen {
  readonly port: number;
  readonly cpuMs: number;
  readonly listener: ListenerReport;
}

const PROGRAM = fileURLToPath(new URL('few-descriptors.ts', import.meta.url));

/** A plane in a process with `descriptors` file descriptors; `ask` tells what it sees. */
async function startPoor(
  t: TestContext,
  descriptors: number,
  upstreamPort: number,
): Promise<() => Promise<Seen>> {
  const command = `ulimit -n ${descriptors} && exec "$0" --import tsx "$1" ${upstreamPort}`;
  const child = spawn('sh', ['-c', command, process.execPath, PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  t.after(async () => {
    child.stdin.end();
    assert.equal(await within('the end of the process', exited, 10_000), 0);
  });
  const next = async (): Promise<Seen> => {
    const { value } = await within('a line of the process', lines.next(), 20_000);
    return JSON.parse(value ?? 'null');
  };
  await next();
  return () => {
    child.stdin.write('\n');
    return next();
  };
}

async function assertServed(caller: PeerConnection, id: bigint): Promise<void> {
  caller.send(request({ id }));
  const answer = await caller.next();
  assert.equal(answer.id, id);
  assert.equal(answer.metadata.has('M_e'), false);
}

test('without descriptors the connections that exist are served and nothing spins', async (t) => {
  const upstream = await ScriptedUpstream.start(answerOk);
  t.after(() => upstream.stop());
  const ask = await startPoor(t, 100, upstream.port);
  const { port } = await ask();
  const caller = await connectPeer({ port });
  t.after(() => caller.close());
  await assertServed(caller, 1n);

  const crowd = Array.from({ length: 300 }, () => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined); // refused: that is what they are for
    return socket;
  });
  t.after(() => {
    for (const socket of crowd) socket.destroy();
  });
  await until(
    'all have been let in or turned away',
    () => crowd.every((socket) => !socket.connecting),
    10_000,
  );
  const full = await ask();
  const startMs = performance.now();
  let id = 2n;
  for (; performance.now() - startMs < 700; id += 1n) {
    await assertServed(caller, id);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const later = await ask();

  assert.ok(full.listener.connections < 100, `${full.listener.connections} connections`);
  assert.ok(later.cpuMs - full.cpuMs < 350, `${later.cpuMs - full.cpuMs} ms of CPU in 700 ms`);

  for (const socket of crowd) socket.destroy();
  const deadlineMs = performance.now() + 5000;
  while ((await ask()).listener.connections > 1)
    assert.ok(performance.now() < deadlineMs, 'the crowd is gone');
  const newcomer = await connectPeer({ port });
  t.after(() => newcomer.close());
  await assertServed(newcomer, 1n);
  await assertServed(caller, id);
});
