/** Which node gets a call, which refer takes it, and what happens beyond the bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/clock.js';
import { exceptionOf, heartbeat, reply, request } from '../../support/frames.js';
import { scene } from '../../support/plane.js';
import { answerOk } from '../../support/scripted-peer.js';

for (const [loadbalance, least, most] of [
  ['roundrobin', 100, 100],
  ['random', 60, 140],
] as const) {
  test(`${loadbalance} spreads calls over the nodes`, async (t) => {
    const made = await scene(t);
    const nodes = [
      await made.upstream(answerOk),
      await made.upstream(answerOk),
      await made.upstream(answerOk),
    ];
    await made.start([{ parameters: { loadbalance }, nodes: nodes.map((node) => node.port) }]);
    const caller = await made.caller();

    for (let id = 0n; id < 300n; id += 1n) caller.send(request({ id }));
    await caller.take(300);

    for (const node of nodes) {
      assert.ok(
        node.requests.length >= least && node.requests.length <= most,
        `${node.requests.length} calls`,
      );
    }
  });

  test(`${loadbalance} skips a node that is down`, async (t) => {
    const made = await scene(t);
    const nodes = [
      await made.upstream(answerOk),
      await made.upstream(answerOk),
      await made.upstream(answerOk),
    ];
    await made.start([{ parameters: { loadbalance }, nodes: nodes.map((node) => node.port) }]);
    const caller = await made.caller();

    await nodes[1]!.stop();
    await until('the node is out', () => made.endpoints.filter((node) => node.available).length === 2);
    for (let id = 0n; id < 100n; id += 1n) caller.send(request({ id }));
    const answers = await caller.take(100);

    assert.ok(answers.every((answer) => !answer.metadata.has('M_e')));
    assert.equal(nodes[0]!.requests.length + nodes[2]!.requests.length, 100);
    assert.ok(nodes[0]!.requests.length > 15 && nodes[2]!.requests.length > 15);
  });
}

test('a service without nodes is refused with the text that operators know', async (t) => {
  const made = await scene(t);
  await made.start([{ nodes: [] }]);
  const caller = await made.caller();

  caller.send(request({ id: 20n, metadata: { z: '1', a: '2' } }));

  assert.deepEqual(exceptionOf(await caller.next()), {
    errcode: 1001,
    errmsg:
      'No refers for request, RequestID: 20, Request info: ' +
      'map[M_g:g1 M_m:hello M_p:svc.one M_rid:20 M_s:agent-app a:2 host:127.0.0.1 z:1]',
    errtype: 1,
  });
});

test('calls beyond callsMax are refused at once and the others are answered', async (t) => {
  const made = await scene(t, { listener: { callsMax: 10 } });
  const upstream = await made.upstream();
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  for (let id = 1n; id <= 15n; id += 1n) caller.send(request({ id }));
  const refused = await caller.take(5);
  assert.ok(refused.every((answer) => exceptionOf(answer).errcode === 503));
  made.assertBalance();
  assert.deepEqual([made.listener.shed, made.listener.inFlight], [5, 10]);
  for (let count = 0; count < 10; count += 1) {
    const [frame, connection] = await upstream.expect();
    connection.send(reply(frame.id));
  }

  const answers = await caller.take(10);
  assert.ok(answers.every((answer) => !answer.metadata.has('M_e')));
  const { in: all, ok, failed, shed } = made.listener;
  assert.deepEqual({ all, ok, failed, shed }, { all: 15, ok: 10, failed: 0, shed: 5 });
});

test('heartbeats are answered, counted and are no calls', async (t) => {
  const made = await scene(t, { listener: { callsMax: 1 } });
  const upstream = await made.upstream();
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();
  caller.send(request({ id: 1n }));
  const [frame, connection] = await upstream.expect();

  caller.send(heartbeat(7n), heartbeat(8n));
  const answers = await caller.take(2);

  assert.deepEqual(
    answers.map((answer) => answer.id),
    [7n, 8n],
  );
  assert.ok(answers.every((answer) => answer.type === 0x13 && answer.bytes.length === 21));
  assert.deepEqual([made.listener.heartbeats, made.listener.in], [2, 1]);
  connection.send(reply(frame.id));
  await caller.next();
});

test('a caller that goes away with calls in flight leaves the books balanced', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ nodes: [upstream.port] }]);
  const [leaving, staying] = [await made.caller(), await made.caller()];
  for (let id = 1n; id <= 10n; id += 1n) leaving.send(request({ id }));
  await until('all have come', () => upstream.requests.length === 10);

  leaving.reset();
  await until('the caller is gone', () => made.listener.connections === 1);
  made.assertBalance();
  assert.equal(made.listener.inFlight, 10);
  for (const frame of upstream.requests) upstream.connections[0]!.send(reply(frame.id));
  await made.quiet();
  staying.send(request({ id: 99n }));
  const [frame, connection] = await untilRequest();
  connection.send(reply(frame.id));

  assert.equal((await staying.next()).id, 99n);
  assert.deepEqual([made.listener.in, made.listener.ok], [11, 11]);

  async function untilRequest(): ReturnType<typeof upstream.expect> {
    let got = await upstream.expect();
    while (got[0].metadata.get('M_rid') !== '99') got = await upstream.expect();
    return got;
  }
});

test('a caller that sends no more still gets its answers, then the connection is closed', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(...[1n, 2n, 3n].map((id) => request({ id })));
  caller.end();
  const got = [await upstream.expect(), await upstream.expect(), await upstream.expect()];
  const body = Buffer.alloc(2_000_000, 'x');
  for (const [frame, connection] of got) connection.send(reply(frame.id, { body }));

  const answers = await caller.take(3);
  assert.deepEqual(
    answers.map((answer) => answer.body.length),
    [2_000_000, 2_000_000, 2_000_000],
  );
  await caller.over();
  await until('the connection is gone', () => made.listener.connections === 0);
});

test('a caller that connects and leaves again costs nothing', async (t) => {
  const made = await scene(t);
  await made.start([]);

  for (let round = 0; round < 50; round += 1) {
    const caller = await made.caller();
    if (round % 2 === 0) caller.end();
    else caller.close();
  }

  await until(
    'all are gone',
    () => made.listener.connectionsAccepted === 50 && made.listener.connections === 0,
  );
  assert.equal(made.listener.protocolErrors, 0);
});
