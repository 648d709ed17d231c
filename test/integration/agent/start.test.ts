/** What a start promises: order, status 503 or the recovered one, pid file, environment. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { answerOk } from '../../support/scripted-peer.js';
import {
  type AgentProcess,
  call,
  connectOutcome,
  direct,
  eventually,
  Home,
  refer,
  startUpstream,
} from './agent-process.js';
import { fullPort } from './full-port.js';

const RUNTIME = 'agent_runtime';

async function statusAfterRestart(t: TestContext, path: string, flags: string[]) {
  const home = await Home.make(t);
  const first = await home.start(t);
  await first.get(path);
  await first.kill();

  const second = await home.start(t, { flags });
  return (await second.get('/')).code;
}

test('a new agent answers 503, and each status that is set is answered and stored as it is', async (t) => {
  const home = await Home.make(t);
  const agent = await home.start(t);
  const seen: unknown[] = [await agent.get('/')];

  for (const path of ['/200', '/503']) {
    seen.push(await agent.get(path), await agent.get('/'), home.read(RUNTIME, 'status'));
  }

  assert.deepEqual(seen, [
    { code: 503, body: 'Service Unavailable' },
    { code: 200, body: 'ok.' },
    { code: 200, body: 'OK' },
    '200',
    { code: 200, body: 'ok.' },
    { code: 503, body: 'Service Unavailable' },
    '503',
  ]);
});

test('the stored status is the one in force however many set it at once', async (t) => {
  const home = await Home.make(t);
  const agent = await home.start(t);

  for (let round = 0; round < 20; round += 1) {
    const paths = Array.from({ length: 8 }, (_none, index) => (index % 2 === round % 2 ? '/200' : '/503'));
    await Promise.all(paths.map((path) => agent.get(path)));
    assert.equal(home.read(RUNTIME, 'status'), `${(await agent.get('/')).code}`);
  }
  assert.ok(!home.read('log', 'peony.log').includes('"level":"error"'));
});

test('-recover restores 200 after a kill', async (t) => {
  assert.equal(await statusAfterRestart(t, '/200', ['-recover']), 200);
});

test('-recover restores 503 after a kill', async (t) => {
  assert.equal(await statusAfterRestart(t, '/503', ['-recover']), 503);
});

test('without -recover an agent starts at 503', async (t) => {
  assert.equal(await statusAfterRestart(t, '/200', []), 503);
});

test('-recover accepts the status file that a motan-go agent left', async (t) => {
  const home = await Home.make(t);
  mkdirSync(home.path(RUNTIME));
  writeFileSync(home.path(RUNTIME, 'status'), '200');

  const agent = await home.start(t, { flags: ['-recover'] });

  assert.equal((await agent.get('/')).code, 200);
});

test('the pid file holds the pid and nothing else', async (t) => {
  const home = await Home.make(t);

  const agent = await home.start(t);

  assert.equal(home.read('agent.pid'), `${agent.pid}`);
});

/** An agent whose start waits, because connecting to its only node neither succeeds nor fails. */
async function startThatWaits(t: TestContext): Promise<[Home, AgentProcess]> {
  const home = await Home.make(t);
  const nowhere = await fullPort(t);
  const config = {
    'motan-agent': { initClusterTimeout: 60_000 },
    'motan-registry': { nowhere: { protocol: 'direct', address: `127.0.0.1:${nowhere}` } },
    'motan-refer': { hello: refer({ registry: 'nowhere', connectTimeout: 60_000 }) },
  };
  return [home, home.launch(t, { config })];
}

test('management answers while the forward port still waits for the first nodes', async (t) => {
  const [home, agent] = await startThatWaits(t);

  const answer = await eventually('management to answer', () => agent.get('/'), 10_000);

  assert.equal(answer.code, 503);
  assert.equal(await connectOutcome(home.port), 'ECONNREFUSED');
});

test('an agent that is told to stop in the middle of its start ends with 0', async (t) => {
  const [home, agent] = await startThatWaits(t);
  await eventually('management to answer', () => agent.get('/'), 10_000);

  assert.equal(await agent.stop(), 0);

  assert.equal(agent.stderr, '');
  assert.equal(await connectOutcome(home.port), 'ECONNREFUSED');
});

test('the variable mport is the management port, before the file', async (t) => {
  const home = await Home.make(t);
  const config = { 'motan-agent': { port: home.port, mport: 1 } };

  const agent = await home.start(t, { config, withoutPorts: true, env: { mport: `${home.managementPort}` } });

  assert.equal((await agent.get('/version')).code, 200);
});

test('MESH_DIRECT_RPC replaces the nodes of a registry', async (t) => {
  const home = await Home.make(t);
  const asked = await startUpstream(t, answerOk);
  const listed = await startUpstream(t, answerOk);
  const env = { MESH_DIRECT_RPC: `HelloService>127.0.0.1:${asked.port}` };

  const agent = await home.start(t, { config: direct(listed.port), env });
  await call(await agent.caller(t), 1n);

  assert.deepEqual(await agent.nodes(), [`127.0.0.1:${asked.port}`]);
  assert.equal(listed.requests.length, 0);
  assert.ok(asked.requests.some((frame) => frame.metadata.get('M_m') === 'hello'));
});
