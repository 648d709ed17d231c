/** Stopping: what is in flight finishes, what is new is refused, and nothing waits longer than the bound. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { until, within } from '../../support/clock.js';
import { exceptionOf, type Frame, reply, request } from '../../support/frames.js';
import { type Scene, scene } from '../../support/plane.js';
import { answerOk, type PeerConnection, silent } from '../../support/scripted-peer.js';

async function connectError(port: number): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  return within(
    'the connect to fail',
    new Promise((resolve) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.on('connect', () => resolve('connected'));
    }),
  );
}

/** A caller that keeps 20 calls going as long as it is answered; a polite one stops at the first refusal. */
function keepCalling(
  made: Scene,
  caller: PeerConnection,
  isPolite = false,
): { sent: () => number; answers: Frame[] } {
  const answers: Frame[] = [];
  let sent = 0n;
  const send = (): void => {
    sent += 1n;
    caller.send(request({ id: sent }));
  };
  caller.onFrame = (frame) => {
    answers.push(frame);
    if (!isPolite || !frame.metadata.has('M_e')) send();
  };
  for (let count = 0; count < 20; count += 1) send();
  assert.ok(made.listener.in >= 0);
  return { sent: () => Number(sent), answers };
}

test('a drain without calls ends at once and closes everything', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(answerOk);
  await made.start([{ nodes: [upstream.port] }]);
  const callers = [await made.caller(), await made.caller()];
  const port = made.plane.port('forward');
  await until('both are accepted', () => made.listener.connections === 2);

  const startMs = performance.now();
  assert.equal(await made.drain(5000), 0);

  assert.ok(performance.now() - startMs < 1000);
  for (const caller of callers) await caller.over();
  assert.equal(await connectError(port), 'ECONNREFUSED');
  await until('the node is disconnected', () => upstream.openConnections.length === 0);
});

test('calls in flight are answered before their connection ends; new ones are refused', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();
  const idle = await made.caller();
  caller.send(request({ id: 1n }));
  const [frame, connection] = await upstream.expect();

  const drained = made.drain(5000);
  await idle.over();
  caller.send(request({ id: 2n }));
  const refused = await caller.next();
  assert.deepEqual([refused.id, exceptionOf(refused).errcode], [2n, 503]);
  assert.equal(await connectError(Number(made.listener.address.split(':')[1])), 'ECONNREFUSED');
  connection.send(reply(frame.id, { body: Buffer.alloc(1_000_000, 'x') }));

  const answer = await caller.next();
  assert.deepEqual([answer.id, answer.body.length], [1n, 1_000_000]);
  assert.equal(await drained, 0);
  await caller.over();
  const { in: all, ok, shed, failed } = made.listener;
  assert.deepEqual({ all, ok, shed, failed }, { all: 2, ok: 1, shed: 1, failed: 0 });
});

test('calls that are not answered within the bound are counted and given up', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(silent);
  await made.start([{ parameters: { requestTimeout: '10000' }, nodes: [upstream.port] }]);
  const caller = await made.caller();
  caller.send(request({ id: 1n }), request({ id: 2n }));
  await until('both have come', () => upstream.requests.length === 2);

  const startMs = performance.now();
  assert.equal(await made.drain(100), 2);

  assert.ok(performance.now() - startMs < 600);
  await caller.over();
  await until('the node is disconnected', () => upstream.openConnections.length === 0, 1000);
});

test('no call that was sent before the end is lost under load', async (t) => {
  for (let round = 0; round < 10; round += 1) {
    const made = await scene(t);
    const upstream = await made.upstream((frame, connection) =>
      setImmediate(() => answerOk(frame, connection)),
    );
    await made.start([{ nodes: [upstream.port] }]);
    const callers = await Promise.all(Array.from({ length: 5 }, () => made.caller()));
    const loads = callers.map((caller) => keepCalling(made, caller));
    await until('calls are going on', () => made.listener.ok > 200);

    assert.equal(await made.drain(5000), 0);
    for (const caller of callers) await caller.over();

    // Every call that the agent took was answered, and every answer arrived.
    const { in: all, ok, shed, failed } = made.listener;
    const arrived = loads.reduce((sum, load) => sum + load.answers.length, 0);
    assert.deepEqual({ arrived, failed }, { arrived: all, failed: 0 });
    assert.equal(arrived, ok + shed);
    for (const caller of callers) caller.close();
  }
});

test('a caller that stops at the first refusal loses no call at all', async (t) => {
  for (let round = 0; round < 10; round += 1) {
    const made = await scene(t);
    const upstream = await made.upstream(answerOk);
    await made.start([{ nodes: [upstream.port] }]);
    const callers = await Promise.all(Array.from({ length: 5 }, () => made.caller()));
    const loads = callers.map((caller) => keepCalling(made, caller, true));
    await until('calls are going on', () => made.listener.ok > 200);

    assert.equal(await made.drain(5000), 0);
    for (const caller of callers) await caller.over();

    for (const load of loads) assert.equal(load.answers.length, load.sent());
  }
});

test('a second listener on the port can be opened as soon as the first drains', async (t) => {
  const first = await scene(t);
  const upstream = await first.upstream();
  await first.start([{ nodes: [upstream.port] }]);
  const port = first.plane.port('forward');
  const caller = await first.caller();
  caller.send(request({ id: 1n }));
  const [frame, connection] = await upstream.expect();

  const drained = first.drain(5000);
  const second = await scene(t, { listener: { port } });
  await second.start([{ nodes: [upstream.port] }]);
  connection.send(reply(frame.id));

  assert.equal((await caller.next()).id, 1n);
  assert.equal(await drained, 0);
});
