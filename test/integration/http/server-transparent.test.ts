/** Transparent HTTP over Motan2, and which handler gets a request (spec traffic 2.2 to 2.7, B.4). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Call, failure } from '../../../src/core/index.js';
import {
  domain,
  echo,
  httpValue,
  RecordingHandler,
  reply,
  replyException,
  replyFailure,
  type ServerOptions,
  type ServerScene,
  serverScene,
  simple,
  tellTarget,
} from './server-scene.js';

type Context = Parameters<typeof serverScene>[0];

/** A scene with the domain `web.domain`, whose service answers below `/rpc`. */
async function webScene(t: Context, options: ServerOptions = {}): Promise<ServerScene> {
  const calls: ((call: Call) => void)[] = [];
  const web = domain('web.domain', (service, call) => {
    assert.equal(service, 'svc.web');
    calls[0]!(call);
  });
  const scene = await serverScene(t, { domains: [web], ...options });
  calls.push((call) => scene.take(call));
  scene.service = (call) => reply(call, httpValue('HTTP/1.1 200 OK\r\nX-Served: yes\r\n\r\n', 'body'));
  return scene;
}

/** Header block and body that a call was given. */
function partsOf(body: Buffer): [block: string, body: Buffer] {
  assert.equal(body[0], 3);
  const blockEnd = 5 + body.readUInt32BE(1);
  assert.equal(body[blockEnd], 3);
  assert.equal(body.readUInt32BE(blockEnd + 1), body.length - blockEnd - 5);
  return [body.toString('latin1', 5, blockEnd), body.subarray(blockEnd + 5)];
}

test('sends request line, fields and body as two byte arrays, with the metadata of transparent HTTP alone', async (t) => {
  const scene = await webScene(t);

  const answer = await scene.ask('GET /rpc/p HTTP/1.1\r\nHost: web.domain\r\n\r\n');

  const { call, body } = scene.calls[0]!;
  assert.deepEqual([...call.head.metadata.entries()].sort(), [
    ['HTTP_PROXY', 'true'],
    ['M_g', 'fg'],
    ['M_m', '/rpc/p'],
    ['M_p', 'svc.web'],
    ['M_pp', 'motan2'],
    ['M_s', 'cli-app'],
  ]);
  assert.equal(call.head.host, '');
  assert.deepEqual(partsOf(body), [
    'GET /rpc/p HTTP/1.1\r\nHost: web.domain\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n',
    Buffer.alloc(0),
  ]);
  assert.equal(call.type, 0x02);
  assert.equal(answer.status, 200);
  assert.equal(answer.fields.get('x-served'), 'yes');
  assert.equal(answer.body.toString(), 'body');
});

test('gives every call an id of its own', async (t) => {
  const scene = await webScene(t);
  const caller = await scene.caller();

  for (let count = 0; count < 3; count += 1) {
    caller.send('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');
    await caller.answer();
  }

  assert.equal(new Set(scene.calls.map(({ call }) => `${call.idHigh} ${call.idLow}`)).size, 3);
  assert.equal(scene.calls[1]!.call.head, scene.calls[0]!.call.head);
});

test('matches the path normalised and sends it on as it came', async (t) => {
  const scene = await webScene(t);

  await scene.ask('GET /x/..//rpc/a%2Fb%20c?q=%2F&r=1+2 HTTP/1.1\r\nHost: web.domain\r\n\r\n');

  const { call, body } = scene.calls[0]!;
  assert.equal(call.head.method, '/rpc/a/b c');
  assert.match(partsOf(body)[0], /^GET \/x\/\.\.\/\/rpc\/a%2Fb%20c\?q=%2F&r=1\+2 HTTP\/1\.1\r\n/);
});

test('lets the authority of an absolute target decide, not Host', async (t) => {
  const direct = tellTarget();
  const scene = await webScene(t, { deps: { directProxy: direct } });

  await scene.ask('GET http://web.domain:8080/rpc HTTP/1.1\r\nHost: other.domain\r\n\r\n');
  await scene.ask('GET http://other.domain/rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');

  assert.equal(scene.calls.length, 1);
  assert.match(partsOf(scene.calls[0]!.body)[0], /^GET \/rpc HTTP\/1\.1\r\nHost: web\.domain:8080\r\n/);
  assert.deepEqual(
    direct.exchanges.map((exchange) => exchange.authority),
    ['other.domain'],
  );
});

test('knows a domain whatever its case, port and final dot', async (t) => {
  const scene = await webScene(t);

  for (const host of ['WEB.domain', 'web.domain:81', 'web.domain.', 'Web.Domain.:81'])
    assert.equal((await scene.ask(`GET /rpc HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status, 200, host);

  assert.equal(scene.calls.length, 4);
});

test('sends names in their canonical form, keeps duplicates, and leaves out what is for one hop', async (t) => {
  const scene = await webScene(t);
  const fields = [
    'x-lower: 1',
    'M_s: 2',
    'http_x: 3',
    'Cookie: a=1',
    'COOKIE: b=2',
    'Connection: close, X-Hop',
    'X-Hop: 1',
    'Proxy-Connection: keep-alive',
    'Upgrade: websocket',
    'Proxy: evil:1',
    'Expect: 100-continue',
  ];

  await scene.ask(
    `GET /rpc HTTP/1.1\r\nHost: web.domain\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`,
  );

  assert.deepEqual(partsOf(scene.calls[0]!.body)[0].split('\r\n').slice(1), [
    'Host: web.domain',
    'X-Lower: 1',
    'M_s: 2',
    'Http_x: 3',
    'Cookie: a=1',
    'Cookie: b=2',
    'X-Forwarded-For: 127.0.0.1',
    '',
    '',
  ]);
});

test('appends the address of its caller to X-Forwarded-For', async (t) => {
  const scene = await webScene(t);

  await scene.ask(
    'GET /rpc HTTP/1.1\r\nHost: web.domain\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n\r\n',
  );

  const [block] = partsOf(scene.calls[0]!.body);
  assert.deepEqual(block.match(/X-Forwarded-For: .*/gi), ['X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1']);
});

test('sends bodies unchanged with their real length, however they are framed and whatever they hold', async (t) => {
  const scene = await webScene(t);
  const multipart = '--b\r\nContent-Disposition: form-data; name="a"\r\nX-Part: 1\r\n\r\nv\r\n--b-- broken';
  const large = Buffer.alloc(900_000, 'a\0b\xff', 'latin1').toString('latin1');

  for (const body of [multipart, large, 'x']) {
    const head =
      'POST /rpc HTTP/1.1\r\nHost: web.domain\r\nContent-Type: multipart/form-data; boundary=b\r\n';
    await scene.ask(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    await scene.ask(
      `${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    );
    for (const call of scene.calls.splice(0)) {
      const [block, sent] = partsOf(call.body);
      assert.equal(sent.toString('latin1'), body);
      assert.match(block, new RegExp(`\\r\\nContent-Length: ${body.length}\\r\\n\\r\\n$`));
      assert.doesNotMatch(block, /Transfer-Encoding/);
    }
  }
});

test('says the length of a body that is announced empty', async (t) => {
  const scene = await webScene(t);

  await scene.ask('POST /rpc HTTP/1.1\r\nHost: web.domain\r\nContent-Length: 0\r\n\r\n');

  assert.match(partsOf(scene.calls[0]!.body)[0], /\r\nContent-Length: 0\r\n\r\n$/);
});

test('bounds the call by the time that its caller has left', async (t) => {
  const scene = await webScene(t);

  await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\nX-Peony-Timeout-Ms: 250\r\n\r\n');
  await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\nX-Peony-Timeout-Ms: -1\r\n\r\n');

  assert.deepEqual(
    scene.calls.map(({ call }) => call.head.timeoutMs),
    [250, 0],
  );
});

test('refuses a body that does not fit into a frame with 413', async (t) => {
  const scene = await webScene(t, { frameBytesMax: 10_000 });

  const answer = await scene.ask(
    `POST /rpc HTTP/1.1\r\nHost: web.domain\r\nContent-Length: 10000\r\n\r\n${'x'.repeat(10_000)}`,
  );

  assert.equal(answer.status, 413);
  assert.equal(scene.calls.length, 0);
});

test('refuses a path that metadata cannot hold', async (t) => {
  const scene = await webScene(t);

  for (const path of ['/rpc%0AM_p%0AEvil', '/rpc%0D', '/rpc%7F'])
    assert.equal((await scene.ask(`GET ${path} HTTP/1.1\r\nHost: web.domain\r\n\r\n`)).status, 400);

  assert.equal(scene.calls.length, 0);
});

test('gives status, fields and body of the service, with a date, a length and a connection of its own', async (t) => {
  const scene = await webScene(t);
  const block =
    'HTTP/1.1 404 Nowhere\r\nServer: php\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n' +
    'Content-Length: 999\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\n';
  scene.service = (call) => reply(call, httpValue(block, 'gone'), { metadata: [['upstreamCode', '404']] });

  const answer = await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');

  assert.match(answer.head, /^HTTP\/1\.1 404 Not Found\r\n/);
  assert.equal(answer.fields.get('server'), 'php');
  assert.equal(answer.fields.get('set-cookie'), 'a=1\nb=2');
  assert.notEqual(answer.fields.get('date'), 'Thu, 01 Jan 1970 00:00:00 GMT');
  assert.equal(answer.fields.get('content-length'), '4');
  assert.equal(answer.body.toString(), 'gone');
  assert.deepEqual([...answer.fields.keys()].sort(), ['content-length', 'date', 'server', 'set-cookie']);
});

test('gives each answer its own fields on a connection', async (t) => {
  const scene = await webScene(t);
  const caller = await scene.caller();

  for (const value of ['a', 'a', 'b', 'a']) {
    scene.service = (call) => reply(call, httpValue(`HTTP/1.1 200 OK\r\nX-V: ${value}\r\n\r\n`, value));
    caller.send('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');
    const answer = await caller.answer();
    assert.equal(answer.fields.get('x-v'), value);
    assert.equal(answer.body.toString(), value);
  }
});

test('keeps the length that the service tells for HEAD', async (t) => {
  const scene = await webScene(t);
  scene.service = (call) => reply(call, httpValue('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n'));
  const caller = await scene.caller();

  caller.send('HEAD /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');
  const answer = await caller.answer('HEAD');

  assert.equal(answer.fields.get('content-length'), '1234');
});

test('answers 200 where the service gives no header block', async (t) => {
  const scene = await webScene(t);
  const parts = Buffer.concat([Buffer.from([0]), simple(Buffer.from('body'))]);
  const nothing = Buffer.from([0x15, 0, 0, 0, 2, 0, 0]);
  const bodies = [Buffer.concat([Buffer.from([0x15, 0, 0, 0, parts.length]), parts]), nothing];

  for (const [index, body] of bodies.entries()) {
    scene.service = (call) => reply(call, body);
    const answer = await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');
    assert.equal(answer.status, 200);
    assert.equal(answer.body.toString(), index === 0 ? 'body' : '');
  }
});

test('answers an exception with 502 in the words of motan-go', async (t) => {
  const scene = await webScene(t);
  scene.service = (call) => replyException(call, { code: 404, type: 2, message: 'service not found' });

  const answer = await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');

  assert.equal(answer.status, 502);
  assert.equal(answer.fields.get('server'), 'motan');
  assert.equal(answer.fields.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(answer.body.toString(), 'err_msg: service not found');
  assert.equal(scene.server.report().ok, 1);
});

test('answers a bound of the agent with 503 and Retry-After', async (t) => {
  const scene = await webScene(t);

  for (const code of ['E_OVERLOADED', 'E_DRAINING', 'E_BACKEND_BUSY', 'E_SEND_QUEUE_FULL'] as const) {
    scene.service = (call) => replyFailure(call, failure(code, 'full'));
    const answer = await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');
    assert.equal(answer.status, 503);
    assert.equal(answer.fields.get('retry-after'), '1');
  }
  scene.service = (call) => replyException(call, { code: 503, type: 2, message: 'of a node' });
  const other = await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');

  assert.equal(other.status, 502);
  assert.equal(scene.server.report().shed, 4);
});

test('answers what is no transparent answer with 502', async (t) => {
  const scene = await webScene(t);
  const bad = [
    Buffer.alloc(0),
    simple('text'),
    httpValue('no status line\r\n\r\n'),
    httpValue('HTTP/1.1 200 OK\r\nX: a\n\r\n\r\n'),
    httpValue('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'),
    httpValue('HTTP/1.1 100 Continue\r\n\r\n'),
    Buffer.from([0x15, 0, 0, 0, 9, 0, 0]),
    Buffer.from([0x15, 0, 0, 0, 3, 0, 0, 0]),
    Buffer.from([0x15, 0, 0, 0, 1, 0]),
  ];

  for (const body of bad) {
    scene.service = (call) => reply(call, body);
    const answer = await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');
    assert.equal(answer.status, 502, body.toString('latin1'));
    assert.match(answer.body.toString(), /^err_msg: /);
  }
  assert.equal(scene.server.report().failed, bad.length);
});

test('gives a request that nobody serves to the direct proxy, with its body', async (t) => {
  const direct = echo();
  const scene = await webScene(t, { deps: { directProxy: direct } });
  const large = 'x'.repeat(500_000);
  const unserved = [
    (call: Call) => replyFailure(call, failure('E_NO_ENDPOINT', 'No refers for request')),
    (call: Call) => replyException(call, { code: 1001, type: 1, message: 'of the next agent' }),
    (call: Call) => void setImmediate(() => replyException(call, { code: 1001, type: 1, message: 'late' })),
  ];

  for (const service of unserved) {
    scene.service = service;
    for (const body of ['', 'hello', large]) {
      const answer = await scene.ask(
        `POST /rpc HTTP/1.1\r\nHost: web.domain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      assert.equal(answer.status, 200);
      assert.equal(answer.body.toString(), body);
    }
  }

  assert.equal(direct.exchanges.length, 9);
  assert.equal(scene.server.report().ok, 9);
});

test('falls back for no other exception', async (t) => {
  const direct = echo();
  const scene = await webScene(t, { deps: { directProxy: direct } });

  for (const code of [1002, 1003, 404, 503]) {
    scene.service = (call) => replyException(call, { code, type: 1, message: 'no' });
    await scene.ask('GET /rpc HTTP/1.1\r\nHost: web.domain\r\n\r\n');
  }

  assert.equal(direct.exchanges.length, 0);
});

// --- Who gets a request

test('gives paths that a domain does not serve, and hosts nobody knows, to the direct proxy', async (t) => {
  const direct = tellTarget();
  const scene = await webScene(t, { deps: { directProxy: direct } });

  await scene.ask('GET /else HTTP/1.1\r\nHost: web.domain\r\n\r\n');
  await scene.ask('GET /rpc HTTP/1.1\r\nHost: else.domain\r\n\r\n');
  await scene.ask('OPTIONS * HTTP/1.1\r\nHost: else.domain\r\n\r\n');

  assert.deepEqual(direct.paths, ['/else', '/rpc', '*']);
  assert.equal(scene.calls.length, 0);
});

test('answers 403 for hosts nobody knows where there is no direct proxy', async (t) => {
  const scene = await webScene(t);

  assert.equal((await scene.ask('GET / HTTP/1.1\r\nHost: else.domain\r\n\r\n')).status, 403);
});

test('answers requests to itself with 400 and no body', async (t) => {
  const direct = tellTarget();
  const scene = await webScene(t, { deps: { directProxy: direct } });
  const { port } = scene.server;

  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST.:${port}`]) {
    const answer = await scene.ask(`GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    assert.equal(answer.status, 400, host);
    assert.equal(answer.body.length, 0);
  }
  await scene.ask(`GET http://localhost:${port}/x HTTP/1.1\r\nHost: a\r\n\r\n`);
  await scene.ask('GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n');

  assert.equal(direct.exchanges.length, 1);
});

test('gives typed calls their paths, unless a domain or another host is meant', async (t) => {
  const direct = tellTarget();
  const typed = tellTarget();
  const scene = await webScene(t, { deps: { directProxy: direct, typedCalls: typed } });
  const { port } = scene.server;

  await scene.ask('POST /v1/call/svc/m HTTP/1.1\r\nHost: whatever\r\n\r\n');
  await scene.ask(`GET http://localhost:${port}/v1/services HTTP/1.1\r\nHost: a\r\n\r\n`);
  await scene.ask('GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n');
  await scene.ask('GET /v1/services HTTP/1.1\r\nHost: web.domain\r\n\r\n');
  await scene.ask('GET http://api.example/v1/services HTTP/1.1\r\nHost: a\r\n\r\n');
  await scene.ask('GET /v1/other HTTP/1.1\r\nHost: a\r\n\r\n');

  assert.deepEqual(typed.paths, ['/v1/call/svc/m', '/v1/services', '/v1/openapi.json']);
  assert.deepEqual(direct.paths, ['/v1/services', '/v1/services', '/v1/other']);
});

test('answers 404 for typed calls where there are none', async (t) => {
  const scene = await webScene(t);

  assert.equal((await scene.ask('GET /v1/services HTTP/1.1\r\nHost: a\r\n\r\n')).status, 404);
});

test('takes the default domain for hosts nobody knows', async (t) => {
  const direct = tellTarget();
  const scene = await webScene(t, { http: { defaultDomain: 'web.domain' }, deps: { directProxy: direct } });
  const { port } = scene.server;

  await scene.ask('GET /rpc HTTP/1.1\r\nHost: else.domain\r\n\r\n');
  await scene.ask(`GET /rpc HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
  await scene.ask('GET http://else.domain/rpc HTTP/1.1\r\nHost: a\r\n\r\n');
  await scene.ask('GET /else HTTP/1.1\r\nHost: else.domain\r\n\r\n');
  await scene.ask('GET http://else.domain/else HTTP/1.1\r\nHost: a\r\n\r\n');

  assert.equal(scene.calls.length, 3);
  for (const { body } of scene.calls) assert.match(partsOf(body)[0], /\r\nHost: web\.domain\r\n/);
  assert.deepEqual(
    direct.exchanges.map((exchange) => exchange.authority),
    ['web.domain', 'else.domain'],
  );
});

test('gives CONNECT to its handler, even for the path of the bridge', async (t) => {
  const connect = new RecordingHandler((exchange) => exchange.refuse(502, ''));
  const scene = await webScene(t, { deps: { connect } });

  await scene.ask('CONNECT web.domain:443 HTTP/1.1\r\nHost: web.domain\r\n\r\n');

  assert.deepEqual(
    connect.exchanges.map(({ target }) => [target.host, target.port]),
    [['web.domain', 443]],
  );
});
