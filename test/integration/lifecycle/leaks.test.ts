/** Nothing grows with the number of calls, callers, failures and states that came and went. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { until } from '../../support/clock.js';
import { exceptionReply, reply, request } from '../../support/frames.js';
import { type Scene, scene } from '../../support/plane.js';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Callers that leave in every way, calls that end in every way. */
async function round(made: Scene, number: number): Promise<void> {
  const callers = await Promise.all(Array.from({ length: 30 }, () => made.caller()));
  for (const [index, caller] of callers.entries()) {
    caller.onFrame = () => undefined;
    for (let id = 0n; id < 20n; id += 1n) {
      const method = ['good', 'broken', 'silent', 'good'][Number(id) % 4]!;
      caller.send(
        request({ id, method, metadata: { unique: `${number}/${index}` }, body: Buffer.alloc(3000) }),
      );
    }
  }
  await until('all have come', () => made.listener.in >= number * 600);
  for (const [index, caller] of callers.entries()) {
    if (index % 3 === 0) caller.reset();
    else if (index % 3 === 1) caller.end();
  }
  await made.quiet();
  for (const caller of callers) caller.close();
  await until('all are gone', () => made.listener.connections === 0);
}

test('memory stays the same over many callers, failures and states', async (t) => {
  const made = await scene(t);
  const upstream = await made.upstream((frame, connection) => {
    const method = frame.metadata.get('M_m');
    if (method === 'good') connection.send(reply(frame.id, { metadata: { unique: String(frame.id) } }));
    if (method === 'broken') connection.send(exceptionReply(frame.id, 500, 1, `broken ${frame.id}`));
  });
  upstream.keepsRequests = false;
  made.accessLog.enabled = false;
  const refer = {
    parameters: { requestTimeout: '60', errorCountThreshold: '0', retries: '1' },
    nodes: [upstream.port],
  };
  await made.start([refer]);

  let number = 0;
  const rounds = async (count: number): Promise<number> => {
    for (let turn = 0; turn < count; turn += 1) {
      number += 1;
      await round(made, number);
      made.apply(number % 2 === 0 ? [refer] : [refer, { service: 'svc.two', nodes: [upstream.port] }]);
    }
    upstream.connections.length = 0;
    made.forgetCallers();
    return heapBytes();
  };
  await rounds(5);
  const before = await rounds(3);
  const after = await rounds(10);

  assert.ok(after - before < 1_500_000, `grew by ${after - before} bytes in 6,000 calls and 300 callers`);
});
