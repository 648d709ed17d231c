/** Java on one side and Go on the other, with the types that both know. */
import assert from 'node:assert/strict';
import { referSections, startAgent } from '../agent.js';
import { assertGoSuite, goCall, motanGo, startGoServer } from '../motan-go/peers.js';
import { peerTest, shared } from '../support.js';
import { javaSuite, motanJava, resultOf, startJavaServer } from './peers.js';

const peers = [motanGo, motanJava];

const scene = shared(async () => {
  const go = await startGoServer();
  const java = await startJavaServer([{ protocol: 'motan2', serialization: 'simple', group: 'java-rpc' }]);
  const agent = await startAgent(
    referSections([
      { group: 'go-rpc', nodes: [go.at] },
      { group: 'java-rpc', nodes: java.ports },
    ]),
  );
  return { go, java, agent };
});

for (const serialization of ['simple', 'breeze', 'protobuf'] as const) {
  peerTest(`a Java client calls a Go server with ${serialization}`, peers, async () => {
    const { agent } = await scene();

    const results = await javaSuite('go', [
      { protocol: 'motan2', serialization, group: 'go-rpc', port: agent.port },
    ]);

    assert.match(resultOf(results, 'fail').exception ?? '', /wanted/);
    assert.equal(JSON.parse(resultOf(results, 'meta').value ?? '').M_s, 'interop-java-client');
  });
}

/** Methods that the Java server has and its serialization can carry; undefined is the whole suite. */
const GO_TO_JAVA = {
  simple: undefined,
  breeze: undefined,
  protobuf: [
    'hello',
    'echoString',
    'echoBool',
    'echoInt32',
    'echoInt64',
    'echoFloat32',
    'echoFloat64',
    'pair',
    'slow',
  ],
};

for (const [serialization, only] of Object.entries(GO_TO_JAVA)) {
  peerTest(`a Go client calls a Java server with ${serialization}`, peers, async () => {
    const { agent } = await scene();
    const call = { at: agent.port, group: 'java-rpc', serialization };

    await assertGoSuite(call, only === undefined ? { server: 'java' } : { server: 'java', only });
  });
}

peerTest('an exception of a Java server reaches a Go client with its code', peers, async () => {
  const { agent, java } = await scene();

  const { exception, metadata } = await goCall(
    { at: agent.port, group: 'java-rpc' },
    'fail',
    'string:wanted',
  );

  assert.deepEqual([exception?.errcode, exception?.errtype], [30001, 2]);
  assert.match(exception?.errmsg ?? '', /wanted/);
  assert.equal(metadata['x-forwarded-for'], `127.0.0.1:${java.ports[0]}`);
});
