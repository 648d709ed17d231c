/** Callers that send what makes no sense, too much, or too slowly: nobody else notices, nothing is left behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { seededRandom, until } from '../../support/clock.js';
import { exceptionOf, GZIP, heartbeat, hex, request } from '../../support/frames.js';
import { type Scene, type SceneOptions, scene } from '../../support/plane.js';
import { answerOk, echo, type PeerConnection, type Script } from '../../support/scripted-peer.js';

const V1_REQUEST = hex(
  'F1F1 0000 0000000000000001 00000057 F0F0 01 00 0000000000000001 00000047 ACED0005 77 18 0001 73 0001 6D 0010' +
    '6A6176612E6C616E672E537472696E67 75 72 0002 5B42 ACF317F8060854E0 02 0000 78 70 00000002 0161 77 0E 00000001 0005' +
    '67726F7570 0001 67',
);

/** A plane with a good caller, which must be served whatever the others do. */
async function withWitness(
  t: TestContext,
  options: SceneOptions = {},
  script: Script = answerOk,
): Promise<{ made: Scene; witness: () => Promise<void> }> {
  const made = await scene(t, options);
  const upstream = await made.upstream(script);
  upstream.keepsRequests = false;
  await made.start([{ nodes: [upstream.port] }]);
  const good = await made.caller();
  let id = 1000n;
  const witness = async (): Promise<void> => {
    id += 1n;
    good.send(request({ id }));
    const answer = await good.next();
    assert.equal(answer.id, id);
    assert.equal(answer.metadata.has('M_e'), false);
  };
  await witness();
  return { made, witness };
}

/** Sends bytes, ends, and waits until the connection is over, answered or not. */
async function sendAndLeave(made: Scene, bytes: Buffer): Promise<PeerConnection> {
  const caller = await made.caller();
  caller.send(bytes);
  caller.end();
  await caller.over();
  caller.close();
  return caller;
}

for (const [name, valid] of [
  ['Motan2', request({ id: 7n, metadata: { M_g: 'g1' } })],
  ['Motan v1', V1_REQUEST],
  ['a zipped Motan2', request({ id: 7n, type: GZIP, body: gzipSync('hello') })],
] as const) {
  test(`every byte of ${name} request flipped harms nobody else`, async (t) => {
    const { made, witness } = await withWitness(t);

    const work: (() => Promise<unknown>)[] = [];
    for (let index = 0; index < valid.length; index += 1) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const bytes = Buffer.from(valid);
        bytes[index] = bytes[index]! ^ flip;
        work.push(() => sendAndLeave(made, bytes));
      }
    }
    await inParallel(20, work);

    await witness();
    await made.quiet();
  });

  test(`${name} request cut at every byte harms nobody else`, async (t) => {
    const { made, witness } = await withWitness(t);

    const cuts = Array.from({ length: valid.length }, (_, length) => valid.subarray(0, length));
    await inParallel(
      20,
      cuts.map((bytes) => async () => assert.equal((await sendAndLeave(made, bytes)).bytesRead, 0)),
    );

    await witness();
    assert.equal(made.listener.protocolErrors, 0, 'an end of the stream is no error');
    await until('only the witness is connected', () => made.listener.connections === 1);
  });
}

test('random bytes, TLS and HTTP are closed without an answer', async (t) => {
  const { made, witness } = await withWitness(t);
  const random = seededRandom(7);
  const noise = Array.from({ length: 50 }, () =>
    Buffer.from(Array.from({ length: 300 }, () => random() * 256)),
  );
  const strange = [
    hex('1603010200 010001FC 0303 2B6D3A5C4F00112233445566778899AABBCCDDEEFF00112233445566778899 20'),
    Buffer.from('GET / HTTP/1.1\r\nHost: localhost:9981\r\n\r\n'),
    Buffer.from('POST /rpc HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello'),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    Buffer.from('\0\0\0\0\0'),
    hex('F1F1 00 F8 30'),
    hex('F1F1 0000 0000000000000001 00000003 F0F0 01'),
    ...noise,
  ];

  await inParallel(
    20,
    strange.map((bytes) => async () => assert.equal((await sendAndLeave(made, bytes)).bytesRead, 0)),
  );

  await witness();
  assert.equal(made.listener.protocolErrors, strange.length);
});

test('a Motan v1 request with unreadable content is answered and its connection goes on', async (t) => {
  const { made, witness } = await withWitness(t);
  const caller = await made.caller();
  const broken = Buffer.from(V1_REQUEST);
  broken[32] = 0xde; // the magic of the object stream

  caller.send(broken, heartbeat(9n));

  const answers = await caller.take(2);
  assert.deepEqual(answers.map((answer) => answer.version).sort(), [1, 2]);
  assert.equal(made.listener.failed, 1);
  await witness();
});

test('a message at the limit passes, one byte more fails alone', async (t) => {
  const { made, witness } = await withWitness(t, { listener: { frameBytesMax: 100_000 } }, echo);
  const caller = await made.caller();
  const metadata = (bytes: number): Buffer => {
    const names = Buffer.from('M_p\nsvc.one\nM_m\nhello\nk\n');
    return Buffer.concat([names, Buffer.alloc(bytes - names.length, 'x')]);
  };

  caller.send(
    request({ id: 1n, body: Buffer.alloc(100_000, 1) }),
    request({ id: 2n, body: Buffer.alloc(100_001, 2) }),
    request({ id: 3n, metadata: metadata(100_000) }),
    request({ id: 4n, metadata: metadata(100_001) }),
    request({ id: 5n, body: Buffer.alloc(6_400_000, 5) }),
    request({ id: 6n }),
  );

  const answers = new Map((await caller.take(6)).map((answer) => [answer.id, answer]));
  for (const id of [1n, 3n, 6n]) assert.equal(answers.get(id)!.metadata.has('M_e'), false, `call ${id}`);
  for (const id of [2n, 4n, 5n]) {
    const expected = { errcode: 400, errmsg: 'the message is larger than 100000 bytes', errtype: 1 };
    assert.deepEqual(exceptionOf(answers.get(id)!), expected, `call ${id}`);
  }
  assert.ok(answers.get(1n)!.body.equals(Buffer.alloc(100_000, 1)));
  await witness();
});

test('a size far beyond the limit ends the connection', async (t) => {
  const { made, witness } = await withWitness(t, { listener: { frameBytesMax: 100_000 } });

  const caller = await made.caller();
  caller.send(request({ id: 2n, body: Buffer.alloc(10) }).fill(0xff, 13, 17));
  await caller.over();

  assert.equal(caller.bytesRead, 0);
  assert.equal(made.listener.protocolErrors, 1);
  await witness();
});

test('a gzip bomb costs its caller an exception and little memory', async (t) => {
  const { made, witness } = await withWitness(t);
  const caller = await made.caller();
  const bomb = nestedBomb();
  const before = process.memoryUsage().rss;

  for (let id = 1n; id <= 20n; id += 1n) caller.send(request({ id, type: GZIP, body: bomb }));
  const answers = await caller.take(20, 20_000);

  for (const answer of answers) assert.equal(exceptionOf(answer).errcode, 400);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 200 * 1024 * 1024, `grew by ${grown} bytes`);
  assert.equal(made.listener.failed, 20);
  await witness();
});

test('zipped requests that come faster than they are unpacked cost bounded memory', async (t) => {
  const { made, witness } = await withWitness(t);
  const caller = await made.caller();
  const zipped = gzipSync(randomBytes(4_000_000), { level: 0 });
  caller.send(
    ...Array.from({ length: 60 }, (_, id) =>
      request({ id: BigInt(id), service: 'none', type: GZIP, body: zipped }),
    ),
  );
  let most = 0;

  const answers = caller.take(60, 30_000);
  for (let isDone = false; !isDone; ) {
    most = Math.max(most, made.listener.inFlight);
    isDone = made.listener.failed === 60;
    await new Promise((resolve) => setImmediate(resolve));
  }

  for (const answer of await answers) assert.equal(exceptionOf(answer).errcode, 400);
  assert.ok(most < 20, `${most} were read at once`);
  await witness();
});

test('metadata with a key without a value ends its own connection only', async (t) => {
  const { made, witness } = await withWitness(t);

  for (const block of ['M_p\nsvc.one\nM_m', 'lonely', 'M_p\nsvc.one\n\n\nM_m']) {
    const caller = await made.caller();
    caller.send(request({ metadata: Buffer.from(block) }));
    await caller.over();
    assert.equal(caller.bytesRead, 0);
  }

  assert.equal(made.listener.protocolErrors, 3);
  await witness();
});

test('metadata of strange bytes passes or is refused, but never harms', async (t) => {
  const { made, witness } = await withWitness(t);
  const caller = await made.caller();
  const blocks = [
    Buffer.alloc(0),
    Buffer.from('\n\n\n\n'),
    Buffer.from('M_p\n\nM_m\n'),
    Buffer.concat([
      Buffer.from('M_p\n'),
      Buffer.from([0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80]),
      Buffer.from('\nM_m\nx'),
    ]),
    Buffer.from('__proto__\nx\nconstructor\ny\nM_p\n__proto__'),
    Buffer.from('M_p\nsvc.one\nM_m\n\0\x01\x7f\nM_tmo\nNaN\nM_e\n{}\nhost\nspoofed\nM_rid\n-'),
  ];

  blocks.forEach((metadata, index) => {
    caller.send(request({ id: BigInt(index), metadata }));
  });

  const answers = await caller.take(blocks.length);
  assert.equal(answers.filter((answer) => !answer.metadata.has('M_e')).length, 1);
  await witness();
});

test('a connection that sends one byte at a time is served like any other', async (t) => {
  const { made, witness } = await withWitness(t);
  const caller = await made.caller();

  for (const byte of Buffer.concat([request({ id: 1n }), request({ id: 2n })])) {
    caller.send(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }

  assert.deepEqual(
    (await caller.take(2)).map((answer) => answer.id),
    [1n, 2n],
  );
  await witness();
});

test('thousands of connections that stop in mid-frame cost little memory each', async (t) => {
  const { made, witness } = await withWitness(t);
  const count = 5000;
  const start = request({ id: 1n, body: Buffer.alloc(1000) }).subarray(0, 40);
  start.writeUInt32BE(10_000_000, 13); // ten megabytes of metadata are promised
  const before = process.memoryUsage();

  const callers: PeerConnection[] = [];
  await inParallel(
    100,
    Array.from({ length: count }, () => async () => {
      const caller = await made.caller();
      caller.send(start);
      callers.push(caller);
    }),
  );
  await until('all have come', () => made.listener.bytesIn >= count * start.length, 20_000);

  // Both ends of every connection are in this process.
  const grown = process.memoryUsage().rss - before.rss;
  assert.ok(grown < count * 40 * 1024, `grew by ${grown} bytes`);
  await witness();
  for (const caller of callers) caller.close();
  await until('all are gone', () => made.listener.connections === 1, 20_000);
});

test('a caller that never reads its answers is bounded, then given up; others are not slowed', async (t) => {
  const { made, witness } = await withWitness(t, {}, echo);
  const greedy = await made.caller();
  greedy.halt();
  const before = process.memoryUsage().rss;

  const body = Buffer.alloc(1_000_000, 'x');
  for (let id = 0n; id < 200n; id += 1n) greedy.send(request({ id, body }));
  const startMs = performance.now();
  while (made.listener.connections > 1 && performance.now() - startMs < 9000) await witness();

  assert.equal(made.listener.connections, 1, 'a reader that takes nothing for five seconds is closed');
  const grown = process.memoryUsage().rss - before;
  // What this caller could not send waits in this process as well.
  assert.ok(grown < 600 * 1024 * 1024, `grew by ${grown} bytes`);
  await made.quiet();
});

test('a flood of heartbeats that nobody reads is bounded', async (t) => {
  const { made, witness } = await withWitness(t);
  const flood = await made.caller();
  flood.halt();
  const beats = Buffer.concat(Array.from({ length: 10_000 }, (_, id) => heartbeat(BigInt(id))));

  let isFull = false;
  for (let round = 0; round < 400 && !isFull; round += 1) {
    isFull = !flood.socket.write(beats) && flood.socket.writableLength > 20_000_000;
    await new Promise((resolve) => setImmediate(resolve));
  }

  await witness();
  const sent = made.listener.bytesIn;
  await new Promise((resolve) => setImmediate(resolve));
  await witness();
  assert.ok(isFull, 'the agent stops reading');
  assert.ok(made.listener.bytesIn - sent < 1_000_000);
  flood.close();
});

test('protocol errors of one connection do not lose its calls in the books', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();
  caller.send(request({ id: 1n }), request({ id: 2n }));
  const got = [await upstream.expect(), await upstream.expect()];

  caller.send(Buffer.from('garbage'));
  await caller.over();
  made.assertBalance();
  assert.equal(made.listener.inFlight, 2);
  for (const [frame, connection] of got) answerOk(frame, connection);

  await made.quiet();
  assert.deepEqual([made.listener.in, made.listener.ok], [2, 2]);
});

/** About 10 KiB that unpack to 10 MiB and more: gzip members one behind the other, all zeros. */
function nestedBomb(): Buffer {
  const member = gzipSync(Buffer.alloc(64 * 1024 * 1024), { level: 9 });
  return Buffer.concat(Array.from({ length: 4 }, () => member));
}

async function inParallel(width: number, work: readonly (() => Promise<unknown>)[]): Promise<void> {
  const queue = [...work];
  const run = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) await next();
  };
  await Promise.all(Array.from({ length: width }, run));
}
