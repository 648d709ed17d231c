/** Messages that are longer than the limits. */
import assert from 'node:assert/strict';
import { agentKind, referSections, startAgent } from '../agent.js';
import { eventually, peerTest, shared } from '../support.js';
import { startTap } from '../tap.js';
import { goCall, motanGo, startGoServer } from './peers.js';

const LIMIT_BYTES = 60_000;
const OVER = 'x'.repeat(LIMIT_BYTES);

const scene = shared(async () => {
  const server = await startGoServer();
  const tap = await startTap(server.at as number);
  const parameters = { maxContentLength: LIMIT_BYTES, clientConnection: 1, errorCountThreshold: 0 };
  const refers = referSections([{ group: 'go-rpc', nodes: [tap.port], parameters }]);
  const agent = await startAgent({ ...refers, 'motan-agent': { maxContentLength: LIMIT_BYTES } });
  return { tap, call: { at: agent.port } };
});

peerTest('an answer over the limit of its refer is an exception for its caller', [motanGo], async () => {
  const { call } = await scene();

  const over = await goCall(call, 'size', `int64:${LIMIT_BYTES}`);
  const next = await goCall(call, 'size', 'int64:1000');

  assert.deepEqual([over.exception?.errcode, over.exception?.errtype], [400, 1]);
  assert.equal(next.value, '1000 bytes');
});

peerTest(
  'an answer over the limit does not touch the other calls on its connection',
  [motanGo],
  async (t) => {
    if (agentKind === 'motan-go') return t.skip('motan-go closes the connection, and every call on it fails');
    const { call, tap } = await scene();
    const before = tap.frames.length;

    const other = goCall(call, 'slow', 'int64:700');
    await eventually('the other call is at the server', 10_000, async () => tap.frames.length > before);
    const over = await goCall(call, 'size', `int64:${LIMIT_BYTES}`);

    assert.equal(over.exception?.errcode, 400);
    assert.equal((await other).value, 'slept 700');
  },
);

peerTest('a request over the limit of the agent fails, and the next one is served', [motanGo], async () => {
  const { call } = await scene();

  const over = await goCall(call, 'echoString', `string:${OVER}`);
  const next = await goCall(call, 'echoString', 'string:short');

  assert.equal(over.exception?.errcode, 400);
  assert.equal(next.value, 'short');
});

peerTest('a request over the limit is answered, not cut off', [motanGo], async (t) => {
  if (agentKind === 'motan-go') return t.skip('motan-go closes the connection without an answer');
  const { call } = await scene();

  const { exception, metadata } = await goCall(call, 'echoString', `string:${OVER}`);

  assert.match(exception?.errmsg ?? '', /60000/); // the limit, so that the caller learns it
  assert.notEqual(metadata.M_e, undefined); // an exception that came over the wire
});
