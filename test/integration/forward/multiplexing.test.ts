/** Many calls on few connections: order, identity of ids, growth of the pool, large bodies among small ones. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { until } from '../../support/clock.js';
import { type Frame, reply, request } from '../../support/frames.js';
import { scene } from '../../support/plane.js';
import { answerOk, echo, silent } from '../../support/scripted-peer.js';

test('answers in any order reach the calls they belong to', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  const ids = Array.from({ length: 100 }, (_, index) => BigInt(index + 1));
  caller.send(...ids.map((id) => request({ id, body: Buffer.from(`body ${id}`) })));
  const got: Frame[] = [];
  let connection = null;
  while (got.length < ids.length) {
    const [frame, from] = await upstream.expect();
    got.push(frame);
    connection = from;
  }
  for (const frame of got.reverse()) connection!.send(reply(frame.id, { body: frame.body }));

  const answers = await caller.take(ids.length);
  for (const answer of answers) assert.equal(answer.body.toString(), `body ${answer.id}`);
  assert.deepEqual(answers.map((answer) => answer.id).sort(byValue), ids);
  assert.notDeepEqual(
    answers.map((answer) => answer.id),
    ids,
  );
  assert.equal(made.listener.ok, 100);
});

test('two calls with the same id are both answered', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(echo);
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request({ id: 5n, body: Buffer.from('one') }), request({ id: 5n, body: Buffer.from('two') }));

  const answers = await caller.take(2);
  assert.deepEqual(answers.map((answer) => answer.body.toString()).sort(), ['one', 'two']);
  assert.deepEqual(
    answers.map((answer) => answer.id),
    [5n, 5n],
  );
});

test('callers that use the same ids do not get the answers of each other', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(echo);
  await made.start([{ nodes: [upstream.port] }]);
  const callers = await Promise.all(Array.from({ length: 20 }, () => made.caller()));

  for (let id = 1n; id <= 50n; id += 1n) {
    for (const [index, caller] of callers.entries()) {
      caller.send(request({ id, body: Buffer.from(`${index}/${id}`) }));
    }
  }

  for (const [index, caller] of callers.entries()) {
    for (const answer of await caller.take(50)) assert.equal(answer.body.toString(), `${index}/${answer.id}`);
  }
});

test('opens more connections under load, up to clientConnection', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(silent);
  const parameters = { clientConnection: '3', requestTimeout: '600', errorCountThreshold: '0' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  assert.equal(made.endpoints[0]!.connections, 1);
  const callers = await Promise.all(Array.from({ length: 8 }, () => made.caller()));

  let id = 0n;
  await until('three connections are open', () => {
    for (const caller of callers) caller.send(...Array.from({ length: 100 }, () => request({ id: ++id })));
    return made.endpoints[0]!.connections === 3;
  });
  for (const caller of callers) caller.send(...Array.from({ length: 100 }, () => request({ id: ++id })));
  await until('all calls have come', () => made.listener.in === Number(id));

  assert.equal(made.endpoints[0]!.connections, 3);
  assert.equal(upstream.openConnections.length, 3);
  await made.quiet();
  assert.equal(made.listener.failed, Number(id));
});

test('a light load stays on one connection', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(answerOk);
  await made.start([{ parameters: { clientConnection: '3' }, nodes: [upstream.port] }]);
  const callers = await Promise.all(Array.from({ length: 10 }, () => made.caller()));

  for (const caller of callers)
    caller.send(...Array.from({ length: 20 }, (_, id) => request({ id: BigInt(id) })));
  for (const caller of callers) await caller.take(20);

  assert.equal(upstream.connections.length, 1);
});

test('bodies of every size pass unchanged in both directions', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(echo);
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();
  const sizes = [
    0, 1, 511, 4096, 16_383, 16_384, 65_500, 65_536, 262_144, 262_145, 1_048_576, 5_000_000, 10_485_760,
  ];
  const bodies = sizes.map((size) => randomBytes(size));

  caller.send(...bodies.map((body, index) => request({ id: BigInt(index), body })));

  for (const answer of await caller.take(sizes.length, 10_000)) {
    assert.ok(answer.body.equals(bodies[Number(answer.id)]!), `body of ${sizes[Number(answer.id)]} bytes`);
  }
});

test('large bodies of many callers at once do not mix', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(echo);
  await made.start([{ parameters: { requestTimeout: '20000' }, nodes: [upstream.port] }]);
  const callers = await Promise.all(Array.from({ length: 8 }, () => made.caller()));

  const work = callers.map(async (caller, index) => {
    for (let round = 0; round < 12; round += 1) {
      const body = Buffer.alloc(100_000 + ((index * 37 + round * 91) % 17) * 60_000, index * 16 + round);
      caller.send(request({ id: BigInt(round), body }), request({ id: 99n, body: Buffer.from('small') }));
      for (const answer of await caller.take(2, 20_000)) {
        const expected = answer.id === 99n ? Buffer.from('small') : body;
        assert.ok(answer.body.equals(expected), `caller ${index}, round ${round}`);
      }
    }
  });

  await Promise.all(work);
});

test('metadata larger than a write chunk passes unchanged', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => {
    connection.send(reply(frame.id, { metadata: { big: frame.metadata.get('big')! }, body: frame.body }));
  });
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  for (const size of [60_000, 65_400, 65_536, 200_000, 3_000_000]) {
    const big = 'x'.repeat(size);
    caller.send(
      request({ id: BigInt(size), metadata: { big } }),
      request({ id: 1n, metadata: { big: 'y' } }),
    );
    const answers = await caller.take(2);
    const answer = answers.find((found) => found.id === BigInt(size))!;
    assert.equal(answer.metadata.get('big'), big);
    assert.equal(answer.body.toString('latin1', 5), 'abc');
    assert.equal(upstream.requests.at(-2)!.metadata.get('M_rid'), String(size));
  }
});

function byValue(left: bigint, right: bigint): number {
  return left < right ? -1 : 1;
}
