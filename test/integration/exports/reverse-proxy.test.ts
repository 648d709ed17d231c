/** An exported service whose backend is a Motan process: what is added, what passes, what a missing backend looks like. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/clock.js';
import { exceptionOf, exceptionReply, reply, request, simpleString } from '../../support/frames.js';
import { type ExportSpec, scene } from '../../support/plane.js';
import { echo, silent } from '../../support/scripted-peer.js';

function proxy(port: number, parameters: Record<string, string> = {}): ExportSpec {
  return { provider: 'motan2', parameters: { proxy: `motan2:${port}`, ...parameters } };
}

const METADATA = { M_p: 'svc.one', M_m: 'hello', M_g: 'g1' };

test('a call reaches the backend with what a server agent adds, and nothing else', async (t) => {
  const made = await scene(t);
  const backend = await made.upstream();
  await made.start([], { exports: [proxy(backend.port)] });
  const caller = await made.caller(made.exportAddress);

  caller.send(
    request({ id: 7n, serialization: 0x48, metadata: { ...METADATA, x: 'y' }, body: Buffer.from('raw') }),
  );
  const [frame, connection] = await backend.expect();
  connection.send(reply(frame.id, { metadata: { z: '1' } }));
  const answer = await caller.next();

  assert.deepEqual(Object.fromEntries(frame.metadata), {
    ...METADATA,
    x: 'y',
    host: '127.0.0.1',
    'x-forwarded-for': '127.0.0.1',
    M_rid: '7',
  });
  assert.deepEqual([frame.serialization, frame.body.toString()], [0x48, 'raw']);
  assert.deepEqual([answer.id, answer.metadata.get('z')], [7n, '1']);
  assert.ok(answer.metadata.has('M_pt'));
  assert.ok(!answer.metadata.has('x-forwarded-for'), 'callers of a server agent are not told the backend');
});

test('an address that the caller forwards stays', async (t) => {
  const made = await scene(t);
  const backend = await made.upstream();
  await made.start([], { exports: [proxy(backend.port)] });
  const caller = await made.caller(made.exportAddress);

  caller.send(request({ metadata: { ...METADATA, 'X-Forwarded-For': '10.1.1.1' } }));
  const [frame, connection] = await backend.expect();
  connection.send(reply(frame.id));

  assert.equal(frame.metadata.get('X-Forwarded-For'), '10.1.1.1');
  assert.ok(!frame.metadata.has('x-forwarded-for'));
});

test('an exception of the backend passes unchanged', async (t) => {
  const made = await scene(t);
  const backend = await made.upstream((frame, connection) =>
    connection.send(exceptionReply(frame.id, 42, 2, 'as asked')),
  );
  await made.start([], { exports: [proxy(backend.port)] });
  const caller = await made.caller(made.exportAddress);

  caller.send(request({ metadata: METADATA }));
  const answer = await caller.next();

  assert.deepEqual(exceptionOf(answer), { errcode: 42, errmsg: 'as asked', errtype: 2 });
  assert.equal(made.listenerOf('export:0').ok, 1);
});

test('a backend that is not there is told as the peers tell it, and found when it comes', async (t) => {
  const made = await scene(t);
  const gone = await made.upstream();
  const { port } = gone;
  await gone.stop();
  await made.start([], { exports: [proxy(port)] });
  const caller = await made.caller(made.exportAddress);

  caller.send(request({ metadata: METADATA }));
  const answer = await caller.next();

  assert.deepEqual(exceptionOf(answer), {
    errcode: 503,
    errmsg: 'reverse proxy call err: motanProvider is unavailable',
    errtype: 503,
  });
  assert.equal(made.listenerOf('export:0').failed, 1);
});

test('services of one port are told apart by group and name', async (t) => {
  const made = await scene(t);
  const first = await made.upstream((frame, peer) =>
    peer.send(reply(frame.id, { body: simpleString('one') })),
  );
  const second = await made.upstream((frame, peer) =>
    peer.send(reply(frame.id, { body: simpleString('two') })),
  );
  await made.start([], {
    exports: [proxy(first.port), { ...proxy(second.port), group: 'g2' }],
  });
  const caller = await made.caller(made.exportAddress);

  caller.send(request({ id: 1n, metadata: { ...METADATA, M_g: 'g2' } }));
  assert.deepEqual((await caller.next()).body, simpleString('two'));
  caller.send(request({ id: 2n, metadata: METADATA }));
  assert.deepEqual((await caller.next()).body, simpleString('one'));
  caller.send(request({ id: 3n, metadata: { ...METADATA, M_g: 'g3' } }));
  const { errcode, errmsg, errtype } = exceptionOf(await caller.next());
  assert.deepEqual([errcode, errtype, errmsg], [404, 1, 'provider not exist serviceKey=g3_svc.one']);
});

test('the framework service answers an empty breeze map', async (t) => {
  const made = await scene(t);
  await made.start([], { exports: [] });
  const caller = await made.caller(made.exportAddress);
  const service = 'com.weibo.api.motan.runtime.meta.MetaService';

  caller.send(
    request({ metadata: { M_p: service, M_m: 'getDynamicMeta', M_fws: 'y' }, body: Buffer.alloc(0) }),
  );
  const answer = await caller.next();

  assert.deepEqual([answer.serialization >> 3, answer.body], [8, Buffer.from('db00', 'hex')]);
});

test('the access log shows the caller, the metrics the server role', async (t) => {
  const made = await scene(t);
  const backend = await made.upstream(echo);
  await made.start([], { exports: [proxy(backend.port)] });
  const caller = await made.caller(made.exportAddress);

  caller.send(request({ id: 9n, metadata: METADATA }));
  await caller.next();
  await until('the line is written', () => made.accessLog.lineCount === 1);

  assert.match(
    made.accessLog.lines[0]!,
    /accessLog\|server-agent\|9\|svc\.one\|hello\|\|127\.0\.0\.1\|8\|8\|0\|\d+\|true\|200\|\|$/,
  );
  const [statistics] = made.statistics;
  assert.deepEqual([statistics?.role, statistics?.application], ['motan-server-agent', 'server-app']);
});

test('calls in flight at a backend that dies fail once, and its port is checked', async (t) => {
  const made = await scene(t);
  const backend = await made.upstream(silent);
  const checks = { healthCheck: 'tcp', healthCheckInterval: '100', healthCheckFailures: '1' };
  await made.start([], { exports: [proxy(backend.port, checks)] });
  const caller = await made.caller(made.exportAddress);
  const changes: boolean[] = [];
  made.plane.onExportHealth((_id, isHealthy) => changes.push(isHealthy));

  caller.send(request({ id: 1n, metadata: METADATA }));
  await until('the call is with the backend', () => made.exports[0]!.backend.inFlight === 1);
  await backend.stop();
  const answer = await caller.next();

  assert.match(exceptionOf(answer).errmsg, /the channel has been shutdown/);
  await until('the check has failed', () => changes.length === 1);
  assert.deepEqual(changes, [false]);
  assert.equal(made.exports[0]!.isHealthy, false);
});
