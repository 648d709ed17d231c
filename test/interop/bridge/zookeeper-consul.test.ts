/** Bridges between a real ZooKeeper and a real Consul. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import type { Registry } from '../../../src/core/index.js';
import { type ConsulServer, consulPeer } from '../../support/consul-server.js';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import * as consul from '../consul/scene.js';
import { peerTest, shared } from '../support.js';
import * as zookeeper from '../zookeeper/scene.js';
import { node, openBridge, originalOf, untilShown, WAIT_MS } from './scene.js';

const NEEDED = [zooKeeperPeer, consulPeer];

const place = shared(async () => {
  const zk = await zookeeper.startServer();
  const consulServer = await consul.startServer();
  return { zk, consulServer };
});

function openZooKeeper(address: string): Registry {
  return zookeeper.openRegistry(address, '', 500).registry;
}

function openConsul(server: ConsulServer): Registry {
  return consul.openRegistry([server.address]).registry;
}

/** The number of the last change in the tree. */
async function lastChange(port: number): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.write('srvr');
  return /^Zxid: (\S+)$/m.exec(await text(socket))?.[1] ?? 'no Zxid';
}

/** What is registered, with the numbers of the last changes. */
async function entries(server: ConsulServer): Promise<string> {
  const list = (await server.ask('GET', 'health/service/motanrpc_g1')) as {
    Service: { ID: string; ModifyIndex: number };
    Checks: { Status: string; ModifyIndex: number }[];
  }[];
  const texts = list.map(({ Service, Checks }) => {
    const checks = Checks.map(({ Status, ModifyIndex }) => `${Status} ${ModifyIndex}`);
    return `${Service.ID} ${Service.ModifyIndex} ${checks.join()}`;
  });
  return texts.sort().join('\n');
}

peerTest('both ways, by three bridges: all is copied once, and then nothing is written', NEEDED, async () => {
  const { zk, consulServer } = await place();
  const [inZooKeeper, inConsul] = [openZooKeeper(zk.address), openConsul(consulServer)];
  inZooKeeper.announce(node(1001, '&weight=3'), 'available');
  inZooKeeper.announce(node(1009), 'available');
  inConsul.announce(node(1002, '&note=a=b'), 'available');
  inConsul.announce(node(1009), 'available');
  inZooKeeper.announce(node(1003), 'unavailable');

  const first = openBridge(openZooKeeper(zk.address), openConsul(consulServer), true);
  const second = openBridge(openZooKeeper(zk.address), openConsul(consulServer));
  const third = openBridge(openConsul(consulServer), openZooKeeper(zk.address));
  const shownInConsul = await untilShown(inConsul, [-1001, 1002, 1009]);
  const shownInZooKeeper = await untilShown(inZooKeeper, [1001, -1002, 1009]);
  await first.rounds(5);
  const [before, beforeInConsul] = [await lastChange(zk.port), await entries(consulServer)];
  await first.rounds(10);
  const [after, afterInConsul] = [await lastChange(zk.port), await entries(consulServer)];
  inZooKeeper.announce(node(1001, '&weight=4'), 'available');
  await untilShown(inConsul, [-1001, 1002, 1009]);
  second.bridge.close();
  await first.rounds(5);
  await untilShown(inConsul, [-1001, 1002, 1009]);
  first.bridge.close();
  third.bridge.close();
  await untilShown(inConsul, [1002, 1009]);
  await untilShown(inZooKeeper, [1001, 1009]);

  assert.equal(after, before);
  assert.equal(afterInConsul, beforeInConsul);
  assert.ok(shownInConsul.nodes.map(originalOf).includes(node(1001, '&weight=3').toText()));
  assert.ok(shownInZooKeeper.nodes.map(originalOf).includes(node(1002, '&note=a=b').toText()));
  await Promise.all([inZooKeeper.close(), inConsul.close()]);
});

peerTest('a node that comes to the target itself is left alone, there and back', NEEDED, async () => {
  const { zk, consulServer } = await place();
  const [inZooKeeper, inConsul] = [openZooKeeper(zk.address), openConsul(consulServer)];
  const both = openBridge(openZooKeeper(zk.address), openConsul(consulServer), true);
  inZooKeeper.announce(node(2001), 'available');
  inConsul.announce(node(2002), 'available');
  await untilShown(inConsul, [-2001, 2002]);
  await untilShown(inZooKeeper, [2001, -2002]);

  inConsul.announce(node(2001, '&own=1'), 'available');
  inZooKeeper.announce(node(2002, '&own=1'), 'available');
  const inC = await untilShown(inConsul, [2001, 2002]);
  const inZ = await untilShown(inZooKeeper, [2001, 2002]);
  await both.rounds(3);
  both.bridge.close();
  await Promise.all([inConsul.settled(WAIT_MS), inZooKeeper.settled(WAIT_MS)]);

  await untilShown(inConsul, [2001, 2002]);
  await untilShown(inZooKeeper, [2001, 2002]);
  assert.ok(inC.texts().includes(node(2001, '&own=1').toText()));
  assert.ok(inZ.texts().includes(node(2002, '&own=1').toText()));
  assert.deepEqual(both.events.map(({ kind }) => kind).filter((kind) => kind === 'yielded').length, 2);
  await Promise.all([inZooKeeper.close(), inConsul.close()]);
});

peerTest('a restart of either server, wiped or not, costs no copy for long', NEEDED, async () => {
  const { zk, consulServer } = await place();
  const [inZooKeeper, inConsul] = [openZooKeeper(zk.address), openConsul(consulServer)];
  openBridge(openZooKeeper(zk.address), openConsul(consulServer), true);
  for (const port of [3001, 3002]) inZooKeeper.announce(node(port), 'available');
  inConsul.announce(node(3003), 'available');
  await untilShown(inConsul, [-3001, -3002, 3003]);
  await untilShown(inZooKeeper, [3001, 3002, -3003]);

  await zk.restart({ isWiped: true });
  await untilShown(inZooKeeper, [3001, 3002, -3003]);
  await untilShown(inConsul, [-3001, -3002, 3003]);
  await consulServer.restart({ isWiped: true });
  await untilShown(inConsul, [-3001, -3002, 3003]);
  await untilShown(inZooKeeper, [3001, 3002, -3003]);
});
