/** Programs on motan-go's own mesh registry register and subscribe at Peony; a motan-go agent finds them in ZooKeeper. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { SERVICE, startAgent, startPeony } from '../agent.js';
import { goCallUntil, motanGo, motanGoBin } from '../motan-go/peers.js';
import { accepts, freePort, jsonLines, makeFolder, peerTest, run, saysReady, start } from '../support.js';
import { startServer, Tree } from '../zookeeper/scene.js';

const NEEDED = [zooKeeperPeer, motanGo];
const GROUP = 'dynamic';

peerTest(
  'a Go server registers, a motan-go agent and a Go client find it, until it unregisters',
  NEEDED,
  async () => {
    const zooKeeper = await startServer();
    const tree = await Tree.open(zooKeeper);
    const [exportPort, backendPort] = [await freePort(), await freePort()];
    const registries = {
      zk: { protocol: 'zookeeper', address: zooKeeper.address, registrySessionTimeout: 4 },
    };
    const peony = await startPeony({ 'motan-agent': { eport: exportPort }, 'motan-registry': registries });
    await peony.management('/200');
    const mesh = {
      protocol: 'mesh',
      host: '127.0.0.1',
      port: peony.managementPort,
      proxyRegistry: 'zookeeper://:0',
    };
    const folder = makeFolder();
    const serverFile = join(folder, 'server.yaml');
    writeFileSync(
      serverFile,
      stringify({
        'motan-server': { application: 'interop-go-server', log_dir: folder },
        'motan-registry': { mesh },
        'motan-service': {
          echo: {
            path: SERVICE,
            group: GROUP,
            protocol: 'motan2',
            registry: 'mesh',
            serialization: 'simple',
            ref: 'echo',
            host: '127.0.0.1',
            export: `motan2:${backendPort}`,
          },
        },
      }),
    );
    await start(
      {
        name: 'Go server',
        command: motanGoBin('echo-server'),
        args: ['-config', serverFile, '-log-dir', folder],
        cwd: folder,
      },
      async (running) => (await saysReady(running)) && accepts(backendPort),
    );

    await tree.until(`/motan/${GROUP}/${SERVICE}/server`, [`127.0.0.1:${exportPort}`]);
    const refer = { path: SERVICE, group: GROUP, protocol: 'motan2', requestTimeout: 2000 };
    const agent = await startAgent(
      { 'motan-registry': registries, 'motan-refer': { echo: { ...refer, registry: 'zk' } } },
      'motan-go',
    );
    const answer = await goCallUntil(
      'the motan-go agent finds it',
      20_000,
      { at: agent.port, group: GROUP },
      ({ ok }) => ok,
    );
    const clientFile = join(folder, 'client.yaml');
    writeFileSync(
      clientFile,
      stringify({
        'motan-client': { application: 'interop-go-client', log_dir: folder },
        'motan-registry': { mesh },
        'motan-refer': {
          echo: { ...refer, registry: 'mesh', serialization: 'simple', asyncInitConnection: false },
        },
      }),
    );
    const client = await run(
      {
        name: 'Go mesh client',
        command: motanGoBin('mesh-client'),
        args: ['-config', clientFile],
        cwd: folder,
      },
      60_000,
    );
    const list = JSON.parse(await peony.management('/registry/list')) as {
      body: { register_nodes: { port: number; parameters: { proxy: string } }[]; subscribe_nodes: object[] };
    };
    const [registered] = list.body.register_nodes;
    const gone = await fetch(`http://127.0.0.1:${peony.managementPort}/registry/unregister`, {
      method: 'POST',
      body: JSON.stringify(registered),
    });
    await tree.until(`/motan/${GROUP}/${SERVICE}/server`, []);

    assert.equal(answer.value, 'hello again from go');
    assert.deepEqual(jsonLines(client), [{ value: 'hello mesh from go', error: '' }]);
    assert.deepEqual([registered!.port, registered!.parameters.proxy], [exportPort, `motan2:${backendPort}`]);
    assert.equal(list.body.subscribe_nodes.length, 1);
    assert.equal(gone.status, 200);
  },
);
