/** The provider against a FastCGI backend that does what the test says: every end of a call, the bound, the queue. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Reply } from '../../../../../src/core/index.js';
import {
  BREEZE,
  type CgiCallFields,
  CgiScene,
  cgiCall,
  httpCall,
  httpOf,
  map,
  textOf,
} from '../../../../support/cgi-provider.js';
import { realClock, until } from '../../../../support/clock.js';
import {
  answer,
  endRequest,
  type FcgiPeer,
  record,
  ScriptedFcgi,
  stderr,
  stdout,
} from '../../../../support/fastcgi.js';

interface Setting {
  readonly backend: ScriptedFcgi;
  readonly scene: CgiScene;
}

async function setting(
  t: TestContext,
  parameters: Record<string, string> = {},
  script: ScriptedFcgi['script'] = null,
  useRaw = true,
): Promise<Setting> {
  const backend = await ScriptedFcgi.start();
  backend.script = script;
  const all = {
    CGI_PORT: String(backend.port),
    CGI_REQUEST_METHOD: 'GET',
    CGI_SCRIPT_FILENAME: '/srv/x.php',
    maxChildren: '2',
    ...parameters,
  };
  const scene = new CgiScene(all, { useRaw });
  t.after(async () => {
    scene.end();
    await backend.stop();
  });
  return { backend, scene };
}

function exceptionOf(reply: Reply): [number, number, string] {
  const { exception } = reply;
  assert.ok(exception !== null, 'no exception');
  return [exception.code, exception.type, exception.message];
}

/** A call, and its request at the backend. */
async function asked(
  { backend, scene }: Setting,
  fields: CgiCallFields = {},
): Promise<{ reply: Promise<Reply>; peer: FcgiPeer }> {
  const reply = scene.call(fields);
  const peer = await backend.connection();
  await peer.request();
  return { reply, peer };
}

const HTTP = httpCall('GET /x HTTP/1.1\r\nHost: a\r\n\r\n');

for (const useRaw of [true, false]) {
  test(`a script's output is the value, its headers are metadata, useRaw ${useRaw}`, async (t) => {
    const { scene } = await setting(
      t,
      {},
      (_request, peer) =>
        peer.send(answer('caf\xe9\0', 'Status: 404 Not Found\r\nX-A: 1\r\nX-A: 2\r\nM_e: x\r\n')),
      useRaw,
    );

    const reply = await scene.call();

    assert.equal(textOf(reply), 'caf\xe9\0');
    assert.deepEqual(Object.fromEntries(reply.head!.metadata.entries()), { 'X-A': '2', upstreamCode: '404' });
    assert.deepEqual([reply.exception, reply.failure, reply.versionStatus], [null, null, 0x08]);
  });
}

test('answers in the serialization of the call', async (t) => {
  const big = 'x'.repeat(300);
  const { scene } = await setting(t, {}, (request, peer) =>
    peer.send(answer(request.params.get('MOTAN_long') === '1' ? big : 'hi')),
  );

  const short = await scene.call({ serialization: BREEZE });
  const long = await scene.call({ serialization: BREEZE, metadata: { long: '1' } });

  assert.equal(textOf(short), 'hi');
  assert.equal(textOf(long), big);
});

test('an answer that comes byte by byte is the same answer', async (t) => {
  const setup = await setting(t);
  const { reply, peer } = await asked(setup);

  for (const byte of answer('hello world', 'X-A: 1\r\n')) peer.send(Buffer.from([byte]));

  assert.equal(textOf(await reply), 'hello world');
});

test('the connection is closed as soon as the script has ended', async (t) => {
  const setup = await setting(t);
  const { reply, peer } = await asked(setup);

  peer.send(answer('done'));

  await reply;
  await until('the connection is closed by us', () => peer.isClosed);
  assert.equal(setup.scene.provider.report().connections, 0);
});

test('a transparent call gets the status line, headers and body of the script', async (t) => {
  const head =
    'Status: 404 Not Here\r\nContent-type: text/plain\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: close\r\nContent-Length: 99\r\n';
  const { scene } = await setting(t, {}, (_request, peer) => peer.send(answer('gone', head)));

  const reply = await scene.call(HTTP);

  const { block, body } = httpOf(reply);
  assert.equal(
    block,
    'HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 4\r\n\r\n',
  );
  assert.equal(body.toString(), 'gone');
  assert.equal(reply.head!.upstreamCode, '404');
  assert.equal(reply.failure, null);
});

test('an answer to HEAD has the size that the script says, and no body', async (t) => {
  const { scene } = await setting(t, {}, (_request, peer) =>
    peer.send(answer('ignored', 'Content-Length: 99\r\n')),
  );

  const { block, body } = httpOf(await scene.call(httpCall('HEAD / HTTP/1.1\r\n\r\n')));

  assert.equal(block, 'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n');
  assert.equal(body.length, 0);
});

test('with enableHttpException a bad status is an exception for RPC callers and none for HTTP', async (t) => {
  const { scene } = await setting(t, { enableHttpException: 'true' }, (_request, peer) =>
    peer.send(answer('broken', 'Status: 500\r\n')),
  );

  const rpc = await scene.call();
  const http = await scene.call(HTTP);

  assert.deepEqual(exceptionOf(rpc), [500, 2, 'broken']);
  assert.equal(rpc.failure, null);
  assert.equal(rpc.head!.exceptionText, '{"errcode":500,"errmsg":"broken","errtype":2}');
  assert.equal(rpc.versionStatus, 0x09);
  assert.match(httpOf(http).block, /^HTTP\/1\.1 500 Internal Server Error\r\n/);
});

test('a large body arrives whole', async (t) => {
  const received: number[] = [];
  const { scene } = await setting(t, {}, (request, peer) => {
    received.push(request.body.length);
    peer.send(answer('ok'));
  });
  const body = Buffer.alloc(5_000_000, 'abc');

  await scene.call(httpCall(`POST / HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n`, body));

  assert.deepEqual(received, [body.length]);
});

test('what waits for an answer does not keep its body, and pooled memory goes back once it is sent', async (t) => {
  const setup = await setting(t);
  const { args, metadata } = httpCall('PUT / HTTP/1.1\r\n\r\n', Buffer.alloc(300_000, 'a'));
  const call = cgiCall({ args: args!, metadata: metadata! });
  const { loop } = setup.scene;
  const pooled = loop.buffers.take(call.bodyBytes);
  call.bytes.copy(pooled);
  const bytes = call.bodyBytes;
  Object.assign(call, { bytes: pooled, pooled, isOwned: true });
  const reply = setup.scene.start(call);
  const peer = await setup.backend.connection();

  const request = await peer.request();

  assert.equal(request.body.length, 300_000);
  assert.deepEqual([call.bytes.length, call.pooled, call.bodyBytes], [0, null, bytes]);
  await until('the memory is in the pool', () => loop.buffers.take(bytes) === pooled);
  peer.send(answer('ok'));
  await reply;
});

test('nobody listens: the failure of motan-go', async (t) => {
  const { backend, scene } = await setting(t);
  const { port } = backend;
  await backend.stop();

  const reply = await scene.call();
  const http = await scene.call(HTTP);

  assert.deepEqual(exceptionOf(reply), [503, 503, `dial tcp 127.0.0.1:${port}: connect: connection refused`]);
  assert.equal(reply.failure!.code, 'E_BACKEND_DOWN');
  assert.match(httpOf(http).block, /^HTTP\/1\.1 502 /);
  assert.equal(http.failure!.code, 'E_BACKEND_DOWN');
});

test('a unix socket that is not there: the failure of motan-go', async (t) => {
  const { scene } = await setting(t, { CGI_HOST: 'unix:///nowhere/php.sock' });

  assert.deepEqual(exceptionOf(await scene.call()), [
    503,
    503,
    'dial unix /nowhere/php.sock: connect: no such file or directory',
  ]);
});

const ENDS: Record<string, { act: (peer: FcgiPeer) => void; code: string; status: number }> = {
  'dies before its answer': { act: (peer) => peer.end(), code: 'E_BACKEND_LOST', status: 502 },
  'resets before its answer': { act: (peer) => peer.reset(), code: 'E_BACKEND_LOST', status: 502 },
  'dies inside of a record': {
    act: (peer) => {
      peer.send(answer('hello').subarray(0, 30));
      peer.end();
    },
    code: 'E_BACKEND_LOST',
    status: 502,
  },
  'ends without END_REQUEST': {
    act: (peer) => {
      peer.send(stdout('A: b\r\n\r\nwhole'));
      peer.end();
    },
    code: 'E_BACKEND_LOST',
    status: 502,
  },
  'sends garbage': {
    act: (peer) => peer.send(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')),
    code: 'E_BACKEND_BAD_ANSWER',
    status: 502,
  },
  'sends a head without end': {
    act: (peer) => peer.send(stdout('A: b\r\n'), endRequest()),
    code: 'E_BACKEND_BAD_ANSWER',
    status: 502,
  },
  'sends nothing and ends': {
    act: (peer) => peer.send(endRequest()),
    code: 'E_BACKEND_BAD_ANSWER',
    status: 502,
  },
  'sends a bad status': {
    act: (peer) => peer.send(answer('', 'Status: none\r\n')),
    code: 'E_BACKEND_BAD_ANSWER',
    status: 502,
  },
  'sends a huge head': {
    act: (peer) => peer.send(stdout(`A: ${'x'.repeat(133_000)}`)),
    code: 'E_BACKEND_BAD_ANSWER',
    status: 502,
  },
  'is overloaded': { act: (peer) => peer.send(endRequest(0, 2)), code: 'E_BACKEND_BUSY', status: 503 },
  'cannot multiplex': {
    act: (peer) => peer.send(endRequest(0, 1)),
    code: 'E_BACKEND_BAD_ANSWER',
    status: 502,
  },
  'does not know the role': {
    act: (peer) => peer.send(endRequest(0, 3)),
    code: 'E_BACKEND_BAD_ANSWER',
    status: 502,
  },
  'sends more than the bound': {
    act: (peer) => peer.send(answer(Buffer.alloc(5000))),
    code: 'E_ANSWER_TOO_LARGE',
    status: 502,
  },
};

for (const [what, { act, code, status }] of Object.entries(ENDS)) {
  test(`a backend that ${what} fails its own call once, with ${code} or ${status}`, async (t) => {
    const setup = await setting(t, { maxContentLength: '4000' });
    const rpc = await asked(setup);
    const http = await asked(setup, HTTP);

    act(rpc.peer);
    act(http.peer);

    const reply = await rpc.reply;
    assert.equal(reply.failure!.code, code);
    assert.equal(reply.exception!.type >= 502, true);
    assert.match(httpOf(await http.reply).block, new RegExp(`^HTTP/1\\.1 ${status} `));
    await until('the connections are closed', () => setup.backend.open === 0);
    assert.equal(setup.backend.peers.length, 2, 'it was tried again');
    const next = await asked(setup);
    next.peer.send(answer('fine'));
    assert.equal(textOf(await next.reply), 'fine');
  });
}

test('output without a head has the code of motan-go', async (t) => {
  const setup = await setting(t);
  const { reply, peer } = await asked(setup);

  peer.send(stdout('no head at all'), endRequest());

  assert.deepEqual(exceptionOf(await reply), [502, 502, 'Cannot parse FastCGI Response']);
});

test('a refusal of an HTTP call does not tell where the backend is', async (t) => {
  const { scene } = await setting(t, { CGI_HOST: 'unix:///secret/php.sock' });

  const { block, body } = httpOf(await scene.call(HTTP));

  assert.doesNotMatch(block + body.toString(), /secret/);
});

test('Motan v1 callers are answered with an exception', async (t) => {
  const { scene } = await setting(t);

  const reply = await scene.call({ protocol: 1 });

  assert.equal(reply.failure!.code, 'E_BAD_ARGUMENTS');
});

test('arguments that cannot be read are the failure of the caller', async (t) => {
  const { backend, scene } = await setting(t);

  const reply = await scene.call({ body: Buffer.from([99]) });
  const http = await scene.call(httpCall('not HTTP'));

  assert.deepEqual(exceptionOf(reply).slice(0, 2), [503, 503]);
  assert.equal(reply.failure!.code, 'E_BAD_ARGUMENTS');
  assert.match(httpOf(http).block, /^HTTP\/1\.1 400 /);
  assert.equal(backend.peers.length, 0);
});

test('calls beyond the children wait, and those beyond the queue are refused at once', async (t) => {
  const setup = await setting(t, { maxChildren: '2', queueMax: '3' });
  const { backend, scene } = setup;
  const first = await asked(setup);
  const second = await asked(setup);
  const waiting = [1, 2, 3].map(() => scene.call());

  const refused = await scene.call();
  const refusedHttp = await scene.call(HTTP);

  assert.equal(refused.failure!.code, 'E_BACKEND_BUSY');
  assert.deepEqual(exceptionOf(refused).slice(0, 2), [503, 503]);
  assert.match(
    httpOf(refusedHttp).block,
    /^HTTP\/1\.1 503 Service Unavailable\r\n(?:.+\r\n)*Retry-After: 1\r\n/,
  );
  const { queued, refused: count, connections, connectionsMax, inFlight } = scene.provider.report();
  assert.deepEqual(
    { queued, count, connections, connectionsMax, inFlight },
    { queued: 3, count: 2, connections: 2, connectionsMax: 2, inFlight: 2 },
  );
  first.peer.send(answer('1'));
  second.peer.send(answer('2'));
  for (const reply of waiting) {
    (await backend.connection()).send(answer('x'));
    await reply;
  }
  assert.equal(backend.openMax, 2);
});

test('calls that wait are served in the order in which they came', async (t) => {
  const setup = await setting(t, { maxChildren: '1' });
  const { backend, scene } = setup;
  const busy = await asked(setup);
  const waiting = ['1', '2', '3'].map((number) => scene.call({ metadata: { number } }));

  busy.peer.send(answer('x'));

  for (const [index, reply] of waiting.entries()) {
    const peer = await backend.connection();
    assert.equal((await peer.request()).params.get('MOTAN_number'), String(index + 1));
    peer.send(answer('x'));
    await reply;
  }
  assert.equal(backend.openMax, 1);
});

test('a call waits for a child no longer than queueTimeout', async (t) => {
  const setup = await setting(t, { maxChildren: '1', queueTimeout: '30' });
  const busy = await asked(setup);

  const reply = await setup.scene.call();

  assert.equal(reply.failure!.code, 'E_BACKEND_BUSY');
  assert.equal(setup.scene.provider.report().queued, 0);
  assert.equal(setup.scene.provider.report().refused, 1);
  busy.peer.send(answer('late'));
  assert.equal(textOf(await busy.reply), 'late');
});

test('a call that takes too long is told so, and its child counts as busy until the script has ended', async (t) => {
  const setup = await setting(t, { maxChildren: '1', requestTimeout: '60', queueTimeout: '5000' });
  const { backend, scene } = setup;
  const slow = await asked(setup);

  const reply = await slow.reply;

  assert.equal(reply.failure!.code, 'E_BACKEND_TIMEOUT');
  const { connections, inFlight } = scene.provider.report();
  assert.deepEqual({ connections, inFlight }, { connections: 1, inFlight: 0 });
  const next = scene.start(cgiCall({ metadata: { next: '1' } }, realClock.nowMs() + 10_000));
  assert.equal(scene.provider.report().queued, 1);
  slow.peer.send(answer('nobody wants it'));
  const peer = await backend.connection();
  peer.send(answer('fine'));
  assert.equal(textOf(await next), 'fine');
  assert.equal(backend.openMax, 1);
});

test('an abandoned script that ends without a word frees its place', async (t) => {
  const setup = await setting(t, { maxChildren: '1', requestTimeout: '30' });
  const slow = await asked(setup);
  assert.equal((await slow.reply).failure!.code, 'E_BACKEND_TIMEOUT');

  slow.peer.end();

  await until('the place is free', () => setup.scene.provider.report().connections === 0);
});

test('an abandoned script that writes without end is cut off', async (t) => {
  const setup = await setting(t, { maxChildren: '1', requestTimeout: '30', maxContentLength: '1000' });
  const slow = await asked(setup);
  await slow.reply;

  slow.peer.send(stdout(Buffer.alloc(1_000_000)));

  await until('the place is free', () => setup.scene.provider.report().connections === 0);
});

test('the first byte has a deadline of its own, the rest the one of the call', async (t) => {
  const setup = await setting(t, { firstByteTimeout: '40' });
  const silent = await asked(setup);
  const begun = await asked(setup);
  begun.peer.send(stdout('A: b\r\n'));

  assert.equal((await silent.reply).failure!.code, 'E_BACKEND_TIMEOUT');

  begun.peer.send(stdout('\r\nslow but well'), endRequest());
  assert.equal(textOf(await begun.reply), 'slow but well');
});

test('M_tmo bounds the whole call from its arrival, and the script is told what is left', async (t) => {
  const setup = await setting(t);
  const told = setup.scene.call({ metadata: { M_tmo: '200' } });
  const peer = await setup.backend.connection();

  const { params } = await peer.request();

  const left = Number(params.get('HTTP_X_PEONY_TIMEOUT_MS'));
  assert.ok(left > 0 && left <= 200, `${left} ms`);
  assert.equal((await told).failure!.code, 'E_BACKEND_TIMEOUT');
  const late = await setup.scene.start(cgiCall({ metadata: { M_tmo: '50' } }, realClock.nowMs() - 60));
  assert.equal(late.failure!.code, 'E_BACKEND_TIMEOUT');
  assert.equal(setup.backend.peers.length, 1, 'a call that was over was sent');
});

test('a caller without M_tmo, and the header of a client, tell the script nothing of time', async (t) => {
  const setup = await setting(t);
  const reply = setup.scene.call(httpCall('GET / HTTP/1.1\r\nX-Peony-Timeout-Ms: 7\r\n\r\n'));
  const peer = await setup.backend.connection();

  const { params } = await peer.request();

  assert.equal(params.has('HTTP_X_PEONY_TIMEOUT_MS'), false);
  peer.send(answer('ok'));
  await reply;
});

test('what scripts write to their error log is logged on one line with the id of the call', async (t) => {
  const setup = await setting(t);
  const { reply, peer } = await asked(setup, { metadata: { M_rid: '4711' } });

  peer.send(stderr('PHP Warning: \x1b[31mred\nsecond line'), stderr('x'.repeat(9000)), answer('ok'));

  await reply;
  const [entry] = setup.scene.logger.entries;
  const { requestId, stderr: logged } = entry!.fields as { requestId: string; stderr: string };
  assert.equal(requestId, '4711');
  assert.ok(logged.startsWith('PHP Warning: \\u001b[31mred\\nsecond linexxx'));
  assert.ok(logged.length < 2200);
});

test('without maxChildren and a status page there are five connections', async (t) => {
  const setup = await setting(t, { maxChildren: '' });

  assert.equal(setup.scene.provider.report().connectionsMax, 5);
});

function statusPage(fields: Record<string, string | number>): Buffer {
  const page = {
    pool: 'www',
    'process manager': 'static',
    'total processes': 3,
    'listen queue': 0,
    ...fields,
  };
  return answer(JSON.stringify(page), 'Content-Type: application/json\r\n');
}

test('the number of children is learnt from the status page before calls are sent', async (t) => {
  const setup = await setting(t, { maxChildren: '', fpmStatusPath: '/fpm-status' });
  const { backend, scene } = setup;
  const status = await backend.connection();
  const { params } = await status.request();
  const replies = [1, 2, 3, 4].map(() => scene.call());

  status.send(statusPage({ 'active processes': 1, 'max children reached': 0, 'slow requests': 2 }));

  await scene.provider.whenTried();
  assert.deepEqual([params.get('SCRIPT_NAME'), params.get('QUERY_STRING')], ['/fpm-status', 'json']);
  await until('three calls are sent', () => backend.open === 3);
  const report = scene.provider.report();
  assert.equal(report.connectionsMax, 3);
  assert.equal(report.queued, 1);
  assert.equal(report.details['slow requests'], 2);
  for (let count = 0; count < 4; count += 1) (await backend.connection()).send(answer('ok'));
  await Promise.all(replies);
  assert.equal(backend.openMax, 3);
});

test('a status page that is none leaves the guess, and says so once', async (t) => {
  const setup = await setting(t, { maxChildren: '', fpmStatusPath: '/fpm-status' }, (_request, peer) =>
    peer.send(answer('File not found.', 'Status: 404 Not Found\r\n')),
  );

  await setup.scene.provider.whenTried();

  const { connectionsMax, lastError } = setup.scene.provider.report();
  assert.equal(connectionsMax, 5);
  assert.match(lastError!, /\/fpm-status answers 404/);
  assert.equal(setup.scene.logger.entries.length, 1);
});

test('a ping is answered by a pong, and anything else is trouble', async (t) => {
  const setup = await setting(t, {}, (request, peer) => {
    const isPing = request.params.get('SCRIPT_NAME') === '/ping';
    peer.send(isPing ? answer('pong') : answer('File not found.', 'Status: 404\r\n'));
  });

  assert.equal(await setup.scene.probe('fpm', '/ping'), null);
  assert.match((await setup.scene.probe('fpm', '/other'))!, /404/);
  assert.equal(await setup.scene.probe('tcp'), null);
  assert.match((await setup.scene.probe('http', '/other'))!, /404/);
});

test('a probe of a backend that is gone or silent is trouble', async (t) => {
  const setup = await setting(t, { maxChildren: '3' });

  const silent = await setup.scene.probe('fpm', '/ping', 50);
  await setup.backend.stop();
  const gone = await setup.scene.probe('fpm', '/ping', 500);

  assert.match(silent!, /in time/);
  assert.match(gone!, /connection refused/);
  assert.match((await setup.scene.probe('tcp'))!, /ECONNREFUSED/);
});

test('a pool that is full of calls is well, one that is full of abandoned ones is not', async (t) => {
  const setup = await setting(t, { maxChildren: '1', requestTimeout: '200' });
  const busy = await asked(setup);

  const whileBusy = await setup.scene.probe('fpm');
  await busy.reply;
  const whenStuck = await setup.scene.probe('fpm');
  busy.peer.send(answer('at last'));
  await until('the place is free', () => setup.scene.provider.report().connections === 0);

  assert.equal(whileBusy, null);
  assert.match(whenStuck!, /given up/);
});

test('closing lets calls finish, refuses new ones, and ends what is late', async (t) => {
  const setup = await setting(t, { maxChildren: '2' });
  const quick = await asked(setup);
  const late = await asked(setup);

  setup.scene.provider.close(100);

  assert.equal((await setup.scene.call()).failure!.code, 'E_DRAINING');
  quick.peer.send(answer('in time'));
  assert.equal(textOf(await quick.reply), 'in time');
  assert.equal((await late.reply).failure!.code, 'E_BACKEND_LOST');
  await until('all connections are closed', () => setup.backend.open === 0);
});

test('closing ends calls that wait, which were never sent', async (t) => {
  const setup = await setting(t, { maxChildren: '1' });
  const busy = await asked(setup);
  const waiting = setup.scene.call();

  setup.scene.provider.close(30);

  assert.equal((await waiting).failure!.code, 'E_DRAINING');
  assert.equal((await busy.reply).failure!.code, 'E_BACKEND_LOST');
  assert.equal(setup.backend.peers.length, 1);
});

test('a request record of the backend, or one of another request, ends only its call', async (t) => {
  const setup = await setting(t);
  const { reply, peer } = await asked(setup, { args: [map({ a: 'b' })] });
  const other = await asked(setup);

  peer.send(record(6, 'x', 0, 9));
  other.peer.send(answer('fine'));

  assert.equal((await reply).failure!.code, 'E_BACKEND_BAD_ANSWER');
  assert.equal(textOf(await other.reply), 'fine');
});
