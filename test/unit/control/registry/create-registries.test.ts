import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRegistries, registries } from '../../../../src/control/registry/index.js';
import { MeshUrl, type Registry, type RegistryConfig } from '../../../../src/core/index.js';
import { Watch } from '../../../support/registry-contract.js';
import { RecordingLogger, realClock } from '../../../support/registry-deps.js';

const REFER = MeshUrl.parse('motan2://:0/com.x.Echo?group=g1&requestTimeout=5');

function create(entries: Record<string, string>, logger = new RecordingLogger()): Map<string, Registry> {
  const configs = Object.entries(entries).map(([id, url]): [string, RegistryConfig] => [
    id,
    { id, url: MeshUrl.parse(url), place: null },
  ]);
  return createRegistries(
    { registries: new Map(configs) },
    { clock: realClock, logger, random: Math.random, defaultDirectory: '' },
  );
}

async function nodesOf(registry: Registry): Promise<readonly MeshUrl[]> {
  const watch = new Watch();
  registry.subscribe(REFER, watch);
  await watch.until(() => watch.answers > 0);
  return watch.nodes;
}

test('the table names what is built in', () => {
  assert.deepEqual(Object.keys(registries), [
    'direct',
    'local',
    'file',
    'zookeeper',
    'consul',
    'redis',
    'mesh',
  ]);
});

test('entries with one address share one registry, entries with another address do not', () => {
  const made = create({
    a: 'direct://:0/?address=h1:1,h2:2',
    b: 'direct://:0/?address=h1:1,h2:2',
    c: 'direct://:0/?address=h3:3',
    d: 'direct://:0/?address=h1:1,h2:2&group=g2',
  });

  assert.equal(made.get('a'), made.get('b'));
  assert.equal(new Set(made.values()).size, 3);
});

test('file entries that name one directory differently share one registry', async () => {
  const made = create({ a: 'file://:0/some/where', b: 'file://:0/?path=some/../some/where' });

  assert.equal(made.get('a'), made.get('b'));
  await made.get('a')!.close();
});

test('zk is another name of zookeeper', async (t) => {
  const made = create({ a: 'zk://127.0.0.1:1/', b: 'zookeeper://127.0.0.1:1/' });
  t.after(() => made.get('a')!.close());

  assert.equal(made.get('a'), made.get('b'));
});

test('a registry that cannot be had never settles an announcement', async () => {
  const registry = create({ r: 'etcd://h:1/' }).get('r')!;
  const node = MeshUrl.parse('motan2://h:1/com.x.Echo?group=g1');

  registry.announce(node, 'available');
  const isSettled = await registry.settled(1000);
  const { announced } = registry.report();
  registry.withdraw(node);

  assert.equal(isSettled, false);
  assert.deepEqual(announced, [{ node: node.toText(), desired: 'available', seen: 'absent' }]);
  assert.equal(await registry.settled(1000), true);
});

test('a protocol that nobody knows and values that make no sense cost only their entry', async () => {
  const made = create({ a: 'zookeper://h:1/', b: 'file://:0/', c: 'direct://h:1/' });

  assert.equal(made.get('a')!.report().lastError, 'registry protocol "zookeper" is not known');
  assert.match(made.get('b')!.report().lastError ?? '', /motan-registry\.b: .*path is empty/);
  assert.equal((await nodesOf(made.get('c')!)).length, 1);
});

test('direct gives the refer with host and port, and shares its parameters', async () => {
  const [node] = await nodesOf(create({ r: 'direct://10.0.0.1:8100/?address=10.0.0.2:1' }).get('r')!);

  assert.equal(node!.toText(), 'motan2://10.0.0.1:8100/com.x.Echo?group=g1&requestTimeout=5');
  assert.equal(node!.parameters, REFER.parameters);
});

test('direct takes a list of addresses, unix sockets among them, and a group for all', async () => {
  const text = 'direct://:0/?address= 10.0.0.1:1 ,unix:///run/a.sock,,[::1]:2&group=g9';
  const nodes = await nodesOf(create({ r: text }).get('r')!);

  assert.deepEqual(
    nodes.map(({ host, port, group }) => [host, port, group]),
    [
      ['10.0.0.1', 1, 'g9'],
      ['unix:///run/a.sock', 0, 'g9'],
      ['[::1]', 2, 'g9'],
    ],
  );
});

test('direct leaves out what is no address, and names it', async () => {
  const registry = create({ r: 'direct://:0/?address=h1:1,h2,h3:0,h4:70000,:5,unix://' }).get('r')!;

  assert.equal((await nodesOf(registry)).length, 1);
  assert.match(
    registry.report().lastError ?? '',
    /motan-registry\.r\.address: "h2", "h3:0", "h4:70000", ":5", "unix:\/\/"/,
  );
});

test('direct without any address is trouble', async () => {
  const watch = new Watch();

  create({ r: 'direct://:0/' }).get('r')!.subscribe(REFER, watch);
  await watch.until(() => watch.troubles.length > 0);

  assert.match(watch.troubles[0]!, /motan-registry\.r: no address given/);
});

test('local gives one node of protocol local', async () => {
  const nodes = await nodesOf(create({ r: 'local://:0/' }).get('r')!);

  assert.deepEqual(nodes, [REFER.with({ protocol: 'local' })]);
});
