/** Peony and Motan Java in one tree of ZooKeeper, with both of Java's ways to write text there. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { type AgentConfig, SERVICE, startPeony } from '../agent.js';
import { goCallUntil, motanGo } from '../motan-go/peers.js';
import { javaSuite, motanJava, startJavaServer } from '../motan-java/peers.js';
import { freePort, peerTest, shared } from '../support.js';
import { startServer, Tree } from './scene.js';

const WAIT_MS = 30_000;

/** Motan Java does not list itself under a loopback address. */
const ownHost = Object.values(networkInterfaces())
  .flat()
  .find((one) => one !== undefined && one.family === 'IPv4' && !one.internal)?.address;
const ownAddress = {
  name: 'an address',
  available: ownHost !== undefined,
  hint: 'needs an IPv4 address of this machine that is not loopback',
};

const place = shared(async () => {
  const server = await startServer();
  return { server, tree: await Tree.open(server) };
});

function sections(address: string): AgentConfig {
  return { 'motan-registry': { zk: { protocol: 'zookeeper', address, registrySessionTimeout: 4 } } };
}

for (const protocol of ['zookeeper', 'zk'] as const) {
  peerTest(
    `a Java server with registry ${protocol} is found, and found again after a restart`,
    [zooKeeperPeer, motanJava, motanGo, ownAddress],
    async () => {
      const { server } = await place();
      const group = `java-server-${protocol}`;
      const refer = { path: SERVICE, group, protocol: 'motan2', registry: 'zk', requestTimeout: 2000 };
      const peony = await startPeony({ ...sections(server.address), 'motan-refer': { echo: refer } });
      const call = { at: peony.port, group };
      const java = () =>
        startJavaServer([{ protocol: 'motan2', serialization: 'simple', group }], {
          protocol,
          address: server.address,
          host: ownHost!,
        });

      const first = await java();
      const answer = await goCallUntil('the Java server is found', WAIT_MS, call, ({ ok }) => ok);
      await first.process.stop('SIGKILL');
      await java();
      await goCallUntil('the restarted Java server is found', WAIT_MS, call, ({ ok }) => ok);

      assert.equal(answer.value, 'hello again from java');
    },
  );

  peerTest(
    `a Java client with registry ${protocol} finds an export of ours`,
    [zooKeeperPeer, motanJava, ownAddress],
    async () => {
      const { server, tree } = await place();
      const group = `java-client-${protocol}`;
      const backend = await startJavaServer([{ protocol: 'motan2', serialization: 'simple', group }]);
      const exportPort = await freePort();
      const service = {
        path: SERVICE,
        group,
        protocol: 'motan2',
        registry: 'zk',
        provider: 'motan2',
        proxy: `motan2:${backend.ports[0]}`,
        requestTimeout: 2000,
        // Java 1.2.2 with `zk` passes over a node whose text names none; with `zookeeper` it cannot read the text.
        serialization: 'simple',
        export: `motan2:${exportPort}`,
      };
      const peony = await startPeony({ ...sections(server.address), 'motan-service': { echo: service } });
      await peony.management('/200');
      await tree.until(`/motan/${group}/${SERVICE}/server`, [`127.0.0.1:${exportPort}`]);

      const refer = { protocol: 'motan2', serialization: 'simple', group, port: 0 } as const;
      const results = await javaSuite('java', [refer], {
        protocol,
        address: server.address,
        host: ownHost!,
      });

      assert.ok(results.length > 10);
    },
  );
}
