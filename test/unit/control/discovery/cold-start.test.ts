import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Discovery } from '../../../../src/control/discovery/index.js';
import { createRegistries, SnapshotFiles } from '../../../../src/control/registry/index.js';
import { type AgentConfig, MeshUrl, silentLogger } from '../../../../src/core/index.js';
import { realClock, removeDirectory, temporaryDirectory } from '../../../support/registry-deps.js';

const NODE = MeshUrl.parse('motan2://127.0.0.1:8001/com.x.Echo?group=g1&weight=3');

/** Discovery, registry and snapshots as the agent has them, with the registry entry as written. */
async function agent(t: TestContext, directory: string, registryUrl: string) {
  const config = {
    agent: { application: 'app', idc: '', hold: { lossPercent: 50, holdMs: 0, silenceMs: 15_000 } },
    registries: new Map([['r1', { id: 'r1', url: MeshUrl.parse(registryUrl), place: null }]]),
    refers: [
      { id: 'echo', url: MeshUrl.parse('motan2://:0/com.x.Echo?group=g1'), registryIds: ['r1'], place: null },
    ],
    services: [],
    httpClients: [],
    httpLocations: new Map(),
    httpServices: new Map(),
    serviceSchemas: new Map(),
    directRpc: [],
    problems: [],
  } as unknown as AgentConfig;
  const deps = { clock: realClock, logger: silentLogger };
  const registries = createRegistries(config, {
    ...deps,
    random: Math.random,
    defaultDirectory: path.join(directory, 'registry'),
  });
  const snapshots = new SnapshotFiles({ ...deps, directory: path.join(directory, 'snapshot') });
  const discovery = new Discovery({
    ...deps,
    config,
    registries,
    snapshots,
    localIp: '127.0.0.1',
  });
  const stop = async (): Promise<void> => {
    await discovery.close();
    for (const registry of registries.values()) await registry.close();
    await snapshots.close();
  };
  t.after(stop);
  return { discovery, registry: registries.get('r1')!, stop };
}

test('a node of the file registry reaches the state, and a later start without the registry', async (t) => {
  const directory = await temporaryDirectory();
  t.after(() => removeDirectory(directory));
  const first = await agent(t, directory, 'file://:0/');
  first.registry.announce(NODE, 'available');
  await first.registry.settled(5000);
  first.discovery.start();
  await first.discovery.whenSettled(5000);
  const before = first.discovery.state.clusters[0]!;
  await first.stop();

  const second = await agent(t, directory, 'zookeeper://127.0.0.1:1/');
  second.discovery.start();
  await second.discovery.whenSettled(5000);
  const after = second.discovery.state.clusters[0]!;

  assert.equal(before.source, 'registry');
  assert.equal(after.source, 'snapshot');
  assert.ok(after.snapshotSavedAtMs !== undefined && after.snapshotSavedAtMs <= Date.now());
  assert.deepEqual(after.endpoints, before.endpoints);
  assert.deepEqual(after.endpoints[0]!.node, NODE);
});
