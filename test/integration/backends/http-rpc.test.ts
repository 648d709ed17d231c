/** Provider http in front of a backend at `proxyAddress`, called by RPC callers: spec traffic 3.5 and 3.8. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HttpLocationConfig } from '../../../src/core/index.js';
import {
  BREEZE_BYTE,
  backendCall,
  type CallOptions,
  callHead,
  ReplyRecorder,
  runCall,
  simple,
} from '../../support/backend-call.js';
import { until, within } from '../../support/clock.js';
import { answerText, type BackendScript, echoBody } from '../../support/http-backend.js';
import { fieldsOf, type HttpScene, httpScene, RPC, requestLine } from './http-scene.js';

const POST = { HTTP_Method: 'POST' };
const NO_FIRST_BYTE =
  "the server closed connection before returning the first response byte. Make sure the server returns 'Connection: close' response header before closing the connection";

test('the method is the path, metadata are fields, the body comes back as bytes with the fields as metadata', async (t) => {
  const { backend, ...scene } = await rpcScene(t, (_, connection) =>
    connection.send(answerText(200, 'value', 'x-b: 1\r\nX-B: 2\r\nConnection: keep-alive\r\n')),
  );

  const { reply, body } = await scene.call('/a/b', {
    metadata: { 'x-lower': 'v', http_Foo: 'f', M_s: 'app' },
  });

  assert.equal(requestLine(backend.requests[0]!.head), 'GET /a/b HTTP/1.1');
  assert.deepEqual(fieldsOf(backend.requests[0]!.head), {
    host: 'd.example',
    'x-lower': 'v',
    foo: 'f',
    'motan-p': 'svc.one',
    'motan-m': '/a/b',
    'motan-g': 'g1',
    'motan-s': 'app',
    'user-agent': 'motan',
    'x-forwarded-for': '10.1.2.3',
    'motan-rid': '77',
  });
  assert.deepEqual(body, simple.bytes('value'));
  assert.deepEqual(Object.fromEntries(reply.head!.metadata.entries()), {
    'Content-Length': '5',
    'X-B': '2',
    'Content-Type': 'text/plain; charset=utf-8',
    upstreamCode: '200',
  });
  assert.equal(reply.serialization, 0x30);
  assert.equal(reply.exception, null);
});

test('names of fields go out as fasthttp writes them', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/', { metadata: { requestIdFromClient: '9', 'x-some-ID': 'i', M_rid: '-5' } });

  const { head } = backend.requests[0]!;
  for (const line of ['Requestidfromclient: 9', 'X-Some-Id: i', 'Motan-Rid: -5'])
    assert.ok(head.includes(`\r\n${line}`), line);
  assert.equal(head.match(/Motan-Rid/g)?.length, 1);
});

/** path of the call, then what the backend is asked for */
const PATHS: [string, string][] = [
  ['/a%20b', '/a%20b'],
  ['/a b', '/a%20b'],
  ['/a?b', '/a%3Fb'],
  ['/a#b', '/a%23b'],
  ['hello', '/hello'],
  ['/a//b/./c/../d', '/a/b/d'],
  ['/a/%2e%2e/b', '/b'],
  ['/..', '/'],
  ['/%zz', '/%25zz'],
  ['/x\r\nX-Evil: 1', '/x%0D%0AX-Evil:%201'],
  ['/gr\xc3\xb6', '/gr%C3%B6'],
];
for (const [method, target] of PATHS) {
  test(`the method ${JSON.stringify(method)} asks for ${target}`, async (t) => {
    const { backend, ...scene } = await rpcScene(t, echoBody);

    // What cannot be a field is no test of the path.
    await scene.call(callHead(method, { M_m: method }));

    if (/[\r\n]/.test(method)) assert.equal(backend.requests.length, 0);
    else assert.equal(requestLine(backend.requests[0]!.head), `GET ${target} HTTP/1.1`);
  });
}

test('a query of the metadata goes out as it is', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', { metadata: { HTTP_QueryString: 'a=1&b=%20x' } });

  assert.equal(requestLine(backend.requests[0]!.head), 'GET /p?a=1&b=%20x HTTP/1.1');
});

test('a map of strings is the query of a GET, keys and values escaped', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', {
    metadata: { HTTP_QueryString: 'q=0' },
    body: simple.map({ 'a b': 'c d', 'x&y=z': 'ä' }),
  });

  assert.equal(requestLine(backend.requests[0]!.head), 'GET /p?q=0&a%20b=c%20d&x%26y%3Dz=%C3%A4 HTTP/1.1');
  assert.equal(backend.requests[0]!.body.length, 0);
});

test('a map of strings is a form for other methods, and overrides the given content type', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', {
    metadata: { ...POST, 'content-type': 'text/x' },
    body: simple.map({ 'a b': 'c d', 'k&': 'v' }),
  });

  const { head, body } = backend.requests[0]!;
  assert.equal(body.toString(), 'a+b=c+d&k%26=v');
  assert.equal(fieldsOf(head)['content-type'], 'application/x-www-form-urlencoded');
  assert.equal(fieldsOf(head)['content-length'], '14');
});

const BODIES: Record<string, Buffer> = {
  string: simple.text('b\xff'),
  bytes: simple.bytes(Buffer.from([0, 255, 10])),
};
for (const [kind, argument] of Object.entries(BODIES)) {
  test(`an argument of ${kind} is the body as it is`, async (t) => {
    const { backend, ...scene } = await rpcScene(t, echoBody);

    const { body } = await scene.call('/p', { metadata: POST, body: argument });
    await scene.call('/p', { metadata: { ...POST, 'Content-Type': 'text/x' }, body: argument });

    assert.deepEqual(backend.requests[0]!.body, argument.subarray(5));
    assert.equal(fieldsOf(backend.requests[0]!.head)['content-type'], 'application/x-www-form-urlencoded');
    assert.equal(fieldsOf(backend.requests[1]!.head)['content-type'], 'text/x');
    assert.deepEqual(body, simple.bytes(argument.subarray(5)));
  });
}

for (const size of [100, 16 * 1024, 100 * 1024, 3 * 1024 * 1024]) {
  test(`a body of ${size} bytes passes both ways unchanged although its memory is used again`, async (t) => {
    const scene = await rpcScene(t, echoBody);
    const content = Buffer.alloc(size, 'abcdefghij\xfe', 'latin1');

    const { body } = await scene.call('/p', { metadata: POST, body: simple.bytes(content) });

    assert.ok(body.equals(simple.bytes(content)));
  });
}

test('pooled memory of a large body goes back to the pool once it is written', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);
  const body = simple.bytes(Buffer.alloc(200 * 1024, 'p'));
  const pooled = scene.loop.buffers.take(body.length);
  body.copy(pooled);
  const call = backendCall(callHead('/p', POST), { receivedMs: scene.loop.tick() });
  call.replaceBody(pooled.subarray(0, body.length));
  call.pooled = pooled;

  await runCall(scene.provider, call);

  assert.equal(backend.requests[0]!.body.length, 200 * 1024);
  assert.equal(scene.loop.buffers.take(body.length), pooled);
});

const NO_BODY: Record<string, Buffer> = {
  'no argument': simple.nothing,
  null: simple.null,
  'an empty map': simple.map({}),
};
for (const [what, argument] of Object.entries(NO_BODY)) {
  test(`${what} is no body`, async (t) => {
    const { backend, ...scene } = await rpcScene(t, echoBody);

    await scene.call('/p', { metadata: POST, body: argument });

    assert.equal(fieldsOf(backend.requests[0]!.head)['content-length'], '0');
  });
}

const REFUSED: [string, CallOptions, [number, number, RegExp]][] = [
  [
    'two arguments',
    { body: Buffer.concat([simple.text('a'), simple.text('b')]) },
    [400, 2, /^http rpc only support one parameter$/],
  ],
  ['a number', { body: simple.int64(5) }, [400, 2, /^http rpc unsupported parameter type: int64$/]],
  [
    'a body for GET',
    { body: simple.text('x"y') },
    [503, 2, /^non-zero body for non-POST request\. body="x\\"y"$/],
  ],
  [
    'a body for HEAD',
    { body: simple.bytes('x'), metadata: { HTTP_Method: 'HEAD' } },
    [503, 2, /^non-zero body/],
  ],
  ['a cut argument', { body: simple.text('abc').subarray(0, 6) }, [400, 2, /./]],
  ['an unknown serialization', { body: simple.text('abc'), serialization: 0 }, [400, 2, /hessian2/]],
  [
    'a method that is no token',
    { metadata: { HTTP_Method: 'GET /x HTTP/1.1\r\nA: b' } },
    [400, 2, /HTTP_Method/],
  ],
  ['a query with a blank', { metadata: { HTTP_QueryString: 'a b' } }, [400, 2, /HTTP_QueryString/]],
  ['a query with a line end', { metadata: { HTTP_QueryString: 'a\r' } }, [400, 2, /HTTP_QueryString/]],
  ['a value with CR', { metadata: { a: 'b\rc' } }, [400, 2, /metadata "a"/]],
  ['a value with NUL', { metadata: { a: 'b\0' } }, [400, 2, /metadata "a"/]],
  ['a key with a blank', { metadata: { 'a b': 'c' } }, [400, 2, /metadata "a b"/]],
  ['a key with a colon', { metadata: { 'a:b': 'c' } }, [400, 2, /metadata "a:b"/]],
  ['a Host with a slash', { metadata: { http_Host: 'a/b' } }, [400, 2, /http_Host/]],
  ['a client address with a line end', { metadata: { remoteIP: '1.1.1.1\rX: y' } }, [400, 2, /remoteIP/]],
];
for (const [what, options, [code, type, message]] of REFUSED) {
  test(`${what} is refused and nothing is sent`, async (t) => {
    const { backend, ...scene } = await rpcScene(t, echoBody);

    const { reply } = await scene.call('/p', options);

    assert.equal(reply.failure?.code, 'E_BAD_ARGUMENTS');
    assert.deepEqual([reply.exception?.code, reply.exception?.type], [code, type]);
    assert.match(reply.exception!.message, message);
    assert.equal(backend.connections.length, 0);
  });
}

test('fields that frame the message or are for one connection never come from metadata', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);
  const names = [
    'Connection',
    'content-length',
    'http_Transfer-Encoding',
    'TE',
    'Upgrade',
    'Keep-Alive',
    'Expect',
    'Proxy',
    'http_proxy',
    'X-Peony-Timeout-Ms',
  ];

  await scene.call('/p', {
    metadata: { ...POST, ...Object.fromEntries(names.map((name) => [name, '7'])) },
    body: simple.text('ab'),
  });

  const fields = fieldsOf(backend.requests[0]!.head);
  for (const name of names.map((each) => each.replace('http_', '').toLowerCase()))
    assert.equal(fields[name], name === 'content-length' ? '2' : undefined, name);
});

test('what the mesh says of a call cannot be said by its caller', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', { metadata: { 'MOTAN-p': 'other', 'motan-tmo': '1', 'http_MOTAN-s': 'root' } });

  const fields = fieldsOf(backend.requests[0]!.head);
  assert.deepEqual(
    [fields['motan-p'], fields['motan-tmo'], fields['motan-s']],
    ['svc.one', undefined, undefined],
  );
});

test('of two keys for one field the last one stands, once', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', { metadata: { 'x-a': '1', 'http_X-A': '2' } });

  assert.equal(fieldsOf(backend.requests[0]!.head)['x-a'], '2');
});

test('a Host of the metadata, a forwarded address and an agent of the caller are kept', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', {
    metadata: { http_host: 'h.example:8', Host: 'no', 'x-forwarded-for': '9.9.9.9', 'user-agent': 'me' },
  });

  const fields = fieldsOf(backend.requests[0]!.head);
  assert.deepEqual(
    [fields.host, fields['x-forwarded-for'], fields['user-agent']],
    ['h.example:8', '9.9.9.9', 'me'],
  );
});

test('remoteIP stands for the address of the caller, which a unix socket does not have', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', { metadata: { remoteIP: '8.8.8.8' } });
  await scene.call('/p', { metadata: { host: '@' }, host: '@' });

  assert.equal(fieldsOf(backend.requests[0]!.head)['x-forwarded-for'], '8.8.8.8');
  assert.equal(fieldsOf(backend.requests[1]!.head)['x-forwarded-for'], undefined);
});

test('without a domain the backend is asked by its own address', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody, {
    proxyAddress: '@backend',
    enableRewrite: 'false',
  });

  await scene.call('/p');

  assert.equal(fieldsOf(backend.requests[0]!.head).host, backend.address);
});

test('agents of callers do not get into the requests of others', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', { metadata: { 'user-agent': 'curl/8' } });
  await scene.call('/p');

  assert.equal(fieldsOf(backend.requests[1]!.head)['user-agent'], 'motan');
});

const LOCATIONS: HttpLocationConfig[] = [
  { match: '/pub', type: 'start', upstream: 's', rewriteRules: ['regexpVar ^/pub ^/pub/(.*) /v/{id}/$1'] },
  { match: '/raw', type: 'start', upstream: 's', rewriteRules: [] },
];
const REWRITING = { proxyAddress: '@backend', domain: 'd.example' };

test('the path is rewritten by the locations of the domain', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody, REWRITING, LOCATIONS);

  await scene.call('/pub/x', { metadata: { HTTP_QueryString: 'id=7' } });

  assert.equal(requestLine(backend.requests[0]!.head), 'GET /v/7/x?id=7 HTTP/1.1');
});

for (const path of ['/other', '/pub/../other', '/pub/%2e%2e/other', '//other']) {
  test(`${path} matches no location and is not sent`, async (t) => {
    const { backend, ...scene } = await rpcScene(t, echoBody, REWRITING, LOCATIONS);

    const { reply } = await scene.call(path);

    assert.deepEqual(reply.exception, { code: 404, type: 2, message: 'service not found' });
    assert.equal(backend.connections.length, 0);
  });
}

test('a query parameter cannot climb out of the rewritten path', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody, REWRITING, LOCATIONS);

  const { reply } = await scene.call('/pub/x', { metadata: { HTTP_QueryString: 'id=..%2F..%2Fadmin' } });

  assert.equal(reply.failure?.code, 'E_BAD_ARGUMENTS');
  assert.equal(backend.connections.length, 0);
});

test('statuses of 300 and above are ordinary answers', async (t) => {
  const scene = await rpcScene(t, (request, connection) =>
    connection.send(answerText(Number(/\/(\d+) /.exec(request.head)![1]), 'page', 'Location: /x\r\n')),
  );

  for (const status of [302, 404, 500]) {
    const { reply, body } = await scene.call(`/${status}`);
    assert.equal(reply.head?.metadata.get('upstreamCode'), String(status));
    assert.deepEqual(body, simple.bytes('page'));
  }
});

test('with enableHttpException a status of 400 and above is an exception with the body as text', async (t) => {
  const parameters = { ...RPC, enableHttpException: 'true' };
  const scene = await rpcScene(
    t,
    (_, connection) => connection.send(answerText(404, 'Gr\xc3\xb6\xc3\x9fe\n')),
    parameters,
  );

  const { reply, body } = await scene.call('/p');

  assert.equal(reply.failure, null);
  assert.deepEqual(reply.exception, { code: 404, type: 2, message: 'Größe\n' });
  assert.match(reply.head!.exceptionText, /"errcode":404/);
  assert.equal(reply.versionStatus, 0x09);
  assert.equal(body.length, 0);
});

test('a backend cannot write metadata of the mesh', async (t) => {
  const scene = await rpcScene(t, (_, connection) =>
    connection.send(answerText(200, '', 'M_e: {"errcode":1}\r\nm_pt: 5\r\nX-Ok: 1\r\n')),
  );

  const { reply } = await scene.call('/p');

  assert.deepEqual(
    [...reply.head!.metadata.entries()].map(([key]) => key),
    ['Content-Length', 'X-Ok', 'Content-Type', 'upstreamCode'],
  );
});

test('a breeze caller is understood and answered in breeze', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);
  const argument = Buffer.from([0x9d, 0, 0, 0, 2, 0x68, 0x69]);
  const map = Buffer.from([0xd9, 1, 1, 0x61, 1, 0x62]);

  const { reply, body } = await scene.call('/p', {
    metadata: POST,
    serialization: BREEZE_BYTE,
    body: argument,
  });
  await scene.call('/p', { serialization: BREEZE_BYTE, body: map });

  assert.deepEqual(body, argument);
  assert.equal(reply.serialization, BREEZE_BYTE);
  assert.equal(requestLine(backend.requests[1]!.head), 'GET /p?a=b HTTP/1.1');
});

test('a Motan v1 caller gets an exception and not silence', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  const { reply } = await scene.call('/p', { protocol: 1 });

  assert.deepEqual([reply.failure?.code, reply.exception?.type], ['E_BAD_ARGUMENTS', 2]);
  assert.equal(backend.connections.length, 0);
});

test('refused: the text is the one of motan-go', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);
  await backend.stop();

  const { reply } = await scene.call('/p');

  const message = `dial tcp4 ${scene.provider.report().backend}: connect: connection refused`;
  assert.equal(reply.failure?.code, 'E_BACKEND_DOWN');
  assert.deepEqual(reply.exception, { code: 503, type: 2, message });
});

test('a unix socket is called, and named when nobody listens there', async (t) => {
  const path = join(tmpdir(), `peony-http-${process.pid}.sock`);
  t.after(() => rmSync(path, { force: true }));
  const scene = await httpScene(t, echoBody, { path });

  const good = await scene.call('/p', { metadata: POST, body: simple.text('over a socket') });
  await scene.backend.stop();
  await until('the connection is gone', () => scene.provider.report().connections === 0);
  const { reply } = await scene.call('/p');

  assert.deepEqual(good.body, simple.bytes('over a socket'));
  assert.equal(fieldsOf(scene.backend.requests[0]!.head).host, 'd.example');
  assert.equal(reply.exception?.message, `dial unix ${path}: connect: no such file or directory`);
});

/** what the backend does, then code of the failure and text of the exception */
const TROUBLE: Record<string, [BackendScript, string, string | RegExp]> = {
  'says nothing': [() => undefined, 'E_BACKEND_TIMEOUT', NO_FIRST_BYTE],
  'closes before its answer': [(_, connection) => connection.end(), 'E_BACKEND_LOST', NO_FIRST_BYTE],
  'resets before its answer': [(_, connection) => connection.reset(), 'E_BACKEND_LOST', NO_FIRST_BYTE],
  'closes inside its body': [
    (_, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
      connection.end();
    },
    'E_BACKEND_LOST',
    'unexpected EOF',
  ],
  'cuts a chunked body': [
    (_, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n');
      connection.end();
    },
    'E_BACKEND_LOST',
    'unexpected EOF',
  ],
  'stops inside its body': [
    (_, connection) => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'),
    'E_BACKEND_TIMEOUT',
    'timeout while reading the answer',
  ],
  'does not speak HTTP': [
    (_, connection) => connection.send('220 mail ready\r\n\r\n'),
    'E_BACKEND_BAD_ANSWER',
    /^error when reading response headers: /,
  ],
  'breaks its chunks': [
    (_, connection) => connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
    'E_BACKEND_BAD_ANSWER',
    /^error when reading response body: /,
  ],
};
for (const [what, [script, code, text]] of Object.entries(TROUBLE)) {
  test(`a backend that ${what} is ${code}, once, and was asked once`, async (t) => {
    const { backend, ...scene } = await rpcScene(t, script, { ...RPC, requestTimeout: '80' });
    const recorder = new ReplyRecorder();

    scene.provider.start(backendCall(callHead('/p'), { receivedMs: scene.loop.tick() }), recorder);
    const { reply } = await within('the reply', recorder.first);
    await until('the connection is closed', () => backend.openConnections === 0);

    assert.equal(reply.failure?.code, code);
    assert.deepEqual([reply.exception?.code, reply.exception?.type], [503, 2]);
    if (typeof text === 'string') assert.equal(reply.exception?.message, text);
    else assert.match(reply.exception!.message, text);
    assert.equal(recorder.told.length, 1);
    assert.equal(backend.requests.length, 1);
    assert.equal(scene.provider.report().inFlight, 0);
  });
}

test('a backend that sends more than its answer is told of once and not believed again', async (t) => {
  const { backend, ...scene } = await rpcScene(t, (_, connection) => {
    connection.send(answerText(200, 'one'));
    connection.send('and more that nobody asked for');
  });

  const { body } = await scene.call('/p');
  await until('the connection is closed', () => backend.openConnections === 0);

  assert.deepEqual(body, simple.bytes('one'));
});

test('a call is refused when as many are under way as there may be', async (t) => {
  const { backend, ...scene } = await rpcScene(t, () => undefined, { ...RPC, maxConnections: '1' });
  const first = new ReplyRecorder();
  scene.provider.start(backendCall(callHead('/p'), { receivedMs: scene.loop.tick() }), first);

  const { reply } = await scene.call('/p');
  await backend.request(0);
  backend.connections[0]!.send(answerText(200, 'ok'));
  await first.first;

  assert.equal(reply.failure?.code, 'E_BACKEND_BUSY');
  assert.deepEqual(reply.exception, { code: 503, type: 2, message: 'no free connections available to host' });
  assert.equal(scene.provider.report().refused, 1);
});

test('an answer until close of HTTP/1.0 is whole', async (t) => {
  const scene = await rpcScene(t, (_, connection) => {
    connection.send('HTTP/1.0 200 OK\r\n\r\nall of it');
    connection.end();
  });

  assert.deepEqual((await scene.call('/p')).body, simple.bytes('all of it'));
});

test('an answer of 204 is an empty value', async (t) => {
  const scene = await rpcScene(t, (_, connection) => connection.send('HTTP/1.1 204 No Content\r\n\r\n'));

  const { reply, body } = await scene.call('/p');

  assert.deepEqual(body, simple.bytes(''));
  assert.equal(reply.head?.upstreamCode, '204');
});

const LARGE: Record<string, BackendScript> = {
  'that says so': (_, connection) =>
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc'),
  'in chunks': (_, connection) => {
    connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `400\r\n${'x'.repeat(1024)}\r\n`;
    for (let count = 0; count < 64; count += 1) connection.send(chunk);
  },
};
for (const [what, script] of Object.entries(LARGE)) {
  test(`an answer over maxContentLength ${what} fails its call alone and is not read on`, async (t) => {
    const { backend, ...scene } = await rpcScene(
      t,
      (request, connection) => {
        if (request.head.startsWith('GET /small')) connection.send(answerText(200, 'small'));
        else script(request, connection);
      },
      { ...RPC, maxContentLength: '20000', requestTimeout: '60000' },
    );

    const [large, small] = await Promise.all([scene.call('/large'), scene.call('/small')]);
    await until('the connection is closed', () => backend.openConnections === 1);

    assert.equal(large.reply.failure?.code, 'E_ANSWER_TOO_LARGE');
    assert.deepEqual(small.body, simple.bytes('small'));
  });
}

test('an idempotent call survives a kept connection that the backend has dropped', async (t) => {
  const { backend, ...scene } = await rpcScene(t, (request, connection) => {
    if (backend.requests.length === 2) connection.reset();
    else echoBody(request, connection);
  });
  await scene.call('/p');

  const { reply } = await scene.call('/p');

  assert.equal(reply.failure, null);
  assert.equal(backend.requests.length, 3);
});

test('a POST on a dropped connection is told of and never sent twice', async (t) => {
  const { backend, ...scene } = await rpcScene(t, (request, connection) => {
    if (backend.requests.length === 2) connection.reset();
    else echoBody(request, connection);
  });
  await scene.call('/p');

  const { reply } = await scene.call('/p', { metadata: POST, body: simple.text('pay') });

  assert.equal(reply.exception?.message, NO_FIRST_BYTE);
  assert.equal(backend.requests.length, 2);
});

test('M_tmo bounds the whole call and what is left of it goes on', async (t) => {
  const { backend, ...scene } = await rpcScene(t, () => undefined, { ...RPC, requestTimeout: '60000' });

  const { reply } = await scene.call('/p', {
    metadata: { M_tmo: '100' },
    receivedMs: scene.loop.tick() - 20,
  });

  const left = Number(fieldsOf(backend.requests[0]!.head)['x-peony-timeout-ms']);
  assert.equal(reply.failure?.code, 'E_BACKEND_TIMEOUT');
  assert.ok(left > 0 && left <= 80, `${left} ms are left`);
});

test('a call whose time is over is not sent', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  const { reply } = await scene.call('/p', { metadata: { M_tmo: '50' }, receivedMs: scene.loop.tick() - 60 });

  assert.equal(reply.failure?.code, 'E_BACKEND_TIMEOUT');
  assert.equal(backend.connections.length, 0);
});

test('trace context travels as header fields', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);

  await scene.call('/p', { metadata: { traceparent: '00-1-2-01', tracestate: 'a=b' } });

  const fields = fieldsOf(backend.requests[0]!.head);
  assert.deepEqual([fields.traceparent, fields.tracestate], ['00-1-2-01', 'a=b']);
});

test('calls with one head are sent alike, each with its own id', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);
  const head = callHead('/p', POST);

  await scene.call(head, { body: simple.text('one') });
  await scene.call(head, { body: simple.text('three') });

  assert.deepEqual(
    backend.requests.map(({ body }) => body.toString()),
    ['one', 'three'],
  );
  assert.equal(backend.requests[1]!.head.replace('Length: 5', 'Length: 3'), backend.requests[0]!.head);
});

const CHECKS: [string, BackendScript, RegExp | null][] = [
  ['tcp', () => undefined, null],
  ['http', (_, connection) => connection.send(answerText(200, 'ok')), null],
  ['http', (_, connection) => connection.send(answerText(302, '')), null],
  ['http', (_, connection) => connection.send(answerText(503, 'no')), /^status 503$/],
  ['http', () => undefined, /./],
  ['http', (_, connection) => connection.send('huh\r\n\r\n'), /./],
  ['fpm', () => undefined, /cgi/],
];
for (const [index, [kind, script, expected]] of CHECKS.entries()) {
  test(`check ${kind} number ${index} finds ${expected ?? 'the backend well'}`, async (t) => {
    const { backend, ...scene } = await rpcScene(t, script);
    const check = { kind: kind as 'tcp', path: '/health?x=1' };

    const trouble = await new Promise<string | null>((resolve) => scene.provider.probe(check, 100, resolve));
    await until('its connection is closed', () => backend.openConnections === 0);

    if (expected === null) assert.equal(trouble, null);
    else assert.match(trouble ?? '', expected);
    if (kind === 'http') assert.equal(requestLine(backend.requests[0]!.head), 'GET /health?x=1 HTTP/1.1');
  });
}

test('a check of a backend that nobody listens for tells what the system says', async (t) => {
  const { backend, ...scene } = await rpcScene(t, echoBody);
  await backend.stop();

  for (const kind of ['tcp', 'http'] as const) {
    const trouble = await new Promise<string | null>((resolve) =>
      scene.provider.probe({ kind, path: '/' }, 500, resolve),
    );
    assert.match(trouble ?? '', /ECONNREFUSED/);
  }
});

test('closing lets calls end and then refuses', async (t) => {
  const { backend, ...scene } = await rpcScene(t, () => undefined);
  const first = new ReplyRecorder();
  scene.provider.start(backendCall(callHead('/p'), { receivedMs: scene.loop.tick() }), first);
  await backend.request(0);

  scene.provider.close(5000);
  const late = await scene.call('/p');
  backend.connections[0]!.send(answerText(200, 'in time'));
  const { body } = await within('the reply', first.first);

  assert.deepEqual(body, simple.bytes('in time'));
  assert.notEqual(late.reply.failure, null);
  await until('all connections are closed', () => backend.openConnections === 0);
});

test('proxySchema https speaks TLS and answers nobody who does not', async (t) => {
  const first: number[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => {
      first.push(bytes[0]!);
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const scene = await rpcScene(t, echoBody, {
    ...RPC,
    proxyAddress: `127.0.0.1:${port}`,
    proxySchema: 'https',
  });

  const { reply } = await scene.call('/p');

  assert.deepEqual(first, [0x16]);
  assert.equal(reply.failure?.code, 'E_BACKEND_DOWN');
});

function rpcScene(
  t: TestContext,
  script: BackendScript,
  parameters: Record<string, string> = RPC,
  locations?: readonly HttpLocationConfig[],
): Promise<HttpScene> {
  return httpScene(t, script, locations === undefined ? { parameters } : { parameters, locations });
}
