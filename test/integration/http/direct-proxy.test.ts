/** The direct proxy against backends of node:http and such that say exactly what their script tells. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { failure } from '../../../src/core/index.js';
import { until } from '../../support/clock.js';
import { answerText, type BackendScript, echoBody, HttpBackend } from '../../support/http-backend.js';
import { type ProxyOptions, type ProxyScene, proxyScene, VIA } from './proxy-scene.js';
import { domain, replyException, replyFailure } from './server-scene.js';

interface Scene extends ProxyScene {
  readonly backend: HttpBackend;
  /** As callers name it. */
  readonly host: string;
}

async function backendScene(
  t: TestContext,
  script: BackendScript,
  options: ProxyOptions = {},
): Promise<Scene> {
  const backend = await HttpBackend.start(script);
  t.after(() => backend.stop());
  const proxy = await proxyScene(t, options);
  return { ...proxy, backend, host: `backend.test:${backend.port}` };
}

/** Lines of a head, sorted but for the first. */
function lines(head: string): string[] {
  const [first, ...rest] = head.split('\r\n');
  return [first!, ...rest.toSorted()];
}

test('passes a request on as it came, with what a proxy has to add', async (t) => {
  const { scene, backend, host } = await backendScene(t, echoBody);

  const answer = await scene.ask(
    `POST http://${host}/a%2Fb/../c?x=%31&y HTTP/1.1\r\nHost: other.test\r\nUser-Agent: curl/8\r\nCookie: a=1\r\nCookie: b=2\r\n` +
      'x-LOWER: v\xe9\r\nContent-Length: 5\r\n\r\nhello',
    'POST',
  );

  assert.equal(answer.status, 200);
  assert.equal(answer.body.toString(), 'hello');
  const { head, body } = backend.requests[0]!;
  assert.equal(body.toString(), 'hello');
  assert.deepEqual(lines(head), [
    'POST /a%2Fb/../c?x=%31&y HTTP/1.1',
    'Content-Length: 5',
    'Cookie: a=1',
    'Cookie: b=2',
    `Host: ${host}`,
    'User-Agent: curl/8',
    `Via: 1.1 ${VIA}`,
    'X-Forwarded-For: 127.0.0.1',
    'x-LOWER: v\xe9',
  ]);
});

test('takes Host for the target of a path, and names an agent where none is named', async (t) => {
  const { scene, backend, host } = await backendScene(t, echoBody);

  await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  assert.deepEqual(lines(backend.requests[0]!.head), [
    'GET / HTTP/1.1',
    `Host: ${host}`,
    'User-Agent: motan',
    `Via: 1.1 ${VIA}`,
    'X-Forwarded-For: 127.0.0.1',
  ]);
});

test('keeps what is for one connection alone from the other side', async (t) => {
  const { scene, backend, host } = await backendScene(t, (_request, connection) => {
    connection.send(
      answerText(
        200,
        'ok',
        'Connection: x-hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\nUpgrade: h2c\r\n' +
          'Proxy-Authenticate: Basic\r\nTrailer: T\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nVia: 1.0 first\r\nX-Kept: 1\r\n',
      ),
    );
  });

  const answer = await scene.ask(
    `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n` +
      'TE: trailers\r\nUpgrade: websocket\r\nProxy-Authorization: Basic eA==\r\nProxy: http://evil.test\r\nX-Forwarded-For: 1.1.1.1\r\n' +
      'X-Forwarded-For: 2.2.2.2\r\nVia: 1.0 a, 1.1 b\r\nX-Kept: 1\r\n\r\n',
  );

  assert.deepEqual(lines(backend.requests[0]!.head), [
    'GET / HTTP/1.1',
    `Host: ${host}`,
    'User-Agent: motan',
    `Via: 1.0 a, 1.1 b, 1.1 ${VIA}`,
    'X-Forwarded-For: 1.1.1.1, 2.2.2.2, 127.0.0.1',
    'X-Kept: 1',
  ]);
  assert.deepEqual([...answer.fields.keys()].toSorted(), [
    'content-length',
    'date',
    'set-cookie',
    'via',
    'x-kept',
  ]);
  assert.equal(answer.fields.get('set-cookie'), 'a=1\nb=2');
  assert.equal(answer.fields.get('via'), `1.0 first, 1.1 ${VIA}`);
});

test('asks the server to close where connections are not kept', async (t) => {
  const { scene, backend, host } = await backendScene(t, echoBody, { http: { keepalive: false } });
  const caller = await scene.caller();

  for (let count = 0; count < 2; count += 1) {
    caller.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await caller.answer();
  }

  assert.match(backend.requests[1]!.head, /\r\nConnection: close(\r\n|$)/);
  assert.equal(backend.connections.length, 2);
});

test('uses a connection to the server again', async (t) => {
  const { scene, backend, host } = await backendScene(t, echoBody);

  for (let count = 0; count < 3; count += 1) await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  assert.equal(backend.requests.length, 3);
  assert.equal(backend.connections.length, 1);
});

test('passes chunks on in both directions and drops trailers', async (t) => {
  const { scene, backend, host } = await backendScene(t, (_request, connection) => {
    connection.send(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n',
    );
  });

  const answer = await scene.ask(
    `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n`,
    'POST',
  );

  assert.equal(answer.fields.get('transfer-encoding'), 'chunked');
  assert.equal(answer.body.toString(), 'abcde');
  const { head, body } = backend.requests[0]!;
  assert.match(head, /\r\nTransfer-Encoding: chunked/);
  assert.equal(body.toString('latin1'), '5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n');
});

test('gives an answer until the end of its connection in chunks', async (t) => {
  const { scene, host } = await backendScene(t, (_request, connection) => {
    connection.send('HTTP/1.0 200 OK\r\n\r\nall of it');
    connection.end();
  });

  const answer = await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  assert.equal(answer.fields.get('transfer-encoding'), 'chunked');
  assert.equal(answer.fields.get('via'), `1.0 ${VIA}`);
  assert.equal(answer.body.toString(), 'all of it');
});

for (const [name, request, response, expected] of [
  [
    'HEAD keeps the length that the server said',
    'HEAD',
    'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n',
    '99',
  ],
  ['HEAD of an unknown length', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
  ['204 has no body', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', undefined],
  ['304 has no body', 'GET', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', undefined],
] as const) {
  test(`${name}, and the next request follows`, async (t) => {
    const { scene, host } = await backendScene(t, (sent, connection) => {
      connection.send(sent.head.startsWith('POST') ? answerText(200, 'next') : response);
    });
    const caller = await scene.caller();

    caller.send(
      `${request} / HTTP/1.1\r\nHost: ${host}\r\n\r\nPOST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`,
    );
    const answer = await caller.answer(request);
    const next = await caller.answer('POST');

    assert.equal(answer.status, Number(response.split(' ')[1]));
    assert.equal(answer.fields.get('content-length'), expected);
    assert.equal(next.body.toString(), 'next');
  });
}

test('passes interim answers over and follows no redirect', async (t) => {
  const { scene, backend, host } = await backendScene(t, (_request, connection) => {
    connection.send('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
    connection.send(answerText(302, '', 'Location: /elsewhere\r\n'));
  });

  const answer = await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  assert.equal(answer.status, 302);
  assert.equal(answer.fields.get('location'), '/elsewhere');
  assert.equal(backend.requests.length, 1);
});

test('a caller that waits for 100 gets it once the target may be reached', async (t) => {
  const { scene, backend, host } = await backendScene(t, echoBody);
  const caller = await scene.caller();
  const fields = 'Expect: 100-continue\r\nContent-Length: 5\r\n\r\n';

  caller.send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${fields}`);
  const interim = await caller.answer('POST');
  caller.send('hello');
  const answer = await caller.answer('POST');
  const refused = await scene.ask(`POST / HTTP/1.1\r\nHost: nobody.test\r\n${fields}`, 'POST');

  assert.equal(interim.status, 100);
  assert.equal(answer.body.toString(), 'hello');
  assert.doesNotMatch(backend.requests[0]!.head, /Expect/i);
  assert.equal(refused.status, 403);
});

test('a target that no entry names is refused before anything is connected', async (t) => {
  const { scene, backend } = await backendScene(t, echoBody, { http: { allow: [] } });

  const answer = await scene.ask(`GET http://backend.test:${backend.port}/ HTTP/1.1\r\nHost: h\r\n\r\n`);

  assert.equal(answer.status, 403);
  assert.match(answer.body.toString(), /httpProxyAllow/);
  assert.equal(backend.connections.length, 0);
  assert.equal(scene.server.report().failed, 1);
});

test('the agent itself is never a target, however it is spelled', async (t) => {
  const { scene } = await proxyScene(t, {
    http: { allow: ['*', '127.0.0.0/8', 'me.test', 'localhost'] },
    names: { 'me.test': ['127.0.0.1'], localhost: ['127.0.0.1', '::1'] },
  });

  for (const host of [
    'me.test',
    '127.0.0.2',
    '2130706433',
    '0x7f.1',
    '127.1',
    '0',
    '[::ffff:127.0.0.1]',
    'LOCALHOST.',
  ]) {
    const answer = await scene.ask(`GET http://${host}:${scene.server.port}/x HTTP/1.1\r\nHost: h\r\n\r\n`);
    assert.ok([400, 403].includes(answer.status), `${host}: ${answer.status}`);
  }
});

test('connects to the address that was checked, not to what the name means later', async (t) => {
  const { scene, backend, host } = await backendScene(t, echoBody, {
    http: { allow: ['backend.test', '192.0.2.0/24'] },
  });

  // `backend.test` means something to the proxy alone: the system would not find it.
  const answer = await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  assert.equal(answer.status, 200);
  assert.equal(backend.requests.length, 1);
});

for (const [name, script] of [
  ['resets', (_request, connection) => connection.reset()],
  ['closes before it answers', (_request, connection) => connection.end()],
  ['speaks something else', (_request, connection) => connection.send('SSH-2.0-x\r\n\r\n')],
  ['switches protocols', (_request, connection) => connection.send('HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n')],
] as const satisfies readonly (readonly [string, BackendScript])[]) {
  test(`a server that ${name} is 502 without a body, and gets a POST once`, async (t) => {
    const { scene, backend, host, logger } = await backendScene(t, script);

    const answer = await scene.ask(
      `POST /x HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\n\r\nhi`,
      'POST',
    );

    assert.equal(answer.status, 502);
    assert.equal(answer.fields.get('server'), 'motan');
    assert.equal(answer.body.length, 0);
    assert.equal(backend.requests.length, 1);
    assert.equal(scene.server.report().failed, 1);
    const line = logger.entries.find((entry) => entry.message === 'http-proxy')!;
    assert.equal((line.fields as { status: number }).status, 502);
    assert.notEqual((line.fields as { trouble: string }).trouble, '');
  });
}

test('a server that does not listen is 502', async (t) => {
  const { scene, backend, host } = await backendScene(t, echoBody);
  await backend.stop();

  const answer = await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  assert.equal(answer.status, 502);
  assert.equal(answer.body.length, 0);
});

test('a name that is not found is 502', async (t) => {
  const { scene } = await proxyScene(t, { names: {} });

  const answer = await scene.ask('GET http://backend.test/ HTTP/1.1\r\nHost: h\r\n\r\n');

  assert.equal(answer.status, 502);
});

test('a server that says nothing is 502 after its time', async (t) => {
  const { scene, backend, host } = await backendScene(t, () => undefined, {
    http: { upstreamTimeoutMs: 50 },
  });

  const answer = await scene.ask(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\n\r\nhi`, 'POST');

  assert.equal(answer.status, 502);
  assert.equal(backend.requests.length, 1);
});

test('a caller that bounds its call gets 502 when its time is over', async (t) => {
  const { scene, backend, host } = await backendScene(t, () => undefined);

  const answer = await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\nX-Peony-Timeout-Ms: 60\r\n\r\n`);

  assert.equal(answer.status, 502);
  const leftMs = Number(/\r\nX-Peony-Timeout-Ms: (\d+)/.exec(backend.requests[0]!.head)![1]);
  assert.ok(leftMs > 0 && leftMs <= 60, String(leftMs));
});

for (const [name, begin] of [
  ['of a known length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
] as const) {
  test(`an answer ${name} that is cut ends the caller's connection`, async (t) => {
    const { scene, host } = await backendScene(t, (_request, connection) => {
      connection.send(begin);
      connection.end();
    });
    const caller = await scene.caller();

    caller.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const received = await caller.ended();

    assert.ok(!received.endsWith('0\r\n\r\n'), received);
    assert.equal(scene.server.report().failed, 1);
  });
}

test('a GET on a connection that has gone stale is sent once more, a POST that was read is not', async (t) => {
  let count = 0;
  const { scene, backend, host } = await backendScene(t, (request, connection) => {
    count += 1;
    // Each connection serves one request and closes without a word at the second.
    if (backend.requests.filter((one) => one.connection === request.connection).length > 1)
      connection.reset();
    else connection.send(answerText(200, String(count)));
  });

  await scene.ask(`GET /1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const get = await scene.ask(`GET /2 HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const post = await scene.ask(`POST /3 HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\n\r\nx`, 'POST');

  assert.equal(get.status, 200);
  assert.equal(post.status, 502);
  const targets = backend.requests.map((request) => request.head.split(' ')[1]);
  assert.deepEqual(targets, ['/1', '/2', '/2', '/3']);
});

test('a call that finds no node goes to the real host with its body, without an entry', async (t) => {
  const names = { 'backend.test': ['127.0.0.1'] };
  const web = domain('backend.test', (_service, call) => {
    // As from a node: later, and from somebody else.
    setImmediate(() => replyException(call, { code: 1001, type: 1, message: 'No refers for request' }));
  });
  // The address of this machine needs an entry; of others a domain needs none.
  const { scene, backend, host } = await backendScene(t, echoBody, {
    domains: [web],
    names,
    http: { allow: ['127.0.0.1'] },
  });

  const answer = await scene.ask(
    `POST /rpc/x HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
    'POST',
  );

  assert.equal(answer.status, 200);
  assert.equal(answer.body.toString(), 'abcde');
  assert.match(backend.requests[0]!.head, /^POST \/rpc\/x HTTP\/1\.1\r\n/);
  assert.match(backend.requests[0]!.head, /\r\nContent-Length: 5/);
});

test('a call that failed in another way goes nowhere else', async (t) => {
  const web = domain('backend.test', (_service, call) =>
    replyFailure(call, failure('E_TIMEOUT', 'too late')),
  );
  const { scene, backend, host } = await backendScene(t, echoBody, { domains: [web] });

  const answer = await scene.ask(`GET /rpc/x HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  assert.equal(answer.status, 502);
  assert.equal(backend.requests.length, 0);
});

test('requests of one connection are answered in their order', async (t) => {
  const waiting: (() => void)[] = [];
  const { scene, backend, host } = await backendScene(t, (request, connection) => {
    const path = request.head.split(' ')[1]!;
    const send = (): void => connection.send(answerText(200, path));
    if (path === '/slow') waiting.push(send);
    else send();
  });
  const caller = await scene.caller();

  caller.send(`GET /slow HTTP/1.1\r\nHost: ${host}\r\n\r\nGET /fast HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await backend.request(1);
  for (const send of waiting) send();
  const first = await caller.answer();
  const second = await caller.answer();

  assert.deepEqual([first.body.toString(), second.body.toString()], ['/slow', '/fast']);
});

test('a request that comes round again and again is ended', async (t) => {
  const { scene, backend, host } = await backendScene(t, echoBody);
  const ask = async (via: string): Promise<number> =>
    (await scene.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\nVia: ${via}\r\n\r\n`)).status;

  assert.equal(await ask(`1.1 ${VIA}`), 200);
  assert.equal(await ask(`1.1 ${VIA}, 1.1 other, 1.1 ${VIA.toUpperCase()} (comment)`), 508);
  assert.equal(await ask(Array.from({ length: 17 }, (_, index) => `1.1 p${index}`).join(', ')), 508);
  assert.equal(backend.requests.length, 1);
});

test('https goes to the server in TLS', async (t) => {
  const first: number[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => {
      first.push(bytes[0]!);
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { scene } = await proxyScene(t);
  const { port } = server.address() as net.AddressInfo;

  const answer = await scene.ask(`GET https://backend.test:${port}/ HTTP/1.1\r\nHost: h\r\n\r\n`);

  assert.equal(answer.status, 502);
  assert.deepEqual(first, [0x16]); // a TLS handshake
});

test('a caller that leaves takes its request with it', async (t) => {
  const { scene, backend, host } = await backendScene(t, (_request, connection) => {
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
  });
  const caller = await scene.caller();

  caller.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await until('half of the answer', () => caller.received.includes('half'));
  caller.socket.resetAndDestroy();

  await until('the connection to the server is closed', () => backend.openConnections === 0);
});

test('an answer that comes before the body is all there reaches the caller', async (t) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(answerText(413, 'too much', 'Connection: close\r\n')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { scene } = await proxyScene(t);
  const { port } = server.address() as net.AddressInfo;
  const caller = await scene.caller();

  caller.send(`POST / HTTP/1.1\r\nHost: backend.test:${port}\r\nContent-Length: 1000000\r\n\r\n`);
  caller.send(Buffer.alloc(1000));
  const answer = await caller.answer('POST');

  assert.equal(answer.status, 413);
  assert.equal(answer.body.toString(), 'too much');
  await caller.ended();
});

// --- Large bodies

const MIB = 1024 * 1024;
const LARGE_BYTES = 64 * MIB;
const PIECE = Buffer.alloc(MIB, 7);

/** The most resident memory while `work` runs, over that of before. */
async function grownBytes(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss();
  let most = before;
  const sampler = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 5);
  try {
    await work();
  } finally {
    clearInterval(sampler);
  }
  return most - before;
}

interface LargeBackend {
  readonly port: number;
  /** Bytes of bodies that came. */
  received: number;
  /** Bytes of answers that the backend got rid of. */
  sent: number;
}

/** Swallows what is sent to it, and sends LARGE_BYTES to who asks for `/large`; waits wherever the other side makes it wait. */
async function largeBackend(t: TestContext): Promise<LargeBackend> {
  const found = { port: 0, received: 0, sent: 0 };
  const server = http.createServer((request, response) => {
    if (request.url === '/stuck') return;
    request.on('data', (bytes: Buffer) => {
      found.received += bytes.length;
    });
    request.on('end', () => {
      if (request.url !== '/large') {
        response.end('done');
        return;
      }
      response.setHeader('Content-Length', LARGE_BYTES);
      const send = (): void => {
        while (found.sent < LARGE_BYTES) {
          found.sent += PIECE.length;
          if (!response.write(PIECE)) {
            response.once('drain', send);
            return;
          }
        }
        response.end();
      };
      send();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  found.port = (server.address() as net.AddressInfo).port;
  return found;
}

const LARGE_SETTINGS = { bodyBytesMax: 2 * LARGE_BYTES };

for (const [mode, title] of [
  ['length', '64 MiB of a known length go up'],
  ['chunked', '64 MiB in chunks go up'],
  ['down', '64 MiB come down'],
] as const) {
  test(`${title} while memory stays flat`, async (t) => {
    const peers = fork(new URL('./large-peers.mjs', import.meta.url), { execArgv: [] });
    t.after(() => peers.kill());
    const said: { received?: number }[] = [];
    peers.on('message', (message: object) => said.push(message));
    await until('the peers', () => said.length === 1);
    const { scene } = await proxyScene(t, { http: LARGE_SETTINGS });

    const grown = await grownBytes(async () => {
      peers.send({ port: scene.server.port, mode });
      await until('64 MiB', () => said.length === 2, 20_000);
    });

    assert.deepEqual(said[1], { received: LARGE_BYTES });
    assert.ok(grown < LARGE_BYTES / 4, `${Math.round(grown / MIB)} MiB more`);
  });
}

test('a caller that reads nothing stops the server', async (t) => {
  const backend = await largeBackend(t);
  const { scene } = await proxyScene(t);
  const caller = net.connect({ port: scene.server.port, host: '127.0.0.1' });
  caller.pause();

  caller.write(`GET /large HTTP/1.1\r\nHost: backend.test:${backend.port}\r\n\r\n`);
  await steady(() => backend.sent);

  assert.ok(backend.sent < LARGE_BYTES / 2, `${backend.sent / MIB} MiB were taken`);
  let received = 0;
  caller.on('data', (bytes) => {
    received += bytes.length;
  });
  caller.resume();
  await until('the rest', () => received > LARGE_BYTES, 20_000);
  caller.destroy();
});

test('a server that reads nothing stops the caller', async (t) => {
  const backend = await largeBackend(t);
  const { scene } = await proxyScene(t, { http: LARGE_SETTINGS });
  const caller = await scene.caller();
  let taken = 0;

  caller.send(
    `POST /stuck HTTP/1.1\r\nHost: backend.test:${backend.port}\r\nContent-Length: ${LARGE_BYTES}\r\n\r\n`,
  );
  for (let count = 0; count < LARGE_BYTES / MIB; count += 1) {
    caller.socket.write(PIECE, (error) => {
      if (!error) taken += PIECE.length;
    });
  }
  await steady(() => taken);

  assert.ok(taken < LARGE_BYTES / 2, `${taken / MIB} MiB were taken`);
  caller.close();
});

/** Waits until `value` is above 0 and has not changed for a while. */
async function steady(value: () => number): Promise<void> {
  let last = 0;
  let sinceMs = performance.now();
  await until('a standstill', () => {
    const now = value();
    if (now !== last) {
      last = now;
      sinceMs = performance.now();
    }
    return now > 0 && performance.now() - sinceMs > 300;
  });
}
