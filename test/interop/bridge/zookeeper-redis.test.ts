/** Bridges between a real ZooKeeper and a real Redis. */
import assert from 'node:assert/strict';
import { redisPeer } from '../../support/redis-server.js';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import * as redis from '../redis/scene.js';
import { eventually, peerTest, shared } from '../support.js';
import * as zookeeper from '../zookeeper/scene.js';
import { node, openBridge, untilShown, WAIT_MS } from './scene.js';

const NEEDED = [zooKeeperPeer, redisPeer];

const place = shared(async () => ({
  zk: await zookeeper.startServer(),
  server: await redis.startServer(),
}));

peerTest('by three bridges all is copied once, and then nothing is written', NEEDED, async () => {
  const { zk, server } = await place();
  const client = redis.clientOf(server);
  const sets = async (): Promise<string> =>
    /^cmdstat_set:calls=(\d+)/m.exec(await client.info('commandstats'))?.[1] ?? '0';
  const open = {
    zk: () => zookeeper.openRegistry(zk.address).registry,
    redis: () => redis.openRegistry(redis.on(server)).registry,
  };
  const [inZooKeeper, inRedis] = [open.zk(), open.redis()];
  inZooKeeper.announce(node(1001), 'available');
  inRedis.announce(node(1002), 'available');

  const first = openBridge(open.zk(), open.redis(), true);
  const second = openBridge(open.zk(), open.redis());
  const third = openBridge(open.redis(), open.zk());
  await untilShown(inRedis, [-1001, 1002]);
  await untilShown(inZooKeeper, [1001, -1002]);
  await first.rounds(5);
  const before = await sets();
  await first.rounds(10);
  const after = await sets();
  // The copy is of one of the two, and the other puts it back.
  second.bridge.close();
  await first.rounds(5);
  await untilShown(inRedis, [-1001, 1002]);
  inRedis.announce(node(1001, '&own=1'), 'available');
  await untilShown(inRedis, [1001, 1002]);
  await first.rounds(5);
  first.bridge.close();
  third.bridge.close();
  const shown = await untilShown(inRedis, [1001, 1002]);

  assert.equal(after, before);
  assert.ok(shown.texts().includes(node(1001, '&own=1').toText()));
  await Promise.all([inZooKeeper.close(), inRedis.close()]);
});

peerTest(
  'what an operator wrote by hand, and a node itself that lost its key, go before a copy',
  NEEDED,
  async () => {
    const { zk, server } = await place();
    const client = redis.clientOf(server);
    const inZooKeeper = zookeeper.openRegistry(zk.address).registry;
    const inRedis = redis.openRegistry(redis.on(server)).registry;
    inRedis.announce(node(2001, '&own=1'), 'available');
    await client.set(redis.keyOf(2002), JSON.stringify({ url: node(2002).toText() }));
    await client.sadd(redis.NODES, redis.nameOf(2002));
    await untilShown(inRedis, [2001, 2002]);
    const toRedis = redis.openRegistry(redis.on(server)).registry;
    openBridge(zookeeper.openRegistry(zk.address).registry, toRedis);
    for (const port of [2001, 2002, 2003]) inZooKeeper.announce(node(port), 'available');
    await untilShown(inRedis, [2001, 2002, -2003]);

    // As if a bridge had been quicker than the process itself.
    const copy = node(2001, '&bridgedFrom=elsewhere').toText();
    await client.set(redis.keyOf(2001), JSON.stringify({ url: copy, owner: 'a bridge' }));
    await client.publish(redis.CHANNEL, redis.nameOf(2001));
    await eventually('the process has it again', WAIT_MS, async () =>
      ((await client.get(redis.keyOf(2001))) ?? '').includes('own=1'),
    );
    await toRedis.close();
    await untilShown(inRedis, [2001, 2002]);

    assert.equal(await client.ttl(redis.keyOf(2002)), -1);
  },
);
