/** A motan-go agent as the registry of Peony: it registers our services in its ZooKeeper, and takes the calls of our refers. */
import assert from 'node:assert/strict';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { type Agent, type AgentConfig, SERVICE, startAgent, startPeony } from '../agent.js';
import { goCallUntil, motanGo, startGoServer } from '../motan-go/peers.js';
import { eventually, freePort, peerTest, shared } from '../support.js';
import { startServer, Tree } from '../zookeeper/scene.js';

const NEEDED = [zooKeeperPeer, motanGo];
const WAIT_MS = 20_000;

const place = shared(async () => {
  const server = await startServer();
  const tree = await Tree.open(server);
  // Host and port apart: this is how motan-go names a registry to its clients.
  const zk = { protocol: 'zookeeper', host: '127.0.0.1', port: server.port, registrySessionTimeout: 4 };
  const exportPort = await freePort();
  const other = await startAgent(
    { 'motan-agent': { eport: exportPort }, 'motan-registry': { zk } },
    'motan-go',
  );
  await other.management('/200');
  return { server, tree, other, exportPort };
});

function meshRegistry(other: Agent, proxyRegistry: string): AgentConfig {
  const address = `127.0.0.1:${other.managementPort}`;
  return { 'motan-registry': { other: { protocol: 'mesh', address, proxyRegistry } } };
}

const ENTRY = { path: SERVICE, group: 'mesh-go', protocol: 'motan2', registry: 'other' };

peerTest('a service and a refer of ours go through a motan-go agent', NEEDED, async () => {
  const { server, tree, other, exportPort } = await place();
  const { at } = await startGoServer({ group: 'mesh-go' });
  const registry = meshRegistry(other, `zookeeper://127.0.0.1:${server.port}`);
  const ownPort = await freePort();
  const service = {
    ...ENTRY,
    provider: 'motan2',
    proxy: `motan2:${at}`,
    serialization: 'simple',
    export: `motan2:${ownPort}`,
  };
  const exporting = await startPeony({ ...registry, 'motan-service': { echo: service } });
  await exporting.management('/200');
  await eventually('motan-go lists the service', WAIT_MS, async () => {
    const { body } = JSON.parse(await other.management('/registry/list')) as {
      body: { register_nodes: { parameters: Record<string, string> }[] };
    };
    return body.register_nodes.some(({ parameters }) => parameters.proxy === `motan2:${ownPort}`);
  });
  // It keeps what is registered at 200 unavailable until it is told again.
  await other.management('/200');
  await tree.until(`/motan/mesh-go/${SERVICE}/server`, [`127.0.0.1:${exportPort}`]);
  // Only now: it never finds a service whose path was not there when it was asked for it.
  const calling = await startPeony({
    ...registry,
    'motan-refer': { echo: { ...ENTRY, requestTimeout: 2000, connectRetryInterval: 200 } },
  });
  const call = { at: calling.port, group: 'mesh-go' };
  const answer = await goCallUntil('a call arrives', WAIT_MS, call, ({ ok }) => ok);
  const state = JSON.parse(await calling.management('/v1/status')) as {
    clusters: { endpoints: { address: string }[] }[];
  };
  await exporting.process.stop('SIGTERM');
  const after = JSON.parse(await other.management('/registry/list')) as {
    body: { register_nodes: unknown[]; subscribe_nodes: { path: string }[] };
  };

  assert.equal(answer.value, 'hello again from go');
  assert.match(JSON.stringify(state.clusters), new RegExp(`127\\.0\\.0\\.1:${other.port}`));
  assert.deepEqual(after.body.register_nodes, []);
  assert.equal(after.body.subscribe_nodes[0]?.path, SERVICE);
});

peerTest('a registry that the motan-go agent does not have is told in its words', NEEDED, async () => {
  const { other } = await place();
  const peony = await startPeony({
    ...meshRegistry(other, 'zookeeper://nowhere:1'),
    'motan-refer': { echo: ENTRY },
  });

  await eventually('the log has it', WAIT_MS, async () =>
    /HTTP 400: registry not found/.test(await peony.management('/v1/status')),
  );
});
