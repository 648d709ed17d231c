/** What a Redis may do to us, and what is true again afterwards. Leases last 3 s here, so an interval of renewal is 1 s. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Redis } from 'ioredis';
import { redisPeer } from '../../support/redis-server.js';
import { atEnd, eventually, peerTest } from '../support.js';
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

/** Two intervals of renewal, and what a busy machine takes beside. */
const TWO_INTERVALS_MS = 2_000 + 2_000;
const SOON_MS = 10_000;
const PEERS = [redisPeer];

/** A server of the test's own, and a client beside the product. */
async function ownServer() {
  const server = await startServer();
  return { server, client: clientOf(server) };
}

/** Those of the product. */
async function connectionsOf(client: Redis): Promise<number> {
  return String(await client.client('LIST')).split('name=peony').length - 1;
}

peerTest('a killed server that kept what it had never takes nodes from those who watch', PEERS, async () => {
  const server = await startServer({ isPersistent: true });
  const { registry } = openRegistry(on(server));
  registry.announce(node(8001), 'available');
  const watch = watchOn(registry);
  await watch.until(() => watch.nodes.length === 1);

  const sizes: number[] = [];
  const listener = { onNodes: (nodes: readonly unknown[]) => sizes.push(nodes.length), onTrouble: () => {} };
  const subscription = registry.subscribe(REFER, listener);
  await server.kill();
  await watch.until(() => watch.troubles.length > 0);
  const answers = watch.answers;
  await server.restart();
  await watch.until(() => watch.answers > answers);
  subscription.close();

  assert.deepEqual([...new Set(sizes)], [1]);
});

peerTest('a server that lost everything has our nodes again within two intervals', PEERS, async () => {
  const server = await startServer();
  const { registry } = openRegistry(on(server));
  registry.announce(node(8001), 'available');
  registry.announce(node(8002), 'unavailable');
  assert.equal(await registry.settled(SOON_MS), true);
  const client = clientOf(server);

  await server.kill();
  await server.restart({ isWiped: true });

  await eventually('both nodes are listed', TWO_INTERVALS_MS, async () => (await client.scard(NODES)) === 2);
  assert.equal(JSON.parse((await client.get(keyOf(8002)))!).availability, 'unavailable');
});

peerTest('FLUSHALL costs our nodes two intervals at most, and who watches hears of them', PEERS, async () => {
  const { server, client } = await ownServer();
  const announcer = openRegistry(on(server));
  announcer.registry.announce(node(8001), 'available');
  const watch = watchOn(openRegistry(on(server)).registry);
  await watch.until(() => watch.nodes.length === 1);

  await client.flushall();

  await eventually(
    'the node is listed',
    TWO_INTERVALS_MS,
    async () => (await client.exists(keyOf(8001))) === 1,
  );
  await eventually('the node is told', TWO_INTERVALS_MS, async () => watch.nodes.length === 1);
  assert.match(JSON.stringify(announcer.logger.lines), /the registry lost a node/);
});

peerTest(
  'a server that is silent is noticed, and what was wanted meanwhile becomes true',
  PEERS,
  async () => {
    const server = await startServer();
    const { registry } = openRegistry(on(server));
    registry.announce(node(8001), 'available');
    const watch = watchOn(registry);
    await watch.until(() => watch.nodes.length === 1);

    server.pause();
    await watch.until(() => watch.troubles.length > 0, 15_000);
    registry.announce(node(8002), 'available');
    assert.match(registry.report().lastError ?? '', new RegExp(`^${server.address}: `));
    assert.equal(watch.nodes.length, 1);
    server.resume();

    await watch.until(() => watch.nodes.length === 2, 15_000);
    assert.equal(await registry.settled(SOON_MS), true);
  },
);

peerTest('a start without a server becomes true when there is one', PEERS, async () => {
  const server = await startServer();
  await server.kill();
  const { registry } = openRegistry(on(server));
  registry.announce(node(8001), 'available');
  const watch = watchOn(registry);
  await watch.until(() => watch.troubles.length > 0);
  assert.match(watch.troubles[0]!, /ECONNREFUSED/);

  await server.restart();

  await watch.until(() => watch.nodes.length === 1);
});

peerTest('a wrong password is told without the password, and the right one lets in', PEERS, async () => {
  const server = await startServer({ password: 'rightword' });
  const { registry, logger } = openRegistry(`${on(server)}&password=wrongword`);
  registry.announce(node(8001), 'available');
  const watch = watchOn(registry);
  await watch.until(() => watch.troubles.length > 0);
  const said = JSON.stringify([watch.troubles, registry.report(), logger.lines]);
  assert.match(said, /WRONGPASS/);
  assert.doesNotMatch(said, /wrongword|rightword/);

  const client = clientOf(server, 'rightword');
  await client.config('SET', 'requirepass', 'wrongword');

  await watch.until(() => watch.nodes.length === 1);
  assert.doesNotMatch(JSON.stringify([registry.report(), logger.lines]), /wrongword/);
});

peerTest('a password that is missing is told', PEERS, async () => {
  const server = await startServer({ password: 'rightword' });
  const watch = watchOn(openRegistry(on(server)).registry);

  await watch.until(() => watch.troubles.length > 0);

  assert.match(watch.troubles[0]!, /NOAUTH/);
});

peerTest('a server of another kind on the port is named as that', PEERS, async () => {
  const server = http.createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => void server.close());
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const watch = watchOn(openRegistry(`address=${address}`).registry);

  await watch.until(() => watch.troubles.length > 0);

  assert.equal(watch.troubles[0], `${address}: what answers there does not speak the protocol of Redis`);
});

peerTest('rubbish among the nodes is named and hides no node', PEERS, async () => {
  const { server, client } = await ownServer();
  const rubbish: [port: number, value: string][] = [
    [1, 'rubbish'],
    [2, '[]'],
    [3, '{"url":7}'],
    [4, JSON.stringify({ url: node(9).toText() })],
    [5, JSON.stringify({ url: 'motan2://127.0.0.1:5/com.x.Other?group=g1' })],
    [6, JSON.stringify({ url: node(6).toText(), availability: 'perhaps' })],
    [7, JSON.stringify({ url: node(7).toText(), owner: 7 })],
    [8, JSON.stringify({ url: node(8).toText(), more: 'x'.repeat(1_000_000) })],
  ];
  for (const [port, value] of rubbish) {
    await client.sadd(NODES, nameOf(port));
    await client.set(keyOf(port), value);
  }
  await client.sadd(NODES, nameOf(10), '', '\u0000', 'x'.repeat(100_000));
  await client.lpush(keyOf(10), 'a list');
  const { registry } = openRegistry(on(server));
  registry.announce(node(8001), 'available');
  const watch = watchOn(registry);

  await watch.until(() => watch.nodes.length === 1);
  await client.publish(CHANNEL, '');
  await client.publish(CHANNEL, 'y'.repeat(1_000_000));
  await client.publish(CHANNEL, nameOf(3));
  registry.announce(node(8002), 'available');
  await watch.until(() => watch.nodes.length === 2);

  assert.match(registry.report().lastError ?? '', /:node:motan2:\/\/127\.0\.0\.1:\d+": .*; and 8 more$/);
  await client.del(...rubbish.map(([port]) => keyOf(port)), keyOf(10));
  await eventually('nothing is odd', SOON_MS, async () => registry.report().lastError === null);
});

peerTest(
  'a key of another type where the names are is told, and mended by whoever removes it',
  PEERS,
  async () => {
    const { server, client } = await ownServer();
    await client.set(NODES, 'not a set');
    const { registry } = openRegistry(on(server));
    const watch = watchOn(registry);
    await watch.until(() => watch.troubles.length > 0);
    assert.match(watch.troubles[0]!, /nodes: WRONGTYPE/);
    registry.announce(node(8001), 'available');
    await eventually('the failure is told', SOON_MS, async () =>
      /WRONGTYPE/.test(registry.report().lastError ?? ''),
    );

    await client.del(NODES);

    await watch.until(() => watch.nodes.length === 1);
  },
);

peerTest('a server without memory is told, and keeps what it has', PEERS, async () => {
  const { server, client } = await ownServer();
  const { registry } = openRegistry(on(server));
  for (let port = 1; port <= 150; port += 1) registry.announce(node(port), 'available');
  assert.equal(await registry.settled(SOON_MS), true);
  await client.set('witness', 'of the passing of a lease and a half', 'PX', 4_500);
  await client.config('SET', 'maxmemory', '1');

  registry.announce(node(8001), 'available');
  await eventually('the failure is told', SOON_MS, async () => /OOM/.test(registry.report().lastError ?? ''));
  await eventually('a lease has passed', SOON_MS, async () => (await client.exists('witness')) === 0);

  const keys = Array.from({ length: 150 }, (_, index) => keyOf(index + 1));
  assert.equal(await client.exists(...keys), 150);
  await client.config('SET', 'maxmemory', '0');
  assert.equal(await registry.settled(SOON_MS * 2), true);
});

peerTest('fifty losses of every connection leave everything as it was', PEERS, async () => {
  const { server, client } = await ownServer();
  const { registry } = openRegistry(on(server));
  registry.announce(node(8001), 'available');
  const watch = watchOn(registry);
  await watch.until(() => watch.nodes.length === 1);

  for (let flaps = 0; flaps < 50; flaps += 1) {
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually('both connections are back', SOON_MS, async () => (await connectionsOf(client)) === 2);
    assert.equal(watch.nodes.length, 1);
  }
  registry.announce(node(8002), 'available');
  await watch.until(() => watch.nodes.length === 2);

  assert.equal(await registry.settled(SOON_MS), true);
  assert.equal(await connectionsOf(client), 2);
});

peerTest('a node that comes and goes fifty times ends as it was last wanted', PEERS, async () => {
  const { server, client } = await ownServer();
  const { registry } = openRegistry(on(server));
  const watch = watchOn(openRegistry(on(server)).registry);

  for (let flaps = 0; flaps < 50; flaps += 1) {
    registry.announce(node(8001), 'unavailable');
    registry.announce(node(8001), 'available');
    await watch.until(() => watch.nodes.length === 1);
    registry.withdraw(node(8001));
    await watch.until(() => watch.nodes.length === 0);
  }
  registry.announce(node(8001, '&weight=3'), 'available');
  await watch.until(() => watch.nodes.length === 1);

  assert.equal(watch.nodes[0]!.text('weight'), '3');
  assert.deepEqual(await client.smembers(NODES), [nameOf(8001)]);
});

peerTest('a thousand nodes of one service are listed, watched, kept and withdrawn', PEERS, async () => {
  const { server, client } = await ownServer();
  const announcer = openRegistry(on(server)).registry;
  const watch = watchOn(openRegistry(on(server)).registry);

  for (let port = 1; port <= 1_000; port += 1) announcer.announce(node(port), 'available');
  await watch.until(() => watch.nodes.length === 1_000, 30_000);
  await client.del(keyOf(7), keyOf(8));
  await eventually('what was lost is back', TWO_INTERVALS_MS, async () => {
    return (await client.exists(keyOf(7), keyOf(8))) === 2;
  });
  await announcer.close();
  await watch.until(() => watch.nodes.length === 0, 30_000);

  assert.deepEqual(await client.keys('peony:*'), []);
});
