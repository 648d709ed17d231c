/** Nodes that fail: retries, taking a node out, finding it again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/clock.js';
import {
  exceptionOf,
  exceptionReply,
  HEARTBEAT,
  heartbeatReply,
  reply,
  request,
} from '../../support/frames.js';
import { type Scene, scene } from '../../support/plane.js';
import { answerOk, type PeerConnection, type Script, silent } from '../../support/scripted-peer.js';

const isHeartbeat = (type: number): boolean => (type & HEARTBEAT) !== 0;

const failing: Script = (frame, connection) => {
  connection.send(
    isHeartbeat(frame.type) ? heartbeatReply(frame.id) : exceptionReply(frame.id, 500, 1, 'broken'),
  );
};

async function callOnce(caller: PeerConnection, id = 1n): Promise<string> {
  caller.send(request({ id }));
  const answer = await caller.next();
  assert.equal(answer.id, id);
  return answer.metadata.has('M_e') ? `${exceptionOf(answer).errcode}` : 'ok';
}

test('retries give a failed call to another try and the caller sees one answer', async (t) => {
  const made = await scene(t);
  let calls = 0;
  const upstream = await made.upstream((frame, connection) => {
    calls += 1;
    connection.send(calls < 3 ? exceptionReply(frame.id, 500, 1, 'not yet') : reply(frame.id));
  });
  await made.start([{ parameters: { retries: '2' }, nodes: [upstream.port] }]);
  const caller = await made.caller();

  assert.equal(await callOnce(caller), 'ok');

  assert.equal(calls, 3);
  assert.ok(upstream.requests.every((frame) => frame.metadata.get('M_rid') === '1'));
  assert.ok(upstream.requests.every((frame) => frame.body.toString('latin1', 5) === 'abc'));
  assert.equal(new Set(upstream.requests.map((frame) => frame.id)).size, 3);
});

test('the last exception is the answer when all tries fail', async (t) => {
  const made = await scene(t);
  let calls = 0;
  const upstream = await made.upstream((frame, connection) => {
    calls += 1;
    connection.send(exceptionReply(frame.id, 500 + calls, 1, `try ${calls}`));
  });
  await made.start([{ parameters: { retries: '2' }, nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request());

  assert.deepEqual(exceptionOf(await caller.next()), { errcode: 503, errmsg: 'try 3', errtype: 1 });
  assert.equal(made.listener.ok, 1, 'what a service says is an answer');
});

test('a business exception is an answer: not tried again, no error of the node', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => {
    connection.send(exceptionReply(frame.id, 30001, 2, 'no such user'));
  });
  await made.start([{ parameters: { retries: '3', errorCountThreshold: '1' }, nodes: [upstream.port] }]);
  const caller = await made.caller();

  assert.equal(await callOnce(caller), '30001');

  assert.equal(upstream.requests.length, 1);
  assert.equal(made.endpoints[0]!.errorCount, 0);
  assert.equal(made.endpoints[0]!.available, true);
});

test('a method may have retries of its own', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(failing);
  const parameters = { 'safe().retries': '2', errorCountThreshold: '0' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request({ id: 1n, method: 'safe' }));
  await caller.next();
  assert.equal(upstream.requests.length, 3);
  caller.send(request({ id: 2n, method: 'other' }));
  await caller.next();
  assert.equal(upstream.requests.length, 4);
});

test('a large body is sent whole again by a retry after a timeout', async (t) => {
  const made = await scene(t);
  const body = Buffer.alloc(3_000_000, 'retry');
  const upstream = await made.upstream((frame, connection) => {
    if (upstream.requests.length > 1) connection.send(reply(frame.id, { body: frame.body }));
  });
  await made.start([{ parameters: { retries: '1', requestTimeout: '300' }, nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request({ id: 1n, body }), request({ id: 2n, body: Buffer.alloc(2_000_000, 'other') }));

  for (const answer of await caller.take(2)) {
    assert.ok(answer.body.equals(answer.id === 1n ? body : Buffer.alloc(2_000_000, 'other')));
  }
});

test('errors in a row take a node out; an answered heartbeat brings it back', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(silent);
  const parameters = { errorCountThreshold: '3', keepaliveInterval: '30', requestTimeout: '20' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  const caller = await made.caller();

  for (let id = 1n; id <= 3n; id += 1n) assert.equal(await callOnce(caller, id), '400');
  const [endpoint] = made.endpoints;
  assert.deepEqual([endpoint!.available, endpoint!.keepaliveType, endpoint!.errorCount], [false, 1, 3]);
  assert.equal(await callOnce(caller, 4n), '1001');
  await until(
    'heartbeats come',
    () => upstream.requests.filter((frame) => isHeartbeat(frame.type)).length >= 2,
  );
  assert.equal(made.endpoints[0]!.available, false);
  upstream.script = answerOk;
  await until('the node is back', () => made.endpoints[0]!.available);

  assert.equal(await callOnce(caller, 5n), 'ok');
  const heartbeats = upstream.requests.filter((frame) => isHeartbeat(frame.type)).length;
  assert.deepEqual([made.endpoints[0]!.errorCount, made.endpoints[0]!.keepaliveType], [0, 0]);
  for (let id = 6n; id < 12n; id += 1n) assert.equal(await callOnce(caller, id), 'ok');
  assert.equal(upstream.requests.filter((frame) => isHeartbeat(frame.type)).length, heartbeats);
});

test('a success between errors starts the count anew', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  await made.start([{ parameters: { errorCountThreshold: '2' }, nodes: [upstream.port] }]);
  const caller = await made.caller();

  for (let round = 0; round < 5; round += 1) {
    for (const isGood of [false, true]) {
      caller.send(request());
      const [frame, connection] = await upstream.expect();
      connection.send(isGood ? reply(frame.id) : exceptionReply(frame.id, 500, 1, 'x'));
      await caller.next();
    }
  }

  assert.equal(made.endpoints[0]!.available, true);
});

test('a node without the service is asked again after a back-off, and out again at its first such answer', async (t) => {
  const made = await scene(t);
  let isDeployed = false;
  const upstream = await made.upstream((frame, connection) => {
    const missing = exceptionReply(frame.id, 404, 1, 'provider not exist serviceKey=g1_svc.one');
    if (isHeartbeat(frame.type)) connection.send(heartbeatReply(frame.id));
    else connection.send(isDeployed ? reply(frame.id) : missing);
  });
  const parameters = { errorCountThreshold: '2', keepaliveInterval: '20' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  const caller = await made.caller();

  assert.equal(await callOnce(caller), '404');
  assert.equal(await callOnce(caller), '404');
  assert.deepEqual([made.endpoints[0]!.available, made.endpoints[0]!.keepaliveType], [false, 2]);
  await until('the node gets a probe', () => made.endpoints[0]!.available);
  assert.equal(await callOnce(caller), '404');
  assert.equal(made.endpoints[0]!.available, false, 'one such answer is enough now');
  isDeployed = true;
  await until('the node gets another probe', () => made.endpoints[0]!.available);

  for (let id = 1n; id < 5n; id += 1n) assert.equal(await callOnce(caller, id), 'ok');
  assert.equal(made.endpoints[0]!.errorCount, 0);
});

test('calls in flight on a lost connection fail at once and only once', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream();
  const parameters = { requestTimeout: '150', errorCountThreshold: '0' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  const caller = await made.caller();

  const startMs = performance.now();
  for (let id = 0n; id < 20n; id += 1n) caller.send(request({ id }));
  const [, connection] = await upstream.expect();
  await until('all have come', () => upstream.requests.length === 20);
  connection.reset();
  const answers = await caller.take(20);
  assert.ok(performance.now() - startMs < 140);
  for (const answer of answers) {
    assert.deepEqual(exceptionOf(answer), {
      errcode: 400,
      errmsg: 'channel call error:the channel has been shutdown',
      errtype: 1,
    });
  }

  // Beyond their deadlines: none of them may be answered a second time.
  await until('the deadlines are over', () => performance.now() - startMs > 200);
  assert.equal(caller.frames.length, 20);
  assert.equal(made.listener.failed, 20);
  assert.equal(made.endpoints[0]!.inFlight, 0);
});

test('what was lost with a node is tried on another, not on the one that is gone', async (t) => {
  const made = await scene(t);
  const dying = await made.upstream();
  const living = await made.upstream(answerOk);
  await made.start([{ parameters: { retries: '1' }, nodes: [dying.port, living.port] }]);
  const caller = await made.caller();
  const count = 40;
  for (let id = 1n; id <= count; id += 1n) caller.send(request({ id }));
  await until('each call has reached a node', () => dying.requests.length + living.requests.length === count);

  assert.ok(dying.requests.length > 0);
  await dying.stop();

  const answers = await caller.take(count);
  assert.ok(answers.every((answer) => !answer.metadata.has('M_e')));
});

test('a node that restarts is found again without any call', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(answerOk);
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();
  assert.equal(await callOnce(caller, 1n), 'ok');

  await upstream.stop();
  await until('the node is out', () => !made.endpoints[0]!.available);
  assert.equal(await callOnce(caller, 2n), '1002');
  assert.match(made.endpoints[0]!.lastError ?? '', /ECONNREFUSED/);
  await upstream.listen();
  await until('the node is back', () => made.endpoints[0]!.available);

  assert.equal(await callOnce(caller, 3n), 'ok');
});

test('a connection lost while the node lives costs no later call', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(answerOk);
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  for (let id = 1n; id <= 10n; id += 1n) {
    upstream.openConnections[0]?.close();
    await until('the loss is seen', () => made.endpoints[0]!.connections === 0);
    assert.equal(await callOnce(caller, id), 'ok');
  }
});

test('a lazy node is connected by its first call, and again by the next after a failure', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(answerOk);
  await made.start([{ parameters: { lazyInit: 'true' }, nodes: [upstream.port] }]);
  const caller = await made.caller();
  assert.equal(upstream.connections.length, 0);
  assert.equal(made.endpoints[0]!.available, true);

  assert.equal(await callOnce(caller, 1n), 'ok');
  await upstream.stop();
  await until('the connection is lost', () => made.endpoints[0]!.connections === 0);
  assert.equal(await callOnce(caller, 2n), '1002');
  await upstream.listen();

  assert.equal(await callOnce(caller, 3n), 'ok');
});

test('calls made before the first connection is there wait for it', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream(answerOk);
  made.apply([{ nodes: [upstream.port] }]);
  await made.plane.listen();
  const caller = await made.caller();

  for (let id = 1n; id <= 100n; id += 1n) caller.send(request({ id }));

  const answers = await caller.take(100);
  assert.ok(answers.every((answer) => !answer.metadata.has('M_e')));
});

test('only one of three nodes is out when it fails', async (t) => {
  const made = await scene(t);
  const nodes = [await made.upstream(answerOk), await made.upstream(failing), await made.upstream(answerOk)];
  const parameters = {
    loadbalance: 'roundrobin',
    errorCountThreshold: '2',
    keepaliveInterval: '60000',
    retries: '1',
  };
  await made.start([{ parameters, nodes: nodes.map((node) => node.port) }]);
  const caller = await made.caller();

  for (let id = 1n; id <= 60n; id += 1n) assert.equal(await callOnce(caller, id), 'ok');

  assert.deepEqual(availability(made), [true, false, true]);
  assert.equal(nodes[1]!.requests.length, 2);
  assert.ok(nodes[0]!.requests.length >= 15 && nodes[2]!.requests.length >= 15);
});

function availability(made: Scene): boolean[] {
  return made.endpoints.map((endpoint) => endpoint.available);
}

test('a connection without any sign of life is opened anew', async (t) => {
  const made = await scene(t);
  // The first connection is dead without having been closed, as after a firewall forgot it.
  const upstream: Awaited<ReturnType<Scene['upstream']>> = await made.upstream((frame, connection) => {
    if (connection === upstream.connections[0]) return;
    connection.send(isHeartbeat(frame.type) ? heartbeatReply(frame.id) : reply(frame.id));
  });
  const parameters = { requestTimeout: '50', errorCountThreshold: '1', keepaliveInterval: '20' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  const caller = await made.caller();
  assert.equal(await callOnce(caller, 1n), '400');

  await until('the node is back', () => made.endpoints[0]!.available && upstream.connections.length === 2);

  assert.equal(await callOnce(caller, 2n), 'ok');
});
