/** Motan Java client -> agent -> Motan Java server, by Motan2 and by Motan v1. */
import assert from 'node:assert/strict';
import { referSections, startAgent } from '../agent.js';
import { motanGo } from '../motan-go/peers.js';
import { peerTest, shared } from '../support.js';
import {
  type JavaService,
  javaSuite,
  motanJava,
  resultOf,
  startJavaCaller,
  startJavaServer,
} from './peers.js';

const peers = process.env.PEONY_INTEROP_AGENT === 'motan-go' ? [motanJava, motanGo] : [motanJava];

const scene = shared(async () => {
  const server = await startJavaServer([
    { protocol: 'motan2', serialization: 'simple', group: 'java-rpc' },
    { protocol: 'motan', serialization: 'hessian2', group: 'java-v1' },
  ]);
  const [motan2Port, motanPort] = server.ports as [number, number];
  const agent = await startAgent(
    referSections([
      { group: 'java-rpc', nodes: [motan2Port] },
      { group: 'java-v1', nodes: [motanPort], parameters: { protocol: 'motan' } },
    ]),
  );
  return { agent, motan2Port, motanPort };
});

/** The Java server answers in the serialization of the request, whatever it exports. */
const MOTAN2: JavaService['serialization'][] = ['simple', 'hessian2', 'breeze', 'protobuf'];

for (const serialization of MOTAN2) {
  peerTest(`a Java client calls a Java server by Motan2 with ${serialization}`, peers, async () => {
    const { agent } = await scene();

    const refer = { protocol: 'motan2', serialization, group: 'java-rpc', port: agent.port } as const;
    const results = await javaSuite('java', [refer]);

    const { M_rid, 'Content-Length': _size, ...others } = JSON.parse(resultOf(results, 'meta').value ?? '');
    assert.match(M_rid, /^\d+$/);
    assert.deepEqual(others, {
      M_g: 'java-rpc',
      M_pp: 'motan2',
      M_s: 'interop-java-client', // the client names itself only in `application`
      application: 'interop-java-client',
      clientGroup: 'java-rpc',
      group: 'java-rpc',
      host: '127.0.0.1',
      module: 'motan',
      version: '1.0',
    });
    assert.match(resultOf(results, 'fail').exception ?? '', /^MotanServiceException: .*wanted/s);
    assert.ok(resultOf(results, 'timeout').ms < 2900);
  });
}

peerTest('a Java client calls a Java server by Motan v1 with hessian2', peers, async () => {
  const { agent } = await scene();

  const refer = { protocol: 'motan', serialization: 'hessian2', group: 'java-v1', port: agent.port } as const;
  const results = await javaSuite('java', [refer]);

  const arrived = JSON.parse(resultOf(results, 'meta').value ?? '');
  assert.deepEqual(
    [arrived.group, arrived.application, arrived.version, arrived.host],
    ['java-v1', 'interop-java-client', '1.0', '127.0.0.1'],
  );
  assert.equal(arrived.M_rid, undefined);
  // The exception object of the server crosses the agent as bytes: the client throws the very class.
  assert.equal(resultOf(results, 'fail').exception, 'IllegalStateException: wanted');
  const timeout = resultOf(results, 'timeout');
  assert.match(timeout.exception ?? '', /^MotanServiceException: /); // made by the agent
  assert.ok(timeout.ms < 2900);
});

peerTest(
  'one service in two groups is found by the group of the call, Motan2 and v1 alike',
  peers,
  async () => {
    const { agent } = await scene();

    const results = await javaSuite('java', [
      { protocol: 'motan2', serialization: 'simple', group: 'java-rpc', port: agent.port },
      { protocol: 'motan', serialization: 'hessian2', group: 'java-v1', port: agent.port },
    ]);

    const groups = results
      .filter((result) => result.method === 'meta')
      .map((result) => JSON.parse(result.value ?? '').group);
    assert.deepEqual(groups, ['java-rpc', 'java-v1']);
  },
);

for (const [protocol, serialization] of [
  ['motan2', 'simple'],
  ['motan', 'hessian2'],
] as const) {
  peerTest(
    `a ${protocol} call whose group has no refer throws and leaves the client usable`,
    peers,
    async () => {
      const { agent } = await scene();
      const caller = await startJavaCaller({ protocol, serialization, group: 'nowhere', port: agent.port });

      const first = await caller.call();
      const second = await caller.call();

      assert.match(first.exception ?? '', /^MotanServiceException: .*cluster not found/s);
      assert.match(second.exception ?? '', /^MotanServiceException: .*cluster not found/s);
    },
  );
}
