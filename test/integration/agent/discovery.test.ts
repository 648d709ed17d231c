/** Registry `file` and snapshots, seen from outside: what is announced is called, what is gone is not, nobody restarts. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { peony } from '../cli-programs.js';
import {
  call,
  eventually,
  fileRegistry,
  Home,
  listNode,
  refer,
  SERVICE,
  startUpstream,
} from './agent-process.js';

/** What an operator or a client may wait until a change is seen. */
const SEEN_MS_MAX = 1000;

/** A directory that two agents may share. */
function shared(home: Home): string {
  const directory = home.path('registry');
  mkdirSync(directory);
  return directory;
}

const address = (port: number): string => `127.0.0.1:${port}`;

test('a service that is announced later is called within a second, and one that is withdrawn is let go', async (t) => {
  const home = await Home.make(t);
  const directory = shared(home);
  const [first, second] = [await startUpstream(t), await startUpstream(t)];
  const agent = await home.start(t, { config: fileRegistry(directory) });
  const caller = await agent.caller(t);
  assert.deepEqual(await agent.nodes(), []);

  const file = listNode(directory, first.port);
  await eventually('the first node', async () => (await agent.nodes()).length === 1, SEEN_MS_MAX);
  assert.equal((await call(caller, 1n)).versionStatus & 7, 0);
  listNode(directory, second.port);
  await eventually('the second node', async () => (await agent.nodes()).length === 2, SEEN_MS_MAX);
  rmSync(file);
  await eventually('the first to be gone', async () => (await agent.nodes()).length === 1, SEEN_MS_MAX);

  assert.deepEqual(await agent.nodes(), [address(second.port)]);
  assert.equal((await call(caller, 2n)).versionStatus & 7, 0);
});

test('two agents that share a directory see the same nodes', async (t) => {
  const [one, other] = [await Home.make(t), await Home.make(t)];
  const directory = shared(one);
  const upstreams = [await startUpstream(t), await startUpstream(t)];
  const config = fileRegistry(directory);
  const agents = await Promise.all([one.start(t, { config }), other.start(t, { config })]);

  for (const upstream of upstreams) listNode(directory, upstream.port);

  const expected = upstreams.map((upstream) => address(upstream.port)).sort();
  for (const agent of agents) {
    await eventually('both nodes', async () => (await agent.nodes()).length === 2);
    assert.deepEqual((await agent.nodes()).sort(), expected);
  }
});

/** Proves that the running agent lives on a snapshot, and says so. */
async function assertServesFromSnapshot(
  t: TestContext,
  home: Home,
  agent: Awaited<ReturnType<Home['start']>>,
) {
  const { clusters } = await agent.status();
  assert.deepEqual(
    clusters.map((cluster) => cluster.source),
    ['snapshot'],
  );
  assert.equal((await call(await agent.caller(t), 1n)).versionStatus & 7, 0);
  const { stdout } = await peony(['status', '--mport', `${home.managementPort}`]);
  assert.match(stdout, /com\.weibo\.HelloService +g1 +1 of 1 available, from the snapshot/);
}

test('a start without the registry directory serves what an earlier run has seen', async (t) => {
  const home = await Home.make(t);
  const directory = shared(home);
  const upstream = await startUpstream(t);
  listNode(directory, upstream.port);
  const config = fileRegistry(directory);
  const first = await home.start(t, { config });
  await eventually('the node', async () => (await first.nodes()).length === 1);
  assert.equal(await first.stop(), 0);
  rmSync(directory, { recursive: true });

  const second = await home.start(t, { config });

  await assertServesFromSnapshot(t, home, second);
});

test('a start with a registry that is down serves from a snapshot of the peers, and says why', async (t) => {
  const home = await Home.make(t);
  const upstream = await startUpstream(t);
  mkdirSync(home.path('snapshot'));
  const nodes = [{ extInfo: '', address: address(upstream.port) }];
  writeFileSync(
    home.path('snapshot', `g1_${SERVICE}`),
    JSON.stringify({ group: 'g1', path: SERVICE, nodes }),
  );
  const config = {
    'motan-registry': { zk: { protocol: 'zookeeper', host: '127.0.0.1', port: 1 } },
    'motan-refer': { hello: refer({ registry: 'zk' }) },
  };

  const agent = await home.start(t, { config });

  await assertServesFromSnapshot(t, home, agent);
  const { registries } = await agent.status();
  assert.match(registries[0]!.lastError ?? '', /^127\.0\.0\.1:1: .*ECONNREFUSED/);
  const { stdout } = await peony(['status', '--mport', `${home.managementPort}`]);
  assert.match(stdout, /zk +zookeeper .*ECONNREFUSED/);
});

test('snapshots are written in the layout that clients read', async (t) => {
  const home = await Home.make(t);
  const directory = shared(home);
  const upstream = await startUpstream(t);
  listNode(directory, upstream.port);
  const agent = await home.start(t, { config: fileRegistry(directory) });

  await agent.stop();

  assert.deepEqual(JSON.parse(home.read('snapshot', `g1_${SERVICE}`)), {
    group: 'g1',
    path: SERVICE,
    nodes: [{ extInfo: '', address: address(upstream.port) }],
  });
});
