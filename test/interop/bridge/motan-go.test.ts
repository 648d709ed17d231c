/** A motan-go server in ZooKeeper, called by an agent that knows Consul only: `peony bridge` is between them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { consulPeer } from '../../support/consul-server.js';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { SERVICE, startPeony } from '../agent.js';
import * as consul from '../consul/scene.js';
import { goCallUntil, motanGo } from '../motan-go/peers.js';
import { makeFolder, peerTest, start } from '../support.js';
import { startListedGoServer } from '../zookeeper/go-server.js';
import * as zookeeper from '../zookeeper/scene.js';

const PEONY = fileURLToPath(new URL('../../../bin/peony', import.meta.url));

peerTest(
  'a service is called across the bridge, and gone with it',
  [motanGo, zooKeeperPeer, consulPeer],
  async () => {
    const zk = await zookeeper.startServer();
    const consulServer = await consul.startServer();
    const registries = {
      zk: { protocol: 'zookeeper', address: zk.address, registrySessionTimeout: 4 },
      consul: { protocol: 'consul', address: consulServer.address },
    };
    const folder = makeFolder();
    const file = join(folder, 'bridge.yaml');
    writeFileSync(file, stringify({ 'motan-registry': registries }));
    const go = await startListedGoServer(zk.address, 'bridged');
    const refer = {
      path: SERVICE,
      group: 'bridged',
      protocol: 'motan2',
      registry: 'consul',
      requestTimeout: 2000,
    };
    const agent = await startPeony({
      'motan-registry': { consul: registries.consul },
      'motan-refer': { echo: { ...refer, connectRetryInterval: 200 } },
    });

    const args = ['bridge', '-c', file, '--from', 'zk', '--to', 'consul', '--group', 'bridged', '--json'];
    const program = { name: 'peony bridge', command: PEONY, args, cwd: folder };
    const bridge = await start(program, async ({ output }) => output.includes('"settled":true'));
    const answer = await goCallUntil(
      'a call arrives',
      20_000,
      { at: agent.port, group: 'bridged' },
      ({ ok }) => ok,
    );
    const during = [...(await consul.registered(consulServer)).values()];
    await bridge.stop('SIGTERM');
    const after = await consul.registered(consulServer);

    assert.equal(answer.value, 'hello again from go');
    assert.deepEqual(during, ['passing']);
    assert.equal(bridge.end, 'code 0', bridge.output);
    assert.deepEqual([...after], []);
    const [copied] = bridge.output
      .split('\n')
      .map((line) => (line === '' ? {} : JSON.parse(line)) as { event: string; node: string });
    assert.equal(copied?.event, 'copied');
    assert.match(
      copied?.node ?? '',
      new RegExp(`^motan2://127\\.0\\.0\\.1:${go.port}/.*bridgedFrom=zookeeper-\\w{8}&`),
    );
  },
);
