/** Bytes that are no HTTP, too many or too slow: answered once, and nothing behind them is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpExchange } from '../../../src/data/server/index.js';
import { until } from '../../support/clock.js';
import { echo, RecordingHandler, serverScene, tellTarget } from './server-scene.js';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

const BAD_REQUESTS: readonly (readonly [name: string, status: number, bytes: string])[] = [
  [
    'Content-Length and Transfer-Encoding together',
    400,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 400, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n'],
  ['a length with a sign', 400, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n'],
  ['a list of lengths', 400, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n'],
  ['another coding', 501, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
  ['a blank before the colon', 400, 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 44\r\n\r\n'],
  ['a folded line', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n  folded\r\n\r\n'],
  ['a bare line feed', 400, 'GET / HTTP/1.1\nHost: a\n\n'],
  ['a NUL in a value', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n'],
  ['a bare carriage return in a value', 400, 'GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n'],
  ['no Host', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', 400, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['a broken escape in the path', 400, 'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a NUL in the path', 400, 'GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['another version', 505, 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['garbage', 400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 garbage\r\n\r\n'],
];

for (const [name, status, bytes] of BAD_REQUESTS) {
  test(`answers ${name} with ${status} and reads nothing behind it`, async (t) => {
    const handler = tellTarget();
    const scene = await serverScene(t, { deps: { directProxy: handler } });
    const caller = await scene.caller();

    caller.send(bytes + SMUGGLED);
    const answer = await caller.answer();

    assert.equal(answer.status, status);
    assert.equal(answer.fields.get('connection'), 'close');
    assert.equal(await caller.ended(), '');
    assert.deepEqual(handler.paths, []);
    assert.equal(scene.server.report().protocolErrors, 1);
  });
}

test('answers a bad chunk with 400, tells the handler, and reads nothing behind it', async (t) => {
  let aborted = 0;
  const handler = new RecordingHandler((exchange) => {
    exchange.watch({
      onAborted: () => {
        aborted += 1;
      },
      onWritable() {},
    });
    exchange.collectBody(100, { onBodyCollected: () => assert.fail('the body is broken') });
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send(
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabX\r\n0\r\n\r\n${SMUGGLED}`,
  );

  assert.equal((await caller.answer()).status, 400);
  assert.equal(await caller.ended(), '');
  assert.equal(aborted, 1);
  assert.deepEqual(handler.paths, ['/']);
  assert.equal(scene.server.report().failed, 1);
});

test('answers the good requests before a bad one', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send(`GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\n\r\n${SMUGGLED}`);
  await handler.handledTimes(1);
  await until('the bad one is read', () => scene.server.report().protocolErrors === 1);
  handler.exchanges[0]!.respond(200, [], Buffer.from('good'));

  assert.equal((await caller.answer()).body.toString(), 'good');
  assert.equal((await caller.answer()).status, 400);
  assert.equal(await caller.ended(), '');
  assert.deepEqual(handler.paths, ['/good']);
});

test('closes without a word when bytes break behind half an answer', async (t) => {
  const handler = new RecordingHandler((exchange) => {
    exchange.readBody({ onBody() {}, onBodyEnd() {} });
    exchange.startResponse(200, [], 'chunked');
    exchange.write(Buffer.from('half'), 0, 4);
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  await until('the first half', () => caller.received.includes('half'));
  caller.send(`zz\r\n${SMUGGLED}`);
  const all = await caller.ended();

  assert.ok(all.endsWith('half\r\n'), all);
});

test('answers a head over the limit with 431', async (t) => {
  const scene = await serverScene(t, { http: { headBytesMax: 1000 }, deps: { directProxy: tellTarget() } });

  const good = await scene.ask(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(900)}\r\n\r\n`);
  const bad = await scene.ask(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(1000)}\r\n\r\n`);

  assert.equal(good.status, 200);
  assert.equal(bad.status, 431);
});

test('answers a target over the limit with 414', async (t) => {
  const scene = await serverScene(t, { http: { headBytesMax: 1000 }, deps: { directProxy: tellTarget() } });

  assert.equal((await scene.ask(`GET /${'x'.repeat(1000)} HTTP/1.1\r\nHost: a\r\n\r\n`)).status, 414);
});

test('answers an announced body over the limit with 413, before 100 Continue', async (t) => {
  const handler = echo();
  const scene = await serverScene(t, { http: { bodyBytesMax: 1000 }, deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n');
  const answer = await caller.answer();

  assert.equal(answer.status, 413);
  assert.equal(await caller.ended(), '');
  assert.deepEqual(handler.paths, []);
});

test('answers a chunked body over the limit with 413 as soon as it is over', async (t) => {
  const scene = await serverScene(t, { http: { bodyBytesMax: 1000 }, deps: { directProxy: echo() } });
  const caller = await scene.caller();

  caller.send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(1001)}`);

  assert.equal((await caller.answer()).status, 413);
  assert.equal(await caller.ended(), '');
});

test('answers a body over the limit of its handler with 413', async (t) => {
  const collector = { onBodyCollected: () => assert.fail('the body is too large') };
  const handler = new RecordingHandler((exchange) => exchange.collectBody(1000, collector));
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  const announced = await scene.ask('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n');
  const chunked = await scene.ask(
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`,
  );

  assert.equal(announced.status, 413);
  assert.equal(chunked.status, 413);
});

test('gives memory to a body as it comes, not as it is announced', async (t) => {
  const scene = await serverScene(t, {
    http: { bodyBytesMax: 1_000_000_000 },
    deps: { directProxy: new RecordingHandler((exchange) => exchange.collectBody(2 ** 30, NOT_WHOLE)) },
  });
  const before = process.memoryUsage().arrayBuffers;

  for (let count = 0; count < 20; count += 1) {
    const caller = await scene.caller();
    caller.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\nx');
  }
  await until('all have come', () => scene.server.report().inFlight === 20);

  assert.ok(process.memoryUsage().arrayBuffers - before < 50_000_000);
});

test('refuses with 503 what would take more memory than all bodies together may', async (t) => {
  const collector = {
    onBodyCollected: (exchange: HttpExchange) => {
      // Untouched, so it costs nothing here.
      if (exchange.replaceBody(Buffer.allocUnsafeSlow(520 * 1024 * 1024), 0)) exchange.respond(200, [], null);
    },
  };
  const handler = new RecordingHandler((exchange) => exchange.collectBody(1000, collector));
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  const answer = await scene.ask('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');

  assert.equal(answer.status, 503);
  assert.equal(answer.fields.get('retry-after'), '1');
  assert.equal(scene.server.report().shed, 1);
});

const NOT_WHOLE = { onBodyCollected: () => assert.fail('the body is not whole') };

test('ends a head that is not complete in time with 408', async (t) => {
  const scene = await serverScene(t, { http: { headTimeoutMs: 60 }, deps: { directProxy: tellTarget() } });
  const caller = await scene.caller();
  const startedMs = performance.now();

  // A byte now and then does not count as progress.
  caller.send('GET / HTTP/1.1\r\nX: ');
  const dripping = setInterval(() => caller.send('x'), 20);
  const answer = await caller.answer();
  clearInterval(dripping);

  assert.equal(answer.status, 408);
  assert.ok(performance.now() - startedMs >= 60);
  assert.equal(await caller.ended(), '');
});

test('ends a body that pauses for too long with 408 and tells the handler', async (t) => {
  let aborted = 0;
  const handler = new RecordingHandler((exchange) => {
    exchange.watch({
      onAborted: () => {
        aborted += 1;
      },
      onWritable() {},
    });
    exchange.collectBody(100, NOT_WHOLE);
  });
  const scene = await serverScene(t, { http: { bodyTimeoutMs: 60 }, deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc');

  assert.equal((await caller.answer()).status, 408);
  assert.equal(await caller.ended(), '');
  assert.equal(aborted, 1);
});

test('does not blame the caller for the time in which its body is paused', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { http: { bodyTimeoutMs: 50 }, deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
  await handler.handledTimes(1);
  const longAfterMs = performance.now() + 150;
  await until('long after the deadline', () => performance.now() > longAfterMs);
  handler.exchanges[0]!.collectBody(10, {
    onBodyCollected: (exchange) => exchange.respond(200, [], null),
  });

  assert.equal((await caller.answer()).status, 200);
});

test('ends a connection on which no request comes', async (t) => {
  const scene = await serverScene(t, { http: { idleTimeoutMs: 60 }, deps: { directProxy: tellTarget() } });
  const silent = await scene.caller();
  const caller = await scene.caller();

  caller.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await caller.answer();

  assert.equal(await silent.ended(), '');
  assert.equal(await caller.ended(), '');
  silent.socket.end();
  caller.socket.end();
  await until('both are closed', () => scene.server.report().connections === 0);
});

test('does not end a connection whose answer is not there yet as idle', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, {
    http: { idleTimeoutMs: 40, headTimeoutMs: 40, bodyTimeoutMs: 40 },
    deps: { directProxy: handler },
  });
  const caller = await scene.caller();

  caller.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await handler.handledTimes(1);
  const longAfterMs = performance.now() + 150;
  await until('long after the deadlines', () => performance.now() > longAfterMs);
  handler.exchanges[0]!.respond(200, [], null);

  assert.equal((await caller.answer()).status, 200);
});

test('closes a connection that was ended and is not closed by its caller', async (t) => {
  const scene = await serverScene(t, { deps: { directProxy: tellTarget() } });
  const caller = await scene.caller();

  caller.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await caller.answer();
  await caller.ended();

  await until('it is closed', () => scene.server.report().connections === 0);
});

test('gets its answer to a caller that is still sending', async (t) => {
  const scene = await serverScene(t, { http: { bodyBytesMax: 1000 }, deps: { directProxy: echo() } });
  const caller = await scene.caller();

  // Closing with these bytes unread would reset the connection and take the answer back.
  caller.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n');
  const answer = await caller.answer();
  caller.send(Buffer.alloc(4_000_000));
  await until('all is sent', () => caller.socket.writableLength === 0);
  await caller.ended();

  assert.equal(answer.status, 413);
  assert.equal(caller.error, null);
});

test('refuses requests over the bound of calls with 503 and Retry-After', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { callsMax: 2, deps: { directProxy: handler } });
  const waiting = [await scene.caller(), await scene.caller()];
  for (const caller of waiting) caller.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await handler.handledTimes(2);

  const answer = await scene.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  for (const exchange of handler.exchanges) exchange.respond(200, [], null);
  for (const caller of waiting) await caller.answer();

  assert.equal(answer.status, 503);
  assert.equal(answer.fields.get('retry-after'), '1');
  const { ok, shed } = scene.server.report();
  assert.deepEqual({ ok, shed }, { ok: 2, shed: 1 });
});

test('answers 502 where a handler has a fault, and serves others on', async (t) => {
  const handler = new RecordingHandler((exchange) => {
    if (exchange.target.path === '/fault') throw new Error('a fault');
    exchange.respond(200, [], null);
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  const fault = await scene.ask('GET /fault HTTP/1.1\r\nHost: a\r\n\r\n');
  const good = await scene.ask('GET /good HTTP/1.1\r\nHost: a\r\n\r\n');

  assert.equal(fault.status, 502);
  assert.equal(fault.fields.get('server'), 'motan');
  assert.equal(fault.body.toString(), 'err_msg: http proxy panic');
  assert.equal(good.status, 200);
  scene.faults = 1;
});
