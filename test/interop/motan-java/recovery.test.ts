/**
 * A Java server that dies and comes back. Over v1 this takes v1 heartbeats on both sides of the agent: a Java client that had ten
 * errors asks the agent by heartbeat, the agent asks the server.
 */
import assert from 'node:assert/strict';
import { referSections, startAgent } from '../agent.js';
import { eventually, peerTest } from '../support.js';
import { type JavaCaller, type JavaService, motanJava, startJavaCaller, startJavaServer } from './peers.js';

const HEALTH = { errorCountThreshold: 2, keepaliveInterval: 300, connectTimeout: 300, requestTimeout: 1000 };
/** After so many errors in a row a Java client stops calling its only node and sends it heartbeats, one every 500 ms. */
const JAVA_ERRORS_MAX = 10;

const VARIANTS: Pick<JavaService, 'protocol' | 'serialization'>[] = [
  { protocol: 'motan2', serialization: 'simple' },
  { protocol: 'motan', serialization: 'hessian2' },
];

for (const { protocol, serialization } of VARIANTS) {
  peerTest(
    `a Java client finds its restarted ${protocol} server through the agent`,
    [motanJava],
    async () => {
      const service = { protocol, serialization, group: 'java-rpc' };
      const first = await startJavaServer([service]);
      const port = first.ports[0]!;
      const parameters = { ...HEALTH, protocol };
      const agent = await startAgent(referSections([{ group: 'java-rpc', nodes: [port], parameters }]));
      const caller = await startJavaCaller({ ...service, port: agent.port });
      assert.equal((await caller.call()).exception, null);

      await first.process.stop('SIGKILL');
      await failTimes(caller, JAVA_ERRORS_MAX + 2);
      await startJavaServer([{ ...service, port }]);

      await eventually('a call succeeds again', 10_000, async () => (await caller.call()).exception === null);
    },
  );
}

async function failTimes(caller: JavaCaller, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) assert.notEqual((await caller.call()).exception, null);
}
