/** The HTTP client against backends that say exactly what their script tells. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type HttpExchange,
  type HttpFailure,
  type HttpHandler,
  type HttpRequest,
  HttpUpstream,
  type HttpUpstreamOptions,
  parseTarget,
} from '../../../src/data/http-client/index.js';
import { IoLoop, rawStreamsWork } from '../../../src/data/transport/index.js';
import { HTTP1_LIMITS, type ResponseHead } from '../../../src/wire/http1/index.js';
import { realClock, until, within } from '../../support/clock.js';
import { answerText, type BackendScript, echoBody, HttpBackend } from '../../support/http-backend.js';

/** Keeps what it is told. */
class Recorder implements HttpHandler {
  head: ResponseHead | null = null;
  readonly pieces: Buffer[] = [];
  failure: HttpFailure | null = null;
  isEnded = false;
  drains = 0;
  /** Everything it was told after its end. */
  late = 0;
  readonly done: Promise<void>;
  #resolve: () => void = () => undefined;

  constructor() {
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get body(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }

  onHead(head: ResponseHead): void {
    this.#live();
    this.head = head;
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    this.#live();
    this.pieces.push(Buffer.from(bytes.subarray(start, end)));
  }

  onEnd(): void {
    this.#live();
    this.isEnded = true;
    this.#resolve();
  }

  onFailed(failure: HttpFailure): void {
    this.#live();
    this.failure = failure;
    this.#resolve();
  }

  onDrain(): void {
    this.drains += 1;
  }

  #live(): void {
    if (this.isEnded || this.failure !== null) this.late += 1;
  }
}

interface Scene {
  readonly backend: HttpBackend;
  readonly upstream: HttpUpstream;
  readonly loop: IoLoop;
}

async function scene(
  t: TestContext,
  script: BackendScript,
  options: Partial<HttpUpstreamOptions> = {},
): Promise<Scene> {
  const backend = await HttpBackend.start(script);
  const loop = new IoLoop(realClock);
  const useRaw = await rawStreamsWork(loop);
  const upstream = new HttpUpstream(
    {
      target: parseTarget(backend.address, 80)!,
      connectTimeoutMs: 1000,
      connectionsMax: 8,
      queueMax: 0,
      queueTimeoutMs: 1000,
      idleTimeoutMs: 5000,
      maxAgeMs: 0,
      limits: HTTP1_LIMITS,
      ...options,
    },
    { loop, useRaw },
  );
  t.after(async () => {
    upstream.close(0);
    loop.close();
    await backend.stop();
  });
  return { backend, upstream, loop };
}

const TIMEOUTS = { writeMs: 1000, firstByteMs: 1000, betweenBytesMs: 1000, answerMs: 0 };

function request(method: string, fields: Partial<HttpRequest> = {}): HttpRequest {
  const length = Buffer.isBuffer(fields.body) ? `Content-Length: ${fields.body.length}\r\n` : '';
  const head = Buffer.from(`${method} /x HTTP/1.1\r\nHost: h\r\n${length}\r\n`, 'latin1');
  return { method, head, body: null, timeouts: TIMEOUTS, untilMs: 0, ...fields };
}

function begin(upstream: HttpUpstream, wanted: HttpRequest): { heard: Recorder; exchange: HttpExchange } {
  const heard = new Recorder();
  upstream.loop.tick();
  return { heard, exchange: upstream.start(wanted, heard) };
}

/** Sends the request and waits for its end, good or bad. */
async function run(upstream: HttpUpstream, wanted: HttpRequest): Promise<Recorder> {
  const { heard } = begin(upstream, wanted);
  await within('the end of the exchange', heard.done);
  return heard;
}

test('sends head and body as they are and gives the answer back', async (t) => {
  const { backend, upstream } = await scene(t, echoBody);

  const heard = await run(upstream, request('POST', { body: Buffer.from('hello') }));

  assert.equal(heard.head?.status, 200);
  assert.equal(heard.body, 'hello');
  assert.equal(backend.requests[0]?.head, 'POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5');
});

test('uses a connection again and shows an equal head as the same object', async (t) => {
  const { backend, upstream } = await scene(t, echoBody);

  const first = await run(upstream, request('POST', { body: Buffer.from('one') }));
  const second = await run(upstream, request('POST', { body: Buffer.from('two') }));

  assert.equal(second.body, 'two');
  assert.equal(second.head, first.head);
  assert.equal(backend.connections.length, 1);
  assert.equal(upstream.report().opened, 1);
});

test('carries requests at the same time on connections of their own', async (t) => {
  const { backend, upstream } = await scene(t, () => undefined);

  const all = [1, 2, 3].map(() => begin(upstream, request('GET')));
  await backend.request(2);
  const { inFlight } = upstream.report();
  for (const connection of backend.connections) connection.send(answerText(200, `c${connection.number}`));
  await Promise.all(all.map(({ heard }) => heard.done));

  assert.equal(inFlight, 3);
  assert.deepEqual(all.map(({ heard }) => heard.body).sort(), ['c0', 'c1', 'c2']);
});

test('refuses at once when there are as many connections as there may be', async (t) => {
  const { backend, upstream } = await scene(t, () => undefined, { connectionsMax: 1 });

  const first = begin(upstream, request('GET'));
  const second = begin(upstream, request('GET'));

  assert.equal(second.heard.failure?.kind, 'no-connection');
  await backend.request(0);
  backend.connections[0]!.send(answerText(200, 'ok'));
  await first.heard.done;
  assert.equal(first.heard.body, 'ok');
  assert.equal(upstream.report().refused, 1);
});

test('a queued request is carried by the connection that becomes free', async (t) => {
  const { backend, upstream } = await scene(t, () => undefined, { connectionsMax: 1, queueMax: 1 });
  const first = begin(upstream, request('GET'));
  const second = begin(upstream, request('GET'));
  await backend.request(0);

  backend.connections[0]!.send(answerText(200, 'a'));
  await backend.request(1);
  backend.connections[0]!.send(answerText(200, 'b'));
  await Promise.all([first.heard.done, second.heard.done]);

  assert.equal(second.heard.body, 'b');
  assert.equal(backend.connections.length, 1);
});

test('a queued request fails when no connection becomes free in its time', async (t) => {
  const options = { connectionsMax: 1, queueMax: 1, queueTimeoutMs: 30 };
  const { backend, upstream } = await scene(t, () => undefined, options);
  begin(upstream, request('GET'));
  await backend.request(0);

  const heard = await run(upstream, request('GET'));

  assert.equal(heard.failure?.kind, 'timeout');
  assert.equal(upstream.report().queued, 0);
});

test('says what the system said when nobody listens', async (t) => {
  const { backend, upstream } = await scene(t, echoBody);
  await backend.stop();

  const heard = await run(upstream, request('GET'));

  assert.equal(heard.failure?.kind, 'refused');
  assert.match(heard.failure.text, /ECONNREFUSED/);
});

test('answers of every framing end where they end', async (t) => {
  const answers = [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.0 200 OK\r\n\r\nuntil close',
  ];
  const { backend, upstream } = await scene(t, (got, connection) => {
    connection.send(answers[backend.requests.indexOf(got)]!);
    if (backend.requests.length === answers.length) connection.end();
  });

  const bodies: string[] = [];
  for (const _ of answers) bodies.push((await run(upstream, request('GET'))).body);

  assert.deepEqual(bodies, ['abcde', '', 'ok', 'until close']);
  assert.equal(backend.connections.length, 1);
  await until('the connection is closed', () => upstream.report().connections === 0);
});

test('an answer to HEAD has no body whatever its length says', async (t) => {
  const { upstream } = await scene(t, (_, connection) =>
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n'),
  );

  const first = await run(upstream, request('HEAD'));
  const second = await run(upstream, request('HEAD'));

  assert.deepEqual([first.isEnded, second.isEnded, second.body], [true, true, '']);
  assert.equal(upstream.report().opened, 1);
});

test('a connection that the upstream closes behind its answer is not used again', async (t) => {
  const { backend, upstream } = await scene(t, (_, connection) =>
    connection.send(answerText(200, 'x', 'Connection: close\r\n')),
  );

  await run(upstream, request('GET'));
  await run(upstream, request('GET'));

  assert.equal(backend.connections.length, 2);
});

for (const method of ['GET', 'PUT', 'DELETE']) {
  test(`${method} is sent once more when a kept connection turns out to be stale`, async (t) => {
    const { backend, upstream } = await scene(t, (got, connection) => {
      if (connection.number === 0 && backend.requests.length === 2) connection.reset();
      else echoBody(got, connection);
    });
    await run(upstream, request('GET'));

    const heard = await run(upstream, request(method, { body: Buffer.from('again') }));

    assert.equal(heard.body, 'again');
    assert.equal(backend.requests.length, 3);
    assert.equal(backend.requests[2]?.connection, 1);
    assert.equal(upstream.report().retried, 1);
  });
}

test('a POST whose connection turns out to be stale is sent once and fails', async (t) => {
  const { backend, upstream } = await scene(t, (got, connection) => {
    if (backend.requests.length === 2) connection.reset();
    else echoBody(got, connection);
  });
  await run(upstream, request('GET'));

  const heard = await run(upstream, request('POST', { body: Buffer.from('pay') }));

  assert.equal(heard.failure?.kind, 'lost');
  assert.equal(backend.requests.length, 2);
});

test('a POST of which provably nothing left goes out on another connection', async (t) => {
  const { backend, upstream } = await scene(t, echoBody);
  await run(upstream, request('GET'));

  // The reset is there before the turn ends, and only then is anything written.
  const { heard } = begin(upstream, request('POST', { body: Buffer.from('pay') }));
  backend.connections[0]!.reset();
  await within('the answer', heard.done);

  assert.equal(heard.body, 'pay');
  assert.equal(backend.requests.length, 2);
});

test('a request on a fresh connection is not sent twice', async (t) => {
  const { backend, upstream } = await scene(t, (_, connection) => connection.end());

  const heard = await run(upstream, request('GET'));

  assert.equal(heard.failure?.kind, 'lost');
  assert.equal(backend.requests.length, 1);
});

test('nothing is sent again once a byte of an answer came', async (t) => {
  const { backend, upstream } = await scene(t, (got, connection) => {
    if (backend.requests.length === 1) {
      echoBody(got, connection);
      return;
    }
    connection.send('H');
    connection.end();
  });
  await run(upstream, request('GET'));

  const heard = await run(upstream, request('GET'));

  assert.equal(heard.failure?.kind, 'cut');
  assert.equal(backend.requests.length, 2);
});

test('a request is sent a second time, never a third', async (t) => {
  const { backend, upstream } = await scene(t, (got, connection) => {
    if (backend.requests.length === 1) echoBody(got, connection);
    else connection.reset();
  });
  await run(upstream, request('GET'));

  const heard = await run(upstream, request('GET'));

  assert.equal(heard.failure?.kind, 'lost');
  assert.equal(backend.requests.length, 3);
});

const CUT: Record<string, string> = {
  'inside the head': 'HTTP/1.1 200 OK\r\nContent-Le',
  'inside a body with a length': 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc',
  'inside a chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
  'before the last chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n',
};
for (const [where, bytes] of Object.entries(CUT)) {
  test(`an answer that ends ${where} is cut`, async (t) => {
    const { upstream } = await scene(t, (_, connection) => {
      connection.send(bytes);
      connection.end();
    });

    const heard = await run(upstream, request('GET'));

    assert.equal(heard.failure?.kind, 'cut');
    assert.equal(heard.late, 0);
  });
}

const MALFORMED: Record<string, string> = {
  'no HTTP': 'SSH-2.0-OpenSSH\r\n\r\n',
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
  'length and chunks':
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
  'a bad chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
  'a folded field': 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n',
  'another protocol': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
};
for (const [what, bytes] of Object.entries(MALFORMED)) {
  test(`an answer with ${what} is malformed and ends its connection`, async (t) => {
    const { upstream } = await scene(t, (_, connection) => connection.send(bytes));

    const heard = await run(upstream, request('GET'));

    assert.equal(heard.failure?.kind, 'malformed');
    assert.equal(upstream.report().connections, 0);
  });
}

test('bytes behind an answer never become the next answer', async (t) => {
  const { backend, upstream } = await scene(t, (got, connection) => {
    if (connection.number > 0) echoBody(got, connection);
    else connection.send(answerText(200, 'mine') + answerText(200, 'smuggled'));
  });

  const first = await run(upstream, request('GET'));
  const second = await run(upstream, request('POST', { body: Buffer.from('yours') }));

  assert.deepEqual([first.body, second.body], ['mine', 'yours']);
  assert.equal(backend.connections.length, 2);
});

test('bytes that nobody asked for close an idle connection', async (t) => {
  const { backend, upstream } = await scene(t, echoBody);
  await run(upstream, request('GET'));

  backend.connections[0]!.send(answerText(200, 'unasked'));
  await until('the connection is closed', () => upstream.report().connections === 0);
  const heard = await run(upstream, request('POST', { body: Buffer.from('b') }));

  assert.equal(heard.body, 'b');
});

const LATE: Record<string, { script: BackendScript; fields: Partial<HttpRequest> }> = {
  'the first byte does not come': {
    script: () => undefined,
    fields: { timeouts: { ...TIMEOUTS, firstByteMs: 40 } },
  },
  'the answer pauses for too long': {
    script: (_, connection) => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab'),
    fields: { timeouts: { ...TIMEOUTS, betweenBytesMs: 40 } },
  },
  'the answer comes in drops for too long': {
    script: (_, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n');
      const drop = setInterval(() => connection.send('a'), 5);
      connection.socket.on('close', () => clearInterval(drop));
    },
    fields: { timeouts: { ...TIMEOUTS, answerMs: 80 } },
  },
};
for (const [what, { script, fields }] of Object.entries(LATE)) {
  test(`fails with timeout when ${what}`, async (t) => {
    const { backend, upstream } = await scene(t, script);

    const heard = await run(upstream, request('GET', fields));

    assert.equal(heard.failure?.kind, 'timeout');
    await until('its connection is closed', () => backend.openConnections === 0);
    assert.equal(backend.requests.length, 1);
  });
}

test('the deadline of the whole call counts from where its owner says', async (t) => {
  const { upstream, loop } = await scene(t, () => undefined);

  const heard = await run(upstream, request('GET', { untilMs: loop.tick() + 40 }));

  assert.equal(heard.failure?.kind, 'timeout');
});

test('an upstream that does not take a body in time fails with timeout', async (t) => {
  const { backend, upstream } = await scene(t, () => undefined);
  const { heard } = begin(
    upstream,
    request('POST', { body: Buffer.alloc(32 * 1024 * 1024), timeouts: { ...TIMEOUTS, writeMs: 60 } }),
  );
  await until('a connection', () => backend.connections.length === 1);
  backend.connections[0]!.socket.pause();

  await within('the timeout', heard.done);

  assert.equal(heard.failure?.kind, 'timeout');
});

test('a streamed body waits for the upstream and is sent whole', async (t) => {
  const { backend, upstream } = await scene(t, (got, connection) => {
    connection.send(answerText(200, String(got.body.length)));
  });
  const piece = Buffer.alloc(64 * 1024, 'p');
  const pieces = 128;
  const head = Buffer.from(`PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: ${piece.length * pieces}\r\n\r\n`);
  // Eight mebibytes through a machine that may have other work: the deadlines are not what is tested.
  const timeouts = { ...TIMEOUTS, writeMs: 15_000, firstByteMs: 15_000 };
  const { heard, exchange } = begin(upstream, request('PUT', { head, body: 'stream', timeouts }));
  let sent = 0;
  let refusals = 0;
  const more = (): void => {
    while (sent < pieces) {
      sent += 1;
      if (!exchange.write(piece, true)) {
        refusals += 1;
        return;
      }
    }
    exchange.end();
  };
  heard.onDrain = more;
  more();

  await within('the answer', heard.done, 20_000);

  assert.equal(heard.body, String(piece.length * pieces));
  assert.ok(refusals > 1, 'the maker of the body was never asked to wait');
  assert.equal(backend.requests[0]?.body.length, piece.length * pieces);
});

test('a paused answer is not read, and comes whole when it is resumed', async (t) => {
  const size = 24 * 1024 * 1024;
  const { upstream } = await scene(t, (_, connection) => {
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    connection.send(Buffer.alloc(size, 'z'));
  });
  const timeouts = { ...TIMEOUTS, betweenBytesMs: 500 };
  const { heard, exchange } = begin(upstream, request('GET', { timeouts }));
  let count = 0;
  heard.onBody = (_bytes, start, end) => {
    count += end - start;
    if (count < 2 * 1024 * 1024) exchange.pause();
  };
  await until('something was read', () => count > 0);
  const readBefore = count;
  // Longer than the pause that the timeouts allow: it stands still meanwhile.
  const untilMs = performance.now() + 1200;
  await until('the pause is over', () => performance.now() > untilMs);
  const readPaused = count - readBefore;
  while (count < 2 * 1024 * 1024 && heard.failure === null) {
    exchange.resume();
    await new Promise((resolve) => setImmediate(resolve));
  }
  exchange.resume();
  await within('the whole answer', heard.done, 20_000);

  assert.equal(heard.failure, null);
  assert.equal(count, size);
  assert.ok(readPaused <= 256 * 1024, `${readPaused} bytes were read while paused`);
});

test('an answer before the end of a streamed request ends the exchange and its connection', async (t) => {
  const { backend, upstream } = await scene(t, () => undefined);
  const head = Buffer.from('POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n');
  const { heard, exchange } = begin(upstream, request('POST', { head, body: 'stream' }));
  exchange.write(Buffer.from('part'), true);
  await until('a connection', () => backend.connections.length === 1);

  backend.connections[0]!.send(answerText(413, 'too much'));
  await within('the answer', heard.done);
  const isTaken = exchange.write(Buffer.from('more'), true);

  assert.deepEqual([heard.head?.status, heard.body, isTaken], [413, 'too much', true]);
  assert.equal(upstream.report().connections, 0);
});

test('a cancelled exchange says nothing more and its connection is closed', async (t) => {
  const { backend, upstream } = await scene(t, () => undefined);
  const { heard, exchange } = begin(upstream, request('GET'));
  await backend.request(0);

  exchange.cancel();
  backend.connections[0]!.send(answerText(200, 'late'));
  await until('the connection is closed', () => backend.openConnections === 0);

  assert.deepEqual([heard.head, heard.failure, heard.isEnded], [null, null, false]);
});

test('the handler may cancel inside its head', async (t) => {
  const { upstream } = await scene(t, echoBody);
  const { heard, exchange } = begin(upstream, request('POST', { body: Buffer.from('body') }));
  heard.onHead = () => exchange.cancel();

  await until(
    'it was cancelled',
    () => upstream.report().connections === 0 && upstream.report().opened === 1,
  );

  assert.equal(heard.body, '');
});

/** A request whose head, with a body behind it, lies in memory of the pool. */
function pooledRequest(loop: IoLoop, body: string): HttpRequest & { readonly headPooled: Buffer } {
  const text = `POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const headPooled = loop.buffers.take(text.length);
  headPooled.write(text, 'latin1');
  return { ...request('POST'), head: headPooled.subarray(0, text.length), headPooled };
}

test('pooled memory of a request goes back when it is over, and not before', async (t) => {
  const { upstream, loop } = await scene(t, echoBody, { connectionsMax: 1, queueMax: 8 });
  const bodies = ['a', 'b', 'c'].map((letter) => letter.repeat(16_000));
  const wanted = bodies.map((body) => pooledRequest(loop, body));

  const heard = await Promise.all(wanted.map((one) => run(upstream, one)));

  assert.deepEqual(
    heard.map((one) => one.body),
    bodies,
  );
  const returned = new Set(bodies.map(() => loop.buffers.take(16_000)));
  assert.deepEqual(returned, new Set(wanted.map((one) => one.headPooled)));
});

test('pooled memory of a request goes back once when it fails or is cancelled', async (t) => {
  const { upstream, loop } = await scene(t, () => undefined, { connectionsMax: 1, queueMax: 8 });
  const wanted = ['a', 'b'].map((letter) => pooledRequest(loop, letter.repeat(16_000)));
  const exchanges = wanted.map((one) => begin(upstream, one).exchange);
  for (const exchange of exchanges) exchange.cancel();
  for (const exchange of exchanges) exchange.cancel();

  const taken = [1, 2, 3].map(() => loop.buffers.take(16_000));

  assert.equal(new Set(taken).size, 3);
  assert.equal(taken.filter((buffer) => wanted.some((one) => one.headPooled === buffer)).length, 2);
});

test('idle connections are closed when their time is over', async (t) => {
  const { backend, upstream } = await scene(t, echoBody, { idleTimeoutMs: 50 });
  await run(upstream, request('GET'));

  await until('the connection is closed', () => backend.openConnections === 0);

  assert.equal(upstream.report().idle, 0);
});

test('a connection is not used beyond the time for which the upstream keeps it', async (t) => {
  const { backend, upstream } = await scene(t, (_, connection) =>
    connection.send(answerText(200, 'x', 'Keep-Alive: timeout=0\r\n')),
  );

  await run(upstream, request('GET'));
  await run(upstream, request('GET'));

  assert.equal(backend.connections.length, 2);
});

test('a connection is not used beyond its largest age', async (t) => {
  const { backend, upstream } = await scene(t, echoBody, { maxAgeMs: 1 });

  await run(upstream, request('GET'));
  const agedMs = performance.now() + 3;
  await until('it is old', () => performance.now() > agedMs);
  await run(upstream, request('GET'));

  assert.equal(backend.connections.length, 2);
});

test('closing lets exchanges end, and then refuses new ones', async (t) => {
  const { backend, upstream } = await scene(t, () => undefined);
  const { heard } = begin(upstream, request('GET'));
  await backend.request(0);

  upstream.close(5000);
  const refused = begin(upstream, request('GET'));
  backend.connections[0]!.send(answerText(200, 'in time'));
  await within('the answer', heard.done);

  assert.equal(refused.heard.failure?.kind, 'no-connection');
  assert.equal(heard.body, 'in time');
  await until('all connections are closed', () => backend.openConnections === 0);
});

test('what is left when the time to close is over fails', async (t) => {
  const { backend, upstream } = await scene(t, () => undefined);
  const { heard } = begin(upstream, request('GET'));
  await backend.request(0);

  upstream.close(30);
  await within('the failure', heard.done);

  assert.equal(heard.failure?.kind, 'lost');
  assert.equal(upstream.report().connections, 0);
});
