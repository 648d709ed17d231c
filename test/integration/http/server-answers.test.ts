/** Writing answers: framing, streaming, slow readers, tunnels, draining, and the balance. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerFront, type HttpExchange, type TunnelPeer } from '../../../src/data/server/index.js';
import { until } from '../../support/clock.js';
import { RecordingHandler, serverScene, tellTarget } from './server-scene.js';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

test('writes status, fields, date, length and body', async (t) => {
  const handler = new RecordingHandler((exchange) =>
    exchange.respond(
      201,
      ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Latin', 'caf\xe9'],
      Buffer.from('hi'),
    ),
  );
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  const answer = await scene.ask(GET);

  assert.match(
    answer.head,
    /^HTTP\/1\.1 201 Created\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Latin: caf\xe9\r\nDate: [^\r]+ GMT\r\nContent-Length: 2$/,
  );
  assert.equal(answer.body.toString(), 'hi');
});

test('lets no field of an answer become a second field, a second answer, or its framing', async (t) => {
  const handler = new RecordingHandler((exchange) =>
    exchange.respond(
      200,
      [
        'X-A',
        'v\r\nX-B: w',
        'X C',
        'v',
        'X-D',
        'n\0l',
        '',
        'v',
        'Content-Length',
        '99',
        'Transfer-Encoding',
        'chunked',
      ].concat(['Connection', 'X-Secret', 'Keep-Alive', '5', 'X-Good', 'v']),
      Buffer.from('hi'),
    ),
  );
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  const answer = await scene.ask(GET);

  assert.deepEqual([...answer.fields.keys()].sort(), ['content-length', 'date', 'x-good']);
  assert.equal(answer.body.toString(), 'hi');
});

test('keeps the Date of an answer that has one', async (t) => {
  const date = 'Thu, 01 Jan 1970 00:00:00 GMT';
  const handler = new RecordingHandler((exchange) => exchange.respond(200, ['Date', date], null));
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  assert.equal((await scene.ask(GET)).fields.get('date'), date);
});

test('gives an answer to HEAD the length of its body, and no body', async (t) => {
  const handler = new RecordingHandler((exchange) => {
    if (exchange.target.path === '/told') exchange.respond(200, ['Content-Length', '1234'], null);
    else exchange.respond(200, [], Buffer.from('four'));
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('HEAD /told HTTP/1.1\r\nHost: a\r\n\r\n');
  const told = await caller.answer('HEAD');
  caller.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  const known = await caller.answer('HEAD');

  assert.equal(told.fields.get('content-length'), '1234');
  assert.equal(known.fields.get('content-length'), '4');
  assert.equal(caller.received.length, 0);
});

test('gives 204 and 304 neither length nor body', async (t) => {
  const handler = new RecordingHandler((exchange) =>
    exchange.respond(Number(exchange.target.path.slice(1)), [], Buffer.from('not sent')),
  );
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('GET /204 HTTP/1.1\r\nHost: a\r\n\r\n');
  const empty = await caller.answer();
  caller.send('GET /304 HTTP/1.1\r\nHost: a\r\n\r\n');
  const same = await caller.answer();
  caller.send('GET /200 HTTP/1.1\r\nHost: a\r\n\r\n');
  const next = await caller.answer();

  assert.equal(empty.fields.get('content-length'), undefined);
  assert.equal(same.fields.get('content-length'), undefined);
  assert.equal(next.body.toString(), 'not sent');
});

test('streams an answer of unknown length in chunks', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send(GET);
  await handler.handledTimes(1);
  const exchange = handler.exchanges[0]!;
  exchange.startResponse(200, [], 'chunked');
  exchange.write(Buffer.from('one '), 0, 4);
  await until('the first piece', () => caller.received.includes('one '));
  exchange.write(Buffer.from(''), 0, 0);
  exchange.write(Buffer.alloc(300_000, 'x'), 0, 300_000, true);
  exchange.write(Buffer.alloc(100_000, 'y'), 0, 100_000);
  exchange.end();
  const answer = await caller.answer();
  caller.send(GET);
  await handler.handledTimes(2);
  handler.exchanges[1]!.respond(200, [], null);

  assert.equal(answer.fields.get('transfer-encoding'), 'chunked');
  assert.equal(answer.fields.get('content-length'), undefined);
  assert.equal(answer.body.toString(), `one ${'x'.repeat(300_000)}${'y'.repeat(100_000)}`);
  assert.equal((await caller.answer()).status, 200);
});

test('streams an answer of unknown length to HTTP/1.0 until the connection ends', async (t) => {
  const handler = new RecordingHandler((exchange) => {
    exchange.startResponse(200, [], 'chunked');
    exchange.write(Buffer.from('all'), 0, 3);
    exchange.end();
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  const all = await caller.ended();

  assert.match(all, /Connection: close\r\n\r\nall$/);
  assert.doesNotMatch(all, /Transfer-Encoding/);
});

test('streams an answer of known length', async (t) => {
  const handler = new RecordingHandler((exchange) => {
    exchange.startResponse(200, [], 6);
    exchange.write(Buffer.from('abc'), 0, 3);
    exchange.write(Buffer.from('def'), 0, 3);
    exchange.end();
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  const answer = await scene.ask(GET);

  assert.equal(answer.fields.get('content-length'), '6');
  assert.equal(answer.body.toString(), 'abcdef');
});

test('ends the connection when a streamed answer breaks off', async (t) => {
  const handler = new RecordingHandler((exchange) => {
    exchange.startResponse(200, [], exchange.target.path === '/chunked' ? 'chunked' : 10);
    exchange.write(Buffer.from('half'), 0, 4);
    setImmediate(() => {
      exchange.outcome = 'failed';
      if (exchange.target.path === '/short') exchange.end();
      else exchange.abort('the backend broke off');
    });
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  for (const path of ['/chunked', '/length', '/short']) {
    const caller = await scene.caller();
    caller.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const all = await caller.ended();
    assert.doesNotMatch(all, /0\r\n\r\n$/, path);
  }

  assert.equal(scene.server.report().failed, 3);
});

test('holds up a handler whose caller takes the answer slowly', async (t) => {
  const piece = Buffer.alloc(64 * 1024);
  const pieces = 400;
  let written = 0;
  let waits = 0;
  const pump = (exchange: HttpExchange): void => {
    while (written < pieces) {
      written += 1;
      if (!exchange.write(piece, 0, piece.length)) {
        waits += 1;
        return;
      }
    }
    exchange.end();
  };
  const handler = new RecordingHandler((exchange) => {
    exchange.watch({ onAborted() {}, onWritable: pump });
    exchange.startResponse(200, [], pieces * piece.length);
    pump(exchange);
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.socket.pause();
  caller.send(GET);
  await until('the handler waits', () => waits > 0);
  // Another connection is served meanwhile, so a turn of the loop has passed.
  const written1 = written;
  caller.socket.resume();
  const answer = await caller.answer();

  assert.ok(written1 < pieces, `${written1} pieces without a reader`);
  assert.equal(answer.body.length, pieces * piece.length);
});

test('holds up a handler whose answer has to wait for its turn', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();
  const piece = Buffer.alloc(64 * 1024);
  let isWritable = 0;

  caller.send(GET + GET);
  await handler.handledTimes(2);
  const [first, second] = handler.exchanges as [HttpExchange, HttpExchange];
  second.watch({
    onAborted() {},
    onWritable: () => {
      isWritable += 1;
    },
  });
  second.startResponse(200, [], 'chunked');
  let pieces = 0;
  while (second.write(piece, 0, piece.length)) pieces += 1;
  first.respond(200, [], null);
  await until('it may go on', () => isWritable === 1);
  second.end();

  assert.ok(pieces < 20, `${pieces} pieces`);
  await caller.answer();
  assert.equal((await caller.answer()).body.length, (pieces + 1) * piece.length);
});

test('gives a caller up that lets answers of many megabytes pile up', async (t) => {
  const megabytes = Buffer.alloc(10 * 1024 * 1024);
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.socket.pause();
  caller.send(GET.repeat(16));
  await handler.handledTimes(16);
  for (const exchange of handler.exchanges) exchange.respond(200, [], megabytes);

  await until('it is closed', () => scene.server.report().connections === 0);
  assert.equal(scene.server.report().slowReadersClosed, 1);
});

test('tells the handler when its caller is gone before the answer is complete', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();
  let aborted = 0;

  caller.send(GET);
  await handler.handledTimes(1);
  const exchange = handler.exchanges[0]!;
  exchange.watch({
    onAborted: () => {
      aborted += 1;
    },
    onWritable() {},
  });
  exchange.startResponse(200, [], 'chunked');
  exchange.write(Buffer.from('x'), 0, 1);
  await until('it comes', () => caller.received.includes('x'));
  caller.socket.resetAndDestroy();
  await until('the handler is told', () => aborted === 1);
  exchange.write(Buffer.from('y'), 0, 1);
  exchange.end();

  assert.equal(scene.server.report().failed, 1);
  scene.assertBalance();
});

test('opens a tunnel that carries bytes both ways, first those behind the head, until both ends are through', async (t) => {
  const received: string[] = [];
  const closed: (string | null)[] = [];
  const handler = new RecordingHandler((exchange) => {
    const peer: TunnelPeer = {
      onBytes: (bytes, start, end) => {
        received.push(bytes.toString('latin1', start, end));
        tunnel.write(Buffer.from(`<${received.at(-1)}>`), 0, received.at(-1)!.length + 2);
      },
      onEnd: () => {
        tunnel.write(Buffer.from('bye'), 0, 3);
        tunnel.end();
      },
      onWritable() {},
      onClosed: (reason) => closed.push(reason),
    };
    const tunnel = exchange.openTunnel(new AnswerFront(200, []), peer)!;
  });
  const scene = await serverScene(t, { deps: { connect: handler } });
  const caller = await scene.caller();

  caller.send('CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nGET / HTTP/1.1\r\n\r\n');
  const answer = await caller.answer('CONNECT');
  await until('the early bytes', () => received.length === 1);
  const inFlight = scene.server.report().inFlight;
  caller.socket.end('last');
  const rest = await caller.ended();

  assert.equal(answer.status, 200);
  assert.equal(answer.fields.get('content-length'), undefined);
  assert.equal(received.join(''), 'GET / HTTP/1.1\r\n\r\nlast');
  assert.equal(rest, '<GET / HTTP/1.1\r\n\r\n><last>bye');
  assert.equal(inFlight, 1);
  await until('the peer is told', () => closed.length === 1);
  assert.deepEqual(closed, [null]);
  assert.equal(scene.server.report().ok, 1);
});

test('reads nothing behind a CONNECT before it is answered', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { connect: handler, directProxy: tellTarget() } });
  const caller = await scene.caller();
  const received: string[] = [];

  caller.send('CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await handler.handledTimes(1);
  const tunnel = handler.exchanges[0]!.openTunnel(new AnswerFront(200, []), {
    onBytes: (bytes, start, end) => received.push(bytes.toString('latin1', start, end)),
    onEnd: () => tunnel!.close(null),
    onWritable() {},
    onClosed() {},
  });
  await until('the early bytes', () => received.length === 1);

  assert.deepEqual(received, ['GET / HTTP/1.1\r\nHost: a\r\n\r\n']);
  assert.equal(scene.server.report().in, 1);
});

test('ends the connection of a CONNECT that is refused: what follows was meant for the tunnel', async (t) => {
  const direct = tellTarget();
  const scene = await serverScene(t, { deps: { directProxy: direct } });
  const caller = await scene.caller();

  caller.send('CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const answer = await caller.answer();

  assert.equal(answer.status, 403);
  assert.equal(await caller.ended(), '');
  assert.deepEqual(direct.paths, []);
});

test('counts answers as their handlers say', async (t) => {
  const handler = new RecordingHandler((exchange) => {
    const outcome = exchange.target.path.slice(1);
    if (outcome === 'ok') exchange.respond(500, [], null);
    else exchange.refuse(500, 'no', outcome === 'shed' ? 'shed' : 'failed');
  });
  const scene = await serverScene(t, { deps: { directProxy: handler } });

  for (const path of ['/ok', '/ok', '/shed', '/failed'])
    await scene.ask(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);

  const { ok, failed, shed, in: all, inFlight } = scene.server.report();
  assert.deepEqual({ ok, failed, shed, all, inFlight }, { ok: 2, failed: 1, shed: 1, all: 4, inFlight: 0 });
});

test('draining finishes what is in flight, saying close, and resolves with nothing left', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();
  const idle = await scene.caller();

  caller.send(GET);
  await handler.handledTimes(1);
  const drained = scene.server.drain(5000);
  handler.exchanges[0]!.respond(200, [], Buffer.from('finished'));
  const answer = await caller.answer();

  assert.equal(answer.body.toString(), 'finished');
  assert.equal(answer.fields.get('connection'), 'close');
  assert.equal(await idle.ended(), '');
  assert.equal(await drained, 0);
});

test('draining answers requests that still come with 503, then ends their connection', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const busy = await scene.caller();
  const late = await scene.caller();

  busy.send(GET);
  await handler.handledTimes(1);
  const drained = scene.server.drain(5000);
  late.send(GET);
  const answer = await late.answer();
  handler.exchanges[0]!.respond(200, [], null);

  assert.equal(answer.status, 503);
  assert.equal(answer.fields.get('connection'), 'close');
  assert.equal(answer.fields.get('retry-after'), '1');
  assert.equal(await late.ended(), '');
  assert.equal(await drained, 0);
  assert.equal(scene.server.report().shed, 1);
});

test('draining ends after its time with the number of requests that are left', async (t) => {
  const handler = new RecordingHandler();
  const scene = await serverScene(t, { deps: { directProxy: handler } });
  const caller = await scene.caller();

  caller.send(GET);
  await handler.handledTimes(1);
  const left = await scene.server.drain(50);

  assert.equal(left, 1);
  assert.equal(await caller.ended(), '');
  assert.equal(scene.server.report().inFlight, 0);
});
