/** One broken entry leaves the others in service, and is named wherever an operator looks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exceptionOf, exceptionReply, HEARTBEAT, reply, request } from '../../support/frames.js';
import { answerOk } from '../../support/scripted-peer.js';
import { peony } from '../cli-programs.js';
import { call, direct, eventually, Home, metricIn, refer, SERVICE, startUpstream } from './agent-process.js';

test('a broken refer is named in log, status, command and metric, and the good one serves', async (t) => {
  const home = await Home.make(t);
  const upstream = await startUpstream(t);
  const sections = direct(upstream.port);
  const refers = { ...sections['motan-refer'], broken: refer({ path: '', registry: 'fixed' }) };
  const config = { ...sections, 'motan-refer': refers };

  const agent = await home.start(t, { config });

  const answer = await call(await agent.caller(t), 1n);
  assert.equal(answer.versionStatus & 7, 0);
  const place = /agent\.yaml:\d+:\d+/;
  const { quarantined } = await agent.status();
  assert.deepEqual(
    quarantined.map((one) => one.entry),
    ['motan-refer.broken'],
  );
  assert.match(quarantined[0]!.place, place);
  const { body } = JSON.parse((await agent.get('/status')).body) as {
    body: { quarantined: { entry: string; place: string }[] };
  };
  assert.equal(body.quarantined[0]!.entry, 'motan-refer.broken');
  assert.match(body.quarantined[0]!.place, place);
  assert.equal(await agent.metric('peony_quarantined_entries'), 1);
  const command = await peony(['status', '--mport', `${home.managementPort}`]);
  assert.match(command.stdout, /agent\.yaml:\d+:\d+: motan-refer\.broken: /);
  await eventually('the log to name it', () => {
    const lines = home.read('log', 'peony.log').trimEnd().split('\n');
    const told = lines.map((line) => JSON.parse(line)).find((line) => line.entry === 'motan-refer.broken');
    return told?.level === 'error' && /agent\.yaml$/.test(told.place.file) && told.place.line > 0;
  });
});

test('/metrics adds up: calls in are ok, failed, shed and in flight', async (t) => {
  const home = await Home.make(t);
  const upstream = await startUpstream(t, (frame, connection) => {
    if ((frame.type & HEARTBEAT) !== 0) answerOk(frame, connection);
    else if (frame.metadata.get('M_m') === 'refuse')
      connection.send(exceptionReply(frame.id, 30001, 2, 'not today'));
    else if (frame.metadata.get('M_m') === 'hello') connection.send(reply(frame.id));
    // Anything else is never answered.
  });
  const sections = direct(upstream.port);
  const hello = {
    ...(sections['motan-refer']!.hello as object),
    minRequestTimeout: 20,
    maxRequestTimeout: 15_000,
  };
  const agent = await home.start(t, { config: { ...sections, 'motan-refer': { hello } } });
  const caller = await agent.caller(t);
  const metadata = { M_g: 'g1' };
  const errors: number[] = [];

  for (let id = 1n; id <= 5n; id += 1n) await call(caller, id);
  for (let id = 6n; id <= 8n; id += 1n)
    caller.send(request({ id, service: SERVICE, method: 'refuse', metadata }));
  await caller.take(3);
  for (let id = 9n; id <= 10n; id += 1n)
    errors.push(exceptionOf(await call(caller, id, 'com.x.Unknown')).errcode);
  for (let id = 11n; id <= 12n; id += 1n)
    caller.send(request({ id, service: SERVICE, method: 'lost', metadata: { ...metadata, M_tmo: '30' } }));
  await caller.take(2);
  caller.send(
    request({ id: 13n, service: SERVICE, method: 'lost', metadata: { ...metadata, M_tmo: '15000' } }),
  );
  await eventually('the last call to wait', () =>
    upstream.requests.some((frame) => frame.metadata.get('M_tmo') === '15000'),
  );

  const text = (await agent.get('/metrics')).body;
  const count = (name: string): number => metricIn(text, `peony_listener_calls_${name}{listener="forward"}`);
  const [all, ok, failed, shed, inFlight] = [
    'in_total',
    'ok_total',
    'failed_total',
    'shed_total',
    'in_flight',
  ].map(count);
  assert.deepEqual(errors, [400, 400]);
  assert.deepEqual({ all, ok, failed, shed, inFlight }, { all: 13, ok: 8, failed: 4, shed: 0, inFlight: 1 });
});
