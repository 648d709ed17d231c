import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallStatistics, DataPlaneReport, EndpointReport } from '../../../src/core/index.js';
import { type MetricSources, Metrics } from '../../../src/telemetry/metrics.js';

const LISTENER = {
  name: 'forward',
  address: '127.0.0.1:1',
  in: 10,
  ok: 6,
  failed: 2,
  shed: 1,
  inFlight: 1,
  connections: 3,
  connectionsAccepted: 4,
  protocolErrors: 5,
  heartbeats: 0,
  bytesIn: 0,
  bytesOut: 0,
  acceptPauses: 0,
  slowReadersClosed: 0,
};
const CALL: CallStatistics = {
  role: 'motan-client-agent',
  application: 'app',
  group: 'g',
  scope: 'cluster',
  service: 's',
  method: 'm',
  total: 6,
  bizErrors: 1,
  otherErrors: 2,
  slow: 1,
  sumMs: 12_500,
  buckets: [1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1],
};
const ENDPOINT: EndpointReport = {
  id: 'e',
  address: '10.0.0.1:80',
  available: true,
  connections: 1,
  inFlight: 2,
  errorCount: 0,
  keepaliveRunning: false,
  keepaliveType: 0,
  lastError: null,
};

function sources(report: Partial<DataPlaneReport>): MetricSources {
  const full: DataPlaneReport = {
    stateNumber: 4,
    listeners: [],
    clusters: [],
    exports: [],
    calls: [],
    ...report,
  };
  return {
    version: '0.1.0',
    report: () => full,
    registries: () => [],
    discovery: () => ({ stateNumber: 1, refers: [] }),
    nowMs: () => 61_000,
    problems: () => [
      {
        severity: 'error',
        code: 'x',
        key: 'a.b',
        value: null,
        message: '',
        expected: null,
        didYouMean: null,
        place: null,
        entry: 'a',
      },
      {
        severity: 'error',
        code: 'y',
        key: 'a.c',
        value: null,
        message: '',
        expected: null,
        didYouMean: null,
        place: null,
        entry: 'a',
      },
    ],
    logs: () => [{ name: 'access', target: 'x', linesDropped: 3, bytesWaiting: 0, errors: 1, trouble: null }],
    isServing: () => true,
  };
}

async function lines(report: Partial<DataPlaneReport>, bounds = {}): Promise<string[]> {
  const { text } = await new Metrics(sources(report), bounds).text();
  return text.split('\n').filter((line) => line.startsWith('peony_'));
}

function sampleOf(found: readonly string[], prefix: string): number {
  const line = found.find((one) => one.startsWith(prefix));
  assert.ok(line !== undefined, `no ${prefix}`);
  return Number(line.slice(line.lastIndexOf(' ') + 1));
}

test('the calls of a listener balance: in is ok, failed, shed and in flight', async () => {
  const found = await lines({ listeners: [LISTENER] });

  const parts = ['calls_ok_total', 'calls_failed_total', 'calls_shed_total', 'calls_in_flight'];
  const sum = parts.reduce((total, part) => total + sampleOf(found, `peony_listener_${part}{`), 0);
  assert.equal(sampleOf(found, 'peony_listener_calls_in_total{listener="forward"}'), sum);
});

test('a histogram has cumulative buckets in seconds, and its count is the last bucket', async () => {
  const found = await lines({ calls: [CALL] });

  const buckets = found.filter((line) => line.startsWith('peony_call_duration_seconds_bucket'));
  assert.deepEqual(
    buckets.map((line) => [/[,{]le="([^"]+)"/.exec(line)![1], Number(line.split(' ').at(-1))]),
    [
      ['0.0005', 1],
      ['0.001', 1],
      ['0.002', 3],
      ['0.005', 3],
      ['0.01', 3],
      ['0.02', 3],
      ['0.05', 3],
      ['0.1', 3],
      ['0.2', 3],
      ['0.5', 3],
      ['1', 3],
      ['2', 3],
      ['5', 3],
      ['10', 5],
      ['+Inf', 6],
    ],
  );
  assert.equal(sampleOf(found, 'peony_call_duration_seconds_count'), 6);
  assert.equal(sampleOf(found, 'peony_call_duration_seconds_sum'), 12.5);
});

test('names with quotes, backslashes and newlines stay inside their label', async () => {
  const found = await lines({ calls: [{ ...CALL, method: 'a"b\\c\nd' }] });

  const line = found.find((one) => one.startsWith('peony_call_slow_total'));
  assert.match(line!, /method="a\\"b\\\\c\\nd"/);
});

test('methods beyond the bound are counted together under other', async () => {
  const calls = Array.from({ length: 10 }, (_, index) => ({ ...CALL, method: `m${index}` }));

  const found = await lines({ calls }, { methodsMax: 3 });

  const counts = found.filter((line) => line.startsWith('peony_call_duration_seconds_count'));
  assert.equal(counts.length, 4);
  assert.equal(
    Number(
      counts
        .find((line) => line.includes('method="other"'))!
        .split(' ')
        .at(-1),
    ),
    42,
  );
});

test('services beyond the bound of series are counted together', async () => {
  const calls = Array.from({ length: 50 }, (_, index) => ({ ...CALL, service: `s${index}` }));

  const found = await lines({ calls }, { callSeriesMax: 5 });

  const counts = found.filter((line) => line.startsWith('peony_call_duration_seconds_count'));
  assert.equal(counts.length, 6);
  assert.equal(
    counts.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0),
    300,
  );
});

test('endpoints beyond the bound are counted together, and no series appears twice', async () => {
  const endpoints = Array.from({ length: 10 }, (_, index) => ({
    ...ENDPOINT,
    address: `10.0.0.${index >> 1}:80`,
  }));
  const cluster = {
    key: 'k',
    domain: null,
    referId: 'r',
    service: 's',
    group: 'g',
    available: true,
    endpoints,
  };

  const found = await lines({ clusters: [cluster] }, { endpointsMax: 2 });

  const samples = found.filter((line) => line.startsWith('peony_endpoint_available{'));
  assert.equal(samples.length, 3);
  assert.equal(
    samples.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0),
    10,
  );
  assert.equal(
    sampleOf(found, 'peony_cluster_endpoints{cluster="k",service="s",group="g",state="available"}'),
    10,
  );
});

test('an exported service has its backend, queue and refusals', async () => {
  const backend = {
    backend: 'unix:/run/php.sock',
    inFlight: 2,
    queued: 1,
    refused: 7,
    connections: 2,
    connectionsMax: 5,
    lastError: null,
    details: { 'active processes': 2, start: 'now' },
  };
  const exported = { id: 'e', service: 's', group: 'g', listener: 'export:1', provider: 'cgi' };

  const found = await lines({ exports: [{ ...exported, isHealthy: false, healthTrouble: 'x', backend }] });

  const labels = '{service="s",group="g",listener="export:1",provider="cgi"}';
  assert.equal(sampleOf(found, `peony_export_healthy${labels}`), 0);
  assert.equal(sampleOf(found, `peony_backend_calls_in_flight${labels}`), 2);
  assert.equal(sampleOf(found, `peony_backend_calls_queued${labels}`), 1);
  assert.equal(sampleOf(found, `peony_backend_calls_refused_total${labels}`), 7);
  assert.equal(sampleOf(found, `peony_backend_connections_max${labels}`), 5);
  const fact =
    'peony_backend_fact{service="s",group="g",listener="export:1",provider="cgi",fact="active processes"}';
  assert.equal(sampleOf(found, fact), 2);
});

test('a quarantined entry counts once however much is wrong with it', async () => {
  const found = await lines({});

  assert.equal(sampleOf(found, 'peony_quarantined_entries '), 1);
  assert.equal(sampleOf(found, 'peony_log_lines_dropped_total{log="access"}'), 3);
  assert.equal(sampleOf(found, 'peony_serving '), 1);
});

test('the process itself is measured too', async () => {
  const { text, contentType } = await new Metrics(sources({})).text();

  assert.match(text, /^process_resident_memory_bytes \d+/m);
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
});

test('a registry tells the age of its contact and what is announced and true', async () => {
  const node = (seen: 'available' | 'absent') => ({ node: 'n', desired: 'available', seen }) as const;
  const registry = {
    id: 'zk',
    protocol: 'zookeeper',
    address: '',
    lastContactMs: 60_000,
    lastError: null,
    announced: [node('available'), node('absent')],
    subscribed: [{ service: 's', group: 'g', nodes: 1 }],
  };
  const silent = { ...registry, id: 'silent', lastContactMs: null, lastError: 'down' };
  const { text } = await new Metrics({ ...sources({}), registries: () => [registry, silent] }).text();

  assert.match(text, /^peony_registry_contact_age_seconds\{registry="zk"\} 1$/m);
  assert.doesNotMatch(text, /^peony_registry_contact_age_seconds\{registry="silent"\}/m);
  assert.match(text, /^peony_registry_trouble\{registry="silent"\} 1$/m);
  assert.match(text, /^peony_registry_announced\{registry="zk"\} 2$/m);
  assert.match(text, /^peony_registry_announced_true\{registry="zk"\} 1$/m);
  assert.match(text, /^peony_registry_watched\{registry="zk"\} 1$/m);
});

test('held nodes and the age of a snapshot are told for the refers that have them', async () => {
  const held = { node: 'n', sinceMs: 1, why: 'loss', probe: 'answers' } as const;
  const asked = {
    id: 'zk',
    group: 'g',
    nodes: 2,
    held: [held, held],
    priority: 0,
    isHeard: true,
    trouble: null,
  };
  const refer = {
    id: 'r',
    key: 'k',
    service: 's',
    group: 'g',
    source: 'registry',
    endpoints: 2,
    snapshotFile: null,
    snapshotSavedAtMs: null,
    registries: [asked],
  } as const;
  const old = { ...refer, key: 'old', registries: [], snapshotSavedAtMs: 1_000 };
  const discovery = () => ({ stateNumber: 1, refers: [refer, old] });
  const { text } = await new Metrics({ ...sources({}), discovery }).text();

  assert.deepEqual(text.match(/^peony_discovery_held_nodes\{.*$/gm), [
    'peony_discovery_held_nodes{cluster="k",service="s",group="g"} 2',
  ]);
  assert.deepEqual(text.match(/^peony_snapshot_age_seconds\{.*$/gm), [
    'peony_snapshot_age_seconds{cluster="old",service="s",group="g"} 60',
  ]);
});
