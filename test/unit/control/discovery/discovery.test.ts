import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Discovery, type DiscoveryOptions } from '../../../../src/control/discovery/index.js';
import {
  type AgentConfig,
  type DirectRpcRule,
  type MeshState,
  MeshUrl,
  type NodeProbe,
  type Problem,
  type ReferConfig,
  type Snapshot,
  type SnapshotStore,
  silentLogger,
} from '../../../../src/core/index.js';
import { until } from '../../../support/clock.js';
import { FakeRegistry } from '../../../support/fake-registry.js';
import { realClock } from '../../../support/registry-deps.js';

const FOREVER_MS = 1_000_000;
const HOLD = { lossPercent: 50, holdMs: 0, silenceMs: 15_000 };

interface Given {
  readonly refers?: readonly ReferConfig[];
  readonly idc?: string;
  readonly directRpc?: readonly DirectRpcRule[];
  readonly problems?: readonly Problem[];
}

function configOf({ refers = [refer('echo')], idc = '', directRpc = [], problems = [] }: Given): AgentConfig {
  const config: Partial<AgentConfig> = {
    agent: { application: 'app', idc, hold: HOLD } as AgentConfig['agent'],
    refers,
    services: [],
    httpClients: [],
    httpLocations: new Map(),
    httpServices: new Map(),
    serviceSchemas: new Map(),
    directRpc,
    problems,
  };
  return config as AgentConfig;
}

function refer(id: string, url = 'motan2://:0/com.x.Echo?group=g1', registryIds = ['r1']): ReferConfig {
  return { id, url: MeshUrl.parse(url), registryIds, place: null };
}

function node(port: number, more = ''): MeshUrl {
  return MeshUrl.parse(`motan2://10.0.0.1:${port}/com.x.Echo?group=g1${more}`);
}

class FakeSnapshots implements SnapshotStore {
  readonly saved = new Map<string, readonly MeshUrl[]>();
  readonly stored = new Map<string, Snapshot>();
  loads = 0;

  save(group: string, path: string, nodes: readonly MeshUrl[]): void {
    this.saved.set(`${group} ${path}`, nodes);
  }

  async load(url: MeshUrl): Promise<Snapshot | null> {
    this.loads += 1;
    return this.stored.get(`${url.group} ${url.path}`) ?? null;
  }
}

interface Bench {
  readonly discovery: Discovery;
  readonly r1: FakeRegistry;
  readonly r2: FakeRegistry;
  readonly snapshots: FakeSnapshots;
  readonly states: MeshState[];
  /** The next state that is published. */
  next(): Promise<MeshState>;
}

function bench(t: TestContext, given: Given, options: Partial<DiscoveryOptions> = {}): Bench {
  const r1 = new FakeRegistry('r1');
  const r2 = new FakeRegistry('r2');
  const snapshots = new FakeSnapshots();
  const discovery = new Discovery({
    config: configOf(given),
    registries: new Map([
      ['r1', r1],
      ['r2', r2],
    ]),
    snapshots,
    clock: realClock,
    logger: silentLogger,
    localIp: '10.1.1.1',
    snapshotAfterMs: FOREVER_MS,
    ...options,
  });
  const states: MeshState[] = [];
  discovery.onState((state) => states.push(state));
  t.after(() => discovery.close());
  const next = (): Promise<MeshState> =>
    new Promise((resolve) => {
      const end = discovery.onState((state) => {
        end();
        resolve(state);
      });
    });
  return { discovery, r1, r2, snapshots, states, next };
}

const ports = (state: MeshState, index = 0): number[] =>
  state.clusters[index]!.endpoints.map((endpoint) => endpoint.node.port);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test('the first state has every cluster and the quarantined entries', (t) => {
  const problem = { entry: 'motan-refer.bad', severity: 'error' } as Problem;
  const warning = { entry: null, severity: 'warning' } as Problem;
  const { discovery } = bench(t, { problems: [problem, warning] });

  const { state } = discovery;

  assert.equal(state.number, 1);
  assert.equal(state.cause, 'start');
  assert.equal(state.application, 'app');
  assert.equal(state.localIp, '10.1.1.1');
  assert.deepEqual(state.quarantined, [problem]);
  assert.equal(state.clusters[0]!.key, 'g1_1.0_motan2_com.x.Echo');
  assert.equal(state.clusters[0]!.source, 'none');
});

test('an answer becomes the next state with its cause', async (t) => {
  const { discovery, r1, next } = bench(t, {});
  discovery.start();

  r1.tell('com.x.Echo', [node(1), node(2), node(3)]);
  const state = await next();

  assert.equal(state.number, 2);
  assert.equal(state.cause, 'registry: com.x.Echo of g1 has 3 nodes');
  assert.equal(state.clusters[0]!.source, 'registry');
  assert.deepEqual(ports(state), [1, 2, 3]);
  assert.equal(discovery.state, state);
});

test('a node that is our own forward port is left out and told of once', async (t) => {
  const errors: string[] = [];
  const logger = { ...silentLogger, error: (about: object) => void errors.push(JSON.stringify(about)) };
  const isOwnForward = (one: MeshUrl): boolean => one.port === 9981;
  const { discovery, r1, next } = bench(t, {}, { logger, isOwnForward });
  discovery.start();

  r1.tell('com.x.Echo', [node(9981), node(1)]);
  assert.deepEqual(ports(await next()), [1]);
  r1.tell('com.x.Echo', [node(9981), node(1), node(2)]);
  assert.deepEqual(ports(await next()), [1, 2]);

  assert.deepEqual(errors, ['{"refer":"echo","node":"motan2://10.0.0.1:9981/com.x.Echo?group=g1"}']);
});

test('many answers of one turn make one state', async (t) => {
  const refers = [refer('echo'), refer('two', 'motan2://:0/com.x.Two?group=g1')];
  const { discovery, r1, states } = bench(t, { refers });
  discovery.start();

  r1.tell('com.x.Echo', [node(1)]);
  r1.tell('com.x.Echo', [node(1), node(2)]);
  r1.tell('com.x.Two', [node(3).with({ path: 'com.x.Two' })]);
  await turn();

  assert.equal(states.length, 1);
  assert.equal(states[0]!.cause, 'registry: com.x.Echo of g1 has 2 nodes, and 1 more changed');
});

test('clusters and endpoints that did not change stay the same objects', async (t) => {
  const refers = [refer('echo'), refer('two', 'motan2://:0/com.x.Two?group=g1')];
  const { discovery, r1, next } = bench(t, { refers });
  discovery.start();
  r1.tell('com.x.Echo', [node(1), node(2)]);
  r1.tell('com.x.Two', [node(3).with({ path: 'com.x.Two' })]);
  const before = await next();

  r1.tell('com.x.Echo', [node(1), node(2), node(4)]);
  const after = await next();

  assert.equal(after.clusters[1], before.clusters[1]);
  assert.equal(after.clusters[0]!.endpoints[0], before.clusters[0]!.endpoints[0]);
  assert.equal(after.clusters[0]!.endpoints[1], before.clusters[0]!.endpoints[1]);
  assert.equal(after.quarantined, before.quarantined);
});

test('an answer that says the same makes no state', async (t) => {
  const { discovery, r1, states } = bench(t, {});
  discovery.start();
  r1.tell('com.x.Echo', [node(1, '&a=1')]);
  await turn();

  r1.tell('com.x.Echo', [node(1, '&a=1')]);
  await turn();

  assert.equal(states.length, 1);
});

test('changed parameters of a node give a new endpoint with the same id', async (t) => {
  const { discovery, r1, next } = bench(t, {});
  discovery.start();
  r1.tell('com.x.Echo', [node(1, '&weight=1'), node(2)]);
  const before = (await next()).clusters[0]!;

  r1.tell('com.x.Echo', [node(1, '&weight=2'), node(2)]);
  const after = (await next()).clusters[0]!;

  assert.equal(after.endpoints[0]!.id, before.endpoints[0]!.id);
  assert.equal(after.endpoints[0]!.node.text('weight'), '2');
  assert.equal(after.endpoints[1], before.endpoints[1]);
});

test('the nodes of several registries are joined, each identity once, the first registry first', async (t) => {
  const { discovery, r1, r2, next } = bench(t, { refers: [refer('echo', undefined, ['r1', 'r2', 'r1'])] });
  discovery.start();

  r2.tell('com.x.Echo', [node(2, '&from=r2'), node(3)]);
  r1.tell('com.x.Echo', [node(1), node(2, '&from=r1'), node(1)]);
  const state = await next();

  assert.deepEqual(ports(state), [1, 2, 3]);
  assert.equal(state.clusters[0]!.endpoints[1]!.node.text('from'), 'r1');
});

test('an empty answer of the only registry is ignored', async (t) => {
  const { discovery, r1, states } = bench(t, {});
  discovery.start();
  r1.tell('com.x.Echo', [node(1)]);
  await turn();

  r1.tell('com.x.Echo', []);
  r1.tell('com.x.Echo', [node(9).with({ path: 'com.x.Other' })]);
  await turn();

  assert.equal(states.length, 1);
  assert.deepEqual(ports(discovery.state), [1]);
});

test('with several registries an empty answer drops that one, and never the last', async (t) => {
  const { discovery, r1, r2 } = bench(t, { refers: [refer('echo', undefined, ['r1', 'r2'])] });
  discovery.start();
  r1.tell('com.x.Echo', [node(1)]);
  r2.tell('com.x.Echo', [node(2)]);
  await turn();

  r1.tell('com.x.Echo', []);
  await turn();
  const withoutFirst = ports(discovery.state);
  r2.tell('com.x.Echo', []);
  await turn();

  assert.deepEqual(withoutFirst, [2]);
  assert.deepEqual(ports(discovery.state), [2]);
});

test('trouble keeps the last nodes', async (t) => {
  const { discovery, r1, states } = bench(t, {});
  discovery.start();
  r1.tell('com.x.Echo', [node(1)]);
  await turn();

  r1.trouble('connection lost');
  await turn();

  assert.equal(states.length, 1);
  assert.equal(discovery.report().refers[0]!.registries[0]!.trouble, 'connection lost');
});

test('a registry in trouble lets the refer start from its snapshot at once', async (t) => {
  const { discovery, r1, snapshots, next } = bench(t, {});
  snapshots.stored.set('g1 com.x.Echo', { nodes: [node(7)], savedAtMs: 1, file: 'f' });
  discovery.start();

  r1.trouble('down');
  const state = await next();

  assert.equal(state.clusters[0]!.source, 'snapshot');
  assert.equal(state.cause, 'snapshot: com.x.Echo of g1 has 1 node');
  assert.deepEqual(ports(state), [7]);
  assert.equal(discovery.report().refers[0]!.snapshotFile, 'f');
});

test('a silent registry lets the refer start from its snapshot after a while', async (t) => {
  const { discovery, snapshots, next } = bench(t, {}, { snapshotAfterMs: 1 });
  snapshots.stored.set('g1 com.x.Echo', { nodes: [node(7)], savedAtMs: 1, file: 'f' });

  discovery.start();
  const state = await next();

  assert.equal(state.clusters[0]!.source, 'snapshot');
  assert.equal(await discovery.whenSettled(FOREVER_MS), true);
});

test('an empty first answer does not keep the snapshot away', async (t) => {
  const { discovery, r1, snapshots, next } = bench(t, {});
  snapshots.stored.set('g1 com.x.Echo', { nodes: [node(7)], savedAtMs: 1, file: 'f' });
  discovery.start();

  r1.tell('com.x.Echo', []);
  const state = await next();

  assert.deepEqual(ports(state), [7]);
});

test('nodes of a registry replace those of a snapshot, and are never written over by them', async (t) => {
  const { discovery, r1, snapshots, next } = bench(t, {});
  snapshots.stored.set('g1 com.x.Echo', { nodes: [node(7)], savedAtMs: 1, file: 'f' });
  discovery.start();
  r1.trouble('down');
  await next();

  r1.tell('com.x.Echo', [node(1)]);
  const state = await next();

  assert.equal(state.clusters[0]!.source, 'registry');
  assert.deepEqual(ports(state), [1]);
});

test('what a registry says is saved, what comes from a snapshot is not', async (t) => {
  const { discovery, r1, snapshots, next } = bench(t, {});
  snapshots.stored.set('g1 com.x.Echo', { nodes: [node(7)], savedAtMs: 1, file: 'f' });
  discovery.start();
  r1.trouble('down');
  await next();
  const afterSnapshot = snapshots.saved.size;

  r1.tell('com.x.Echo', [node(1)]);
  await next();

  assert.equal(afterSnapshot, 0);
  assert.deepEqual([...snapshots.saved], [['g1 com.x.Echo', [node(1)]]]);
});

test('refers of one group and path are saved together', async (t) => {
  const refers = [refer('a'), refer('b', 'motan2://:0/com.x.Echo?group=g1&version=2.0')];
  const { discovery, r1, snapshots, next } = bench(t, { refers });
  discovery.start();

  r1.tell('com.x.Echo', [node(1), node(2, '&version=2.0')]);
  const state = await next();

  assert.deepEqual(ports(state, 0), [1]);
  assert.deepEqual(ports(state, 1), [2]);
  const saved = snapshots.saved.get('g1 com.x.Echo')!.map((saver) => saver.port);
  assert.deepEqual(saved, [1, 2]);
});

test('direct and local registries neither read nor write snapshots', async (t) => {
  const direct = new FakeRegistry('r1', 'direct');
  const { discovery, snapshots, next } = bench(t, {}, { registries: new Map([['r1', direct]]) });
  discovery.start();
  direct.trouble('no address');
  await turn();

  direct.tell('com.x.Echo', [node(1)]);
  await next();

  assert.equal(snapshots.loads, 0);
  assert.equal(snapshots.saved.size, 0);
});

test('settles when every refer has heard an answer or trouble', async (t) => {
  const refers = [refer('a'), refer('b', 'motan2://:0/com.x.Two?group=g1', ['r2'])];
  const { discovery, r1, r2 } = bench(t, { refers });
  discovery.start();

  r1.tell('com.x.Echo', [node(1)]);
  const early = await discovery.whenSettled(1);
  r2.trouble('down');
  const late = await discovery.whenSettled(FOREVER_MS);

  assert.equal(early, false);
  assert.equal(late, true);
});

test('is settled at once when there is nothing to wait for', async (t) => {
  const { discovery } = bench(t, { refers: [refer('lost', undefined, ['unknown'])] });
  discovery.start();

  assert.equal(await discovery.whenSettled(FOREVER_MS), true);
});

test('takes the first data centre group with nodes, and waits for the better ones', async (t) => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what configurations have
  const refers = [refer('echo', 'motan2://:0/com.x.Echo?group=rpc-${idc}')];
  const { discovery, r1, states, next } = bench(t, { refers, idc: 'Tc' });
  discovery.start();
  r1.tell('com.x.Echo', [node(3).with({ group: 'rpc-TC' })], 'rpc-TC');
  r1.tell('com.x.Echo', [], 'rpc-Tc');
  await turn();
  const early = states.length;

  r1.tell('com.x.Echo', [node(2).with({ group: 'rpc-tc' })], 'rpc-tc');
  const state = await next();

  assert.equal(early, 0);
  assert.deepEqual(ports(state), [2]);
  assert.equal(state.clusters[0]!.url.group, 'rpc-tc');
  assert.equal(state.clusters[0]!.key, 'rpc-tc_1.0_motan2_com.x.Echo');
  assert.deepEqual(
    [...r1.subscriptions].map((subscription) => subscription.refer.group),
    ['rpc-tc'],
  );
});

test('a group with a data centre stays as written without one', (t) => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what configurations have
  const group = 'rpc-${idc}';
  const { discovery, r1 } = bench(t, { refers: [refer('echo', `motan2://:0/com.x.Echo?group=${group}`)] });

  discovery.start();

  assert.deepEqual(
    [...r1.subscriptions].map((subscription) => subscription.refer.group),
    [group],
  );
});

test('direct rules replace the registries of the refers that they match', (t) => {
  const directRpc: DirectRpcRule[] = [
    {
      service: 'Echo',
      match: 'suffix',
      group: 'g9',
      addresses: ['10.0.0.9:9982', 'nonsense', 'unix:///run/a.sock'],
    },
    { service: 'com.x.', match: 'prefix', group: null, addresses: ['10.0.0.8:1'] },
  ];
  const refers = [
    refer('echo'),
    refer('two', 'motan2://:0/com.x.Two?group=g1'),
    refer('y', 'motan2://:0/com.y.Y?group=g1'),
  ];
  const { discovery, r1 } = bench(t, { refers, directRpc });

  discovery.start();
  const { clusters } = discovery.state;

  const identities = clusters.map(({ endpoints }) => endpoints.map(({ id }) => id));
  assert.deepEqual(identities, [
    ['motan2://10.0.0.9:9982/com.x.Echo?group=g9', 'motan2://unix:///run/a.sock:0/com.x.Echo?group=g9'],
    ['motan2://10.0.0.8:1/com.x.Two?group=g1'],
    [],
  ]);
  assert.deepEqual(
    [...r1.subscriptions].map((subscription) => subscription.refer.path),
    ['com.y.Y'],
  );
});

test('endpoints of direct rules share the parameters of their refer', (t) => {
  const directRpc: DirectRpcRule[] = [
    { service: 'Echo', match: 'suffix', group: null, addresses: ['10.0.0.9:1'] },
  ];
  const { discovery } = bench(t, { directRpc });

  const cluster = discovery.state.clusters[0]!;

  assert.equal(cluster.endpoints[0]!.node.parameters, cluster.url.parameters);
});

test('a reload keeps unchanged refers and their subscriptions', async (t) => {
  const { discovery, r1, next } = bench(t, {});
  discovery.start();
  r1.tell('com.x.Echo', [node(1)]);
  const before = await next();
  const [subscription] = r1.subscriptions;

  discovery.replaceRefers(
    configOf({ refers: [refer('echo'), refer('new', 'motan2://:0/com.x.New?group=g1')] }),
  );

  assert.equal(discovery.state.cause, 'reload');
  assert.equal(discovery.state.clusters[0], before.clusters[0]);
  assert.equal(discovery.state.clusters.length, 2);
  assert.equal(r1.subscriptions.has(subscription!), true);
  assert.equal(r1.subscriptions.size, 2);
});

test('a reload that changes a refer keeps its endpoints until its registries have spoken', async (t) => {
  const { discovery, r1, next } = bench(t, {});
  discovery.start();
  r1.tell('com.x.Echo', [node(1)]);
  const before = await next();

  discovery.replaceRefers(
    configOf({ refers: [refer('echo', 'motan2://:0/com.x.Echo?group=g1&requestTimeout=5')] }),
  );
  const reloaded = discovery.state.clusters[0]!;
  r1.tell('com.x.Echo', [node(2)]);
  const after = await next();

  assert.equal(reloaded.url.text('requestTimeout'), '5');
  assert.equal(reloaded.endpoints[0], before.clusters[0]!.endpoints[0]);
  assert.deepEqual(ports(after), [2]);
  assert.equal(r1.subscriptions.size, 1);
});

test('a reload lets go of removed refers', async (t) => {
  const { discovery, r1, states } = bench(t, {});
  discovery.start();

  discovery.replaceRefers(configOf({ refers: [] }));
  r1.tell('com.x.Echo', [node(1)]);
  await turn();

  assert.equal(r1.subscriptions.size, 0);
  assert.equal(states.length, 1);
  assert.deepEqual(discovery.state.clusters, []);
  assert.equal(await discovery.whenSettled(FOREVER_MS), true);
});

test('a closed discovery publishes nothing more', async (t) => {
  const { discovery, r1, states } = bench(t, {});
  discovery.start();
  r1.tell('com.x.Echo', [node(1)]);

  await discovery.close();
  await turn();

  assert.equal(states.length, 0);
  assert.equal(r1.subscriptions.size, 0);
});

/** Answers as the test says, by port: absent ones are not in the data plane. */
class FakeProbe implements NodeProbe {
  readonly answering = new Map<number, boolean>();
  asked = 0;

  isAvailable(_referId: string, endpointId: string): boolean | null {
    return this.answering.get(portOf(endpointId)) ?? null;
  }

  probe(_referId: string, endpointId: string): { answeredMs: number | null } | null {
    this.asked += 1;
    const answers = this.answering.get(portOf(endpointId));
    return answers === undefined ? null : { answeredMs: answers ? realClock.nowMs() : null };
  }

  set(answers: boolean, ...nodePorts: number[]): void {
    for (const port of nodePorts) this.answering.set(port, answers);
  }
}

const portOf = (endpointId: string): number => Number(/:(\d+)\/com/.exec(endpointId)![1]);

const SHORT_HOLD = 'motan2://:0/com.x.Echo?group=g1&discoveryHoldSilence=1';
const five = [1, 2, 3, 4, 5].map((port) => node(port));

test('a held node that answers stays, a silent one goes, and no timer runs when nothing is held', async (t) => {
  const probe = new FakeProbe();
  probe.set(true, 1, 2, 4, 5);
  probe.set(false, 3);
  const { discovery, r1, next } = bench(
    t,
    { refers: [refer('echo', SHORT_HOLD)] },
    { probe, probeEveryMs: 20 },
  );
  discovery.start();
  r1.tell('com.x.Echo', five);
  await next();

  r1.tell('com.x.Echo', five.slice(3));
  const held = ports(await next());
  const later = ports(await next());
  const probes = discovery.report().refers[0]!.registries[0]!.held.map((one) => one.probe);
  r1.tell('com.x.Echo', five.slice(0, 4));
  await next();
  const { asked } = probe;
  await new Promise((resolve) => setTimeout(resolve, 100));

  assert.deepEqual(held, [4, 5, 1, 2, 3]);
  assert.deepEqual(later, [4, 5, 1, 2]);
  assert.deepEqual(probes, ['answers', 'answers']);
  assert.ok(probe.asked - asked <= 2);
  assert.deepEqual(ports(discovery.state), [1, 2, 3, 4]);
});

test('the last nodes stay however silent they are, until an operator believes the registry', async (t) => {
  const probe = new FakeProbe();
  probe.set(false, 1, 2, 3, 4, 5);
  const { discovery, r1, states, next } = bench(
    t,
    { refers: [refer('echo', SHORT_HOLD)] },
    { probe, probeEveryMs: 20 },
  );
  discovery.start();
  r1.tell('com.x.Echo', five);
  await next();
  r1.tell('com.x.Echo', []);
  await until('they are silent for long enough', () => probe.asked > 5 * 60);
  const statesBefore = states.length;

  const elsewhere = discovery.accept('g2', null);
  const accepted = discovery.accept('g1', 'com.x.Echo');
  const state = await next();

  assert.equal(statesBefore, 1);
  assert.deepEqual([...elsewhere], []);
  assert.deepEqual([...accepted], [['echo', 5]]);
  assert.deepEqual(ports(state), []);
});

test('while all nodes are silent none goes, however long each has been held', async (t) => {
  const probe = new FakeProbe();
  probe.set(false, 1, 2, 3, 4, 5);
  const { discovery, r1, next } = bench(
    t,
    { refers: [refer('echo', SHORT_HOLD)] },
    { probe, probeEveryMs: 20 },
  );
  discovery.start();
  r1.tell('com.x.Echo', five);
  await next();
  r1.tell('com.x.Echo', five.slice(0, 1));
  await until('four are asked', () => probe.asked > 4 * 10);
  r1.tell('com.x.Echo', []);
  const { asked } = probe;
  await until('the four are silent for long enough', () => probe.asked > asked + 5 * 60);

  assert.equal(ports(discovery.state).length, 5);
  probe.set(true, 1);
  await next();
  assert.deepEqual(ports(discovery.state), [1]);
});

test('accepting a registry that says "nobody" drops the nodes of a snapshot, and they are not read again', async (t) => {
  const { discovery, r1, snapshots, next } = bench(t, {});
  snapshots.stored.set('g1 com.x.Echo', { nodes: [node(7)], savedAtMs: 1, file: 'f' });
  discovery.start();
  r1.tell('com.x.Echo', []);
  await next();

  const accepted = discovery.accept(null, null);
  const state = await next();
  await turn();

  assert.deepEqual([...accepted], [['echo', 1]]);
  assert.equal(state.clusters[0]!.source, 'none');
  assert.deepEqual(ports(discovery.state), []);
  assert.equal(snapshots.loads, 1);
});

test('accepting a registry that cannot be asked keeps the nodes of a snapshot', async (t) => {
  const { discovery, r1, snapshots, next } = bench(t, {});
  snapshots.stored.set('g1 com.x.Echo', { nodes: [node(7)], savedAtMs: 1, file: 'f' });
  discovery.start();
  r1.trouble('down');
  await next();

  assert.equal(discovery.accept(null, null).size, 0);
  await turn();

  assert.deepEqual(ports(discovery.state), [7]);
});

const PRIORITY = 'motan2://:0/com.x.Echo?group=g1&registryPriority=r2 > r1';

test('a registry of a lower priority is used while the better one has no nodes', async (t) => {
  const { discovery, r1, r2, next } = bench(t, { refers: [refer('echo', PRIORITY, ['r1', 'r2'])] });
  discovery.start();

  r1.tell('com.x.Echo', [node(1), node(2, '&from=r1')]);
  const first = ports(await next());
  r2.tell('com.x.Echo', [node(2, '&from=r2')]);
  const second = await next();
  r2.tell('com.x.Echo', []);
  const third = ports(await next());

  assert.deepEqual(first, [1, 2]);
  assert.deepEqual(ports(second), [2]);
  assert.equal(second.clusters[0]!.endpoints[0]!.node.text('from'), 'r2');
  assert.deepEqual(third, [1, 2]);
});

test('a registry of a lower priority is used as well while no node of the better one takes calls', async (t) => {
  const probe = new FakeProbe();
  const { discovery, r1, r2, next } = bench(
    t,
    { refers: [refer('echo', PRIORITY, ['r1', 'r2'])] },
    { probe, probeEveryMs: 5 },
  );
  discovery.start();
  r1.tell('com.x.Echo', [node(1), node(2, '&from=r1')]);
  r2.tell('com.x.Echo', [node(2, '&from=r2')]);

  probe.set(true, 2);
  const first = ports(await next());
  probe.set(false, 2);
  const second = await next();
  probe.set(true, 2);
  const third = ports(await next());

  assert.deepEqual(first, [2]);
  assert.deepEqual(ports(second), [2, 1]);
  assert.equal(second.clusters[0]!.endpoints[0]!.node.text('from'), 'r2');
  assert.deepEqual(third, [2]);
});

test('ten thousand nodes that all change at once make one state, and those that stay are the same objects', async (t) => {
  const { discovery, r1, next } = bench(t, {});
  const many = (offset: number, more = ''): MeshUrl[] =>
    Array.from({ length: 10_000 }, (_, index) => node(1 + offset + index, more));
  discovery.start();
  r1.tell('com.x.Echo', many(0));
  const first = await next();

  r1.tell('com.x.Echo', many(0, '&weight=2'));
  const changed = await next();
  r1.tell('com.x.Echo', [...many(0, '&weight=2').slice(1), node(20_000)]);
  const one = await next();

  assert.equal(first.clusters[0]!.endpoints.length, 10_000);
  assert.ok(
    changed.clusters[0]!.endpoints.every(({ node: { parameters } }) => parameters.get('weight') === '2'),
  );
  assert.equal(one.clusters[0]!.endpoints.length, 10_000);
  assert.ok(
    one.clusters[0]!.endpoints.slice(0, -1).every(
      (endpoint, index) => endpoint === changed.clusters[0]!.endpoints[index + 1],
    ),
  );
});
