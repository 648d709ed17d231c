/**
 * The contracts inside a cluster: the caller of one node, the choice among them, and what to do when a try fails.
 */
import type { Call } from './call.js';
import type { EndpointReport } from './data-plane.js';
import type { ClusterState, EndpointState } from './mesh-state.js';
import type { Reply } from './reply.js';

/** The caller of one remote node. */
export interface Endpoint {
  readonly id: string;
  /** `host:port`, as logs and the `x-forwarded-for` of answers have it. */
  readonly address: string;
  readonly group: string;
  /** False while nobody should choose it: not connected, too many errors in a row, or closing. */
  readonly isAvailable: boolean;
  /**
   * Worth a try when nobody is available: its first try to connect has not ended, or it was connected and lost that. A call
   * that is started waits for the next connection, or learns at once that there is none.
   */
  readonly isLastResort: boolean;
  readonly inFlight: number;
  /**
   * Takes over other parameters of the same node, under the same refer, without touching its connections. False when that
   * cannot be done: then nothing has changed.
   */
  update(cluster: ClusterState, endpoint: EndpointState): boolean;
  /** As `NodeProbe.probe`: monotonic ms of the last sign of life. */
  probe(): number | null;
  /** Starts one try. `observer` is told exactly once, possibly before this returns. */
  start(call: Call, observer: AttemptObserver): void;
  /**
   * Takes no new calls, finishes those begun, then closes its connections. What is left after `withinMs` fails.
   * @param withinMs default: a little more than the longest timeout
   */
  close(withinMs?: number): void;
  /** Resolves when the first try to connect has ended, well or not. */
  whenTried(): Promise<void>;
  report(): EndpointReport;
}

export interface AttemptObserver {
  onAttemptDone(call: Call, reply: Reply, endpoint: Endpoint): void;
}

export type EndpointFactory = (cluster: ClusterState, endpoint: EndpointState) => Endpoint;

/** Chooses among the endpoints of a cluster. `refresh` gives the list, shuffled, whenever it changes. */
export interface LoadBalancer {
  refresh(endpoints: readonly Endpoint[]): void;
  /** An available endpoint, else a last resort, or null when there is neither. */
  pick(call: Call): Endpoint | null;
}

/** Decides about tries: how many, where, and which reply is the answer. */
export interface HighAvailability {
  /** Begins the call. The observer given at creation is told exactly once. */
  begin(call: Call): void;
}

export interface CallObserver {
  onCallDone(call: Call, reply: Reply): void;
}
