/** What Peony writes into ZooKeeper and makes of what others write there. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { COPY_MARK } from '../../../src/core/index.js';
import { Watch } from '../../support/registry-contract.js';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { eventually, peerTest, shared } from '../support.js';
import {
  AGENT,
  CLIENTS,
  node,
  openRegistry,
  REFER,
  SERVERS,
  startServer,
  Tree,
  UNAVAILABLE,
} from './scene.js';

const WAIT_MS = 10_000;
const NEEDED = [zooKeeperPeer];

/** A chroot of its own for each test, all on one server. */
const place = shared(async () => {
  const server = await startServer();
  return { server, tree: await Tree.open(server) };
});
let chroots = 0;

async function own() {
  const { server, tree } = await place();
  chroots += 1;
  const chroot = `/test-${chroots}`;
  return { server, tree, chroot, address: `${server.address}${chroot}` };
}

function watchOf(registry: ReturnType<typeof openRegistry>['registry']): Watch {
  const watch = new Watch();
  watch.subscription = registry.subscribe(REFER, watch);
  return watch;
}

peerTest(
  'a service stands under unavailableServer, then under server, with its url as plain text',
  NEEDED,
  async () => {
    const { tree, chroot, address } = await own();
    const { registry } = openRegistry(address);

    registry.announce(node(8001), 'unavailable');
    assert.ok(await registry.settled(WAIT_MS));
    const before = [await tree.names(chroot + SERVERS), await tree.names(chroot + UNAVAILABLE)];
    registry.announce(node(8001), 'available');
    assert.ok(await registry.settled(WAIT_MS));
    const after = [await tree.names(chroot + SERVERS), await tree.names(chroot + UNAVAILABLE)];

    assert.deepEqual(before, [[], ['127.0.0.1:8001']]);
    assert.deepEqual(after, [['127.0.0.1:8001'], []]);
    assert.equal(await tree.text(`${chroot}${SERVERS}/127.0.0.1:8001`), node(8001).toText());
    assert.equal(await tree.text(`${chroot}${SERVERS}`), '');
  },
);

peerTest('an agent stands under its application alone', NEEDED, async () => {
  const { tree, chroot, address } = await own();
  const { registry } = openRegistry(address);

  registry.announce(AGENT, 'available');
  assert.ok(await registry.settled(WAIT_MS));

  assert.deepEqual(await tree.names(`${chroot}/motan`), ['agent']);
  assert.equal(await tree.text(`${chroot}/motan/agent/shop/node/127.0.0.1:8002`), AGENT.toText());
  registry.withdraw(AGENT);
  await tree.until(`${chroot}/motan/agent/shop/node`, []);
});

peerTest('who refers to a service is listed as its client until it does no more', NEEDED, async () => {
  const { tree, chroot, address } = await own();
  const { registry } = openRegistry(address);

  const watch = watchOf(registry);
  await tree.until(chroot + CLIENTS, ['127.0.0.9:0']);
  const text = await tree.text(`${chroot}${CLIENTS}/127.0.0.9:0`);
  watch.subscription.close();
  await tree.until(chroot + CLIENTS, []);

  assert.equal(text, 'motan2://127.0.0.9:0/com.x.Echo?group=g1&nodeType=referer');
});

peerTest('plain text, both forms of Java, empty data and a bare name are nodes', NEEDED, async () => {
  const { tree, chroot, address } = await own();
  const short = Buffer.from(node(8002).toText());
  const long = Buffer.from(`${node(8003).toText()}&note=${'x'.repeat(10)}`);
  await tree.write(chroot + SERVERS, '');
  await tree.create(`${chroot}${SERVERS}/10.0.0.1:8001`, node(8001).toText());
  const shortHead = Buffer.from([0xac, 0xed, 0, 5, 0x74, 0, short.length]);
  await tree.create(`${chroot}${SERVERS}/10.0.0.1:8002`, Buffer.concat([shortHead, short]));
  const longHead = Buffer.from([0xac, 0xed, 0, 5, 0x7c, 0, 0, 0, 0, 0, 0, 0, long.length]);
  await tree.create(`${chroot}${SERVERS}/10.0.0.1:8003`, Buffer.concat([longHead, long]));
  await tree.create(`${chroot}${SERVERS}/10.0.0.1:8004`, '');
  await tree.create(`${chroot}${SERVERS}/10.0.0.2`, '');

  const watch = watchOf(openRegistry(address).registry);
  await watch.until(() => watch.nodes.length > 0);

  assert.deepEqual(watch.texts(), [
    'motan2://10.0.0.1:8004/com.x.Echo?group=g1',
    'motan2://10.0.0.2:80/com.x.Echo?group=g1',
    node(8001).toText(),
    node(8002).toText(),
    `${node(8003).toText()}&note=xxxxxxxxxx`,
  ]);
});

peerTest(
  'rubbish among the nodes is left out and named, and what comes after it is seen',
  NEEDED,
  async () => {
    const { tree, chroot, address } = await own();
    await tree.write(chroot + SERVERS, '');
    const rubbish: [string, string | Buffer][] = [
      ['no-url', 'hello'],
      ['no-host', 'motan2://:8001/com.x.Echo?group=g1'],
      ['no-port', 'motan2://10.0.0.1/com.x.Echo?group=g1'],
      ['bad:port', ''],
      ['object', Buffer.from([0xac, 0xed, 0, 5, 0x73, 0, 1, 2, 3])],
      ['cut', Buffer.from([0xac, 0xed, 0, 5, 0x74])],
      ['huge', Buffer.alloc(100_000, 'x')],
      ['bytes', Buffer.from([0xff, 0xfe, 0, 1])],
    ];
    for (const [name, data] of rubbish) await tree.create(`${chroot}${SERVERS}/${name}`, data);
    const { registry } = openRegistry(address);
    const watch = watchOf(registry);
    await watch.until(() => watch.answers > 0);
    const error = registry.report().lastError ?? '';

    await tree.create(`${chroot}${SERVERS}/10.0.0.1:8001`, node(8001).toText());
    await watch.until(() => watch.nodes.length === 1);
    for (const [name] of rubbish) await tree.delete(`${chroot}${SERVERS}/${name}`);
    await eventually('nothing is odd any more', WAIT_MS, async () => registry.report().lastError === null);

    assert.equal(
      error,
      `${chroot}${SERVERS}: node "bad:port" is left out: no port in "bad:port", and 7 more`,
    );
  },
);

peerTest('changed data of a node is applied', NEEDED, async () => {
  const { tree, chroot, address } = await own();
  const path = `${chroot}${SERVERS}/127.0.0.1:8001`;
  await tree.write(path, node(8001, '&weight=1').toText());
  const watch = watchOf(openRegistry(address).registry);
  await watch.until(() => watch.nodes[0]?.text('weight') === '1');

  await tree.set(path, node(8001, '&weight=2').toText());
  await watch.until(() => watch.nodes[0]?.text('weight') === '2');
  await tree.set(path, 'rubbish');
  await watch.until(() => watch.nodes.length === 0);
  await tree.delete(path);
  await tree.create(path, node(8001, '&weight=3').toText());
  await watch.until(() => watch.nodes[0]?.text('weight') === '3');
});

peerTest('a copy that has taken the place of a node gives it back', NEEDED, async () => {
  const { tree, chroot, address } = await own();
  const path = `${chroot}${SERVERS}/127.0.0.1:8001`;
  const { registry } = openRegistry(address);
  registry.announce(node(8001), 'available');
  assert.ok(await registry.settled(WAIT_MS));

  const copy = node(8001, `&${COPY_MARK}=elsewhere`).toText();
  await Promise.all([tree.delete(path), tree.create(path, copy)]);

  await eventually(
    'the node itself is there',
    WAIT_MS,
    async () => (await tree.text(path)) === node(8001).toText(),
  );
});

peerTest('a node whose parameters change is never seen as gone', NEEDED, async () => {
  const { address } = await own();
  const watch = watchOf(openRegistry(address).registry);
  const counts = new Set<number>();
  const { registry } = openRegistry(address);
  registry.announce(node(8001), 'available');
  await watch.until(() => watch.nodes.length === 1);
  const onNodes = watch.onNodes.bind(watch);
  watch.onNodes = (nodes) => {
    counts.add(nodes.length);
    onNodes(nodes);
  };

  for (let weight = 1; weight <= 30; weight += 1) {
    registry.announce(node(8001, `&weight=${weight}`), 'available');
    assert.ok(await registry.settled(WAIT_MS));
  }
  await watch.until(() => watch.nodes[0]?.text('weight') === '30');

  assert.deepEqual([...counts], [1]);
});

peerTest(
  'a service that is removed with all its parents is gone, and seen when it comes again',
  NEEDED,
  async () => {
    const { tree, chroot, address } = await own();
    const path = `${chroot}${SERVERS}/127.0.0.1:8001`;
    await tree.write(path, node(8001).toText());
    const watch = watchOf(openRegistry(address).registry);
    await watch.until(() => watch.nodes.length === 1);

    await tree.delete(path);
    await tree.delete(chroot + SERVERS);
    await watch.until(() => watch.nodes.length === 0);
    await tree.write(path, node(8001).toText());
    await watch.until(() => watch.nodes.length === 1);
    await tree.delete(path);
    await tree.delete(chroot + SERVERS);
    await tree.write(path, node(8001, '&weight=5').toText());
    await watch.until(() => watch.nodes[0]?.text('weight') === '5');
  },
);

peerTest('a node that somebody removed is listed again', NEEDED, async () => {
  const { tree, chroot, address } = await own();
  const { registry } = openRegistry(address, '', 200);
  registry.announce(node(8001), 'available');
  assert.ok(await registry.settled(WAIT_MS));

  await tree.delete(`${chroot}${SERVERS}/127.0.0.1:8001`);
  await tree.until(chroot + SERVERS, ['127.0.0.1:8001']);
});

peerTest(
  'the node of a dead process of ours is taken over, that of a living one is left',
  NEEDED,
  async () => {
    const { tree, chroot, address } = await own();
    const first = openRegistry(address).registry;
    const second = openRegistry(address).registry;
    first.announce(node(8001, '&weight=1'), 'available');
    assert.ok(await first.settled(WAIT_MS));

    second.announce(node(8001, '&weight=2'), 'available');
    assert.ok(await second.settled(WAIT_MS));
    first.withdraw(node(8001));
    assert.ok(await first.settled(WAIT_MS));

    assert.equal(await tree.text(`${chroot}${SERVERS}/127.0.0.1:8001`), node(8001, '&weight=2').toText());
  },
);

peerTest('without the right to write the error names server, path and user', NEEDED, async () => {
  const { server, tree, chroot, address } = await own();
  const identity = `ann:${createHash('sha1').update('ann:right').digest('base64')}`;
  await tree.write(chroot, '');
  await tree.create(`${chroot}/motan`, '', identity);

  const refused = openRegistry(address, '&username=ann&password=wrong').registry;
  refused.announce(node(8001), 'available');
  const watch = watchOf(refused);
  await eventually('the refusal is reported', WAIT_MS, async () =>
    /not permitted/.test(refused.report().lastError ?? ''),
  );
  const allowed = openRegistry(address, '&username=ann&password=right').registry;
  allowed.announce(node(8001), 'available');
  assert.ok(await allowed.settled(WAIT_MS));
  await watch.until(() => watch.nodes.length === 1, 20_000);

  const error = refused.report().lastError ?? '';
  assert.ok(error.includes(`${server.address} ${chroot}/motan`), error);
  assert.match(error, /not permitted as digest user "ann"$/);
  assert.ok(!error.includes('wrong'), error);
});

peerTest('a service that may not be read is trouble until it may', NEEDED, async () => {
  const { server, tree, chroot, address } = await own();
  const identity = `ann:${createHash('sha1').update('ann:right').digest('base64')}`;
  await tree.write(`${chroot}/motan/g1/com.x.Echo`, '');
  await tree.create(chroot + SERVERS, '', identity);

  const watch = watchOf(openRegistry(address).registry);
  await watch.until(() => watch.troubles.length > 0);

  assert.equal(
    watch.troubles[0],
    `the nodes at ${chroot}${SERVERS} cannot be read: ${server.address} ${chroot}${SERVERS}: not permitted without credentials`,
  );
});

peerTest(
  'ten thousand nodes that come and go at once are all seen, without a pass for each',
  NEEDED,
  async (t) => {
    const { tree, chroot, address } = await own();
    await tree.write(chroot + SERVERS, '');
    const { registry } = openRegistry(address);
    const watch = watchOf(registry);
    await watch.until(() => watch.answers > 0);
    const ports = Array.from({ length: 10_000 }, (_, index) => 10_000 + index);
    const path = (port: number): string => `${chroot}${SERVERS}/127.0.0.1:${port}`;

    const beganMs = performance.now();
    await Promise.all(ports.map((port) => tree.create(path(port), node(port).toText())));
    const createdMs = performance.now();
    await watch.until(() => watch.nodes.length === ports.length, 60_000);
    const seenMs = performance.now();
    const answers = watch.answers;
    await tree.set(path(10_000), node(10_000, '&weight=7').toText());
    await watch.until(() => watch.nodes.some((one) => one.text('weight') === '7'));
    const changedMs = performance.now();
    await Promise.all(ports.map((port) => tree.delete(path(port))));
    await watch.until(() => watch.nodes.length === 0, 60_000);

    t.diagnostic(
      `created in ${Math.round(createdMs - beganMs)} ms, seen ${Math.round(seenMs - createdMs)} ms later in ${answers} answers, ` +
        `one change in ${Math.round(changedMs - seenMs)} ms, all gone in ${Math.round(performance.now() - changedMs)} ms`,
    );
    assert.ok(answers < 500, `${answers} answers`);
    assert.equal(registry.report().lastError, null);
  },
);

peerTest('fifty flaps in a row end with what was said last', NEEDED, async () => {
  const { tree, chroot, address } = await own();
  const { registry } = openRegistry(address);
  const watch = watchOf(openRegistry(address).registry);
  for (let flap = 0; flap < 50; flap += 1) {
    registry.announce(node(8001), flap % 2 === 0 ? 'unavailable' : 'available');
    if (flap % 7 === 0) assert.ok(await registry.settled(WAIT_MS));
  }

  await watch.until(() => watch.nodes.length === 1);
  assert.ok(await registry.settled(WAIT_MS));
  assert.deepEqual(await tree.names(chroot + UNAVAILABLE), []);
  assert.deepEqual(await tree.names(chroot + SERVERS), ['127.0.0.1:8001']);
});
