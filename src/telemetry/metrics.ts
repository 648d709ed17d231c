/**
 * `/metrics` for Prometheus. The hot path increments plain numbers of its own; they are read when somebody asks.
 *
 * Every metric is made of a function that lists its samples: prom-client has no setter for counters and histogram
 * buckets. The number of series is bounded: what is beyond a bound is summed under the label value `other`, in the order
 * of the report, so that a series that has its own name keeps it.
 */
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import {
  backgroundFailures,
  type CallStatistics,
  type ClusterReport,
  type DataPlaneReport,
  type DiscoveryReport,
  type EndpointReport,
  type ExportReport,
  LATENCY_BUCKETS_MS,
  type ListenerReport,
  type LogReport,
  type Problem,
  type ReferReport,
  type RegistryReport,
} from '../core/index.js';

export interface MetricSources {
  report(): DataPlaneReport;
  registries(): readonly RegistryReport[];
  discovery(): DiscoveryReport;
  /** On the wall. */
  nowMs(): number;
  /** What is wrong with the configuration. */
  problems(): readonly Problem[];
  logs(): readonly LogReport[];
  isServing(): boolean;
  readonly version: string;
}

export interface MetricBounds {
  /** Methods of one service and group with a series of their own; default 100. */
  readonly methodsMax: number;
  /** Call series in all; default 2,000: each is 17 lines. */
  readonly callSeriesMax: number;
  /** Endpoints with series of their own; default 2,000. */
  readonly endpointsMax: number;
}

interface Sample {
  readonly metricName?: string;
  readonly labels: Record<string, string>;
  readonly value: number;
}

type Kind = 'counter' | 'gauge' | 'histogram';

const BOUNDS: MetricBounds = { methodsMax: 100, callSeriesMax: 2_000, endpointsMax: 2_000 };
/** The label value that everything beyond a bound is counted under. */
const OTHER = 'other';
const SECONDS_PER_MS = 0.001;
/** Upper bounds as Prometheus writes them: seconds. */
const LE_TEXTS = [...LATENCY_BUCKETS_MS.map((ms) => String(ms / 1000)), '+Inf'];

const LISTENER_COUNTERS = [
  ['peony_listener_calls_in_total', 'Calls received; always ok + failed + shed + in flight', 'in'],
  ['peony_listener_calls_ok_total', 'Calls answered with what the service said', 'ok'],
  ['peony_listener_calls_failed_total', 'Calls answered with an exception made by the agent', 'failed'],
  ['peony_listener_calls_shed_total', 'Calls refused because a bound was reached', 'shed'],
  ['peony_listener_connections_accepted_total', 'Connections accepted', 'connectionsAccepted'],
  [
    'peony_listener_protocol_errors_total',
    'Connections closed because their bytes made no sense',
    'protocolErrors',
  ],
  ['peony_listener_heartbeats_total', 'Heartbeats answered', 'heartbeats'],
  ['peony_listener_in_bytes_total', 'Bytes read', 'bytesIn'],
  ['peony_listener_out_bytes_total', 'Bytes written', 'bytesOut'],
  [
    'peony_listener_accept_pauses_total',
    'Times accepting paused for want of file descriptors',
    'acceptPauses',
  ],
  [
    'peony_listener_slow_readers_closed_total',
    'Connections closed because answers were read too slowly',
    'slowReadersClosed',
  ],
] as const satisfies readonly (readonly [string, string, keyof ListenerReport])[];

const LISTENER_GAUGES = [
  ['peony_listener_calls_in_flight', 'Calls not answered yet', 'inFlight'],
  ['peony_listener_connections', 'Open connections', 'connections'],
] as const satisfies readonly (readonly [string, string, keyof ListenerReport])[];

export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: MetricSources;
  readonly #bounds: MetricBounds;
  /** What all metrics of one answer are made of: taken once, so that they agree with each other. */
  #report: DataPlaneReport = { stateNumber: 0, listeners: [], clusters: [], exports: [], calls: [] };
  #calls: readonly CallStatistics[] = [];
  #registries: readonly RegistryReport[] = [];
  #refers: readonly ReferReport[] = [];

  constructor(sources: MetricSources, bounds: Partial<MetricBounds> = {}) {
    this.#sources = sources;
    this.#bounds = { ...BOUNDS, ...bounds };
    collectDefaultMetrics({ register: this.#registry });
    this.#addListeners();
    this.#addCalls();
    this.#addEndpoints();
    this.#addExports();
    this.#addRegistries();
    this.#addAgent();
  }

  /** What `/metrics` answers. */
  async text(): Promise<{ contentType: string; text: string }> {
    this.#report = this.#sources.report();
    this.#registries = this.#sources.registries();
    this.#refers = this.#sources.discovery().refers;
    this.#calls = foldCalls(this.#report.calls, this.#bounds);
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  /** Registers a metric whose samples are listed when somebody asks. */
  #add(name: string, help: string, type: Kind, samples: () => Sample[]): void {
    const metric = {
      name,
      help,
      // prom-client calls nothing else; a reset would not reach the counters, which are not ours.
      get: async () => ({ name, help, type, aggregator: 'sum', values: samples() }),
      reset: () => {},
    };
    this.#registry.registerMetric(metric as unknown as Metric);
  }

  #addListeners(): void {
    const add = (name: string, help: string, field: CountField, kind: Kind): void =>
      this.#add(name, help, kind, () =>
        this.#report.listeners.map((one) => ({ labels: { listener: one.name }, value: one[field] })),
      );
    for (const [name, help, field] of LISTENER_COUNTERS) add(name, help, field, 'counter');
    for (const [name, help, field] of LISTENER_GAUGES) add(name, help, field, 'gauge');
  }

  #addCalls(): void {
    const add = (name: string, help: string, field: 'bizErrors' | 'otherErrors' | 'slow'): void =>
      this.#add(name, help, 'counter', () =>
        this.#calls.map((one) => ({ labels: callLabels(one), value: one[field] })),
      );
    const name = 'peony_call_duration_seconds';
    this.#add(name, 'Duration of calls; scope endpoint counts tries, cluster counts calls', 'histogram', () =>
      this.#calls.flatMap((one) => histogram(name, callLabels(one), one)),
    );
    add(
      'peony_call_business_errors_total',
      'Calls that the service answered with an exception of its own',
      'bizErrors',
    );
    add('peony_call_other_errors_total', 'Calls that failed otherwise', 'otherErrors');
    add('peony_call_slow_total', 'Calls that took more than 200 ms', 'slow');
  }

  #addEndpoints(): void {
    const add = (name: string, help: string, measure: (endpoint: EndpointReport) => number): void =>
      this.#add(name, help, 'gauge', () => this.#endpoints(measure));
    add('peony_endpoint_available', '1 when calls are sent to the endpoint', (one) =>
      one.available ? 1 : 0,
    );
    add('peony_endpoint_calls_in_flight', 'Calls sent and not answered yet', (one) => one.inFlight);
    add('peony_endpoint_connections', 'Open connections', (one) => one.connections);
    add('peony_endpoint_errors_in_a_row', 'Failed calls since the last good one', (one) => one.errorCount);
    this.#add('peony_cluster_available', '0 only under a degrade command', 'gauge', () =>
      this.#report.clusters.map((one) => ({ labels: clusterLabels(one), value: one.available ? 1 : 0 })),
    );
    this.#add('peony_cluster_endpoints', 'Endpoints by state', 'gauge', () =>
      this.#report.clusters.flatMap((cluster) => {
        const available = cluster.endpoints.filter((one) => one.available).length;
        const labels = clusterLabels(cluster);
        return [
          { labels: { ...labels, state: 'available' }, value: available },
          { labels: { ...labels, state: 'unavailable' }, value: cluster.endpoints.length - available },
        ];
      }),
    );
  }

  #addExports(): void {
    const add = (name: string, help: string, kind: Kind, value: (one: ExportReport) => number): void =>
      this.#add(name, help, kind, () =>
        this.#report.exports.map((one) => ({ labels: exportLabels(one), value: value(one) })),
      );
    add('peony_export_healthy', '0 while the health check of the backend fails', 'gauge', (one) =>
      one.isHealthy ? 1 : 0,
    );
    add(
      'peony_backend_calls_in_flight',
      'Calls that the backend works on',
      'gauge',
      (one) => one.backend.inFlight,
    );
    add(
      'peony_backend_calls_queued',
      'Calls that wait for the backend',
      'gauge',
      (one) => one.backend.queued,
    );
    add(
      'peony_backend_calls_refused_total',
      'Calls refused because connections and queue of the backend were full',
      'counter',
      (one) => one.backend.refused,
    );
    add(
      'peony_backend_connections',
      'Open connections to the backend',
      'gauge',
      (one) => one.backend.connections,
    );
    add(
      'peony_backend_connections_max',
      'Most connections to the backend; 0 for no bound',
      'gauge',
      (one) => one.backend.connectionsMax,
    );
    this.#add('peony_backend_fact', 'What the backend tells of itself, in its own words', 'gauge', () =>
      this.#report.exports.flatMap((one) =>
        Object.entries(one.backend.details).flatMap(([fact, value]) =>
          typeof value === 'number' ? [{ labels: { ...exportLabels(one), fact }, value }] : [],
        ),
      ),
    );
  }

  #addRegistries(): void {
    const sources = this.#sources;
    const add = (name: string, help: string, value: (one: RegistryReport) => number | null): void =>
      this.#add(name, help, 'gauge', () =>
        this.#registries.flatMap((one) => sampleOf({ registry: one.id }, value(one))),
      );
    add('peony_registry_trouble', '1 while something is wrong with a registry', (one) =>
      one.lastError === null ? 0 : 1,
    );
    add('peony_registry_contact_age_seconds', 'Time since the registry last answered well', (one) =>
      secondsSince(one.lastContactMs, sources.nowMs()),
    );
    add(
      'peony_registry_announced',
      'Nodes that should be in the registry',
      ({ announced }) => announced.length,
    );
    add(
      'peony_registry_announced_true',
      'Of the announced nodes, those that are seen there as they should be',
      ({ announced }) => announced.filter(({ desired, seen }) => desired === seen).length,
    );
    add(
      'peony_registry_watched',
      'Refers whose nodes are asked of the registry',
      ({ subscribed }) => subscribed.length,
    );
    this.#add('peony_discovery_held_nodes', 'Nodes in use that a registry lost suddenly', 'gauge', () =>
      this.#refers.flatMap((refer) => {
        const held = refer.registries.reduce((sum, one) => sum + one.held.length, 0);
        return sampleOf(referLabels(refer), held === 0 ? null : held);
      }),
    );
    this.#add('peony_snapshot_age_seconds', 'Age of the snapshot whose nodes are in use', 'gauge', () =>
      this.#refers.flatMap((refer) =>
        sampleOf(referLabels(refer), secondsSince(refer.snapshotSavedAtMs, sources.nowMs())),
      ),
    );
  }

  #addAgent(): void {
    const sources = this.#sources;
    const one = (value: number): Sample[] => [{ labels: {}, value }];
    const logCounter = (
      name: string,
      help: string,
      kind: Kind,
      field: 'linesDropped' | 'errors' | 'bytesWaiting',
    ): void =>
      this.#add(name, help, kind, () =>
        sources.logs().map((log) => ({ labels: { log: log.name }, value: log[field] })),
      );

    this.#add('peony_info', 'Always 1; the version is a label', 'gauge', () => [
      { labels: { version: sources.version }, value: 1 },
    ]);
    this.#add('peony_serving', '1 at status 200, 0 at 503', 'gauge', () => one(sources.isServing() ? 1 : 0));
    this.#add('peony_mesh_state_number', 'Number of the state that the data plane runs', 'gauge', () =>
      one(this.#report.stateNumber),
    );
    this.#add(
      'peony_quarantined_entries',
      'Configuration entries that do not serve because they are wrong',
      'gauge',
      () => one(new Set(sources.problems().flatMap(quarantinedEntry)).size),
    );
    this.#add('peony_config_problems', 'Problems of the configuration by severity', 'gauge', () =>
      (['error', 'warning'] as const).map((severity) => ({
        labels: { severity },
        value: sources.problems().filter((problem) => problem.severity === severity).length,
      })),
    );
    this.#add('peony_background_task_failures_total', 'Failures of background tasks', 'counter', () =>
      [...backgroundFailures()].map(([task, value]) => ({ labels: { task }, value })),
    );
    logCounter(
      'peony_log_lines_dropped_total',
      'Log lines that could not be written',
      'counter',
      'linesDropped',
    );
    logCounter('peony_log_errors_total', 'Operations on a log file that failed', 'counter', 'errors');
    logCounter('peony_log_waiting_bytes', 'Bytes that wait for the disk', 'gauge', 'bytesWaiting');
  }

  #endpoints(measure: (endpoint: EndpointReport) => number): Sample[] {
    const samples: Sample[] = [];
    let rest = 0;
    let isFolded = false;
    // Two nodes of one cluster may have one address (registries with several entries): such values are added up.
    const seen = new Map<string, number>();
    for (const cluster of this.#report.clusters) {
      for (const endpoint of cluster.endpoints) {
        const key = `${cluster.key}\n${endpoint.address}`;
        const at = seen.get(key);
        if (at !== undefined) {
          const sample = samples[at]!;
          samples[at] = { ...sample, value: sample.value + measure(endpoint) };
        } else if (samples.length < this.#bounds.endpointsMax) {
          seen.set(key, samples.length);
          samples.push({
            labels: { ...clusterLabels(cluster), address: endpoint.address },
            value: measure(endpoint),
          });
        } else {
          isFolded = true;
          rest += measure(endpoint);
        }
      }
    }
    if (isFolded)
      samples.push({ labels: { cluster: OTHER, service: OTHER, group: OTHER, address: OTHER }, value: rest });
    return samples;
  }
}

type CountField = (typeof LISTENER_COUNTERS)[number][2] | (typeof LISTENER_GAUGES)[number][2];

function callLabels(call: CallStatistics): Record<string, string> {
  const { role, application, group, scope, service, method } = call;
  return { role, application, group, scope, service, method };
}

function clusterLabels(cluster: ClusterReport): Record<string, string> {
  return { cluster: cluster.key, service: cluster.service, group: cluster.group };
}

function referLabels({ key, service, group }: ReferReport): Record<string, string> {
  return { cluster: key, service, group };
}

/** Null: there is nothing to tell. */
function sampleOf(labels: Record<string, string>, value: number | null): Sample[] {
  return value === null ? [] : [{ labels, value }];
}

function secondsSince(thenMs: number | null, nowMs: number): number | null {
  return thenMs === null ? null : Math.max(0, nowMs - thenMs) * SECONDS_PER_MS;
}

function quarantinedEntry(problem: Problem): string[] {
  return problem.severity === 'error' && problem.entry !== null ? [problem.entry] : [];
}

/** The calls, with those beyond the bounds folded into `other`. */
function foldCalls(calls: readonly CallStatistics[], bounds: MetricBounds): CallStatistics[] {
  const { methodsMax, callSeriesMax } = bounds;
  const methodCounts = new Map<string, number>();
  const series = new Map<string, CallStatistics>();
  for (const given of calls) {
    const owner = [given.role, given.application, given.group, given.scope, given.service].join('\n');
    const methods = (methodCounts.get(owner) ?? 0) + 1;
    methodCounts.set(owner, methods);
    let own = given;
    if (methods > methodsMax) own = { ...given, method: OTHER };
    if (series.size >= callSeriesMax && !series.has(`${owner}\n${own.method}`)) {
      own = { ...given, application: OTHER, group: OTHER, service: OTHER, method: OTHER };
    }
    const key = [own.role, own.application, own.group, own.scope, own.service, own.method].join('\n');
    const before = series.get(key);
    series.set(key, before === undefined ? own : sum(before, own));
  }
  return [...series.values()];
}

function exportLabels({ service, group, listener, provider }: ExportReport): Record<string, string> {
  return { service, group, listener, provider };
}

/** Cumulative buckets, sum and count: what Prometheus calls a histogram. */
function histogram(name: string, labels: Record<string, string>, call: CallStatistics): Sample[] {
  const samples: Sample[] = [];
  let below = 0;
  for (const [index, le] of LE_TEXTS.entries()) {
    below += call.buckets[index] ?? 0;
    samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: below });
  }
  samples.push({ metricName: `${name}_sum`, labels, value: call.sumMs * SECONDS_PER_MS });
  // Not `total`: the count must equal the last bucket, or rates over the histogram are wrong.
  samples.push({ metricName: `${name}_count`, labels, value: below });
  return samples;
}

function sum(a: CallStatistics, b: CallStatistics): CallStatistics {
  return {
    ...a,
    total: a.total + b.total,
    bizErrors: a.bizErrors + b.bizErrors,
    otherErrors: a.otherErrors + b.otherErrors,
    slow: a.slow + b.slow,
    sumMs: a.sumMs + b.sumMs,
    buckets: a.buckets.map((count, index) => count + (b.buckets[index] ?? 0)),
  };
}
