/**
 * The data plane as the composition root and the management API see it: swap its state, drain it, read its counters.
 * Everything that carries a call is behind this.
 */
import type { ListenerState, MeshState } from './mesh-state.js';
import type { ProviderReport } from './provider.js';

/** What discovery asks about nodes in use. An endpoint is named by the id of its refer and its own. */
export interface NodeProbe {
  /** Whether calls would be sent there now; null when there is no such endpoint. */
  isAvailable(referId: string, endpointId: string): boolean | null;
  /**
   * Asks the node for a sign of life, and tells the last one; null when there is no such endpoint. Cheap: to be called every second.
   * A node that says that it does not have the service gives none.
   */
  probe(referId: string, endpointId: string): { readonly answeredMs: number | null } | null;
}

export interface DataPlane extends NodeProbe {
  /** Swaps to `state` at once. Endpoints that are no longer named drain and close; unchanged parts are untouched. */
  apply(state: MeshState): void;
  /**
   * Opens the listeners of the applied state that are not open yet. Throws AgentError `E_PORT_BUSY` naming the listener and address.
   * @param kinds default: all
   */
  listen(kinds?: readonly ListenerState['kind'][]): Promise<void>;
  /** Resolves when every cluster, and every backend that keeps a connection, has tried its first connections once, or after `withinMs`. */
  ready(withinMs: number): Promise<void>;
  /** Stops accepting, lets what is in flight finish, at most `withinMs`; then closes. Resolves with what was left unfinished. */
  drain(withinMs: number): Promise<number>;
  report(): DataPlaneReport;
  /** Told when the backend of an exported service becomes unhealthy or healthy again. The answer ends that. */
  onExportHealth(listener: (exportId: string, isHealthy: boolean) => void): () => void;
}

export interface DataPlaneReport {
  readonly stateNumber: number;
  readonly listeners: readonly ListenerReport[];
  readonly clusters: readonly ClusterReport[];
  readonly exports: readonly ExportReport[];
  readonly calls: readonly CallStatistics[];
}

/** Always true: `in = ok + failed + shed + inFlight`. Counts since start. */
export interface ListenerReport {
  readonly name: string;
  /** `host:port` actually bound, or `unix:path`. */
  readonly address: string;
  readonly in: number;
  /** Answered with what the service said, exceptions of the service included. */
  readonly ok: number;
  /** Answered with an exception made by the agent. */
  readonly failed: number;
  /** Refused at once because a bound was reached. */
  readonly shed: number;
  readonly inFlight: number;
  readonly connections: number;
  readonly connectionsAccepted: number;
  /** Connections closed because of bytes that make no sense. */
  readonly protocolErrors: number;
  readonly heartbeats: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Times accepting paused because the process had no file descriptor left. */
  readonly acceptPauses: number;
  /** Connections closed because their reader took answers too slowly. */
  readonly slowReadersClosed: number;
}

export interface ExportReport {
  readonly id: string;
  readonly service: string;
  readonly group: string;
  /** Name of the listener that serves it. */
  readonly listener: string;
  /** Name in the table of providers. */
  readonly provider: string;
  /** False while its health check fails; true without one. */
  readonly isHealthy: boolean;
  /** What the health check found; null when all is well or none is configured. */
  readonly healthTrouble: string | null;
  readonly backend: ProviderReport;
}

export interface ClusterReport {
  readonly key: string;
  /** As `ClusterState.domain`. */
  readonly domain: string | null;
  readonly referId: string;
  readonly service: string;
  readonly group: string;
  /** False only under a degrade command. */
  readonly available: boolean;
  readonly endpoints: readonly EndpointReport[];
}

export interface EndpointReport {
  readonly id: string;
  /** `host:port` or unix path. */
  readonly address: string;
  readonly available: boolean;
  readonly connections: number;
  readonly inFlight: number;
  /** Errors in a row. */
  readonly errorCount: number;
  readonly keepaliveRunning: boolean;
  /** 0 none, 1 heartbeat, 2 provider missing: spec agent 7.7. */
  readonly keepaliveType: 0 | 1 | 2;
  /** Why it is not available, or the last trouble; null when there was none. */
  readonly lastError: string | null;
}

/** What the `metrics` and `clusterMetrics` filters counted for one method, since start. */
export interface CallStatistics {
  readonly role: 'motan-client-agent' | 'motan-server-agent';
  readonly application: string;
  /** As the request had it; `clusterMetrics` sets `scope` to `cluster`. */
  readonly group: string;
  readonly scope: 'endpoint' | 'cluster';
  readonly service: string;
  readonly method: string;
  readonly total: number;
  readonly bizErrors: number;
  readonly otherErrors: number;
  /** Over 200 ms. */
  readonly slow: number;
  readonly sumMs: number;
  /** Calls per bucket, not cumulative; one more entry than LATENCY_BUCKETS_MS for what is above the last. */
  readonly buckets: readonly number[];
}

/** Upper bounds in ms, inclusive. 50, 100, 200 and 500 are those that the peers count (spec agent 9.2). */
export const LATENCY_BUCKETS_MS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] as const;
