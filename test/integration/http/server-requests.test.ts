/** Reading requests: versions, keep-alive, pipelining, bodies however they are cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpExchange } from '../../../src/data/server/index.js';
import { until } from '../../support/clock.js';
import { echo, RecordingHandler, serverScene, tellTarget } from './server-scene.js';

test('answers one request after the other on a connection', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: tellTarget() } });
  const caller = await scene.caller();

  caller.send('GET /one HTTP/1.1\r\nHost: a\r\n\r\n');
  const first = await caller.answer();
  caller.send('GET /two HTTP/1.1\r\nHost: a\r\n\r\n');
  const second = await caller.answer();

  assert.equal(first.body.toString(), '/one');
  assert.equal(first.fields.get('connection'), undefined);
  assert.equal(second.body.toString(), '/two');
  assert.equal(scene.server.report().connectionsAccepted, 1);
});

test('ends the connection after a caller that says close', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: tellTarget() } });
  const caller = await scene.caller();

  caller.send(
    'GET /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n',
  );
  const answer = await caller.answer();

  assert.equal(answer.fields.get('connection'), 'close');
  assert.equal(await caller.ended(), '');
  assert.equal(scene.server.report().in, 1);
});

test('reads nothing behind a request that says close, answered or not', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send(
    'GET /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n',
  );
  await handler.handledTimes(1);
  const paths = [...handler.paths];
  handler.exchanges[0]!.respond(200, [], null);
  await caller.answer();

  assert.deepEqual(paths, ['/one']);
  assert.equal(await caller.ended(), '');
});

test('ends the connection after a caller of HTTP/1.0', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: tellTarget() } });
  const caller = await scene.caller();

  caller.send('GET /old HTTP/1.0\r\n\r\n');
  const answer = await caller.answer();

  assert.equal(answer.body.toString(), '/old');
  assert.equal(answer.fields.get('connection'), 'close');
  assert.equal(await caller.ended(), '');
});

test('keeps the connection of a caller of HTTP/1.0 who asks for it', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: tellTarget() } });
  const caller = await scene.caller();

  caller.send('GET /one HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  const first = await caller.answer();
  caller.send('GET /two HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  const second = await caller.answer();

  assert.equal(first.fields.get('connection'), 'keep-alive');
  assert.equal(second.body.toString(), '/two');
});

test('answers a caller who has half-closed, then closes', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.socket.end('GET /one HTTP/1.1\r\nHost: a\r\n\r\n');
  await handler.handledTimes(1);
  await until('the end is read', () => scene.server.report().bytesIn > 0);
  handler.exchanges[0]!.respond(200, [], Buffer.from('late'));

  assert.equal((await caller.answer()).body.toString(), 'late');
  assert.equal(await caller.ended(), '');
});

test('gives the answers of pipelined requests in the order of the requests', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send(['/a', '/b', '/c'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
  await handler.handledTimes(3);
  const [a, b, c] = handler.exchanges;
  c!.respond(200, [], Buffer.from('third'));
  b!.startResponse(200, [], 'chunked');
  b!.write(Buffer.from('sec'), 0, 3);
  a!.respond(200, [], Buffer.from('first'));
  b!.write(Buffer.from('ond'), 0, 3);
  b!.end();

  assert.equal((await caller.answer()).body.toString(), 'first');
  assert.equal((await caller.answer()).body.toString(), 'second');
  assert.equal((await caller.answer()).body.toString(), 'third');
});

test('serves at most sixteen pipelined requests of a connection at once', async (t) => {
  const held: HttpExchange[] = [];
  const handler = new RecordingHandler((exchange) => {
    if (exchange.target.path === '/other') exchange.respond(200, [], null);
    else held.push(exchange);
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('GET /x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(40));
  await handler.handledTimes(16);
  await scene.ask('GET /other HTTP/1.1\r\nHost: a\r\n\r\n');
  const atOnce = held.length;
  for (let index = 0; index < 40; index += 1) {
    await until('the next request', () => held.length > index);
    held[index]!.respond(200, [], null);
    await caller.answer();
  }

  assert.equal(atOnce, 16);
});

test('lets a request that may change something wait for those before it, and the next wait for it', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send(
    'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n',
  );
  await handler.handledTimes(1);
  const before = [...handler.paths];
  handler.exchanges[0]!.respond(200, [], null);
  await handler.handledTimes(2);
  const between = [...handler.paths];
  handler.exchanges[1]!.respond(200, [], null);
  await handler.handledTimes(3);
  handler.exchanges[2]!.respond(200, [], null);

  assert.deepEqual(before, ['/1']);
  assert.deepEqual(between, ['/1', '/2']);
  for (let count = 0; count < 3; count += 1) assert.equal((await caller.answer()).status, 200);
});

test('answers a long run of pipelined requests with bodies', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: echo() } });
  const caller = await scene.caller();
  const bodies = Array.from({ length: 500 }, (_, index) => `body ${index} ${'x'.repeat(index)}`);

  caller.send(
    bodies
      .map((body) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      .join(''),
  );

  for (const body of bodies) assert.equal((await caller.answer()).body.toString(), body);
});

const CUT_REQUESTS =
  'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello' +
  'POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n' +
  'GET /c HTTP/1.1\r\nHost: a\r\n\r\n';

test('reads the same requests however their bytes are cut', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: echo() } });

  for (let cut = 1; cut < CUT_REQUESTS.length; cut += 1) {
    const caller = await scene.caller();
    caller.socket.setNoDelay(true);
    const before = scene.server.report().bytesIn;
    caller.send(CUT_REQUESTS.slice(0, cut));
    await until('the first part is read', () => scene.server.report().bytesIn >= before + cut);
    caller.send(CUT_REQUESTS.slice(cut));
    assert.equal((await caller.answer()).body.toString(), 'hello', `cut at ${cut}`);
    assert.equal((await caller.answer()).body.toString(), 'abcde', `cut at ${cut}`);
    assert.equal((await caller.answer()).body.toString(), '', `cut at ${cut}`);
    caller.close();
  }
});

test('reads requests that come byte by byte', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: echo() } });
  const caller = await scene.caller();
  caller.socket.setNoDelay(true);

  for (const byte of CUT_REQUESTS) caller.send(byte);

  for (const body of ['hello', 'abcde', '']) assert.equal((await caller.answer()).body.toString(), body);
});

test('collects a body of megabytes and gives it back unchanged', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: echo() } });
  const caller = await scene.caller();
  const body = Buffer.alloc(5_000_000, 'all bytes \0\u00ff', 'latin1');

  caller.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
  caller.send(body);

  assert.ok((await caller.answer()).body.equals(body));
});

test('keeps trailers from the handler', async (t) => {
  const handler = echo();
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  const answer = await scene.ask(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Late: 1\r\n\r\n',
  );

  assert.equal(answer.body.toString(), 'a');
  assert.equal(handler.exchanges[0]!.head.get('x-late'), undefined);
});

test('says 100 Continue before it reads the body of a caller who waits for it', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: echo() } });
  const caller = await scene.caller();

  caller.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
  const interim = await caller.answer();
  caller.send('hi');
  const answer = await caller.answer();

  assert.equal(interim.head, 'HTTP/1.1 100 Continue');
  assert.equal(answer.body.toString(), 'hi');
  assert.equal(answer.fields.get('connection'), undefined);
});

test('refuses without 100 Continue when it does not want the body, and then ends the connection', async (t) => {
  const handler = new RecordingHandler((exchange) => exchange.refuse(403, 'no'));
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  // Whether two bytes follow nobody knows: they could be the next request.
  caller.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
  const answer = await caller.answer();

  assert.equal(answer.status, 403);
  assert.equal(answer.fields.get('connection'), 'close');
  assert.equal(await caller.ended(), '');
});

test('does not say 100 Continue to a caller of HTTP/1.0', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: echo() } });

  const answer = await scene.ask('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi');

  assert.equal(answer.status, 200);
});

test('throws a short body away that its handler did not want, and goes on', async (t) => {
  const handler = new RecordingHandler((exchange) => exchange.refuse(404, 'no'));
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n');
  const first = await caller.answer();
  caller.send('GET /no HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
  const second = await caller.answer();

  assert.equal(first.status, 404);
  assert.equal(first.fields.get('connection'), undefined);
  assert.equal(second.status, 404);
  assert.deepEqual(handler.paths, ['/1', '/2']);
});

test('ends the connection rather than throw away a body without end', async (t) => {
  const handler = new RecordingHandler((exchange) => exchange.refuse(404, 'no'));
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n');
  const answer = await caller.answer();

  assert.equal(answer.fields.get('connection'), 'close');
  assert.equal(await caller.ended(), '');
});

test('reads no body before its handler asks for it', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();
  const pieces: string[] = [];

  caller.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n1234');
  await handler.handledTimes(1);
  caller.send('5678');
  handler.exchanges[0]!.readBody({
    onBody: (_exchange, bytes, start, end) => pieces.push(bytes.toString('latin1', start, end)),
    onBodyEnd: (exchange) => exchange.respond(200, [], Buffer.from(pieces.join(''))),
  });

  assert.equal((await caller.answer()).body.toString(), '12345678');
});

test('stops reading a body while its handler has paused it', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();
  const bytes = 8_000_000;
  let received = 0;

  caller.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`);
  await handler.handledTimes(1);
  const exchange = handler.exchanges[0]!;
  exchange.readBody({
    onBody: (_exchange, _bytes, start, end) => {
      received += end - start;
      exchange.pauseBody();
    },
    onBodyEnd: () => exchange.respond(200, [], null),
  });
  caller.send(Buffer.alloc(bytes));
  await until('a first piece', () => received > 0);
  // With the sockets' buffers full the caller cannot get rid of the rest.
  await until('the caller is held up', () => caller.socket.writableLength > 0);
  const whilePaused = received;
  while (received < bytes) {
    exchange.resumeBody();
    await new Promise((resolve) => setImmediate(resolve));
  }

  assert.ok(whilePaused < bytes / 2, `${whilePaused} bytes while paused`);
  assert.equal((await caller.answer()).status, 200);
});

test('tells the handler when its caller is gone in the middle of the body', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();
  let aborted = 0;

  caller.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n1234');
  await handler.handledTimes(1);
  const exchange = handler.exchanges[0]!;
  exchange.watch({
    onAborted: () => {
      aborted += 1;
    },
    onWritable() {},
  });
  exchange.collectBody(100, { onBodyCollected: () => assert.fail('the body is not whole') });
  caller.socket.end();
  await until('the handler is told', () => aborted === 1);

  assert.equal(exchange.isOpen, false);
  assert.equal(scene.server.report().failed, 1);
  assert.equal(await caller.ended(), '');
});

test('serves callers of a unix socket', async (t) => {
  const path = `/tmp/peony-http-${process.pid}.sock`;
  const scene = await serverScene(t, { unixSock: path, deps: { directProxy: tellTarget() } });

  const answer = await scene.ask('GET /unix HTTP/1.1\r\nHost: localhost\r\n\r\n');

  assert.equal(answer.body.toString(), '/unix');
});

test('serves callers without the internal stream handles', async (t) => {
  const scene = await serverScene(t, { useRaw: false, deps: { directProxy: echo() } });
  const caller = await scene.caller();
  const body = 'x'.repeat(300_000);

  caller.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`.repeat(3));

  for (let count = 0; count < 3; count += 1) assert.equal((await caller.answer()).body.toString(), body);
});
