/** What is registered outlives its agent with `-recover`, and ends with its lease. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';
import { atEnd, call, eventually, Home, SERVICE } from '../agent/agent-process.js';
import { ask, listed, post, send, startScene, startUpstream, urlOf } from './scene.js';

test('registrations are there again after a kill -9, available and called; only with -recover', async (t) => {
  const { home, agent, config, exportPort } = await startScene(t);
  const backend = await startUpstream(t);
  await agent.get('/200');
  await post(agent, '/registry/register', urlOf(backend.port));
  await post(agent, '/registry/register', urlOf(backend.port, { ttl: '2' }, 'com.weibo.Short'));
  await post(agent, '/registry/subscribe', urlOf(0));
  await agent.kill();
  const saved = JSON.parse(home.read('agent_runtime', 'registry.snap')) as Record<string, unknown[]>;
  const without = await home.start(t, { config });
  assert.deepEqual(await listed(without), []);
  await without.kill();

  const again = await home.start(t, { config, flags: ['-recover'] });
  const peer = await again.caller(t);
  // Its own node is announced once the agent listens, and found a moment later.
  let id = 0n;
  await eventually(
    'a call that is answered',
    async () => {
      id += 1n;
      return ((await call(peer, id)).versionStatus & 7) === 0;
    },
    15_000,
  );
  const services = await listed(again);

  assert.deepEqual([saved.register_nodes!.length, saved.subscribe_nodes!.length], [2, 1]);
  const [first] = saved.register_nodes as { port: number; parameters: Record<string, string> }[];
  assert.deepEqual([first!.port, first!.parameters.proxy], [exportPort, `motan2:${backend.port}`]);
  assert.ok(services.some((one) => one.service === SERVICE && one.registries[0]!.desired === 'available'));
  await eventually(
    'the short one to end',
    async () => (await listed(again)).every((one) => one.service === SERVICE),
    15_000,
  );
});

test('a broken registry.snap is put aside by name, and an odd entry does not stop the others', async (t) => {
  const { home, agent, config } = await startScene(t);
  const backend = await startUpstream(t);
  await post(agent, '/registry/register', urlOf(backend.port));
  await agent.kill();
  const file = home.path('agent_runtime', 'registry.snap');
  const saved = JSON.parse(readFileSync(file, 'utf8')) as { register_nodes: unknown[] };
  saved.register_nodes.unshift({ path: 7 }, { protocol: 'breeze', path: 'x', group: 'g' });
  writeFileSync(file, JSON.stringify(saved));

  const again = await home.start(t, { config, flags: ['-recover'] });
  const restored = await listed(again);
  await again.kill();
  writeFileSync(file, '{"register_nodes":[{');
  const broken = await home.start(t, { config, flags: ['-recover'] });

  assert.deepEqual(
    restored.map((one) => one.service),
    [SERVICE],
  );
  assert.deepEqual(await listed(broken), []);
  assert.ok(!existsSync(file) && existsSync(`${file}.broken`));
});

test('a registration ends with its ttl, its process or its connection, and stays while they do', async (t) => {
  const home = await Home.make(t);
  const socketPath = home.path('m.sock');
  const backend = await startUpstream(t);
  const agent = home.launch(t, {
    config: {
      'motan-agent': { eport: 0, managementUnixSock: 'm.sock' },
      'motan-registry': { shared: { protocol: 'file', path: home.path('registry') } },
    },
  });
  await agent.started();
  const program = spawn('sleep', ['600']);
  atEnd(t, () => program.kill('SIGKILL'));
  const held = new http.Agent({ keepAlive: true, maxSockets: 1 });
  atEnd(t, () => held.destroy());
  const where = { socketPath };
  const add = (path: string, lease: object, options: http.RequestOptions = where) =>
    send(options, 'POST', '/v1/registrations?wait=10000', {
      kind: 'service',
      url: urlOf(backend.port, {}, path),
      lease,
    });
  const there = async (): Promise<string[]> => {
    const { registrations } = (await send(where, 'GET', '/v1/registrations')).json;
    return (registrations as { service: string }[]).map((one) => one.service).sort();
  };

  const made = [
    await add('com.weibo.Ttl', { ttlSeconds: 600 }),
    await add('com.weibo.Process', { pid: program.pid! }),
    await add('com.weibo.Connection', { connection: true }, { ...where, agent: held }),
  ];
  assert.deepEqual(
    made.map((one) => one.code),
    [201, 201, 201],
    made.map((one) => one.body).join(),
  );
  const [ttl] = (made[0]!.json as { registrations: { id: string; registries: { seen: string }[] }[] })
    .registrations;
  assert.equal(ttl!.registries[0]!.seen, 'unavailable');

  program.kill('SIGKILL');
  await once(program, 'exit');
  await eventually(
    'the process to be missed',
    async () => !(await there()).includes('com.weibo.Process'),
    15_000,
  );
  assert.deepEqual(await there(), ['com.weibo.Connection', 'com.weibo.Ttl']);
  held.destroy();
  await eventually('the connection to be missed', async () => (await there()).length === 1, 15_000);
  const renewed = await send(where, 'PUT', `/v1/registrations/${ttl!.id}`, { lease: { ttlSeconds: 1 } });
  assert.equal(renewed.code, 200);
  await eventually('the ttl to end', async () => (await there()).length === 0, 15_000);
  const late = await send(where, 'PUT', `/v1/registrations/${ttl!.id}`);
  assert.deepEqual([late.code, late.json.code], [404, 'E_NO_REGISTRATION']);
  const { exports } = (await send(where, 'GET', '/v1/status')).json;
  assert.deepEqual(exports, []);
});

test('a typed registration tells what registries have, and is taken back by its id', async (t) => {
  const { agent } = await startScene(t);
  const backend = await startUpstream(t);
  await agent.get('/200');

  const made = await ask(agent, 'POST', '/v1/registrations?wait=10000', {
    kind: 'service',
    url: urlOf(backend.port),
  });
  const [one] = await listed(agent);
  const removed = await ask(agent, 'DELETE', `/v1/registrations/${one!.id}?wait=10000`);
  const odd = await ask(agent, 'POST', '/v1/registrations', { kind: 'node', url: {} });
  const wrong = await ask(agent, 'PATCH', '/v1/registrations');

  assert.equal(made.code, 201);
  assert.deepEqual(one!.registries, [
    { id: 'shared', desired: 'available', seen: 'available', lastError: null } as never,
  ]);
  assert.deepEqual([removed.code, await listed(agent)], [204, []]);
  assert.deepEqual([odd.code, odd.json.code], [400, 'E_REGISTRATION']);
  assert.equal(wrong.code, 405);
});
