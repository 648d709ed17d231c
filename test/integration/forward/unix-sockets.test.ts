/** The same calls over unix sockets, on either side. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../support/clock.js';
import { request } from '../../support/frames.js';
import { scene } from '../../support/plane.js';
import { answerOk, echo } from '../../support/scripted-peer.js';

function folder(t: TestContext): string {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'peony-unix-'));
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

test('calls come and go over unix sockets', async (t) => {
  const inside = folder(t);
  const made = await scene(t, { listener: { unixSock: path.join(inside, 'agent.sock') } });
  const node = path.join(inside, 'node.sock');
  const upstream = await made.upstream(echo, node);
  await made.start([{ nodes: [`unix://${node}`] }]);
  const caller = await made.caller();

  const body = Buffer.alloc(300_000, 'unix');
  caller.send(request({ id: 3n, body }), request({ id: 4n }));
  const answers = await caller.take(2);

  assert.ok(answers.find((answer) => answer.id === 3n)!.body.equals(body));
  assert.equal(answers[0]!.metadata.get('x-forwarded-for'), `[unix://${node}]:0`);
  assert.equal(upstream.requests[0]!.metadata.get('host'), '@');
  assert.equal(made.listener.address, `unix:${inside}/agent.sock`);
  assert.equal(made.plane.port('forward'), 0);
});

test('a socket that a dead agent left behind is replaced, and removed at the end', async (t) => {
  const inside = folder(t);
  const unixSock = path.join(inside, 'agent.sock');
  const made = await scene(t, { listener: { unixSock } });
  leaveSocketBehind(unixSock);
  const upstream = await made.upstream(answerOk);
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request());
  await caller.next();
  caller.close();
  await made.drain(1000);

  assert.equal(fs.existsSync(unixSock), false);
});

test('a file that is no socket is not removed: the start names it', async (t) => {
  const unixSock = path.join(folder(t), 'data');
  fs.writeFileSync(unixSock, 'precious');
  const made = await scene(t, { listener: { unixSock } });
  made.apply([]);

  await assert.rejects(made.plane.listen(), {
    code: 'E_LISTEN',
    message: `listener "forward": ${unixSock} exists and is not a socket; it is not removed`,
  });

  assert.equal(fs.readFileSync(unixSock, 'utf8'), 'precious');
  await made.drain(100);
});

test('the socket of an agent that runs is not taken from it', async (t) => {
  const unixSock = path.join(folder(t), 'agent.sock');
  const first = await scene(t, { listener: { unixSock } });
  await first.start([]);
  const second = await scene(t, { listener: { unixSock } });
  second.apply([]);

  await assert.rejects(second.plane.listen(), { code: 'E_PORT_BUSY' });

  assert.ok(fs.existsSync(unixSock));
  await second.drain(100);
});

test('a port that is taken ends the start with its name', async (t) => {
  const first = await scene(t);
  await first.start([]);
  const port = first.plane.port('forward');
  const second = await scene(t, { listener: { port } });
  second.apply([]);

  await assert.rejects(second.plane.listen(), (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'E_PORT_BUSY');
    assert.match(error.message, new RegExp(`listener "forward" cannot listen on 127.0.0.1:${port}`));
    return true;
  });
  await second.drain(100);
});

test('a unix node that restarts is found again', async (t) => {
  const node = path.join(folder(t), 'node.sock');
  const made = await scene(t);
  const upstream = await made.upstream(answerOk, node);
  await made.start([{ nodes: [`unix://${node}`] }]);
  const caller = await made.caller();

  await upstream.stop();
  await until('the node is out', () => !made.endpoints[0]!.available);
  await upstream.listen();
  await until('the node is back', () => made.endpoints[0]!.available);
  caller.send(request());

  assert.equal((await caller.next()).metadata.has('M_e'), false);
});

/** A socket file that nobody listens on: what a killed process leaves. */
function leaveSocketBehind(file: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, 'SIGKILL'))`;
  const { signal } = spawnSync(process.execPath, ['-e', script]);
  assert.equal(signal, 'SIGKILL');
  assert.ok(fs.lstatSync(file).isSocket());
}
