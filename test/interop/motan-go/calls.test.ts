/** motan-go client -> agent -> motan-go server. */
import assert from 'node:assert/strict';
import { AGENT_APPLICATION, referSections, SERVICE, startAgent } from '../agent.js';
import { peerTest, shared } from '../support.js';
import { assertGoSuite, goCall, goMetadata, motanGo, startGoServer } from './peers.js';

const scene = shared(async () => {
  const server = await startGoServer();
  const agent = await startAgent(
    referSections([
      // The window of M_tmo is 500 to 2000 ms.
      { group: 'go-rpc', nodes: [server.at], parameters: { requestTimeout: 1000, maxRequestTimeout: 2000 } },
    ]),
  );
  return { server, agent, call: { at: agent.port } };
});

for (const serialization of ['simple', 'breeze', 'protobuf', 'grpc-pb']) {
  peerTest(`every value that ${serialization} can carry comes back as it went`, [motanGo], async () => {
    const { call } = await scene();

    await assertGoSuite({ ...call, serialization });
  });
}

peerTest('several clients are served at once, each with its own answers', [motanGo], async () => {
  const { call } = await scene();

  await Promise.all(
    ['simple', 'breeze', 'simple'].map((serialization) => assertGoSuite({ ...call, serialization })),
  );
});

peerTest(
  'the server gets the metadata of the caller and what the agent adds, and no more',
  [motanGo],
  async () => {
    const { call } = await scene();

    const { arrived } = await goMetadata({ ...call, metadata: { colour: 'grün' } });

    const { M_rid, ...others } = arrived;
    assert.match(M_rid ?? 'absent', /^\d+$/);
    assert.deepEqual(others, {
      M_p: SERVICE,
      M_m: 'meta',
      M_g: 'go-rpc',
      M_s: 'interop-go-client',
      M_pp: 'motan2',
      host: '127.0.0.1',
      colour: 'grün',
    });
  },
);

peerTest('a request id of the caller is kept', [motanGo], async () => {
  const { call } = await scene();

  const { arrived } = await goMetadata({ ...call, metadata: { M_rid: 'order-7' } });

  assert.equal(arrived.M_rid, 'order-7');
});

peerTest('a caller without an application gets that of the agent', [motanGo], async () => {
  const { call } = await scene();

  const { arrived } = await goMetadata({ ...call, application: '' });

  assert.equal(arrived.M_s, AGENT_APPLICATION);
});

peerTest(
  'a wrong or missing group is replaced by that of the only cluster of the service',
  [motanGo],
  async () => {
    const { call } = await scene();

    const wrong = await goMetadata({ ...call, group: 'elsewhere' });
    const missing = await goMetadata({ ...call, group: '' });

    assert.equal(wrong.arrived.M_g, 'go-rpc');
    assert.equal(missing.arrived.M_g, 'go-rpc');
  },
);

peerTest('an answer keeps the metadata of the server and names its node', [motanGo], async () => {
  const { call, server } = await scene();

  const { answer } = await goMetadata(call);

  const { M_pt, ...others } = answer.metadata;
  assert.match(M_pt ?? 'absent', /^\d+$/);
  assert.deepEqual(others, { 'answered-by': 'go-server', 'x-forwarded-for': `127.0.0.1:${server.at}` });
});

peerTest('a business exception reaches the caller as it was', [motanGo], async () => {
  const { call } = await scene();

  const result = await goCall(call, 'fail', 'string:quota of "10" < 12 & 已满');

  assert.deepEqual(result.exception, { errcode: 1234, errmsg: 'quota of "10" < 12 & 已满', errtype: 2 });
});

peerTest('failures inside the server reach the caller as service exceptions', [motanGo], async () => {
  const { call } = await scene();

  const panic = await goCall(call, 'panic', 'string:now');
  const unknown = await goCall(call, 'noSuchMethod', 'string:x');

  assert.deepEqual([panic.exception?.errcode, panic.exception?.errtype], [500, 1]);
  assert.deepEqual([unknown.exception?.errcode, unknown.exception?.errtype], [500, 1]);
});

peerTest('a service without a refer is answered with code 400', [motanGo], async () => {
  const { call } = await scene();

  const { exception, metadata } = await goCall({ ...call, service: 'no.such.Service' }, 'hello', 'string:x');

  assert.deepEqual([exception?.errcode, exception?.errtype], [400, 1]);
  assert.match(exception?.errmsg ?? '', /cluster not found/);
  assert.equal(metadata['x-forwarded-for'], undefined); // no node was chosen
});

peerTest(
  'a call that outlasts the timeout of its refer is answered with code 400 then',
  [motanGo],
  async () => {
    const { call, server } = await scene();

    const { exception, metadata, ms } = await goCall(call, 'slow', 'int64:3000');

    assert.deepEqual([exception?.errcode, exception?.errtype], [400, 1]);
    assert.equal(metadata['x-forwarded-for'], `127.0.0.1:${server.at}`);
    assert.ok(ms >= 990 && ms < 2500, `after ${ms} ms`);
  },
);

peerTest('a caller may ask for another timeout within the window of the refer', [motanGo], async () => {
  const { call } = await scene();

  const longer = await goCall({ ...call, metadata: { M_tmo: '2000' } }, 'slow', 'int64:1300');

  assert.equal(longer.value, 'slept 1300');
});

peerTest('a timeout outside that window is ignored, not clamped', [motanGo], async () => {
  const { call } = await scene();

  const { exception, ms } = await goCall({ ...call, metadata: { M_tmo: '2001' } }, 'slow', 'int64:3000');

  assert.equal(exception?.errcode, 400);
  assert.ok(ms >= 990 && ms < 1900, `after ${ms} ms`);
});
