/** Services and refers that programs register at a running agent: called, withdrawn, refused, many at once. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { answerOk } from '../../support/scripted-peer.js';
import { type AgentProcess, atEnd, call, eventually, SERVICE } from '../agent/agent-process.js';
import { ask, listed, post, startCaller, startScene, startUpstream, urlOf } from './scene.js';

const nodesOf = async (agent: AgentProcess): Promise<number> => (await agent.nodes()).length;

test('a registered service is called through its agent, and gone when it is unregistered', async (t) => {
  const scene = await startScene(t);
  const { agent, exportPort } = scene;
  const caller = await startCaller(t, scene);
  const backend = await startUpstream(t);
  await agent.get('/200');

  const registered = await post(agent, '/registry/register', urlOf(backend.port));
  assert.deepEqual([registered.code, registered.body], [200, '{"code":200,"message":"ok"}']);
  await eventually('the node', async () => (await nodesOf(caller)) === 1, 15_000);
  const peer = await caller.caller(t);
  const answer = await call(peer, 1n);
  assert.equal(answer.versionStatus & 7, 0);
  assert.equal(answer.metadata.get('x-forwarded-for'), `127.0.0.1:${exportPort}`);
  const listed = JSON.parse((await agent.get('/registry/list')).body) as {
    body: { register_nodes: { port: number; parameters: Record<string, string> }[] };
  };
  assert.equal(listed.body.register_nodes[0]!.port, exportPort);
  assert.equal(listed.body.register_nodes[0]!.parameters.proxy, `motan2:${backend.port}`);

  const unregistered = await post(agent, '/registry/unregister', urlOf(backend.port));
  assert.equal(unregistered.code, 200);
  const status = await agent.status();
  assert.deepEqual((status as unknown as { exports: unknown[] }).exports, []);
  const registry = JSON.parse((await agent.get('/registry/status')).body) as { registryStatus: unknown };
  assert.equal(registry.registryStatus, null);
  // The last node of a refer is never taken away: the caller still asks, and is told that nobody is there.
  const late = await call(peer, 2n);
  assert.notEqual(late.versionStatus & 7, 0);
});

test('a call in flight ends well although its service is unregistered meanwhile', async (t) => {
  const scene = await startScene(t);
  const { agent } = scene;
  const caller = await startCaller(t, scene);
  let release: () => void = () => {};
  const backend = await startUpstream(t, (request, peer) => {
    release = () => void answerOk(request, peer);
  });
  await agent.get('/200');
  await post(agent, '/registry/register', urlOf(backend.port, { requestTimeout: '20000' }));
  await eventually('the node', async () => (await nodesOf(caller)) === 1, 15_000);
  const peer = await caller.caller(t);
  const answered = call(peer, 1n);
  await eventually('the call at the backend', () => backend.requests.length === 1, 15_000);

  const unregistered = await post(agent, '/registry/unregister', urlOf(backend.port));
  release();

  assert.equal(unregistered.code, 200);
  assert.equal((await answered).versionStatus & 7, 0);
});

test('a program that registers from another port takes the service over, and the old one cannot take it away', async (t) => {
  const { agent } = await startScene(t);
  const [old, fresh] = [await startUpstream(t), await startUpstream(t)];
  await post(agent, '/registry/register', urlOf(old.port));
  await post(agent, '/registry/register', urlOf(fresh.port));

  await post(agent, '/registry/unregister', urlOf(old.port));

  assert.deepEqual(
    (await listed(agent)).map((one) => one.url.parameters.proxy),
    [`motan2:${fresh.port}`],
  );
});

test('a busy export port is told with status 500, and nothing is listed', async (t) => {
  const { agent, exportPort } = await startScene(t);
  const backend = await startUpstream(t);
  const squatter = net.createServer().listen(exportPort);
  atEnd(t, () => squatter.close());

  const refused = await post(agent, '/registry/register', urlOf(backend.port));
  const list = await agent.get('/registry/list');
  await new Promise((resolve) => squatter.close(resolve));
  const again = await post(agent, '/registry/register', urlOf(backend.port));

  assert.equal(refused.code, 500);
  assert.match(refused.body, new RegExp(`"message":".*${exportPort}`));
  assert.match(list.body, /"register_nodes":\[\]/);
  assert.equal(again.code, 200);
});

test('what cannot be registered is refused with its reason', async (t) => {
  const { agent } = await startScene(t);
  const url = urlOf(9000) as Record<string, unknown>;
  const refused: [object | string, number, RegExp][] = [
    ['', 400, /^unexpected end of JSON input$/],
    ['[1]', 400, /object/],
    [{ ...url, group: '' }, 400, /group/],
    [{ ...url, path: 'a/b' }, 400, /a\/b/],
    [{ ...url, path: 'a\r\nb' }, 400, /control/],
    [{ ...url, port: 0 }, 400, /port/],
    [{ ...url, protocol: 'breeze' }, 500, /breeze|protocol/],
    [
      { ...url, parameters: { proxyRegistry: 'nobody' } },
      400,
      /^registry not found: nobody; there are shared/,
    ],
    [{ ...url, parameters: { proxyRegistry: 'shared', 'proxy.host': '10.0.0.9' } }, 400, /proxy\.host/],
    [{ ...url, parameters: { proxyRegistry: 'shared', ttl: '0' } }, 400, /ttl/],
  ];
  for (const [body, code, message] of refused) {
    const told = await post(agent, '/registry/register', body);

    assert.equal(told.code, code, told.body);
    assert.equal(told.json.code, code);
    assert.match(told.json.message as string, message);
  }
  const list = await agent.get('/registry/list');
  assert.match(list.body, /"register_nodes":\[\]/);
});

test('a subscribed refer can be called at once, and is gone when it is unsubscribed', async (t) => {
  const { agent } = await startScene(t);
  const backend = await startUpstream(t);
  await agent.get('/200');
  await ask(agent, 'POST', '/v1/registrations?wait=10000', { kind: 'service', url: urlOf(backend.port) });
  const refer = urlOf(0);

  const subscribed = await post(agent, '/registry/subscribe', refer);
  const peer = await agent.caller(t);
  const answer = await call(peer, 1n);
  const names = (await agent.get('/getReferService')).body;
  const unsubscribed = await post(agent, '/registry/unsubscribe', refer);
  const after = (await agent.get('/getReferService')).body;

  assert.deepEqual([subscribed.code, unsubscribed.code], [200, 200]);
  assert.equal(answer.versionStatus & 7, 0);
  assert.match(names, new RegExp(`g1_1.0_motan2_${SERVICE}`));
  assert.match(after, /"service":\[\]/);
});

test('registrations leave connections of other services alone', async (t) => {
  const { agent } = await startScene(t);
  const backends = [await startUpstream(t), await startUpstream(t)];
  await post(agent, '/registry/register', urlOf(backends[0]!.port));
  await eventually('the connection', () => backends[0]!.connections.length > 0, 15_000);
  const before = backends[0]!.connections.length;

  await post(agent, '/registry/register', urlOf(backends[1]!.port, {}, 'com.weibo.Other'));
  await eventually('the other connection', () => backends[1]!.connections.length > 0, 15_000);
  await post(agent, '/registry/unregister', urlOf(backends[1]!.port, {}, 'com.weibo.Other'));

  assert.equal(backends[0]!.connections.length, before);
  assert.ok(backends[0]!.connections.every((one) => !one.isClosed));
});

test('two hundred programs may register at once', async (t) => {
  const { agent } = await startScene(t);
  const backend = await startUpstream(t);
  await agent.get('/200');
  const paths = Array.from({ length: 200 }, (_, index) => `com.weibo.Many${index}`);

  const told = await Promise.all(
    paths.map((path) => post(agent, '/registry/register', urlOf(backend.port, {}, path))),
  );
  await eventually(
    'all to be announced',
    async () =>
      (JSON.parse((await agent.get('/registry/status')).body) as { status: string }).status ===
      'register-success',
    20_000,
  );
  const { dynamic_services: services } = JSON.parse((await agent.get('/getAllService')).body) as {
    dynamic_services: { path: string }[];
  };

  assert.deepEqual([...new Set(told.map((one) => one.code))], [200]);
  assert.deepEqual(services.map((one) => one.path).sort(), paths.sort());
});
