/** The registry contract on a real ZooKeeper; every test has a chroot of its own. */
import test from 'node:test';
import { registries } from '../../../src/control/registry/index.js';
import { MeshUrl, silentLogger } from '../../../src/core/index.js';
import { peerOrSkip } from '../../support/peers.js';
import { registryContract } from '../../support/registry-contract.js';
import { realClock } from '../../support/registry-deps.js';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { shared } from '../support.js';
import { startServer, Tree } from './scene.js';

const { name, available, hint } = zooKeeperPeer;

if (available) {
  const place = shared(async () => {
    const server = await startServer();
    return { server, tree: await Tree.open(server) };
  });
  let harnesses = 0;
  registryContract('zookeeper', { announces: true }, async () => {
    const { server, tree } = await place();
    harnesses += 1;
    const chroot = `/contract-${harnesses}`;
    const url = MeshUrl.parse(`zookeeper://:0/?address=${server.address}${chroot}`);
    const deps = { clock: realClock, logger: silentLogger, random: Math.random, defaultDirectory: '' };
    return {
      open: () => registries.zookeeper.create('r1', url, deps),
      refer: (service) => new MeshUrl({ protocol: 'motan2', path: service, group: 'g1' }),
      addMalformed: (refer) =>
        tree.write(`${chroot}/motan/${refer.group}/${refer.path}/server/10.0.0.1:1`, 'rubbish'),
      writeCommand: async (scope, text) => {
        const name = scope.kind === 'service' ? scope.group : `agent/${scope.application}`;
        const path = `${chroot}/motan/${name}/command`;
        if (text === null) await tree.delete(path);
        else if ((await tree.client.stat(path)) === null) await tree.write(path, text);
        else await tree.set(path, text);
      },
      close: async () => {},
    };
  });
} else {
  test('zookeeper registry fulfils the contract', (t) => void peerOrSkip(t, name, available, hint));
}
