/** Nodes that answer nothing, nonsense, too much or twice: their own callers get exceptions, everybody else goes on. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { seededRandom, until } from '../../support/clock.js';
import {
  exceptionOf,
  exceptionReply,
  type Frame,
  GZIP,
  heartbeatReply,
  hex,
  reply,
  request,
} from '../../support/frames.js';
import { type Scene, scene } from '../../support/plane.js';
import {
  echo,
  type PeerConnection,
  type Script,
  type ScriptedUpstream,
  silent,
} from '../../support/scripted-peer.js';

interface Set {
  readonly made: Scene;
  readonly bad: ScriptedUpstream;
  /** Calls the bad node and gives its answer. */
  readonly callBad: (id: bigint, body?: Buffer) => Promise<Frame>;
  /** Calls the good node; on the same connection as `callBad`. */
  readonly callGood: () => Promise<void>;
  readonly caller: PeerConnection;
}

/** Two services, one on a good node and one on a bad one, called over one connection. */
async function start(t: TestContext, script: Script, parameters: Record<string, string> = {}): Promise<Set> {
  const made = await scene(t);
  const [good, bad] = [await made.upstream(echo), await made.upstream(script)];
  await made.start([
    { service: 'svc.good', nodes: [good.port] },
    {
      service: 'svc.bad',
      nodes: [bad.port],
      parameters: { requestTimeout: '150', errorCountThreshold: '0', clientConnection: '1', ...parameters },
    },
  ]);
  const caller = await made.caller();
  return {
    made,
    bad,
    caller,
    callBad: async (id, body) => {
      caller.send(request({ id, service: 'svc.bad', ...(body === undefined ? {} : { body }) }));
      const answer = await caller.next(15_000);
      assert.equal(answer.id, id);
      return answer;
    },
    callGood: async () => {
      caller.send(request({ id: 4711n, service: 'svc.good' }));
      const answer = await caller.next();
      assert.equal(answer.id, 4711n);
      assert.equal(answer.metadata.has('M_e'), false);
    },
  };
}

test('a node that accepts and never answers costs its callers a timeout each', async (t) => {
  const { made, callBad, callGood } = await start(t, silent);

  for (let id = 1n; id <= 3n; id += 1n) {
    assert.match(exceptionOf(await callBad(id)).errmsg, /timeout/);
    await callGood();
  }

  assert.equal(made.listener.failed, 3);
});

test('garbage ends the connection to the node, which is opened again', async (t) => {
  const random = seededRandom(3);
  const garbage = [
    Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    hex('F1F1 00 F8'),
    hex('F1F2 01 08 30'),
    Buffer.from(Array.from({ length: 500 }, () => random() * 256)).fill(0x2e, 0, 1),
  ];
  const { bad, callBad, callGood } = await start(t, (_frame, connection) => {
    connection.send(garbage[(bad.requests.length - 1) % garbage.length]!);
  });

  for (let id = 1n; id <= 8n; id += 1n) {
    assert.match(exceptionOf(await callBad(id)).errmsg, /the channel has been shutdown/);
    await callGood();
  }

  assert.ok(bad.connections.length >= 8);
});

test('an answer that comes twice is given once', async (t) => {
  const { made, callBad, callGood, caller } = await start(t, (frame, connection) => {
    connection.send(
      reply(frame.id, { body: Buffer.from('first') }),
      reply(frame.id, { body: Buffer.from('second') }),
    );
  });

  for (let id = 1n; id <= 20n; id += 1n) assert.equal((await callBad(id)).body.toString(), 'first');
  await callGood();

  assert.equal(caller.frames.length, 21);
  assert.equal(made.listener.ok, 21);
});

test('answers with ids that nobody gave are dropped', async (t) => {
  const random = seededRandom(5);
  const { callBad, callGood } = await start(t, (frame, connection) => {
    const strange = [
      0n,
      1n,
      frame.id + 1n,
      frame.id ^ (1n << 63n),
      frame.id ^ (1n << 20n),
      frame.id ^ (1n << 32n),
    ];
    const noise = Array.from({ length: 20 }, () => BigInt(Math.floor(random() * 2 ** 52)) * 4096n);
    connection.send(
      ...[...strange, ...noise].map((id) => reply(BigInt.asUintN(64, id), { body: Buffer.from('not mine') })),
    );
    connection.send(reply(frame.id, { body: Buffer.from('mine') }), heartbeatReply(frame.id));
  });

  for (let id = 1n; id <= 20n; id += 1n) assert.equal((await callBad(id)).body.toString(), 'mine');
  await callGood();
});

test('a late answer does not reach the call that uses its place now', async (t) => {
  const held: [Frame, PeerConnection][] = [];
  const { callBad } = await start(t, (frame, connection) => {
    held.push([frame, connection]);
    if (held.length === 1) return;
    connection.send(reply(held[0]![0].id, { body: Buffer.from('of the first') }));
    connection.send(reply(frame.id, { body: Buffer.from('of the second') }));
  });

  assert.match(exceptionOf(await callBad(1n)).errmsg, /timeout/);

  assert.equal((await callBad(2n)).body.toString(), 'of the second');
});

test('a node that closes in mid-frame fails its calls, at every byte', async (t) => {
  const whole = reply(1n, { metadata: { k: 'v' }, body: Buffer.alloc(20) });
  let cut = 0;
  const { made, callBad, callGood } = await start(t, (frame, connection) => {
    const bytes = Buffer.from(whole);
    bytes.writeBigUInt64BE(frame.id, 5);
    connection.socket.end(bytes.subarray(0, cut));
    cut += 1;
  });

  for (let id = 1n; id <= whole.length; id += 1n) {
    assert.match(exceptionOf(await callBad(BigInt(id))).errmsg, /the channel has been shutdown/);
  }

  await callGood();
  await made.quiet();
});

test('every byte of an answer flipped never reaches another call', async (t) => {
  const whole = reply(1n, { metadata: { M_pt: '1', k: 'v' }, body: Buffer.from('answer') });
  let at = 0;
  const { made, callGood, caller } = await start(
    t,
    (frame, connection) => {
      if (frame.metadata.get('M_m') === 'other') {
        connection.send(reply(frame.id, { body: frame.body }));
        return;
      }
      const bytes = Buffer.from(whole);
      bytes.writeBigUInt64BE(frame.id, 5);
      const index = at % whole.length;
      bytes[index] = bytes[index]! ^ (at < whole.length ? 0x80 : 0x01);
      at += 1;
      connection.send(bytes);
    },
    { requestTimeout: '40', maxContentLength: '100000' },
  );

  for (let round = 0; round < 2 * whole.length; round += 1) {
    const [bad, other] = [BigInt(round * 2), BigInt(round * 2 + 1)];
    const body = Buffer.from(`other ${round}`);
    caller.send(
      request({ id: bad, service: 'svc.bad' }),
      request({ id: other, service: 'svc.bad', method: 'other', body }),
    );
    const answers = await caller.take(2);
    assert.deepEqual(answers.map((answer) => answer.id).sort(byValue), [bad, other]);
    const found = answers.find((answer) => answer.id === other)!;
    // It may fail with its connection, but what it gets is its own.
    if (!found.metadata.has('M_e')) assert.ok(found.body.equals(body));
  }

  await callGood();
  await made.quiet();
});

test('an answer with unreadable metadata fails its own call; others on the connection go on', async (t) => {
  const { made, bad, caller } = await start(t, silent);
  caller.send(...[1n, 2n].map((id) => request({ id, service: 'svc.bad' })));
  await until('both have come', () => bad.requests.length === 2);
  const [first, second] = bad.requests;

  bad.connections[0]!.send(reply(first!.id, { metadata: Buffer.from('odd') }), reply(second!.id));

  const answers = new Map((await caller.take(2)).map((answer) => [answer.id, answer]));
  assert.equal(exceptionOf(answers.get(1n)!).errcode, 1003);
  assert.equal(answers.get(2n)!.metadata.has('M_e'), false);
  assert.equal(bad.connections.length, 1);
  assert.equal(made.endpoints.find((found) => found.address.endsWith(`:${bad.port}`))!.inFlight, 0);
});

test('an answer over the limit fails its own call; others on the connection go on', async (t) => {
  const { bad, caller } = await start(t, silent, { maxContentLength: '100000', requestTimeout: '2000' });
  caller.send(...[1n, 2n, 3n].map((id) => request({ id, service: 'svc.bad' })));
  await until('all have come', () => bad.requests.length === 3);
  const [first, second, third] = bad.requests;

  bad.connections[0]!.send(
    reply(first!.id, { body: Buffer.alloc(100_000) }),
    reply(second!.id, { body: Buffer.alloc(3_000_000) }),
    reply(third!.id, { metadata: Buffer.alloc(200_000, 'k\nv\n') }),
    reply(999n),
  );

  const answers = new Map((await caller.take(3)).map((answer) => [answer.id, answer]));
  assert.equal(answers.get(1n)!.body.length, 100_000);
  for (const id of [2n, 3n]) {
    assert.match(exceptionOf(answers.get(id)!).errmsg, /the answer is larger than 100000 bytes/);
  }
  assert.equal(bad.connections.length, 1);
});

test('a zipped answer that would be too large fails its own call', async (t) => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const { callBad, callGood } = await start(
    t,
    (frame, connection) => connection.send(reply(frame.id, { type: GZIP | 1, body: bomb })),
    { requestTimeout: '3000' },
  );
  const before = process.memoryUsage().rss;

  for (let id = 1n; id <= 5n; id += 1n) assert.match(exceptionOf(await callBad(id)).errmsg, /larger than/);

  assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024);
  await callGood();
});

test('exceptions of any shape are relayed or replaced, never fatal', async (t) => {
  const texts = [
    '{}',
    'null',
    '[]',
    '"x"',
    '12',
    '{"errcode":1e999}',
    '{"errcode":"1"}',
    '{',
    '\u0000',
    '[[[['.repeat(5000),
  ];
  let index = 0;
  const { callBad, callGood } = await start(t, (frame, connection) => {
    connection.send(reply(frame.id, { versionStatus: 0x09, metadata: { M_e: texts[index++]! } }));
  });

  for (let id = 1n; id <= texts.length; id += 1n)
    assert.equal((await callBad(BigInt(id))).versionStatus, 0x09);

  await callGood();
});

test('a node that takes nothing slows only its own callers, with bounded memory', async (t) => {
  const made = await scene(t);
  const [good, stuck] = [await made.upstream(echo), await made.upstream(silent)];
  stuck.isHalted = true;
  good.keepsRequests = false;
  const parameters = { requestTimeout: '400', errorCountThreshold: '0', clientConnection: '1' };
  await made.start([
    { service: 'svc.good', nodes: [good.port] },
    { service: 'svc.stuck', parameters, nodes: [stuck.port] },
  ]);
  const [pushing, other] = [await made.caller(), await made.caller()];
  const before = process.memoryUsage().rss;

  const body = Buffer.alloc(1_000_000, 'p');
  for (let id = 0n; id < 150n; id += 1n) pushing.send(request({ id, service: 'svc.stuck', body }));
  for (let id = 0n; id < 300n; id += 1n) {
    const startMs = performance.now();
    other.send(request({ id, service: 'svc.good' }));
    assert.equal((await other.next()).metadata.has('M_e'), false);
    assert.ok(performance.now() - startMs < 300, 'the other caller is not slowed');
  }
  // What the agent has read is bounded; the rest waits at the caller.
  assert.ok(made.listener.bytesIn < 60_000_000, `${made.listener.bytesIn} bytes were read`);
  assert.ok(process.memoryUsage().rss - before < 500 * 1024 * 1024);

  pushing.close();
  await made.quiet(8000);
});

test('callers are read again as soon as a slow node takes bytes', async (t) => {
  const made = await scene(t);
  const slow = await made.upstream(echo);
  slow.isHalted = true;
  const parameters = { requestTimeout: '20000', clientConnection: '1' };
  await made.start([{ parameters, nodes: [slow.port] }]);
  const caller = await made.caller();

  const body = Buffer.alloc(500_000, 'q');
  for (let id = 0n; id < 100n; id += 1n) caller.send(request({ id, body }));
  await until('the caller is paused', () => made.listener.in >= 8);
  const paused = made.listener.in;
  slow.isHalted = false;
  for (const connection of slow.connections) connection.resume();

  const answers = await caller.take(100, 20_000);
  assert.ok(paused < 100);
  assert.equal(new Set(answers.map((answer) => answer.id)).size, 100);
  assert.ok(answers.every((answer) => answer.body.equals(body)));
});

test('requests that a stuck node gets late are whole, also when they were tried elsewhere meanwhile', async (t) => {
  const made = await scene(t);
  const [stuck, other] = [await made.upstream(echo), await made.upstream(echo)];
  stuck.isHalted = true;
  const parameters = {
    loadbalance: 'roundrobin',
    retries: '1',
    requestTimeout: '300',
    errorCountThreshold: '0',
    clientConnection: '1',
  };
  await made.start([{ parameters, nodes: [stuck.port, other.port] }]);
  const caller = await made.caller();

  const body = (id: number): Buffer => Buffer.alloc(400_000, id + 1);
  for (let id = 0; id < 40; id += 1) caller.send(request({ id: BigInt(id), body: body(id) }));
  const answers = await caller.take(40, 15_000);
  for (const answer of answers) {
    if (!answer.metadata.has('M_e')) assert.ok(answer.body.equals(body(Number(answer.id))));
  }
  for (const connection of stuck.connections) connection.resume();
  await until('the stuck node has read something', () => stuck.requests.length > 3);

  for (const frame of [...stuck.requests, ...other.requests]) {
    assert.ok(
      frame.body.equals(body(Number(frame.metadata.get('M_rid')))),
      `body of call ${frame.metadata.get('M_rid')}`,
    );
  }
});

test('a node that resets every connection does not make the agent spin', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(silent);
  await made.start([{ nodes: [upstream.port] }]);
  upstream.openConnections[0]!.reset();
  const resetAll = setInterval(() => {
    for (const connection of upstream.openConnections) connection.reset();
  }, 1);
  t.after(() => clearInterval(resetAll));

  const cpuBefore = process.cpuUsage();
  const startMs = performance.now();
  await until('half a second passes', () => performance.now() - startMs > 500);
  const cpu = process.cpuUsage(cpuBefore);
  clearInterval(resetAll);

  assert.ok(upstream.connections.length < 100, `${upstream.connections.length} connections in half a second`);
  assert.ok((cpu.user + cpu.system) / 1000 < 400, `${(cpu.user + cpu.system) / 1000} ms of CPU`);
});

test('exception texts with every kind of character come through', async (t) => {
  const text = 'quote " back \\ slash\nline\ttab \u2028 \u{1F600} \u0000 end';
  const { callBad } = await start(t, (frame, connection) =>
    connection.send(exceptionReply(frame.id, 7, 1, text)),
  );

  assert.equal(exceptionOf(await callBad(1n)).errmsg, text);
});

function byValue(left: bigint, right: bigint): number {
  return left < right ? -1 : 1;
}
