/** Provider http without `proxyAddress`, and provider httpx: spec traffic 3.6 and 3.7. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { BREEZE_BYTE, callHead, simple } from '../../support/backend-call.js';
import { until } from '../../support/clock.js';
import { answerText, type BackendScript, echoBody } from '../../support/http-backend.js';
import { fieldsOf, type HttpScene, httpScene, requestLine, type SceneSpec } from './http-scene.js';

const FORMAT = { URL_FORMAT: 'http://@backend/api/%s' };
const POST = { HTTP_Method: 'POST' };
const ok: BackendScript = (_, connection) => connection.send(answerText(200, 'ok'));

function urlScene(t: TestContext, script: BackendScript = ok, spec: SceneSpec = {}): Promise<HttpScene> {
  return httpScene(t, script, { parameters: FORMAT, ...spec });
}

test('the method stands in the url, metadata are fields and come back, the body is a string', async (t) => {
  const { backend, ...scene } = await urlScene(t, (_, connection) =>
    connection.send(answerText(200, 'value', 'X-A: 1\r\nx-a: 2\r\n')),
  );

  const { reply, body } = await scene.call('get', { metadata: { 'x-c': 'v', xM_y: 'z' } });

  assert.equal(requestLine(backend.requests[0]!.head), 'GET /api/get? HTTP/1.1');
  assert.deepEqual(fieldsOf(backend.requests[0]!.head), {
    host: backend.address,
    'content-type': 'application/x-www-form-urlencoded',
    'x-c': 'v',
    'xmotan-y': 'z',
    'motan-p': 'svc.one',
    'motan-m': 'get',
    'motan-g': 'g1',
    'user-agent': 'motan',
    'x-forwarded-for': '10.1.2.3',
    'accept-encoding': 'gzip',
    'motan-rid': '77',
  });
  assert.deepEqual(body, simple.text('value'));
  assert.deepEqual(Object.fromEntries(reply.head!.metadata.entries()), {
    M_p: 'svc.one',
    M_m: 'get',
    M_g: 'g1',
    host: '10.1.2.3',
    'x-c': 'v',
    xM_y: 'z',
    'Content-Length': '5',
    'X-A': '1',
    upstreamCode: '200',
  });
});

/** argument, then the query of GET */
const QUERIES: [string, Buffer, string][] = [
  ['no argument', simple.nothing, ''],
  ['null', simple.null, ''],
  [
    'a map',
    simple.map({ 'a b': 'c d', 'x&y=z': 'ä/' }),
    'requestIdFromClient=77&a+b=c+d&x%26y%3Dz=%C3%A4%2F',
  ],
  ['a string', simple.text('p=1&q'), 'requestIdFromClient=77&p%3D1%26q'],
  ['bytes', simple.bytes('abc'), 'requestIdFromClient=77'],
  ['a number', simple.int64(3), 'requestIdFromClient=77'],
  ['two arguments', Buffer.concat([simple.text('one'), simple.text('two')]), 'requestIdFromClient=77&one'],
];
for (const [what, body, query] of QUERIES) {
  test(`${what} is the query "${query}" of a GET`, async (t) => {
    const { backend, ...scene } = await urlScene(t);

    const { reply } = await scene.call('m', { body });

    assert.equal(reply.failure, null);
    assert.equal(requestLine(backend.requests[0]!.head), `GET /api/m?${query} HTTP/1.1`);
  });
}

test('a POST has a form sorted by key', async (t) => {
  const { backend, ...scene } = await urlScene(t);

  await scene.call('m', { metadata: POST, body: simple.map({ z: '1', a: 'x y', '~': '' }) });
  await scene.call('m', { metadata: POST, body: simple.text('text') });

  assert.equal(backend.requests[0]!.body.toString(), 'a=x+y&requestIdFromClient=77&z=1&~=');
  assert.equal(backend.requests[1]!.body.toString(), 'requestIdFromClient=77&text=');
  assert.equal(requestLine(backend.requests[0]!.head), 'POST /api/m HTTP/1.1');
});

test('other methods have neither query nor body', async (t) => {
  const { backend, ...scene } = await urlScene(t);

  await scene.call('m', { metadata: { HTTP_Method: 'DELETE' }, body: simple.map({ a: 'b' }) });

  assert.equal(requestLine(backend.requests[0]!.head), 'DELETE /api/m HTTP/1.1');
  assert.equal(backend.requests[0]!.body.length, 0);
});

test('the request id is that of the metadata, unsigned', async (t) => {
  const { backend, ...scene } = await urlScene(t);

  await scene.call('m', { metadata: { M_rid: '-1' }, body: simple.map({}) });

  assert.equal(
    requestLine(backend.requests[0]!.head),
    'GET /api/m?requestIdFromClient=18446744073709551615 HTTP/1.1',
  );
});

test('a url with a query of its own is continued', async (t) => {
  const { backend, ...scene } = await urlScene(t, ok, {
    parameters: { URL_FORMAT: 'http://@backend/a?m=%s' },
  });

  await scene.call('get', { body: simple.map({ k: 'v' }) });

  assert.equal(requestLine(backend.requests[0]!.head), 'GET /a?m=get&requestIdFromClient=77&k=v HTTP/1.1');
});

test('methods of http-service have urls and HTTP methods of their own', async (t) => {
  const holder = new Map<string, { urlFormat: string; httpMethod: string }>();
  const { backend, ...scene } = await urlScene(t, ok, { methods: holder });
  const address = backend.address;
  const methods = new Map([
    ['one', { urlFormat: `http://${address}/1`, httpMethod: 'POST' }],
    ['http_default_motan_method', { urlFormat: `http://${address}/any/%s`, httpMethod: 'PUT' }],
  ]);
  const own = await urlScene(t, ok, { methods });

  await own.call('one');
  await own.call('other');
  await scene.call('other');

  assert.deepEqual(
    backend.requests.map(({ head }) => requestLine(head)),
    ['POST /1 HTTP/1.1', 'PUT /any/other HTTP/1.1', 'GET /api/other? HTTP/1.1'],
  );
});

const FORMATS: [string, string][] = [
  ['', 'm'],
  ['http://@backend/%s/%s', 'm'],
  ['http://%s/x', '127.0.0.1:1'],
  ['http://%s.example/x', 'm'],
  ['ftp://@backend/%s', 'm'],
  ['http://u:p@@backend/%s', 'm'],
];
for (const [format, method] of FORMATS) {
  test(`the format "${format}" is refused`, async (t) => {
    const { backend, ...scene } = await urlScene(t, ok, { parameters: { URL_FORMAT: format } });

    const { reply } = await scene.call(method);

    assert.deepEqual([reply.exception?.code, reply.exception?.type], [503, 2]);
    assert.match(reply.exception!.message, /^Get err URL_FORMAT: /);
    assert.equal(backend.connections.length, 0);
  });
}

/** format, and a method that would lead elsewhere */
const ESCAPES: [string, string][] = [
  ['http://@backend%s', '@evil.example/'],
  ['http://@backend%s', '.evil.example/'],
  ['http://@backend%s', '0/'],
  ['http://@backend/api/%s', '../admin'],
  ['http://@backend/api/%s', 'a/%2e%2E/admin'],
  ['http://@backend/api/%s', '..%2Fadmin'],
  ['http://@backend/api/%s', 'a\\..\\admin'],
];
for (const [format, method] of ESCAPES) {
  test(`the method ${method} does not get out of ${format}`, async (t) => {
    const { backend, ...scene } = await urlScene(t, ok, { parameters: { URL_FORMAT: format } });

    const { reply } = await scene.call(method);

    assert.equal(reply.failure?.code, 'E_BAD_ARGUMENTS');
    assert.equal(backend.connections.length, 0);
  });
}

test('a path as method follows a bare address', async (t) => {
  const { backend, ...scene } = await urlScene(t, ok, { parameters: { URL_FORMAT: 'http://@backend%s' } });

  await scene.call('/p q');

  assert.equal(requestLine(backend.requests[0]!.head), 'GET /p%20q? HTTP/1.1');
});

test('connections are kept', async (t) => {
  const { backend, ...scene } = await urlScene(t);

  for (let count = 0; count < 3; count += 1) await scene.call('m');

  assert.equal(backend.connections.length, 1);
});

test('requestTimeout bounds the whole call', async (t) => {
  const script: BackendScript = (_, connection) => {
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n');
    const drop = setInterval(() => connection.send('x'), 10);
    connection.socket.on('close', () => clearInterval(drop));
  };
  const scene = await urlScene(t, script, { parameters: { ...FORMAT, requestTimeout: '100' } });

  const { reply } = await scene.call('m');

  assert.equal(reply.failure?.code, 'E_BACKEND_TIMEOUT');
});

/** what the backend does; code and type of the exception, and its text */
const TROUBLE: [string, BackendScript, [number, number, RegExp]][] = [
  [
    'says nothing',
    () => undefined,
    [503, 2, /^Get "http:\/\/127.0.0.1:\d+\/api\/m\?": context deadline exceeded/],
  ],
  ['closes', (_, connection) => connection.end(), [503, 2, /^Get "http:\/\/127.0.0.1:\d+\/api\/m\?": EOF$/]],
  [
    'closes inside its body',
    (_, connection) => {
      connection.send('HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\npart');
      connection.end();
    },
    [201, 503, /^unexpected EOF$/],
  ],
];
for (const [what, script, [code, type, text]] of TROUBLE) {
  test(`a backend that ${what} is told of as Go tells it`, async (t) => {
    const { backend, ...scene } = await urlScene(t, script, {
      parameters: { ...FORMAT, requestTimeout: '100' },
    });

    const { reply } = await scene.call('m');

    assert.deepEqual([reply.exception?.code, reply.exception?.type], [code, type]);
    assert.match(reply.exception!.message, text);
    assert.equal(backend.requests.length, 1);
  });
}

test('zipped answers arrive plain', async (t) => {
  const zipped = gzipSync('plain text'.repeat(1000));
  const { backend, ...scene } = await urlScene(t, (_, connection) => {
    connection.send(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${zipped.length}\r\n\r\n`);
    connection.send(zipped);
  });

  const { reply, body } = await scene.call('m');

  assert.deepEqual(body, simple.text('plain text'.repeat(1000)));
  assert.equal(reply.head?.metadata.get('Content-Encoding'), undefined);
  assert.equal(fieldsOf(backend.requests[0]!.head)['accept-encoding'], 'gzip');
});

test('a caller that asks for an encoding itself gets what the backend sends', async (t) => {
  const zipped = gzipSync('plain');
  const scene = await urlScene(t, (_, connection) => {
    connection.send(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${zipped.length}\r\n\r\n`);
    connection.send(zipped);
  });

  const { body } = await scene.call('m', { metadata: { 'accept-encoding': 'gzip' } });

  assert.deepEqual(body, simple.text(zipped));
});

for (const limit of ['10485760', '1000000000']) {
  test(`a bomb of 1 GiB is not unpacked with maxContentLength ${limit}`, async (t) => {
    const bomb = bombOf(64);
    const scene = await urlScene(
      t,
      (_, connection) => {
        connection.send(
          `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`,
        );
        connection.send(bomb);
      },
      { parameters: { ...FORMAT, maxContentLength: limit, requestTimeout: '5000' } },
    );
    const before = process.memoryUsage().rss;

    const { reply } = await scene.call('m');

    assert.equal(reply.failure?.code, 'E_ANSWER_TOO_LARGE');
    assert.ok(process.memoryUsage().rss - before < 300 * 1024 * 1024);
  });
}

/** Gzip members of 16 MiB zeros each, which unpack one behind the other. */
function bombOf(members: number): Buffer {
  const member = gzipSync(Buffer.alloc(16 * 1024 * 1024));
  return Buffer.concat(Array.from({ length: members }, () => member));
}

test('redirects to the same place are followed, as GET without a form unless the status keeps the method', async (t) => {
  const { backend, ...scene } = await urlScene(t, (request, connection) => {
    const path = requestLine(request.head).split(' ')[1]!.split('?')[0]!;
    if (path === '/api/302') connection.send(answerText(302, '', 'Location: /end?x=1\r\n'));
    else if (path === '/api/307')
      connection.send(answerText(307, '', `Location: http://${backend.address}/end\r\n`));
    else echoBody(request, connection);
  });

  await scene.call('302', { metadata: POST, body: simple.map({ a: 'b' }) });
  const kept = await scene.call('307', { metadata: POST, body: simple.map({ a: 'b' }) });

  assert.deepEqual(
    backend.requests.map(({ head }) => requestLine(head)),
    ['POST /api/302 HTTP/1.1', 'GET /end?x=1 HTTP/1.1', 'POST /api/307 HTTP/1.1', 'POST /end HTTP/1.1'],
  );
  assert.deepEqual(kept.body, simple.text('a=b&requestIdFromClient=77'));
  assert.equal(scene.provider.report().inFlight, 0);
});

const ELSEWHERE = [
  'http://169.254.169.254/latest',
  'http://localhost:1/',
  '//evil.example/',
  'file:///etc/passwd',
  'http://[::1]:8002/',
];
for (const location of ELSEWHERE) {
  test(`a redirect to ${location} is the answer and not followed`, async (t) => {
    const scene = await urlScene(t, (_, connection) =>
      connection.send(answerText(302, 'moved', `Location: ${location}\r\n`)),
    );

    const { reply, body } = await scene.call('m');

    assert.equal(reply.head?.upstreamCode, '302');
    assert.equal(reply.head?.metadata.get('Location'), location);
    assert.deepEqual(body, simple.text('moved'));
  });
}

test('redirects end after ten', async (t) => {
  const { backend, ...scene } = await urlScene(t, (_, connection) =>
    connection.send(answerText(302, '', 'Location: /again\r\n')),
  );

  const { reply } = await scene.call('m');

  assert.match(reply.exception!.message, /stopped after 10 redirects/);
  assert.equal(backend.requests.length, 11);
});

test('with enableHttpException a status of 400 and above is an exception', async (t) => {
  const parameters = { ...FORMAT, enableHttpException: 'true' };
  const scene = await urlScene(t, (_, connection) => connection.send(answerText(418, 'no')), { parameters });

  const { reply } = await scene.call('m');

  assert.deepEqual(reply.exception, { code: 418, type: 2, message: 'no' });
});

test('what the agent says of an answer does not come back from the request', async (t) => {
  const scene = await urlScene(t);

  const { reply } = await scene.call('m', {
    metadata: { M_e: '{"errcode":1}', M_pt: '9', upstreamCode: '1' },
  });

  assert.deepEqual(
    [reply.head?.metadata.get('M_e'), reply.head?.metadata.get('M_pt'), reply.head?.upstreamCode],
    [undefined, undefined, '200'],
  );
});

test('the same connection answers callers with their own metadata', async (t) => {
  const { backend, ...scene } = await urlScene(t);

  const first = await scene.call(callHead('m', { who: 'a' }));
  const second = await scene.call(callHead('m', { who: 'b' }));

  assert.deepEqual(
    [first, second].map(({ reply }) => reply.head?.metadata.get('who')),
    ['a', 'b'],
  );
  assert.equal(backend.connections.length, 1);
});

for (const size of [10, 300]) {
  test(`a breeze caller gets a breeze string of ${size} bytes`, async (t) => {
    const scene = await urlScene(t, (_, connection) => connection.send(answerText(200, 'b'.repeat(size))));

    const { body } = await scene.call('m', { serialization: BREEZE_BYTE });

    const front = size < 128 ? [0x3f, size] : [0x3f, (size & 0x7f) | 0x80, size >> 7];
    assert.deepEqual(body, Buffer.concat([Buffer.from(front), Buffer.alloc(size, 'b')]));
  });
}

const HTTPX = { provider: 'httpx', parameters: FORMAT } as const;

test('httpx has its own agent, no status in the metadata, and the last of repeated fields', async (t) => {
  const { backend, ...scene } = await urlScene(
    t,
    (_, connection) => connection.send(answerText(500, 'page', 'X-A: 1\r\nX-A: 2\r\n')),
    HTTPX,
  );

  const { reply, body } = await scene.call('m', { metadata: { Host: 'h' } });
  await scene.call('m', { metadata: POST });

  const fields = fieldsOf(backend.requests[0]!.head);
  assert.deepEqual(
    [fields['user-agent'], fields.host, fields['content-type'], fields['accept-encoding']],
    ['weibo-mesh-http', backend.address, undefined, undefined],
  );
  assert.equal(fieldsOf(backend.requests[1]!.head)['content-type'], 'application/x-www-form-urlencoded');
  assert.deepEqual([reply.head?.upstreamCode, reply.head?.metadata.get('X-A')], ['', '2']);
  assert.deepEqual(body, simple.text('page'));
});

test('httpx follows no redirect', async (t) => {
  const { backend, ...scene } = await urlScene(
    t,
    (_, connection) => connection.send(answerText(302, '', 'Location: /x\r\n')),
    HTTPX,
  );

  await scene.call('m');

  assert.equal(backend.requests.length, 1);
});

test('trouble of httpx has type 503, and a POST is sent once', async (t) => {
  const { backend, ...scene } = await urlScene(t, (_, connection) => connection.end(), HTTPX);

  const lost = await scene.call('m', { metadata: POST });
  const bad = await scene.call('m', { metadata: { 'a b': 'c' } });
  await until('the connection is closed', () => backend.openConnections === 0);
  await backend.stop();
  const down = await scene.call('m');

  assert.equal(backend.requests.length, 1);
  for (const { reply } of [lost, bad, down])
    assert.deepEqual([reply.exception?.code, reply.exception?.type], [503, 503]);
  assert.match(lost.reply.exception!.message, /^the server closed connection before/);
  assert.match(down.reply.exception!.message, /^dial tcp4 .*: connect: connection refused$/);
});
