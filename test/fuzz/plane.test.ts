/**
 * A running plane under broken traffic from both sides: mutated requests from callers, mutated answers from a node. Whatever comes, the
 * books balance, a good caller with a good node is served, and nothing is in flight at the end.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { until } from '../support/clock.js';
import { exceptionReply, GZIP, heartbeat, hex, reply, request } from '../support/frames.js';
import { below, FUZZ_MS, FUZZ_SEED, mutate, pick, seededRandom } from '../support/fuzz.js';
import { scene } from '../support/plane.js';
import { answerOk } from '../support/scripted-peer.js';

const V1_REQUEST = hex(
  'F1F1 0000 0000000000000001 0000005D F0F0 01 00 0000000000000001 0000004D ACED0005 77 1E 0007 7376632E626164 0001 6D' +
    '0010 6A6176612E6C616E672E537472696E67 75 72 0002 5B42 ACF317F8060854E0 02 0000 78 70 00000002 0161 77 0E 00000001 0005' +
    '67726F7570 0001 67',
);

const REQUESTS = [
  request({ id: 1n, service: 'svc.bad' }),
  request({ id: 2n, service: 'svc.bad', metadata: { M_g: 'g1', M_tmo: '60', M_rid: 'x' } }),
  request({ id: 3n, service: 'svc.bad', type: GZIP, body: gzipSync('hello') }),
  request({ id: 4n, service: 'svc.bad', body: Buffer.alloc(70_000, 'b') }),
  Buffer.concat([
    request({ id: 5n, service: 'svc.bad' }),
    heartbeat(6n),
    request({ id: 7n, service: 'none' }),
  ]),
  V1_REQUEST,
];

const ANSWERS = [
  reply(1n),
  reply(1n, { metadata: { M_pt: '5', k: 'v' } }),
  reply(1n, { type: GZIP | 1, body: gzipSync('answer') }),
  reply(1n, { body: Buffer.alloc(70_000, 'a') }),
  exceptionReply(1n, 500, 1, 'broken'),
  exceptionReply(1n, 30001, 2, 'business'),
];

test(`a plane survives mutated requests and answers, seed ${FUZZ_SEED}`, async (t) => {
  const random = seededRandom(FUZZ_SEED);
  const made = await scene(t);
  const good = await made.upstream(answerOk);
  good.keepsRequests = false;
  const bad = await made.upstream((frame, connection) => {
    const answer = below(random, 3) === 0 ? Buffer.from(pick(random, ANSWERS)) : mutate(random, ANSWERS);
    // Mostly with the id that was asked for, so that the answer gets further than the table of calls.
    if (below(random, 8) !== 0 && answer.length >= 13) answer.writeBigUInt64BE(frame.id, 5);
    connection.send(answer);
  });
  bad.keepsRequests = false;
  const parameters = {
    requestTimeout: '50',
    errorCountThreshold: '0',
    clientConnection: '2',
    maxContentLength: '1000000',
  };
  await made.start([
    { service: 'svc.one', nodes: [good.port] },
    { service: 'svc.bad', parameters: { ...parameters, retries: '1' }, nodes: [bad.port] },
  ]);
  const witness = await made.caller();
  const untilMs = performance.now() + FUZZ_MS;

  let rounds = 0n;
  while (performance.now() < untilMs) {
    rounds += 1n;
    const callers = await Promise.all(Array.from({ length: 10 }, () => made.caller()));
    for (const caller of callers) {
      caller.onFrame = () => undefined;
      for (let count = 1 + below(random, 4); count > 0; count -= 1) caller.send(mutate(random, REQUESTS));
    }
    witness.send(request({ id: rounds }));
    const answer = await witness.next();
    assert.deepEqual([answer.id, answer.metadata.has('M_e')], [rounds, false]);
    for (const caller of callers) {
      if (below(random, 2) === 0) caller.end();
      else caller.close();
    }
    made.assertBalance();
    for (const caller of callers) assert.equal(caller.garbage, null);
    await until('the callers are gone', () => made.listener.connections < 200);
    if (rounds % 10n === 0n) for (const caller of callers) caller.close();
  }

  t.diagnostic(
    `${rounds} rounds, ${made.listener.in} calls, ${made.listener.protocolErrors} protocol errors`,
  );
  await made.quiet(10_000);
});
