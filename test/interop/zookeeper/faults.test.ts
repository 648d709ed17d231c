/** What Peony does when ZooKeeper, or the network to it, fails. Sessions last 2 s here, as the server is told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Registry } from '../../../src/core/index.js';
import { Watch } from '../../support/registry-contract.js';
import { type ZooKeeperServer, zooKeeperPeer } from '../../support/zookeeper-server.js';
import { atEnd, eventually, peerTest, shared } from '../support.js';
import { AGENT, node, openRegistry, REFER, SERVERS, startServer, Tree, UNAVAILABLE, Wire } from './scene.js';

const NEEDED = [zooKeeperPeer];
const WAIT_MS = 20_000;
const SESSION_MS = 2_000;
const NODE = '127.0.0.1:8001';

const server = shared(() => startServer());
let chroots = 0;

interface Scene {
  readonly server: ZooKeeperServer;
  readonly tree: Tree;
  /** Between both registries and the server. */
  readonly wire: Wire;
  readonly chroot: string;
  /** Has announced port 8001 as available. */
  readonly announcer: Registry;
  /** Of another registry. */
  readonly watch: Watch;
}

async function scene(): Promise<Scene> {
  const real = await server();
  chroots += 1;
  const chroot = `/fault-${chroots}`;
  const wire = await Wire.to(real.port);
  const announcer = openRegistry(`${wire.address}${chroot}`).registry;
  announcer.announce(node(8001), 'available');
  assert.ok(await announcer.settled(WAIT_MS));
  const watch = watchOf(openRegistry(`${wire.address}${chroot}`).registry);
  await watch.until(() => watch.nodes.length === 1);
  return { server: real, tree: await Tree.open(real), wire, chroot, announcer, watch };
}

function watchOf(registry: Registry): Watch {
  const watch = new Watch();
  watch.subscription = registry.subscribe(REFER, watch);
  return watch;
}

/** That announcing and watching work: a change of the announcer reaches the watch. */
async function assertWorks({ announcer, watch, tree, chroot }: Scene): Promise<void> {
  announcer.announce(node(8002), 'available');
  await watch.until(() => watch.nodes.length === 2, WAIT_MS);
  announcer.withdraw(node(8002));
  await watch.until(() => watch.nodes.length === 1, WAIT_MS);
  await tree.until(chroot + SERVERS, [NODE], WAIT_MS);
  assert.equal(announcer.report().lastError, null);
}

async function ownerOf({ tree, chroot }: Scene): Promise<bigint | undefined> {
  return (await tree.client.stat(`${chroot}${SERVERS}/${NODE}`))?.ephemeralOwner;
}

peerTest(
  'a server that is killed and restarted has the nodes of before, kept by the same sessions',
  NEEDED,
  async () => {
    const all = await scene();
    const before = await ownerOf(all);
    const answers = all.watch.answers;

    await all.server.kill();
    await all.watch.until(() => all.watch.troubles.length > 0);
    await all.server.restart();
    await all.watch.until(() => all.watch.answers > answers, WAIT_MS);
    await eventually('the test itself is connected again', WAIT_MS, async () => all.tree.session.isUp);

    assert.equal(await ownerOf(all), before);
    await assertWorks(all);
  },
);

peerTest('a server that is wiped and restarted has the nodes again', NEEDED, async (t) => {
  const all = await scene();

  await all.server.restart({ isWiped: true });
  const servesMs = performance.now();
  const tree = await Tree.open(all.server);
  await tree.until(all.chroot + SERVERS, [NODE], WAIT_MS);
  t.diagnostic(`listed ${Math.round(performance.now() - servesMs)} ms after the server served`);

  await assertWorks({ ...all, tree });
});

peerTest('a server that stood still for longer than the session has the nodes again', NEEDED, async (t) => {
  const all = await scene();
  const others = await Tree.open(all.server);

  all.server.pause();
  await all.watch.until(() => all.watch.troubles.length > 0, WAIT_MS);
  all.announcer.announce(node(8001, '&weight=2'), 'available');
  await pause(2 * SESSION_MS);
  all.server.resume();
  const resumedMs = performance.now();
  await all.watch.until(() => all.watch.nodes[0]?.text('weight') === '2', WAIT_MS);
  t.diagnostic(`true again ${Math.round(performance.now() - resumedMs)} ms after the server went on`);

  assert.match(all.watch.troubles[0]!, /^127\.0\.0\.1:\d+: no answer for \d+ ms$/);
  await eventually('the test itself is connected again', WAIT_MS, async () => others.session.isUp);
  await assertWorks({ ...all, tree: others });
});

for (const way of ['refuse', 'blackHole'] as const) {
  peerTest(
    `a network that would ${way} ends the session, and what was said meanwhile is made true`,
    NEEDED,
    async (t) => {
      const all = await scene();
      const before = await ownerOf(all);

      all.wire[way]();
      await all.watch.until(() => all.watch.troubles.length > 0, WAIT_MS);
      await all.tree.until(all.chroot + SERVERS, [], WAIT_MS);
      all.announcer.announce(node(8001), 'unavailable');
      all.announcer.announce(node(8003), 'available');
      await eventually('the report says that nothing of ours is left', WAIT_MS, async () =>
        /must have expired/.test(all.announcer.report().lastError ?? ''),
      );
      all.wire.heal();
      const healedMs = performance.now();
      assert.ok(await all.announcer.settled(WAIT_MS));
      t.diagnostic(`true again ${Math.round(performance.now() - healedMs)} ms after the network healed`);

      await all.watch.until(() => all.watch.ports().join() === '8003', WAIT_MS);
      assert.deepEqual(await all.tree.names(all.chroot + UNAVAILABLE), [NODE]);
      assert.notEqual(before, undefined);
      assert.equal(all.watch.nodes.length, 1);
    },
  );
}

peerTest('a node that somebody removes is listed again without a look', NEEDED, async () => {
  const real = await server();
  const chroot = '/fault-removed';
  const { registry } = openRegistry(`${real.address}${chroot}`, '', 3_600_000);
  registry.announce(node(8001), 'available');
  registry.announce(AGENT, 'available');
  assert.ok(await registry.settled(WAIT_MS));
  const tree = await Tree.open(real);
  const places = [`${chroot}${SERVERS}/${NODE}`, `${chroot}/motan/agent/shop/node/127.0.0.1:8002`];

  for (const place of [...places, ...places]) {
    await tree.delete(place);
    await eventually(`${place} is there again`, WAIT_MS, () => tree.client.stat(place));
  }

  assert.ok(await registry.settled(WAIT_MS));
});

peerTest('fifty lost connections in a row lose no node and no change', NEEDED, async () => {
  const all = await scene();
  const before = await ownerOf(all);

  for (let cut = 1; cut <= 50; cut += 1) {
    all.announcer.announce(node(8001, `&weight=${cut}`), 'available');
    const connected = all.wire.connections;
    all.wire.cut();
    await eventually('both are connected again', WAIT_MS, async () => all.wire.connections >= connected + 2);
  }
  await all.watch.until(() => all.watch.nodes[0]?.text('weight') === '50', WAIT_MS);

  assert.equal(await ownerOf(all), before);
  await assertWorks(all);
});

peerTest('the session goes on over another server of the list', NEEDED, async () => {
  const real = await server();
  const chroot = '/fault-hosts';
  const wires = [await Wire.to(real.port), await Wire.to(real.port)];
  const refused = await closedPort();
  const addresses = [`127.0.0.1:${refused}`, ...wires.map((wire) => wire.address)].join(',');
  const { registry } = openRegistry(`${addresses}${chroot}`);
  registry.announce(node(8001), 'available');
  assert.ok(await registry.settled(WAIT_MS));
  const tree = await Tree.open(real);
  const path = `${chroot}${SERVERS}/${NODE}`;
  const before = (await tree.client.stat(path))?.ephemeralOwner;
  const used = wires.find((wire) => wire.connections > 0)!;

  used.refuse();
  registry.announce(node(8002), 'available');
  assert.ok(await registry.settled(WAIT_MS));

  assert.equal((await tree.client.stat(path))?.ephemeralOwner, before);
  assert.equal((await tree.client.stat(`${chroot}${SERVERS}/127.0.0.1:8002`))?.ephemeralOwner, before);
  assert.equal(registry.report().address, `${addresses}${chroot}`);
});

peerTest('a closed registry is gone from the tree at once', NEEDED, async () => {
  const all = await scene();

  await all.announcer.close();

  assert.deepEqual(await all.tree.names(all.chroot + SERVERS), []);
});

peerTest('a registry without any server closes at once', NEEDED, async () => {
  const { registry } = openRegistry(`127.0.0.1:${await closedPort()}`);
  registry.announce(node(8001), 'available');
  await eventually('trouble', WAIT_MS, async () => /ECONNREFUSED/.test(registry.report().lastError ?? ''));

  const beganMs = performance.now();
  await registry.close();

  assert.ok(performance.now() - beganMs < 500);
});

/** Servers that are no ZooKeeper, and what is said of them. */
const STRANGERS: readonly { what: string; answer: (socket: net.Socket) => void; says: RegExp }[] = [
  {
    what: 'says nothing',
    answer: () => {},
    says: /accepts the connection, but does not answer as ZooKeeper does within 3000 ms/,
  },
  {
    what: 'hangs up',
    answer: (socket) => void socket.end(),
    says: /closed the connection without a welcome/,
  },
  {
    what: 'speaks another protocol',
    answer: (socket) => void socket.write('-ERR unknown command\r\n'),
    says: /sends what ZooKeeper would not: "-ERR unknown command"/,
  },
  {
    what: 'sends bytes without sense',
    answer: (socket) => void socket.write(Buffer.from([0, 0, 0, 3, 1, 2, 3])),
    says: /sends what ZooKeeper would not: 4 bytes wanted at the end/,
  },
];

for (const { what, answer, says } of STRANGERS) {
  peerTest(`a server that ${what} is named with what it is`, [], async () => {
    const stranger = net.createServer((socket) => {
      socket.on('error', () => {}); // the other side ends as it likes
      socket.once('data', () => answer(socket));
    });
    const port = await listen(stranger);

    await assertTrouble(port, says);
  });
}

peerTest('an HTTP server on the port is named as one', [], async () => {
  const stranger = http.createServer();
  const port = await listen(stranger);

  await assertTrouble(port, /sends what ZooKeeper would not: "HTTP\/1\.1 400 Bad Request"/);
});

async function assertTrouble(port: number, says: RegExp): Promise<void> {
  const { registry, logger } = openRegistry(`127.0.0.1:${port}`);
  const watch = watchOf(registry);
  await watch.until(() => watch.troubles.length > 0, WAIT_MS);

  assert.match(watch.troubles[0]!, says);
  assert.ok(watch.troubles[0]!.startsWith(`127.0.0.1:${port}: `));
  assert.equal(logger.lines.filter(({ level }) => level === 'warn').length, 1);
  assert.deepEqual(
    logger.lines.filter(({ level }) => level === 'error'),
    [],
  );
}

async function listen(stranger: net.Server): Promise<number> {
  stranger.listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  atEnd(async () => void stranger.close());
  return (stranger.address() as net.AddressInfo).port;
}

async function closedPort(): Promise<number> {
  const taken = net.createServer();
  const port = await new Promise<number>((resolve) => {
    taken.listen(0, '127.0.0.1', () => resolve((taken.address() as net.AddressInfo).port));
  });
  taken.close();
  return port;
}
