/** A Java server and client on Motan's own `weibomesh` registry, one agent between them. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { SERVICE, startPeony } from '../agent.js';
import { type JavaPlace, motanJava, startJavaCaller, startJavaServer } from '../motan-java/peers.js';
import { eventually, freePort, peerTest } from '../support.js';
import { startServer } from '../zookeeper/scene.js';

/** Motan Java does not list itself under a loopback address. */
const ownHost = Object.values(networkInterfaces())
  .flat()
  .find((one) => one !== undefined && one.family === 'IPv4' && !one.internal)?.address;

peerTest(
  'a Java server registers, a Java client subscribes and calls it',
  [zooKeeperPeer, motanJava],
  async () => {
    const zooKeeper = await startServer();
    const exportPort = await freePort();
    const peony = await startPeony({
      'motan-agent': { eport: exportPort },
      'motan-registry': { zk: { protocol: 'zookeeper', address: zooKeeper.address } },
    });
    await peony.management('/200');
    const place: JavaPlace = {
      protocol: 'weibomesh',
      address: `127.0.0.1:${peony.port}`,
      host: ownHost ?? '127.0.0.1',
      mesh: { managementPort: peony.managementPort, protocol: 'zookeeper', address: zooKeeper.address },
    };
    const service = { protocol: 'motan2', serialization: 'simple', group: 'dynamic-java' } as const;
    const server = await startJavaServer([service], place);

    const caller = await startJavaCaller({ ...service, port: peony.port }, place);
    // Java subscribes in a thread of its own: its first calls may be earlier.
    const answer = await eventually('the Java client is answered', 30_000, async () => {
      const result = await caller.call();
      return result.exception === null ? result : null;
    });
    const list = JSON.parse(await peony.management('/registry/list')) as {
      body: Record<
        'register_nodes' | 'subscribe_nodes',
        { path: string; parameters: Record<string, string> }[]
      >;
    };

    assert.equal(answer.value, 'hello java from java');
    const { register_nodes: services, subscribe_nodes: refers } = list.body;
    assert.deepEqual(
      services.map((one) => [one.path, one.parameters.proxy, one.parameters.registry]),
      [[SERVICE, `motan2:${server.ports[0]}`, 'zk']],
    );
    assert.deepEqual(
      refers.map((one) => one.path),
      [SERVICE],
    );
  },
);
