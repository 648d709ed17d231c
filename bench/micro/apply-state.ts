/**
 * DataPlane.apply with 5,000 refers of four nodes each, when one node of one refer is another. Nodes are lazy, so
 * nothing is connected and nobody needs to listen there.
 *
 *   node --import tsx bench/micro/apply-state.ts [--json]
 *
 * With --json the last line is { startMs, applyMs, applyMsMax }.
 */
import { type ClusterState, type MeshState, MeshUrl, silentLogger } from '../../src/core/index.js';
import { createDataPlane } from '../../src/data/index.js';
import { HTTP_SETTINGS } from '../../test/support/plane.js';
import { spread } from './support.js';

const REFERS = 5000;
const NODES_PER_REFER = 4;
const CHANGES = 200;

const plane = await createDataPlane({
  clock: { nowMs: () => performance.now(), wallMs: () => Date.now() },
  random: Math.random,
  logger: silentLogger,
  accessLog: { enabled: false, write: (chunk, _lines, release) => release(chunk) },
  isAccessLogStructured: false,
  descriptorsMax: 1024,
  http: HTTP_SETTINGS,
  ownAddresses: [],
  managementPort: () => 0,
});

let state = firstState();
const startMs = timeMs(() => plane.apply(state));
const changesMs = Array.from({ length: CHANGES }, (_, index) => {
  state = withOtherNode(state, (index * 7919) % REFERS, index);
  return timeMs(() => plane.apply(state));
});
await plane.drain(0);

const { middle, high } = spread(changesMs);
console.log(
  `  first state: ${startMs.toFixed(0)} ms; a change of one node: ${middle.toFixed(3)} ms, at most ${high.toFixed(3)} ms`,
);
if (process.argv.includes('--json'))
  console.log(JSON.stringify({ startMs, applyMs: middle, applyMsMax: high }));

function firstState(): MeshState {
  return {
    number: 1,
    createdAtMs: 0,
    cause: 'start',
    application: 'bench',
    localIp: '127.0.0.1',
    listeners: [],
    clusters: Array.from({ length: REFERS }, (_, index) => cluster(index)),
    exports: [],
    httpDomains: [],
    schemas: new Map(),
    quarantined: [],
  };
}

function cluster(index: number): ClusterState {
  const parameters = new Map([
    ['filter', 'accessLog,metrics'],
    ['lazyInit', 'true'],
  ]);
  const path = `com.example.scale.Service${index}`;
  const url = new MeshUrl({ protocol: 'motan2', host: '', port: 0, path, group: 'bench-group', parameters });
  return {
    key: `bench-group_1.0_motan2_${path}`,
    referId: `refer-${index}`,
    url,
    endpoints: Array.from({ length: NODES_PER_REFER }, (_, node) => endpoint(url, 20_000 + node)),
    source: 'registry',
    domain: null,
  };
}

function endpoint(refer: MeshUrl, port: number): ClusterState['endpoints'][number] {
  const node = refer.with({ host: '127.0.0.1', port });
  return { id: node.identity, node };
}

/** What the control plane publishes when a registry names another node: all that did not change is shared. */
function withOtherNode(before: MeshState, at: number, change: number): MeshState {
  const old = before.clusters[at]!;
  const endpoints = [endpoint(old.url, 30_000 + change), ...old.endpoints.slice(1)];
  const clusters = before.clusters.with(at, { ...old, endpoints });
  return { ...before, number: before.number + 1, cause: 'a node is another', clusters };
}

function timeMs(work: () => void): number {
  const startedMs = performance.now();
  work();
  return performance.now() - startedMs;
}
