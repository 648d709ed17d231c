/** Go servers that die and come back under the agent. */
import assert from 'node:assert/strict';
import { referSections, startAgent } from '../agent.js';
import { eventually, peerTest } from '../support.js';
import { startTap } from '../tap.js';
import { assertGoSuite, goCall, goCalls, goCallUntil, motanGo, startGoServer } from './peers.js';

const KEEPALIVE_MS = 300;
/** Beyond the interval: a connect, a heartbeat and the start of a client, on a busy machine. */
const MARGIN_MS = 3_000;
const HEALTH = { errorCountThreshold: 2, keepaliveInterval: KEEPALIVE_MS, connectTimeout: 300 };

peerTest(
  'a server that died is taken out, and taken back by a heartbeat once it runs again',
  [motanGo],
  async () => {
    const first = await startGoServer();
    const agent = await startAgent(
      referSections([{ group: 'go-rpc', nodes: [first.at], parameters: HEALTH }]),
    );
    const call = { at: agent.port };
    assert.equal((await goCall(call, 'hello', 'string:x')).exception, null);

    await first.process.stop('SIGKILL');
    const out = await goCallUntil(
      'the node is out',
      10_000,
      call,
      (result) => result.exception?.errcode === 1001,
    );
    await startGoServer({ at: first.at });
    await goCallUntil(
      'the node is back',
      KEEPALIVE_MS + MARGIN_MS,
      call,
      (result) => result.exception === null,
    );
    await assertGoSuite(call);

    assert.equal(out.exception?.errtype, 1);
    assert.equal(out.metadata['x-forwarded-for'], undefined);
  },
);

peerTest('a call with nobody at its only node is refused without a wait', [motanGo], async () => {
  const server = await startGoServer();
  const agent = await startAgent(
    referSections([
      { group: 'go-rpc', nodes: [server.at], parameters: { ...HEALTH, errorCountThreshold: 0 } },
    ]),
  );
  const call = { at: agent.port };
  assert.equal((await goCall(call, 'hello', 'string:x')).exception, null);

  await server.process.stop('SIGKILL');
  const { exception, metadata } = await goCallUntil(
    'the connections are gone',
    10_000,
    call,
    (result) => result.exception !== null,
  );

  assert.deepEqual([exception?.errcode, exception?.errtype], [1002, 1]);
  assert.notEqual(metadata['x-forwarded-for'], undefined);
});

peerTest(
  'after an outage of four seconds a node is back within its keepaliveInterval',
  [motanGo],
  async () => {
    const first = await startGoServer();
    // The default of connectRetryInterval: what brings the node back must not be it.
    const parameters = { ...HEALTH, connectRetryInterval: 60_000 };
    const agent = await startAgent(referSections([{ group: 'go-rpc', nodes: [first.at], parameters }]));
    const call = { at: agent.port };
    assert.equal((await goCall(call, 'hello', 'string:x')).exception, null);

    await first.process.stop('SIGKILL');
    const outageEndMs = Date.now() + 4_000;
    await goCallUntil('the outage has lasted', 10_000, call, () => Date.now() >= outageEndMs);
    await startGoServer({ at: first.at });

    const withinMs = KEEPALIVE_MS + 1_000; // a margin that a back-off which has grown for four seconds exceeds
    await goCallUntil('the node is back', withinMs, call, (result) => result.exception === null);
  },
);

peerTest('a call in flight when its server dies fails at once with code 400', [motanGo], async () => {
  const server = await startGoServer();
  const tap = await startTap(server.at as number);
  const agent = await startAgent(referSections([{ group: 'go-rpc', nodes: [tap.port], parameters: HEALTH }]));

  const answer = goCall({ at: agent.port }, 'slow', 'int64:1900');
  await eventually('the call is at the server', 10_000, async () => tap.frames.length > 0);
  await server.process.stop('SIGKILL');

  const { exception, ms } = await answer;
  assert.deepEqual([exception?.errcode, exception?.errtype], [400, 1]);
  assert.ok(ms < 1500, `after ${ms} ms`);
});

peerTest('with a retry no call fails when one of two servers dies', [motanGo], async () => {
  const [stays, dies] = [await startGoServer(), await startGoServer()];
  const parameters = { ...HEALTH, retries: 1, loadbalance: 'roundrobin' };
  const agent = await startAgent(
    referSections([{ group: 'go-rpc', nodes: [stays.at, dies.at], parameters }]),
  );
  const call = { at: agent.port };
  await goCallUntil(
    'both are in use',
    10_000,
    call,
    (result) => result.metadata['x-forwarded-for'] === `127.0.0.1:${dies.at}`,
  );

  await dies.process.stop('SIGKILL');
  const results = await goCalls(call, 'hello', 'string:x', 200);

  assert.deepEqual(
    results.filter((result) => result.exception !== null),
    [],
  );
});

peerTest('a server that starts after the agent is found by the next connect', [motanGo], async () => {
  const gone = await startGoServer();
  await gone.process.stop('SIGKILL');
  const agent = await startAgent(referSections([{ group: 'go-rpc', nodes: [gone.at], parameters: HEALTH }]));
  const call = { at: agent.port };
  const before = await goCall(call, 'hello', 'string:x');

  await startGoServer({ at: gone.at });

  assert.notEqual(before.exception, null);
  // connectRetryInterval is 200 ms
  await goCallUntil(
    'the node is in',
    200 + KEEPALIVE_MS + MARGIN_MS,
    call,
    (result) => result.exception === null,
  );
});
