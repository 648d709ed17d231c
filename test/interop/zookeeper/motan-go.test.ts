/** Peony and motan-go in one tree of ZooKeeper: each finds the other's nodes, and calls go both ways. */
import assert from 'node:assert/strict';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { type AgentConfig, SERVICE, startAgent, startPeony } from '../agent.js';
import { goCall, goCalls, goCallUntil, motanGo, startGoServer } from '../motan-go/peers.js';
import { freePort, peerTest, shared } from '../support.js';
import { registry, startListedGoServer } from './go-server.js';
import { startServer, Tree } from './scene.js';

const NEEDED = [zooKeeperPeer, motanGo];
const WAIT_MS = 20_000;

const place = shared(async () => {
  // Sessions of motan-go end as late as the server lets them: here after 4 s.
  const server = await startServer();
  return { server, tree: await Tree.open(server) };
});

function referConfig(address: string, group: string): AgentConfig {
  const refer = {
    path: SERVICE,
    group,
    protocol: 'motan2',
    registry: 'zk',
    requestTimeout: 2000,
    connectRetryInterval: 200,
  };
  return { ...registry(address), 'motan-refer': { echo: refer } };
}

/** Peony with an export of a Go server that is listed nowhere itself. */
async function startExport(address: string, group: string, exportPort: number) {
  const { at } = await startGoServer({ group });
  const service = {
    path: SERVICE,
    group,
    protocol: 'motan2',
    registry: 'zk',
    provider: 'motan2',
    proxy: `motan2:${at}`,
    serialization: 'simple',
    export: `motan2:${exportPort}`,
  };
  return startPeony({
    'motan-agent': { registry: 'zk' },
    ...registry(address),
    'motan-service': { echo: service },
  });
}

peerTest('a refer that was there first finds a Go server as soon as it lists itself', NEEDED, async () => {
  const { server } = await place();
  const agent = await startPeony(referConfig(server.address, 'zk-go'));
  const call = { at: agent.port, group: 'zk-go' };
  const before = await goCall(call, 'hello', 'string:zk');

  const go = await startListedGoServer(server.address, 'zk-go');
  const answer = await goCallUntil('the Go server is found', WAIT_MS, call, ({ ok }) => ok);
  await go.process.stop('SIGKILL');
  const again = await startListedGoServer(server.address, 'zk-go');
  await goCallUntil('the restarted Go server is found', WAIT_MS, call, ({ ok }) => ok);

  assert.notEqual(before.exception, null);
  assert.equal(answer.value, 'hello again from go');
  assert.notEqual(again.port, go.port);
});

peerTest(
  'the motan-go agent finds an export of ours while it is at 200, and reads its parameters',
  NEEDED,
  async () => {
    const { server, tree } = await place();
    const exportPort = await freePort();
    const peony = await startExport(server.address, 'zk-export', exportPort);
    const servers = `/motan/zk-export/${SERVICE}/server`;
    const unavailable = `/motan/zk-export/${SERVICE}/unavailableServer`;
    await tree.until(unavailable, [`127.0.0.1:${exportPort}`]);
    await peony.management('/200');
    await tree.until(servers, [`127.0.0.1:${exportPort}`]);

    const agent = await startAgent(referConfig(server.address, 'zk-export'), 'motan-go');
    const call = { at: agent.port, group: 'zk-export' };
    const answer = await goCallUntil('the export is found', WAIT_MS, call, ({ ok }) => ok);
    const clients = await tree.names(`/motan/zk-export/${SERVICE}/client`);
    await peony.management('/503');
    await tree.until(unavailable, [`127.0.0.1:${exportPort}`]);

    assert.equal(answer.value, 'hello again from go');
    assert.deepEqual(clients, ['127.0.0.1:0']);
    assert.deepEqual(await tree.names(servers), []);
    const agents = await tree.names('/motan/agent/interop-agent/node');
    assert.ok(agents.includes(`127.0.0.1:${peony.managementPort}`), agents.join());
  },
);

peerTest(
  'an export is listed again after a restart of the agent, and gone when it stops',
  NEEDED,
  async () => {
    const { server, tree } = await place();
    const exportPort = await freePort();
    const servers = `/motan/zk-again/${SERVICE}/server`;
    const first = await startExport(server.address, 'zk-again', exportPort);
    await first.management('/200');
    await tree.until(servers, [`127.0.0.1:${exportPort}`]);
    await first.process.stop('SIGKILL');

    const second = await startExport(server.address, 'zk-again', exportPort);
    await second.management('/200');
    await tree.until(servers, [`127.0.0.1:${exportPort}`]);
    await second.process.stop('SIGTERM');

    await tree.until(servers, [], 1_000);
    assert.deepEqual(await tree.names(`/motan/zk-again/${SERVICE}/unavailableServer`), []);
  },
);

peerTest('no call fails because ZooKeeper is killed, wiped and flaps', NEEDED, async () => {
  const server = await startServer();
  await startListedGoServer(server.address, 'zk-load');
  const peony = await startPeony(referConfig(server.address, 'zk-load'));
  const call = { at: peony.port, group: 'zk-load' };
  await goCallUntil('the Go server is found', WAIT_MS, call, ({ ok }) => ok);

  let isOver = false;
  const load = goCalls(call, 'slow', 'int64:20', 3_000, 8).finally(() => {
    isOver = true;
  });
  await server.restart();
  await server.restart({ isWiped: true });
  server.pause();
  await goCalls(call, 'hello', 'string:zk', 100, 2);
  server.resume();
  await server.kill();
  assert.equal(isOver, false);
  const results = await load;

  assert.deepEqual(
    results.filter(({ exception }) => exception !== null),
    [],
  );
});
