/** HTTP requests that come over the mesh as header block and body: spec traffic 2.6, 2.7, 3.4. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpLocationConfig } from '../../../src/core/index.js';
import { BREEZE_BYTE, backendCall, callHead, ReplyRecorder, simple } from '../../support/backend-call.js';
import { until, within } from '../../support/clock.js';
import { answerText, type BackendScript, echoBody } from '../../support/http-backend.js';
import { fieldsOf, httpScene, RPC, requestLine } from './http-scene.js';

const PROXY = { HTTP_PROXY: 'true', M_pp: 'motan2', M_s: 'cli-app' };

/** The two arguments of a transparent call. */
function request(head: string, body: string | Buffer = ''): Buffer {
  return Buffer.concat([simple.bytes(Buffer.from(head, 'latin1')), simple.bytes(body)]);
}

/** Header block and body of a transparent answer. */
function parts(value: Buffer): { block: string; body: Buffer } {
  assert.equal(value[0], 21);
  assert.equal(value.readUInt32BE(1), value.length - 5);
  assert.equal(value[5], 3);
  const blockEnd = 10 + value.readUInt32BE(6);
  assert.equal(value[blockEnd], 3);
  assert.equal(value.readUInt32BE(blockEnd + 1), value.length - blockEnd - 5);
  return { block: value.toString('latin1', 10, blockEnd), body: value.subarray(blockEnd + 5) };
}

test('the request goes on as it came, with what the mesh knows of it', async (t) => {
  const { backend, ...scene } = await httpScene(t, echoBody);
  const head =
    'POST /p?q=1&x=%20 HTTP/1.1\r\nHost: fake.domain\r\nCookie: a=1\r\nCookie: b=2\r\nx-lower: v\r\n' +
    'Connection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 4\r\nMotan-Rid: 5\r\nProxy: evil\r\n\r\n';

  const { reply, body } = await scene.call('/p', { metadata: PROXY, body: request(head, 'body') });

  assert.equal(requestLine(backend.requests[0]!.head), 'POST /p?q=1&x=%20 HTTP/1.1');
  assert.deepEqual(fieldsOf(backend.requests[0]!.head), {
    host: 'fake.domain',
    cookie: 'a=1 | b=2',
    'x-lower': 'v',
    'motan-p': 'svc.one',
    'motan-m': '/p',
    'motan-g': 'g1',
    'motan-pp': 'motan2',
    'motan-s': 'cli-app',
    'motan-rid': '77',
    'user-agent': 'motan',
    'x-forwarded-for': '10.1.2.3',
    'content-length': '4',
  });
  assert.equal(backend.requests[0]!.body.toString(), 'body');
  assert.equal(parts(body).body.toString(), 'body');
  assert.equal(reply.head?.upstreamCode, '200');
  assert.equal(reply.serialization, 0x30);
});

test('the answer keeps status, cookies and repeated fields, with a length and without hops', async (t) => {
  const scene = await httpScene(t, (_, connection) =>
    connection.send(
      'HTTP/1.1 404 Whatever\r\nTransfer-Encoding: chunked\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nServer: x\r\n' +
        'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\nContent-Encoding: gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    ),
  );

  const { body } = await scene.call('/p', {
    metadata: PROXY,
    body: request('GET /p HTTP/1.1\r\nHost: h\r\n\r\n'),
  });

  const { block, body: content } = parts(body);
  assert.equal(
    block,
    'HTTP/1.1 404 Not Found\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: x\r\n' +
      'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n',
  );
  assert.equal(content.toString(), 'abc');
});

test('an answer without a date gets one', async (t) => {
  const scene = await httpScene(t, echoBody);

  const { body } = await scene.call('/p', {
    metadata: PROXY,
    body: request('GET /p HTTP/1.1\r\nHost: h\r\n\r\n'),
  });

  assert.match(parts(body).block, /\r\nDate: [A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [0-9:]{8} GMT\r\n/);
});

const LENGTHS: [string, string, string | undefined][] = [
  ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n', '1234'],
  ['HEAD', 'HTTP/1.1 200 OK\r\n\r\n', undefined],
  ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', undefined],
  ['GET', 'HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n', undefined],
  ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', '0'],
];
for (const [method, answer, length] of LENGTHS) {
  test(`${method} answered with ${JSON.stringify(answer.slice(9, 40))} has length ${length}`, async (t) => {
    const scene = await httpScene(t, (_, connection) => connection.send(answer));

    const { body } = await scene.call('/p', {
      metadata: PROXY,
      body: request(`${method} /p HTTP/1.1\r\nHost: h\r\n\r\n`),
    });

    assert.equal(fieldsOf(parts(body).block)['content-length'], length);
    assert.equal(parts(body).body.length, 0);
  });
}

test('statuses stay statuses although enableHttpException is set', async (t) => {
  const parameters = { ...RPC, enableHttpException: 'true' };
  const script: BackendScript = (_, connection) => connection.send(answerText(500, 'page'));
  const scene = await httpScene(t, script, { parameters });

  const { reply, body } = await scene.call('/p', {
    metadata: PROXY,
    body: request('GET /p HTTP/1.1\r\nHost: h\r\n\r\n'),
  });

  assert.equal(reply.exception, null);
  assert.match(parts(body).block, /^HTTP\/1\.1 500 /);
});

const BAD_BLOCKS: Record<string, Buffer> = {
  'no HTTP at all': request('hello'),
  'a bare line feed': request('GET / HTTP/1.1\nHost: h\n\n'),
  'two lengths': request('GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'),
  'length and chunks': request(
    'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
  ),
  'a folded field': request('GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n'),
  'a second request behind it': request('GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /admin HTTP/1.1\r\n\r\n'),
  CONNECT: request('CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n'),
};
for (const [what, body] of Object.entries(BAD_BLOCKS)) {
  test(`a header block with ${what} is refused and nothing is sent`, async (t) => {
    const { backend, ...scene } = await httpScene(t, echoBody);

    const { reply } = await scene.call('/', { metadata: PROXY, body });

    assert.deepEqual(
      [reply.failure?.code, reply.exception?.code, reply.exception?.type],
      ['E_BAD_ARGUMENTS', 400, 2],
    );
    assert.equal(backend.connections.length, 0);
  });
}

const GOOD = request('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
const BAD_ARGUMENTS: Record<string, { body: Buffer; serialization?: number }> = {
  'no argument': { body: simple.nothing },
  'one argument': { body: simple.bytes('GET / HTTP/1.1\r\nHost: h\r\n\r\n') },
  'three arguments': { body: Buffer.concat([GOOD, simple.bytes('')]) },
  strings: { body: Buffer.concat([simple.text('GET / HTTP/1.1\r\nHost: h\r\n\r\n'), simple.text('')]) },
  'a size beyond the body': { body: Buffer.concat([GOOD.subarray(0, -1), Buffer.from([9])]) },
  'a cut size': { body: GOOD.subarray(0, -2) },
  breeze: { body: GOOD, serialization: BREEZE_BYTE },
};
for (const [what, options] of Object.entries(BAD_ARGUMENTS)) {
  test(`a transparent call with ${what} is refused`, async (t) => {
    const { backend, ...scene } = await httpScene(t, echoBody);

    const { reply } = await scene.call('/', { metadata: PROXY, ...options });

    assert.equal(reply.failure?.code, 'E_BAD_ARGUMENTS');
    assert.equal(backend.connections.length, 0);
  });
}

test('a null body is none', async (t) => {
  const { backend, ...scene } = await httpScene(t, echoBody);
  const block = simple.bytes('GET / HTTP/1.1\r\nHost: h\r\n\r\n');

  const { reply } = await scene.call('/', { metadata: PROXY, body: Buffer.concat([block, simple.null]) });

  assert.equal(reply.failure, null);
  assert.equal(backend.requests[0]!.body.length, 0);
});

const LOCATIONS: HttpLocationConfig[] = [
  {
    match: '/pub/',
    type: 'start',
    upstream: 's',
    rewriteRules: ['start /pub/old ^/pub/old/(.*) /pub/new/$1'],
  },
];

/** method of the call, target of the block, what the backend is asked for or null */
const TARGETS: [string, string, string | null][] = [
  ['/pub/a', '/pub/a?x=1', '/pub/a?x=1'],
  ['/pub/a/b', '/pub/a%2Fb', '/pub/a%2Fb'],
  ['/pub/gr\xc3\xbcn', '/pub/gr\xc3\xbcn', '/pub/gr%C3%BCn'],
  ['/pub/old/a b', '/pub/old/a%20b?x', '/pub/new/a%20b?x'],
  // The method decides, whatever the block says: the block is not what the locations saw.
  ['/pub/a', '/admin?x=1', '/pub/a?x=1'],
  ['/pub/a', 'http://other.example/pub/a?x=1', '/pub/a?x=1'],
  ['/pub/../admin', '/admin', null],
  ['/pub/%2e%2e/admin', '/pub/x', '/pub/%252e%252e/admin'],
  ['/admin', '/pub/a', null],
];
for (const [method, target, expected] of TARGETS) {
  test(`method ${method} with target ${target} asks for ${expected ?? 'nothing'}`, async (t) => {
    const parameters = { proxyAddress: '@backend', domain: 'd' };
    const { backend, ...scene } = await httpScene(t, echoBody, { parameters, locations: LOCATIONS });

    const { reply } = await scene.call(method, {
      metadata: PROXY,
      body: request(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`),
    });

    if (expected === null)
      assert.deepEqual(reply.exception, { code: 404, type: 2, message: 'service not found' });
    else assert.equal(requestLine(backend.requests[0]!.head), `GET ${expected} HTTP/1.1`);
    assert.equal(backend.requests.length, expected === null ? 0 : 1);
  });
}

test('a forwarded address and an agent of the block are kept, a missing Host is the domain', async (t) => {
  const { backend, ...scene } = await httpScene(t, echoBody);
  const head = 'GET /p HTTP/1.1\r\nUser-Agent: me\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n';

  await scene.call('/p', { metadata: PROXY, body: request(head) });

  const fields = fieldsOf(backend.requests[0]!.head);
  assert.deepEqual(
    [fields.host, fields['user-agent'], fields['x-forwarded-for']],
    ['d.example', 'me', '9.9.9.9'],
  );
});

test('a chunked request of the block is sent with its length', async (t) => {
  const { backend, ...scene } = await httpScene(t, echoBody);
  const head = 'PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n';

  await scene.call('/p', { metadata: PROXY, body: request(head, 'whole') });

  const fields = fieldsOf(backend.requests[0]!.head);
  assert.deepEqual(
    [fields['transfer-encoding'], fields.expect, fields['content-length']],
    [undefined, undefined, '5'],
  );
});

test('trace context and the time that is left replace what the block says', async (t) => {
  const { backend, ...scene } = await httpScene(t, echoBody);
  const head = 'GET /p HTTP/1.1\r\nHost: h\r\ntraceparent: old\r\nX-Peony-Timeout-Ms: 99999\r\n\r\n';

  await scene.call('/p', { metadata: { ...PROXY, traceparent: 'new', M_tmo: '500' }, body: request(head) });

  const fields = fieldsOf(backend.requests[0]!.head);
  assert.equal(fields.traceparent, 'new');
  assert.ok(Number(fields['x-peony-timeout-ms']) <= 500);
});

test('two blocks of one caller are two requests', async (t) => {
  const { backend, ...scene } = await httpScene(t, echoBody);
  const head = callHead('/p', PROXY);

  for (const cookie of ['a', 'b', 'b']) {
    await scene.call(head, { body: request(`GET /p HTTP/1.1\r\nHost: h\r\nCookie: ${cookie}\r\n\r\n`) });
  }

  assert.deepEqual(
    backend.requests.map((one) => fieldsOf(one.head).cookie),
    ['a', 'b', 'b'],
  );
});

for (const size of [1000, 70 * 1024, 2 * 1024 * 1024]) {
  test(`a body of ${size} bytes passes both ways unchanged`, async (t) => {
    const scene = await httpScene(t, echoBody);
    const content = Buffer.alloc(size, 'xyz\x00\xff', 'latin1');

    const { body } = await scene.call('/p', {
      metadata: PROXY,
      body: request('POST /p HTTP/1.1\r\nHost: h\r\n\r\n', content),
    });

    assert.ok(parts(body).body.equals(content));
  });
}

test('an answer that is too large with its header block fails its call', async (t) => {
  const parameters = { ...RPC, maxContentLength: '1100' };
  const scene = await httpScene(t, (_, connection) => connection.send(answerText(200, 'x'.repeat(1050))), {
    parameters,
  });

  const { reply } = await scene.call('/p', {
    metadata: PROXY,
    body: request('GET /p HTTP/1.1\r\nHost: h\r\n\r\n'),
  });

  assert.equal(reply.failure?.code, 'E_ANSWER_TOO_LARGE');
});

test('the answers of many callers do not mix', async (t) => {
  const { backend, ...scene } = await httpScene(t, () => undefined);
  const calls = Array.from({ length: 20 }, (_, index) => {
    const recorder = new ReplyRecorder();
    const body = request(`POST /p HTTP/1.1\r\nHost: h\r\n\r\n`, `call ${index}`);
    const call = backendCall(callHead('/p', PROXY), { body, receivedMs: scene.loop.tick() });
    scene.provider.start(call, recorder);
    return recorder;
  });
  await until('all requests', () => backend.requests.length === calls.length);

  for (const one of backend.requests.toReversed()) {
    const connection = backend.connections[one.connection]!;
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${one.body.length}\r\n\r\n`);
    connection.send(one.body);
  }
  const bodies = await Promise.all(
    calls.map(async ({ first }) => parts((await within('a reply', first)).body).body.toString()),
  );

  assert.deepEqual(
    bodies,
    calls.map((_, index) => `call ${index}`),
  );
});
