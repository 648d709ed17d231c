/** A cluster that loses servers, and moves slots. */
import assert from 'node:assert/strict';
import type { MeshUrl } from '../../../src/core/index.js';
import { RedisCluster, type RedisServer, redisCli, redisPeer } from '../../support/redis-server.js';
import type { Watch } from '../../support/registry-contract.js';
import { atEnd, eventually, peerTest } from '../support.js';
import { node, openRegistry, REFER, watchOn } from './scene.js';

const RECOVERED_MS_MAX = 30_000;
const SERVICES = 30;
const PEERS = [redisPeer];

function path(index: number): string {
  return `com.x.Echo${index}`;
}

function nodeOf(index: number, port: number): MeshUrl {
  return node(port).with({ path: path(index) });
}

/** Waits until a key that lives for a lease and a half has ended. */
async function leaseHasPassed(server: RedisServer): Promise<void> {
  let key = 0;
  // Some names belong to other servers.
  while ((await redisCli(server, 'set', `witness-${key}`, '1', 'px', '4500')).trim() !== 'OK') key += 1;
  await eventually('a lease has passed', RECOVERED_MS_MAX, async () => {
    return (await redisCli(server, 'exists', `witness-${key}`)).trim() === '0';
  });
}

/** Many services, so that every server has some. */
async function clusterWithServices() {
  const cluster = await RedisCluster.start();
  atEnd(() => cluster.close());
  const { registry } = openRegistry(`cluster=true&address=${cluster.addresses}`);
  const watches: Watch[] = [];
  for (let index = 0; index < SERVICES; index += 1) {
    registry.announce(nodeOf(index, 8001), 'available');
    watches.push(watchOn(registry, REFER.with({ path: path(index) })));
  }
  for (const watch of watches) await watch.until(() => watch.nodes.length === 1);
  return { cluster, registry, watches };
}

peerTest('services are spread over the servers, each whole on one', PEERS, async () => {
  const { cluster } = await clusterWithServices();

  const sizes = [];
  for (const server of cluster.servers) sizes.push(Number(await redisCli(server, 'dbsize')));

  assert.equal(sizes[0]! + sizes[1]! + sizes[2]!, SERVICES * 2);
  assert.ok(
    sizes.every((size) => size > 0 && size % 2 === 0),
    `${sizes}`,
  );
});

peerTest('a server that dies takes nothing from those who watch, and the others go on', PEERS, async () => {
  const { cluster, registry, watches } = await clusterWithServices();
  const [dead] = cluster.servers;

  await dead!.kill();
  await eventually('its services are in trouble', RECOVERED_MS_MAX, async () => {
    return watches.some(({ troubles }) => troubles.length > 0);
  });
  assert.ok(watches.every(({ nodes }) => nodes.length === 1));
  for (let index = 0; index < SERVICES; index += 1) registry.announce(nodeOf(index, 8002), 'available');
  const isServed = (watch: Watch): boolean => watch.nodes.length === 2;
  await eventually(
    'the others take changes',
    RECOVERED_MS_MAX,
    async () => watches.filter(isServed).length >= 10,
  );
  assert.ok(!watches.every(isServed));
  const served = watches.filter(isServed);
  await leaseHasPassed(cluster.servers[1]!);
  assert.ok(served.every(isServed), 'the others keep their leases');
  await dead!.restart();

  for (const watch of watches) await watch.until(() => isServed(watch), RECOVERED_MS_MAX);
  assert.equal(await registry.settled(RECOVERED_MS_MAX), true);
});

peerTest('a server that lost everything has its services again', PEERS, async () => {
  const { cluster, watches } = await clusterWithServices();

  for (const server of cluster.servers) await redisCli(server, 'flushall');

  await eventually('all keys are back', RECOVERED_MS_MAX, async () => {
    let keys = 0;
    for (const server of cluster.servers) keys += Number(await redisCli(server, 'dbsize'));
    return keys === SERVICES * 2;
  });
  for (const watch of watches) await watch.until(() => watch.nodes.length === 1);
});

peerTest('slots that move to another server take their services along', PEERS, async () => {
  const { cluster, registry, watches } = await clusterWithServices();
  const [from, to] = cluster.servers;
  const idOf = async (index: number): Promise<string> =>
    (await redisCli(cluster.servers[index]!, 'cluster', 'myid')).trim();

  const words = [
    '--cluster',
    'reshard',
    from!.address,
    '--cluster-from',
    await idOf(0),
    '--cluster-to',
    await idOf(1),
  ];
  await redisCli(to!, ...words, '--cluster-slots', '5461', '--cluster-yes');
  for (let index = 0; index < SERVICES; index += 1) registry.announce(nodeOf(index, 8002), 'available');

  for (const watch of watches) await watch.until(() => watch.nodes.length === 2, RECOVERED_MS_MAX);
  assert.equal(Number(await redisCli(from!, 'dbsize')), 0);
});
