/** Typed calls through the HTTP port of a running data plane to nodes that do what a test says. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import type { MethodSchema } from '../../../src/core/index.js';
import {
  decodeSimpleArguments,
  encodeSimple,
  type SimpleValue,
} from '../../../src/wire/serialization/index.js';
import { until } from '../../support/clock.js';
import { exceptionReply, type Frame, frame, HEARTBEAT, heartbeatReply, reply } from '../../support/frames.js';
import { type MoreParts, type Scene, type SceneOptions, scene } from '../../support/plane.js';
import { answerOk, type Script, type ScriptedUpstream, silent } from '../../support/scripted-peer.js';

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

interface Asked {
  method?: string;
  headers?: http.OutgoingHttpHeaders;
  body?: string | Buffer;
  agent?: http.Agent;
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

function ask(port: number, path: string, asked: Asked = {}): Promise<Answer> {
  const { method = 'POST', headers = JSON_TYPE, body = '', agent } = asked;
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, method, headers, agent: agent ?? false };
    const request = http.request(options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const isJson = /json/.test(response.headers['content-type'] ?? '') && text !== '';
        const json = isJson ? JSON.parse(text) : null;
        resolve({ status: response.statusCode!, headers: response.headers, text, json });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

interface Running {
  readonly plane: Scene;
  readonly node: ScriptedUpstream;
  call(path: string, asked?: Asked): Promise<Answer>;
}

async function running(
  t: TestContext,
  script: Script,
  options: SceneOptions = {},
  more: MoreParts = {},
  parameters: Record<string, string> = {},
): Promise<Running> {
  const plane = await scene(t, { http: {}, ...options });
  const node = await plane.upstream(script);
  await plane.start([{ nodes: [node.port], parameters }], more);
  const call = (path: string, asked: Asked = {}): Promise<Answer> => ask(plane.httpPort, path, asked);
  return { plane, node, call };
}

/** Answers calls with this value, heartbeats with theirs. */
function answering(value: SimpleValue, metadata: Record<string, string> = {}): Script {
  return (got, connection) => {
    const isHeartbeat = (got.type & HEARTBEAT) !== 0;
    connection.send(
      isHeartbeat ? heartbeatReply(got.id) : reply(got.id, { body: encodeSimple(value), metadata }),
    );
  };
}

function calls(node: ScriptedUpstream): Frame[] {
  return node.requests.filter((got) => (got.type & HEARTBEAT) === 0);
}

function schemas(methods: Record<string, Partial<MethodSchema>>): MoreParts {
  const known = Object.entries(methods).map(
    ([name, fields]) => [name, { args: null, returns: null, desc: '', description: '', ...fields }] as const,
  );
  return { schemas: new Map([['svc.one', new Map(known)]]) };
}

test('a JSON array becomes arguments of serialization simple, and the value comes back as JSON', async (t) => {
  const value: SimpleValue = { type: 'stringMap', entries: [['greeting', 'hällo']] };
  const { plane, node, call } = await running(t, answering(value));

  const answer = await call('/v1/call/svc.one/hello', { body: '["wörld", 9007199254740993, {"$int32": 7}]' });

  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.deepEqual(answer.json, { greeting: 'hällo' });
  const [got] = calls(node);
  assert.equal(got!.serialization, 0x30);
  assert.deepEqual(decodeSimpleArguments(got!.body), [
    { type: 'string', value: 'wörld' },
    { type: 'int64', value: 9007199254740993n },
    { type: 'int32', value: 7 },
  ]);
  const { M_rid: requestId, ...metadata } = Object.fromEntries(got!.metadata);
  assert.deepEqual(metadata, {
    M_p: 'svc.one',
    M_m: 'hello',
    M_g: 'g1',
    M_s: 'agent-app',
    M_pp: 'motan2',
    host: '127.0.0.1',
  });
  assert.match(requestId!, /^-?\d+$/);
  await plane.quiet();
  const { in: all, ok } = plane.listenerOf('http');
  assert.deepEqual([all, ok], [1, 1]);
});

test('requests on one connection are told apart by their ids, and each gets its own answer', async (t) => {
  const script: Script = (got, connection) => connection.send(reply(got.id, { body: got.body }));
  const { node, call } = await running(t, script);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());

  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, at) => call('/v1/call/svc.one/hello', { body: `[${at}]`, agent })),
  );

  assert.deepEqual(
    answers.map(({ text }) => text),
    Array.from({ length: 20 }, (_, at) => String(at)),
  );
  assert.equal(new Set(calls(node).map((got) => got.metadata.get('M_rid'))).size, 20);
  agent.destroy();
});

test('the schema of a method gives its types, its description for Java and plain bytes', async (t) => {
  const more = schemas({ hello: { args: ['int32', 'bytes'], returns: 'bytes', desc: 'int,byte[]' } });
  const { node, call } = await running(t, answering({ type: 'bytes', value: Buffer.from('ok') }), {}, more);

  const answer = await call('/v1/call/svc.one/hello', { body: '[5, "AAH/"]' });

  assert.equal(answer.text, '"b2s="');
  const [got] = calls(node);
  assert.equal(got!.metadata.get('M_md'), 'int,byte[]');
  assert.deepEqual(decodeSimpleArguments(got!.body), [
    { type: 'int32', value: 5 },
    { type: 'bytes', value: Buffer.from([0, 1, 255]) },
  ]);
});

test('another configuration has other types, on connections that stand as well', async (t) => {
  const { plane, node, call } = await running(t, answerOk, {}, schemas({ hello: { args: ['int32'] } }));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const first = await call('/v1/call/svc.one/hello', { body: '[5]', agent });
  plane.apply([{ nodes: [node.port] }], schemas({ hello: { args: ['string'] } }));

  const second = await call('/v1/call/svc.one/hello', { body: '[5]', agent });

  assert.equal(first.status, 200);
  assert.equal(second.status, 400);
  assert.equal(second.json.detail, 'argument 1: $ must be a string, got 5');
  agent.destroy();
});

test('allowed headers travel in both directions, and no other', async (t) => {
  const script = answering({ type: 'null' }, { 'X-Node': 'n7', 'x-secret': 's', 'x-user': 'bob' });
  const { node, call } = await running(t, script, { http: { metadataAllow: ['x-user', 'x-node'] } });

  const answer = await call('/v1/call/svc.one/hello', {
    headers: {
      ...JSON_TYPE,
      'X-User': 'ann',
      'X-Secret': 'no',
      M_g: 'evil',
      HTTP_PROXY: 'true',
      traceparent: TRACE,
    },
  });

  assert.equal(answer.text, 'null');
  assert.equal(answer.headers['x-node'], 'n7');
  assert.equal(answer.headers['x-user'], 'bob');
  assert.equal(answer.headers['x-secret'], undefined);
  const [got] = calls(node);
  assert.equal(got!.metadata.get('x-user'), 'ann');
  assert.equal(got!.metadata.get('M_g'), 'g1');
  assert.equal(got!.metadata.get('traceparent'), TRACE);
  for (const name of [
    'x-secret',
    'HTTP_PROXY',
    'http_proxy',
    'm_g',
    'content-type',
    'Content-Type',
    'connection',
  ]) {
    assert.equal(got!.metadata.has(name), false, name);
  }
});

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('metadata of an answer cannot add a header or an answer, and that is said once', async (t) => {
  const script = answering({ type: 'null' }, { 'x-node': 'n7\r', 'x-user': 'bob' });
  const { plane, call } = await running(t, script, { http: { metadataAllow: ['x-user', 'x-node'] } });

  for (let round = 0; round < 3; round += 1) {
    const answer = await call('/v1/call/svc.one/hello');
    assert.equal(answer.headers['x-node'], undefined);
    assert.equal(answer.headers['x-user'], 'bob');
  }

  assert.equal(plane.logger.texts.filter((text) => /control characters/.test(text)).length, 1);
});

test('an exception of a service is a problem with its code, and counts as answered', async (t) => {
  const script: Script = (got, connection) =>
    connection.send(exceptionReply(got.id, 30001, 2, 'no such üser'));
  const { plane, node, call } = await running(t, script);

  const answer = await call('/v1/call/svc.one/hello');

  assert.equal(answer.status, 422);
  assert.equal(answer.headers['content-type'], 'application/problem+json');
  const { requestId, ...problem } = answer.json;
  assert.deepEqual(problem, {
    type: '/v1/openapi.json#/x-tables/exceptions',
    title: 'the service answered with an exception',
    status: 422,
    detail: 'no such üser',
    code: 30001,
    errtype: 2,
    service: 'svc.one',
    method: 'hello',
    node: `127.0.0.1:${node.port}`,
  });
  assert.equal(requestId, calls(node)[0]!.metadata.get('M_rid'));
  await plane.quiet();
  assert.equal(plane.listenerOf('http').ok, 1);
});

test('a service that no refer has is 404, and a service without nodes 503 with Retry-After', async (t) => {
  const plane = await scene(t, { http: {} });
  await plane.start([{ nodes: [] }]);

  const unknown = await ask(plane.httpPort, '/v1/call/svc.none/hello');
  const empty = await ask(plane.httpPort, '/v1/call/svc.one/hello');

  assert.deepEqual([unknown.status, unknown.json.cause], [404, 'E_NO_CLUSTER']);
  assert.deepEqual([empty.status, empty.json.cause, empty.json.code], [503, 'E_NO_ENDPOINT', 1001]);
  assert.equal(empty.headers['retry-after'], '1');
  await plane.quiet();
  assert.equal(plane.listenerOf('http').failed, 2);
});

test('of a service in several groups the query chooses', async (t) => {
  const plane = await scene(t, { http: {} });
  const one = await plane.upstream(answering({ type: 'int64', value: 1n }));
  const two = await plane.upstream(answering({ type: 'int64', value: 2n }));
  await plane.start([
    { group: 'g1', nodes: [one.port] },
    { group: 'g2', nodes: [two.port] },
  ]);

  assert.equal((await ask(plane.httpPort, '/v1/call/svc.one/hello?group=g2')).text, '2');
  assert.equal((await ask(plane.httpPort, '/v1/call/svc.one/hello?group=g1')).text, '1');
  assert.equal((await ask(plane.httpPort, '/v1/call/svc.one/hello')).json.cause, 'E_NO_CLUSTER');
});

test('the time that a caller has ends the call, also where the refer would wait longer, and a late answer is dropped', async (t) => {
  const { plane, node, call } = await running(
    t,
    silent,
    {},
    {},
    { requestTimeout: '2000', minRequestTimeout: '1500' },
  );
  const startMs = performance.now();

  const answer = await call('/v1/call/svc.one/hello', {
    headers: { ...JSON_TYPE, 'X-Peony-Timeout-Ms': '60' },
  });

  assert.ok(performance.now() - startMs < 1000, 'the refer was waited for');
  assert.deepEqual([answer.status, answer.json.cause], [504, 'E_TIMEOUT']);
  assert.equal(answer.json.detail, 'no answer came within 60 ms');
  const [got] = calls(node);
  assert.equal(got!.metadata.get('M_tmo'), '60');
  node.connections[0]!.send(reply(got!.id));
  await plane.quiet();
  const { in: all, failed } = plane.listenerOf('http');
  assert.deepEqual([all, failed], [1, 1]);
});

test('a body that comes late leaves the service what is left of the time', async (t) => {
  const { plane, node } = await running(t, answerOk);
  const request = http.request({
    port: plane.httpPort,
    host: '127.0.0.1',
    path: '/v1/call/svc.one/hello',
    method: 'POST',
    headers: { ...JSON_TYPE, 'X-Peony-Timeout-Ms': '1500', 'Content-Length': 2 },
    agent: false,
  });
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  request.write('[');
  const startMs = performance.now();
  await until('50 ms are over', () => performance.now() - startMs > 50 && plane.listenerOf('http').in === 1);
  request.end(']');

  const response = await answered;
  response.resume();
  assert.equal(response.statusCode, 200);
  const left = Number(calls(node)[0]!.metadata.get('M_tmo'));
  assert.ok(left > 0 && left <= 1460, `${left} ms are left`);
});

test('the timeout of the refer holds where the caller names none', async (t) => {
  const { call } = await running(t, silent, {}, {}, { requestTimeout: '40' });

  const answer = await call('/v1/call/svc.one/hello');

  assert.deepEqual([answer.status, answer.json.cause, answer.json.code], [504, 'E_TIMEOUT', 400]);
});

test('a caller that goes away leaves nothing behind', async (t) => {
  const { plane, node } = await running(t, silent, {}, {}, { requestTimeout: '300' });
  const request = http.request({
    port: plane.httpPort,
    host: '127.0.0.1',
    path: '/v1/call/svc.one/hello',
    method: 'POST',
    headers: { ...JSON_TYPE, 'X-Peony-Timeout-Ms': '600000' },
    agent: false,
  });
  request.on('error', () => undefined); // it is destroyed
  request.end();
  await until('the node has the call', () => calls(node).length === 1);

  request.destroy();

  // Closing the scene proves that no timer is left.
  await plane.quiet();
  assert.equal(plane.listenerOf('http').failed, 1);
});

for (const [what, answer, detail] of [
  [
    'protobuf',
    { serialization: 5 << 3, body: Buffer.from('x') },
    /in protobuf, which typed calls do not read/,
  ],
  ['bytes that are not simple', { body: Buffer.from('zz') }, /the answer is not simple/],
  ['a status without an exception', { versionStatus: 0x09, body: Buffer.alloc(0) }, /no exception/],
] as const) {
  test(`an answer of ${what} is told plainly with 502`, async (t) => {
    const script: Script = (got, connection) => connection.send(frame({ type: 1, ...answer, id: got.id }));
    const { plane, call } = await running(t, script);

    const { status, json } = await call('/v1/call/svc.one/hello');

    assert.equal(status, 502);
    assert.match(String(json.detail), detail);
    await plane.quiet();
    assert.equal(plane.listenerOf('http').failed, 1);
  });
}

test('a body over the bound is refused with 413, announced or not, and reaches no node', async (t) => {
  const { node, call } = await running(t, answerOk, { http: { bodyBytesMax: 1000 } });
  const body = JSON.stringify(['x'.repeat(1000)]);

  const announced = await call('/v1/call/svc.one/hello', { body });
  const chunked = await call('/v1/call/svc.one/hello', {
    body,
    headers: { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' },
  });

  assert.deepEqual([announced.status, chunked.status], [413, 413]);
  assert.equal(calls(node).length, 0);
});

test('arguments that are small as JSON and too large as a message are refused with 413', async (t) => {
  const { node, call } = await running(t, answerOk);
  // A fraction has 4 bytes with its comma, and 9 on the wire.
  const body = `["${'x'.repeat(2 * 1024 * 1024)}"${',1.5'.repeat(950_000)}]`;
  assert.ok(body.length < 10_485_760);

  const { status, json } = await call('/v1/call/svc.one/hello', { body });

  assert.equal(status, 413);
  assert.equal(json.detail, 'the arguments are larger than 10485760 bytes');
  assert.equal(calls(node).length, 0);
});

test('a string of 1 MiB goes through, in chunks and both ways', async (t) => {
  const script: Script = (got, connection) => connection.send(reply(got.id, { body: got.body }));
  const { call } = await running(t, script);
  const text = 'äx,"\\'.repeat(200 * 1024);

  const { status, json } = await call('/v1/call/svc.one/hello', {
    body: JSON.stringify([text]),
    headers: { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' },
  });

  assert.equal(status, 200);
  assert.equal(json as unknown as string, text);
});

for (const [what, body, status] of [
  ['no JSON', 'hello', 400],
  ['an object', '{}', 400],
  ['bytes that are not UTF-8', Buffer.from('["\xff"]', 'latin1'), 400],
  ['an array in an array in an array ...', `${'['.repeat(50_000)}${']'.repeat(50_000)}`, 400],
  ['a number beyond int64', '[9223372036854775808]', 400],
] as const) {
  test(`${what} is refused with ${status} and reaches no node`, async (t) => {
    const { plane, node, call } = await running(t, answerOk);

    const answer = await call('/v1/call/svc.one/hello', { body });

    assert.equal(answer.status, status);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.equal(calls(node).length, 0);
    await plane.quiet();
    assert.equal(plane.listenerOf('http').failed, 1);
  });
}

test('a form, and a page of another site, cannot call: a browser would have to ask first, and is told nothing', async (t) => {
  const { node, call } = await running(t, answerOk);

  const form = await call('/v1/call/svc.one/hello', {
    headers: { 'Content-Type': 'text/plain' },
    body: '[]',
  });
  const bare = await call('/v1/call/svc.one/hello', { headers: {} });
  const page = await call('/v1/call/svc.one/hello', {
    headers: { ...JSON_TYPE, Origin: 'http://evil.example' },
  });
  const preflight = await call('/v1/call/svc.one/hello', {
    method: 'OPTIONS',
    headers: { Origin: 'http://evil.example', 'Access-Control-Request-Method': 'POST' },
  });

  assert.deepEqual([form.status, bare.status, page.status, preflight.status], [415, 415, 403, 204]);
  assert.equal(preflight.headers.allow, 'POST, OPTIONS');
  assert.ok(!Object.keys(preflight.headers).some((name) => name.startsWith('access-control')));
  assert.equal(calls(node).length, 0);
});

test('the list and the document are served to who asks the agent by its own name', async (t) => {
  const { node, call } = await running(t, answerOk, {}, schemas({ hello: { args: ['string'] } }));

  const list = await call('/v1/services', { method: 'GET', headers: {} });
  const document = await call('/v1/openapi.json', { method: 'GET', headers: {} });
  const head = await call('/v1/openapi.json', { method: 'HEAD', headers: {} });
  const rebound = await call('/v1/services', { method: 'GET', headers: { Host: 'evil.example' } });
  const posted = await call('/v1/services', {});

  const services = list.json.services as { service: string; endpointsAvailable: number }[];
  assert.deepEqual(
    services.map(({ service, endpointsAvailable }) => [service, endpointsAvailable]),
    [['svc.one', 1]],
  );
  assert.ok('/v1/call/svc.one/hello' in (document.json.paths as object));
  assert.equal(head.text, '');
  assert.equal(head.headers['content-length'], String(Buffer.byteLength(document.text)));
  assert.equal(rebound.status, 421);
  assert.equal(posted.status, 405);
  assert.equal(posted.headers.allow, 'GET, HEAD, OPTIONS');
  assert.equal(calls(node).length, 0);
});

test('the document follows the state', async (t) => {
  const { plane, node, call } = await running(t, answerOk);
  const before = await call('/v1/openapi.json', { method: 'GET', headers: {} });
  plane.apply([{ nodes: [node.port] }], schemas({ later: { args: [] } }));

  const after = await call('/v1/openapi.json', { method: 'GET', headers: {} });

  assert.ok(!('/v1/call/svc.one/later' in (before.json.paths as object)));
  assert.ok('/v1/call/svc.one/later' in (after.json.paths as object));
});
