/** How long what is listed lives, and whose it is. */
import assert from 'node:assert/strict';
import { redisPeer } from '../../support/redis-server.js';
import { eventually, peerTest } from '../support.js';
import {
  CHANNEL,
  clientOf,
  keyOf,
  NODES,
  nameOf,
  node,
  on,
  openRegistry,
  REFER,
  startServer,
  watchOn,
} from './scene.js';

const SOON_MS = 10_000;
const PEERS = [redisPeer];

async function ownServer() {
  const server = await startServer();
  return { server, client: clientOf(server) };
}

function entryOf(port: number, owner: string | null, more = {}): string {
  return JSON.stringify({ url: node(port).toText(), ...(owner === null ? {} : { owner }), ...more });
}

peerTest('what is written is what the documentation says', PEERS, async () => {
  const { server, client } = await ownServer();
  const { registry } = openRegistry(`${on(server)}&leaseTime=15`);

  registry.announce(node(8001), 'available');
  assert.equal(await registry.settled(SOON_MS), true);

  const { url, availability, owner } = JSON.parse((await client.get(keyOf(8001)))!);
  assert.deepEqual([url, availability, typeof owner], [node(8001).toText(), 'available', 'string']);
  assert.deepEqual(await client.smembers(NODES), [nameOf(8001)]);
  const [leaseMs, namesMs] = [await client.pttl(keyOf(8001)), await client.pttl(NODES)];
  assert.ok(leaseMs > 9_000 && leaseMs <= 15_000, `${leaseMs}`);
  assert.ok(namesMs > 86_000_000 && namesMs <= 86_400_000, `${namesMs}`);
});

peerTest('a prefix and a database keep registries apart', PEERS, async () => {
  const { server, client } = await ownServer();
  const other = openRegistry(`${on(server)}&keyPrefix=other&db=3`).registry;
  other.announce(node(8001), 'available');
  const watch = watchOn(other);

  await watch.until(() => watch.nodes.length === 1);

  assert.deepEqual(await client.keys('*'), []);
  await client.select(3);
  assert.equal((await client.keys('other:{g1/com.x.Echo}:*')).length, 2);
});

peerTest('groups and services whose names would break a key are kept apart', PEERS, async () => {
  const { server } = await ownServer();
  const { registry } = openRegistry(on(server));
  const names = [
    ['a/b', 'c'],
    ['a', 'b/c'],
    ['}', '{'],
    ['', 'x y'],
    ['{g1}', 'ü\n'],
  ] as const;
  const watches = names.map(([group, path], index) => {
    registry.announce(node(8001 + index).with({ group, path }), 'available');
    return watchOn(registry, REFER.with({ group, path }));
  });

  for (const [index, watch] of watches.entries()) {
    await watch.until(() => watch.nodes.length > 0);
    assert.deepEqual(watch.ports(), [8001 + index]);
  }
});

peerTest('the nodes of a process that died go with their leases, and their names later', PEERS, async () => {
  const { server, client } = await ownServer();
  await client.sadd(NODES, nameOf(8001));
  await client.set(keyOf(8001), entryOf(8001, 'dead'), 'PX', 1_500);
  const watch = watchOn(openRegistry(on(server)).registry);
  await watch.until(() => watch.nodes.length === 1);

  await watch.until(() => watch.nodes.length === 0);

  await eventually('the name is gone', SOON_MS, async () => (await client.exists(NODES)) === 0);
});

peerTest('a process that begins takes what its predecessor left', PEERS, async () => {
  const { server, client } = await ownServer();
  await client.sadd(NODES, nameOf(8001));
  await client.set(keyOf(8001), entryOf(8001, 'predecessor'), 'PX', 60_000);
  const { registry } = openRegistry(on(server));

  registry.announce(node(8001, '&weight=2'), 'unavailable');
  assert.equal(await registry.settled(SOON_MS), true);

  const entry = JSON.parse((await client.get(keyOf(8001)))!);
  assert.deepEqual([entry.availability, entry.url], ['unavailable', node(8001, '&weight=2').toText()]);
});

peerTest('a process that is overtaken leaves the node to the other, to its own end', PEERS, async () => {
  const { server, client } = await ownServer();
  const old = openRegistry(on(server));
  old.registry.announce(node(8001), 'available');
  assert.equal(await old.registry.settled(SOON_MS), true);
  const next = openRegistry(on(server)).registry;
  next.announce(node(8001, '&weight=9'), 'available');
  assert.equal(await next.settled(SOON_MS), true);
  const text = await client.get(keyOf(8001));
  await eventually('the old one has noticed', SOON_MS, async () =>
    JSON.stringify(old.logger.lines).includes('another process has announced this node'),
  );

  old.registry.announce(node(8001), 'unavailable');
  assert.equal(await old.registry.settled(SOON_MS), true);
  await old.registry.close();

  assert.equal(await client.get(keyOf(8001)), text);
  assert.deepEqual(await client.smembers(NODES), [nameOf(8001)]);
});

peerTest('a node that was left to another process comes back when that one dies', PEERS, async () => {
  const { server, client } = await ownServer();
  const { registry, logger } = openRegistry(on(server));
  registry.announce(node(8001), 'available');
  assert.equal(await registry.settled(SOON_MS), true);
  await client.set(keyOf(8001), entryOf(8001, 'another'), 'PX', 5_000);
  await eventually('it has been noticed', SOON_MS, async () =>
    JSON.stringify(logger.lines).includes('another process has announced this node'),
  );
  assert.equal(JSON.parse((await client.get(keyOf(8001)))!).owner, 'another');

  await eventually('it is ours again', SOON_MS, async () => {
    const text = await client.get(keyOf(8001));
    return text !== null && JSON.parse(text).owner !== 'another';
  });
});

peerTest('what somebody changed in our node is put right', PEERS, async () => {
  const { server, client } = await ownServer();
  const { registry } = openRegistry(on(server));
  registry.announce(node(8001), 'available');
  assert.equal(await registry.settled(SOON_MS), true);
  const text = await client.get(keyOf(8001));

  await client.set(keyOf(8001), 'rubbish');
  await eventually('the text is back', SOON_MS, async () => (await client.get(keyOf(8001))) === text);
  await client.del(NODES);
  await eventually('the name is back', SOON_MS, async () => (await client.scard(NODES)) === 1);
  await client.persist(keyOf(8001));
  await eventually('the lease is back', SOON_MS, async () => (await client.pttl(keyOf(8001))) > 0);
});

peerTest('a node that an operator wrote stands, and is told when it is published', PEERS, async () => {
  const { server, client } = await ownServer();
  const { registry } = openRegistry(`${on(server)}&lookInterval=3600`);
  const watch = watchOn(registry);
  await watch.until(() => watch.answers > 0);
  await eventually('it listens', SOON_MS, async () => {
    return ((await client.pubsub('NUMSUB', CHANNEL)) as unknown[])[1] === 1;
  });

  await client.set(keyOf(7), JSON.stringify({ url: 'motan2://127.0.0.1:7/com.x.Echo?group=g1' }));
  await client.sadd(NODES, nameOf(7));
  await client.publish(CHANNEL, nameOf(7));

  await watch.until(() => watch.nodes.length === 1);
});

peerTest('a change that nobody told is found by looking', PEERS, async () => {
  const { server, client } = await ownServer();
  const watch = watchOn(openRegistry(on(server)).registry);
  await watch.until(() => watch.answers > 0);

  await client.set(keyOf(7), entryOf(7, null));
  await client.sadd(NODES, nameOf(7));
  await watch.until(() => watch.nodes.length === 1);
  await client.set(keyOf(7), entryOf(7, null, { availability: 'unavailable' }));
  await watch.until(() => watch.nodes.length === 0);
});
