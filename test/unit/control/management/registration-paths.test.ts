/** Answers to programs that register: those of motan-go 1.2.0 byte for byte, and Peony's own typed form. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { createManagementServer, type ManagementServer } from '../../../../src/control/management/index.js';
import { AgentError, silentLogger } from '../../../../src/core/index.js';
import { FakeView } from './fake-view.js';

const JSON_TYPE = 'application/json;charset=utf-8';
const URL = { protocol: 'motan2', host: '1.2.3.4', port: 8100, path: 'com.x.Echo', group: 'g1' };
let view: FakeView;
let server: ManagementServer;

beforeEach(() => {
  view = new FakeView();
  server = createManagementServer(view, {
    address: { host: '127.0.0.1', port: 0, portRange: null, unixSock: null },
    token: null,
    hostNames: [],
    logger: silentLogger,
  });
});

afterEach(async () => {
  await server.close();
});

async function send(method: string, url: string, payload?: unknown, headers: Record<string, string> = {}) {
  const body = payload === undefined || typeof payload === 'string' ? payload : JSON.stringify(payload);
  const response = await server.app.inject({
    method: method as 'GET',
    url,
    headers,
    ...(body === undefined ? {} : { payload: body as string }),
  });
  const type = response.headers['content-type'];
  return { code: response.statusCode, type, body: response.body, headers: response.headers };
}

for (const path of ['register', 'unregister', 'subscribe', 'unsubscribe']) {
  test(`/registry/${path} answers as motan-go does, whatever the method and content type`, async () => {
    const ok = await send(
      'POST',
      `/registry/${path}`,
      { ...URL, parameters: {} },
      { 'content-type': 'text/plain; charset=UTF-8' },
    );
    const put = await send('PUT', `/registry/${path}`, URL, { 'content-type': JSON_TYPE });
    const empty = await send('GET', `/registry/${path}`);
    const query = await send('POST', `/registry/${path}?x=1`, URL);

    assert.deepEqual([ok.code, ok.type, ok.body], [200, JSON_TYPE, '{"code":200,"message":"ok"}']);
    assert.equal(put.body, ok.body);
    assert.deepEqual(
      [empty.code, empty.type, empty.body],
      [400, JSON_TYPE, '{"code":400,"message":"unexpected end of JSON input"}'],
    );
    assert.deepEqual([query.code, query.type, query.body], [404, JSON_TYPE, '']);
  });
}

test('the status of a refusal is its code', async () => {
  view.registrations.error = new AgentError('E_REGISTRY_NOT_FOUND', 'registry not found');
  const unknown = await send('POST', '/registry/register', URL);
  view.registrations.error = new AgentError('E_PORT_BUSY', 'port 9982 is in use');
  const busy = await send('POST', '/registry/subscribe', URL);
  view.registrations.error = new AgentError('E_URL', 'a <b>');
  const odd = await send('POST', '/registry/unregister', URL);

  assert.deepEqual([unknown.code, unknown.body], [400, '{"code":400,"message":"registry not found"}']);
  assert.deepEqual([busy.code, busy.body], [500, '{"code":500,"message":"port 9982 is in use"}']);
  assert.equal(odd.body, '{"code":400,"message":"a \\u003cb\\u003e"}');
});

test('/registry/list and /registry/info have the bytes of motan-go', async () => {
  await send('POST', '/registry/register', { ...URL, parameters: { b: '<b>', a: '1' } });
  await send('POST', '/registry/subscribe', { ...URL, host: '', port: 0 });

  const list = await send('GET', '/registry/list');
  const info = await send('GET', '/registry/info');
  const query = await send('GET', '/registry/list?x=1');

  assert.equal(
    list.body,
    '{"body":{"register_nodes":[{"protocol":"motan2","host":"1.2.3.4","port":8100,"path":"com.x.Echo","group":"g1",' +
      '"parameters":{"a":"1","b":"\\u003cb\\u003e"}}],"subscribe_nodes":[{"protocol":"motan2","host":"","port":0,' +
      '"path":"com.x.Echo","group":"g1","parameters":{}}]},"code":200,"message":"ok"}',
  );
  assert.equal(info.body, '{"body":{"mesh_port":9981},"code":200,"message":"ok"}');
  assert.deepEqual([query.code, query.type, query.body], [404, JSON_TYPE, '']);
});

for (const [method, path] of [
  ['POST', '/registry/register'],
  ['GET', '/registry/unsubscribe'],
  ['POST', '/v1/registrations'],
  ['PUT', '/v1/registrations/com.x.Echo'],
  ['DELETE', '/v1/registrations/com.x.Echo'],
]) {
  test(`${method} ${path} is not for web pages`, async () => {
    const refused = await send(method!, path!, URL, { origin: 'http://evil.example' });

    assert.equal(refused.code, 403);
    assert.deepEqual(view.registrations.list(), []);
  });
}

test('who may not change anything may still look', async () => {
  const response = await server.app.inject({ url: '/v1/registrations', remoteAddress: '10.0.0.1' });
  const posted = await server.app.inject({
    method: 'POST',
    url: '/v1/registrations',
    remoteAddress: '10.0.0.1',
  });

  assert.deepEqual([response.statusCode, response.body], [200, '{"registrations":[]}']);
  assert.equal(posted.statusCode, 403);
});

test('a typed registration is told with where to find it, and what each registry has', async () => {
  view.registryReports = [
    {
      id: 'direct',
      protocol: 'direct',
      address: 'x',
      lastContactMs: 1,
      lastError: null,
      announced: [
        { node: 'motan2://1.2.3.4:8100/com.x.Echo?group=g1&x=y', desired: 'available', seen: 'unavailable' },
      ],
      subscribed: [],
    },
  ];

  const made = await send('POST', '/v1/registrations?wait=100', {
    kind: 'service',
    url: URL,
    lease: { ttlSeconds: 9 },
  });
  const one = await send('GET', '/v1/registrations/com.x.Echo');
  const { registrations } = JSON.parse(made.body) as { registrations: Record<string, unknown>[] };

  assert.deepEqual([made.code, made.headers.location], [201, '/v1/registrations/com.x.Echo']);
  assert.deepEqual(registrations[0]!.registries, [
    { id: 'direct', desired: 'available', seen: 'unavailable', lastError: null },
  ]);
  assert.deepEqual(JSON.parse(one.body), registrations[0]);
  assert.deepEqual(view.registrations.waits, [100]);
  assert.deepEqual(view.registrations.leases, [{ kind: 'ttl', seconds: 9 }]);
});

test('a typed registration is renewed and taken back by its id', async () => {
  await send('POST', '/v1/registrations', { kind: 'refer', url: URL });

  const renewed = await send('PUT', '/v1/registrations/com.x.Echo');
  const removed = await send('DELETE', '/v1/registrations/com.x.Echo');
  const again = await send('DELETE', '/v1/registrations/com.x.Echo');

  assert.equal(renewed.code, 200);
  assert.deepEqual([removed.code, removed.body], [204, '']);
  assert.deepEqual([again.code, again.type], [404, 'application/problem+json']);
});

for (const [what, payload, query] of [
  ['no JSON', '{', ''],
  ['a list', [], ''],
  ['an unknown kind', { kind: 'node', url: URL }, ''],
  ['a url that is none', { kind: 'service', url: 'motan2://h:1/p' }, ''],
  ['two leases', { kind: 'service', url: URL, lease: { ttlSeconds: 1, pid: 2 } }, ''],
  ['an unknown lease', { kind: 'service', url: URL, lease: { forever: true } }, ''],
  ['a wait that is too long', { kind: 'service', url: URL }, '?wait=60000'],
] as const) {
  test(`${what} gives a problem document`, async () => {
    const refused = await send('POST', `/v1/registrations${query}`, payload);
    const problem = JSON.parse(refused.body) as Record<string, unknown>;

    assert.deepEqual([refused.code, refused.type], [400, 'application/problem+json']);
    assert.deepEqual([problem.status, problem.title], [400, 'the request makes no sense']);
    assert.equal(typeof problem.detail, 'string');
    assert.deepEqual(view.registrations.list(), []);
  });
}

test('other methods are told which there are', async () => {
  const wrong = await send('PATCH', '/v1/registrations');
  const other = await send('POST', '/v1/registrations/x');

  assert.deepEqual([wrong.code, wrong.headers.allow], [405, 'GET, POST']);
  assert.deepEqual([other.code, other.headers.allow], [405, 'GET, PUT, DELETE']);
});
