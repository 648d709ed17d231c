/** The motan-go agent in front of the agent, behind it, and both. */
import assert from 'node:assert/strict';
import { type Agent, type AgentConfig, referSections, SERVICE, startAgent } from '../agent.js';
import { freePort, peerTest, shared } from '../support.js';
import { startTap } from '../tap.js';
import { assertGoSuite, goCall, goCallUntil, goMetadata, motanGo, startGoServer } from './peers.js';

const goServer = shared(() => startGoServer());

/** A motan-go agent that offers the Go server on a port of its own, as on the machine of a service. */
const behind = shared(async () => {
  const server = await goServer();
  const exportPort = await freePort();
  const config: AgentConfig = {
    'motan-registry': { none: { protocol: 'direct' } },
    'motan-service': {
      echo: {
        path: SERVICE,
        group: 'go-rpc',
        registry: 'none',
        protocol: 'motan2',
        provider: 'motan2',
        export: `motan2:${exportPort}`,
        proxy: `motan2:${server.at}`,
        requestTimeout: 5000,
      },
    },
  };
  return { agent: await startAgent(config, 'motan-go'), exportPort };
});

/** The agent under test with a refer of the server itself, and one of the agent behind. */
const underTest = shared(async () => {
  const server = await goServer();
  const { exportPort } = await behind();
  const nearby = await startAgent(referSections([{ group: 'go-rpc', nodes: [server.at] }]));
  const far = await startAgent(referSections([{ group: 'go-rpc', nodes: [exportPort] }]));
  return { server, exportPort, nearby, far };
});

function startFront(target: number, parameters: Record<string, unknown> = {}): Promise<Agent> {
  return startAgent(referSections([{ group: 'go-rpc', nodes: [target], parameters }]), 'motan-go');
}

for (const serialization of ['simple', 'breeze', 'protobuf']) {
  peerTest(`a motan-go agent in front passes every value of ${serialization}`, [motanGo], async () => {
    const { nearby } = await underTest();
    const front = await startFront(nearby.port);

    await assertGoSuite({ at: front.port, serialization });
  });

  peerTest(`a motan-go agent behind passes every value of ${serialization}`, [motanGo], async () => {
    const { far } = await underTest();

    await assertGoSuite({ at: far.port, serialization });
  });
}

peerTest('a call through three agents keeps its id, its caller and its exception', [motanGo], async () => {
  const { far, exportPort } = await underTest();
  const front = await startFront(far.port);
  const call = { at: front.port, metadata: { M_rid: '42', colour: 'grün' } };

  const { arrived, answer } = await goMetadata(call);
  const failure = await goCall(call, 'fail', 'string:已满');

  assert.deepEqual(arrived, {
    M_p: SERVICE,
    M_m: 'meta',
    M_g: 'go-rpc',
    M_s: 'interop-go-client',
    M_pp: 'motan2',
    M_rid: '42',
    colour: 'grün',
    host: '127.0.0.1',
    'x-forwarded-for': '127.0.0.1', // from the agent that exports
  });
  assert.notEqual(exportPort, far.port);
  assert.equal(answer.metadata['x-forwarded-for'], `127.0.0.1:${far.port}`); // the last writer is the one in front
  assert.equal(answer.metadata['answered-by'], 'go-server');
  assert.deepEqual(failure.exception, { errcode: 1234, errmsg: '已满', errtype: 2 });
});

peerTest(
  'a provider that the agent behind does not have is answered with its code 404',
  [motanGo],
  async () => {
    const { exportPort } = await behind();
    const stray = await startAgent(referSections([{ group: 'not-offered', nodes: [exportPort] }]));

    const { exception } = await goCall({ at: stray.port }, 'hello', 'string:x');

    assert.deepEqual([exception?.errcode, exception?.errtype], [404, 1]);
    assert.match(exception?.errmsg ?? '', /provider not exist serviceKey=not-offered_/);
  },
);

peerTest('heartbeats of a motan-go agent are answered, so it takes its node back', [motanGo], async () => {
  const { nearby } = await underTest();
  const tap = await startTap(nearby.port);
  const front = await startFront(tap.port, {
    requestTimeout: 600,
    minRequestTimeout: 100,
    errorCountThreshold: 2,
    keepaliveInterval: 300,
  });
  const call = { at: front.port };
  assert.equal((await goCall(call, 'hello', 'string:x')).exception, null);

  for (let i = 0; i < 2; i += 1) {
    const { exception } = await goCall({ ...call, metadata: { M_tmo: '150' } }, 'slow', 'int64:1000');
    assert.equal(exception?.errcode, 400);
  }
  await goCallUntil('the node is back', 10_000, call, (result) => result.exception === null);

  const [question] = tap.frames.filter((frame) => frame.isHeartbeat && frame.towards === 'server');
  const answers = tap.frames.filter((frame) => frame.isHeartbeat && frame.towards === 'client');
  assert.ok(question !== undefined, 'the agent in front sent a heartbeat');
  const answer = answers.find((frame) => frame.requestId === question.requestId);
  assert.deepEqual([answer?.metaBytes, answer?.bodyBytes], [0, 0]);
});
