/** What the access log and the counters say about calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/clock.js';
import { exceptionReply, reply, request } from '../../support/frames.js';
import { type Scene, scene } from '../../support/plane.js';

async function lines(made: Scene, count: number): Promise<string[]> {
  await until('the lines are written', () => made.accessLog.lineCount >= count);
  return made.accessLog.lines;
}

test('the access log has one line per call in the format of the peers', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => {
    connection.send(
      reply(frame.id, { metadata: { M_pt: '7', upstreamCode: '200' }, body: Buffer.alloc(302) }),
    );
  });
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(
    request({
      id: 1795448537682542594n,
      method: '/hi/there',
      metadata: { M_md: 'void' },
      body: Buffer.alloc(15),
    }),
  );
  await caller.next();

  const [line] = await lines(made, 1);
  const expected = new RegExp(
    '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\taccessLog\\|client-agent\\|1795448537682542594\\|svc\\.one\\|' +
      `/hi/there\\|void\\|127\\.0\\.0\\.1:${upstream.port}\\|15\\|302\\|7\\|\\d+\\|true\\|200\\|\\|200$`,
  );
  assert.match(line!, expected);
});

test('an exception is logged with its code and text', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => {
    connection.send(exceptionReply(frame.id, 404, 1, 'no | "such" thing'));
  });
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request({ id: 0xfffffffffffffffen, metadata: { M_s: 'app' } }));
  await caller.next();

  const [line] = await lines(made, 1);
  assert.match(line!, /\|client-agent\|-2\|svc\.one\|hello\|\|127/);
  assert.ok(line!.endsWith('|false|404|{"errcode":404,"errmsg":"no | \\"such\\" thing","errtype":1}|'), line);
});

test('names with line breaks, TABs or bytes beyond ASCII make one line', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) =>
    connection.send(reply(frame.id, { metadata: { upstreamCode: '2\r0' } })),
  );
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  const metadata = Buffer.concat([
    Buffer.from('M_rid\nid\r\nM_p\nsvc.one\nM_m\na\tb\rc'),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('\nM_md\n你'),
  ]);
  caller.send(request({ metadata }));
  await caller.next();

  const written = await lines(made, 1);
  assert.equal(written.length, 1);
  assert.ok(written[0]!.includes('|id?|svc.one|'), written[0]);
  assert.ok(written[0]!.endsWith('|2?0'), written[0]);
  assert.ok(written[0]!.includes('|a?b?c'), written[0]);
  assert.ok(written[0]!.includes('|你|'), written[0]);
});

test('the structured access log is one JSON object per line, in the order of the peers', async (t) => {
  const made = await scene(t, { isAccessLogStructured: true });
  const upstream = await made.upstream((frame, connection) => {
    const isGood = frame.metadata.get('M_rid') === '7';
    connection.send(
      isGood ? reply(frame.id, { metadata: { M_pt: '3' } }) : exceptionReply(frame.id, 500, 2, 'a "b"\n'),
    );
  });
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request({ id: 7n }));
  await caller.next();
  caller.send(request({ id: 8n }));
  await caller.next();

  const [good, bad] = (await lines(made, 2)).map((line) => line.split('\t\t')[1]!);
  const cost = JSON.parse(good!).totalTime;
  assert.equal(
    good,
    `{"filterName": "accessLog", "role": "client-agent", "requestID": 7, "service": "svc.one", "method": "hello", "desc": "", ` +
      `"remoteAddress": "127.0.0.1:${upstream.port}", "reqSize": 8, "resSize": 7, "bizTime": 3, "totalTime": ${cost}, ` +
      `"success": true, "responseCode": "200", "exception": "", "upstreamCode": ""}`,
  );
  const parsed = JSON.parse(bad!);
  assert.equal(parsed.success, false);
  assert.equal(parsed.responseCode, '500');
  assert.deepEqual(JSON.parse(parsed.exception), { errcode: 500, errmsg: 'a "b"\n', errtype: 2 });
});

test('accessLog writes a line per try, clusterAccessLog one per call', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) =>
    connection.send(exceptionReply(frame.id, 500, 1, 'x')),
  );
  const parameters = { filter: 'accessLog,clusterAccessLog', retries: '2' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  const caller = await made.caller();

  caller.send(request());
  await caller.next();

  const written = await lines(made, 4);
  assert.equal(written.filter((line) => line.includes('\taccessLog|')).length, 3);
  const [whole] = written.filter((line) =>
    line.includes('\tclusterAccessLog|client-agent|1|svc.one|hello|||'),
  );
  assert.notEqual(whole, undefined, written.join('\n'));
});

test('a sink that is switched off gets no line', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => connection.send(reply(frame.id)));
  await made.start([{ nodes: [upstream.port] }]);
  const caller = await made.caller();

  made.accessLog.enabled = false;
  caller.send(request({ id: 1n }));
  await caller.next();
  made.accessLog.enabled = true;
  caller.send(request({ id: 2n }));
  await caller.next();

  const written = await lines(made, 1);
  assert.equal(written.length, 1);
  assert.ok(written[0]!.includes('|client-agent|2|'));
});

test('metrics count calls, kinds of errors and latencies per method', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => {
    const method = frame.metadata.get('M_m');
    if (method === 'biz') connection.send(exceptionReply(frame.id, 30001, 2, 'biz'));
    else if (method === 'bad') connection.send(exceptionReply(frame.id, 500, 1, 'bad'));
    else if (method === 'slow') setTimeout(() => connection.send(reply(frame.id)), 210);
    else connection.send(reply(frame.id));
  });
  const parameters = { filter: 'metrics,clusterMetrics', errorCountThreshold: '0' };
  await made.start([{ parameters, nodes: [upstream.port] }]);
  const caller = await made.caller();

  const methods = ['good', 'good', 'good', 'biz', 'biz', 'bad', 'slow'];
  caller.send(...methods.map((method, id) => request({ id: BigInt(id), method })));
  await caller.take(methods.length);

  for (const scope of ['endpoint', 'cluster']) {
    const counted = made.statistics
      .filter((found) => found.scope === scope)
      .map((found) => [found.method, found.total, found.bizErrors, found.otherErrors, found.slow])
      .sort();
    assert.deepEqual(counted, [
      ['bad', 1, 0, 1, 0],
      ['biz', 2, 2, 0, 0],
      ['good', 3, 0, 0, 0],
      ['slow', 1, 0, 0, 1],
    ]);
  }
  for (const found of made.statistics) {
    assert.equal(found.role, 'motan-client-agent');
    assert.deepEqual([found.application, found.group, found.service], ['agent-app', 'g1', 'svc.one']);
    assert.equal(
      found.buckets.reduce((sum, count) => sum + count, 0),
      found.total,
    );
  }
});

test('methods beyond the bound are counted together', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => connection.send(reply(frame.id)));
  upstream.keepsRequests = false;
  await made.start([{ parameters: { filter: 'metrics' }, nodes: [upstream.port] }]);
  const caller = await made.caller();

  for (let id = 0; id < 10_500; id += 1) caller.send(request({ id: BigInt(id), method: `m${id}` }));
  await caller.take(10_500, 20_000);

  assert.ok(made.statistics.length <= 10_001, `${made.statistics.length} methods`);
  assert.equal(
    made.statistics.reduce((sum, found) => sum + found.total, 0),
    10_500,
  );
  assert.equal(made.statistics.find((found) => found.method === 'other')!.total, 500);
});

test('methods with names of megabytes are counted together and not kept', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => connection.send(reply(frame.id)));
  upstream.keepsRequests = false;
  await made.start([{ parameters: { filter: 'metrics' }, nodes: [upstream.port] }]);
  const caller = await made.caller();

  for (let id = 0; id < 3; id += 1) {
    caller.send(request({ id: BigInt(id), method: `${id}`.padEnd(1_000_000, 'm') }));
    await caller.next();
  }

  assert.deepEqual(
    made.statistics.map((found) => [found.method, found.total]),
    [['other', 3]],
  );
});
