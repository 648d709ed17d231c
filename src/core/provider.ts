/**
 * The Provider contract: the caller of one local backend, behind one exported service.
 *
 *   export listener -> export (filters) -> Provider -> PHP-FPM, HTTP server, Motan process
 */

import type { HttpServiceMethod } from './agent-config.js';
import type { Call } from './call.js';
import type { LocationMatcher } from './location.js';
import type { Reply } from './reply.js';
import type { MeshUrl } from './url.js';

export interface Provider {
  /**
   * Starts the call. `observer` is told exactly once, possibly before this returns. The call's bytes are a view unless
   * `call.isOwned`: who needs them after this returns calls `call.retain()`. `call.head.timeoutMs` (`M_tmo`), when above 0 and below the
   * provider's own timeout, bounds the whole call, counted from `call.receivedMs`.
   */
  start(call: Call, observer: ProviderObserver): void;
  /**
   * Asks the backend for a sign of life, once. `done` gets null when it is well, else what is wrong, in words for an operator.
   * Ends within `timeoutMs`.
   */
  probe(check: HealthCheck, timeoutMs: number, done: (trouble: string | null) => void): void;
  /** Takes no new calls, finishes those begun, at most `withinMs`; then fails the rest and closes its connections. */
  close(withinMs: number): void;
  /** Resolves when a first connection was tried, where the provider keeps one; at once otherwise. */
  whenTried(): Promise<void>;
  report(): ProviderReport;
}

export interface ProviderObserver {
  /** Views inside `reply` are valid until this returns. */
  onProviderDone(call: Call, reply: Reply): void;
}

export interface HealthCheck {
  readonly kind: 'tcp' | 'http' | 'fpm';
  /** Path that `http` and `fpm` ask for. */
  readonly path: string;
}

/** What a provider is built for. */
export interface ProviderTarget {
  readonly url: MeshUrl;
  /** Locations of the service's domain; null when it has none. */
  readonly locations: LocationMatcher | null;
  readonly httpMethods: ReadonlyMap<string, HttpServiceMethod>;
}

export interface ProviderReport {
  /** `host:port`, `unix:path` or a url: what is called. */
  readonly backend: string;
  /** Calls being served by the backend. */
  readonly inFlight: number;
  /** Calls that wait for a connection. */
  readonly queued: number;
  /** Calls refused since start because the bound of connections and queue was reached. */
  readonly refused: number;
  /** Open connections. */
  readonly connections: number;
  /** Largest number of connections; 0 for no bound. */
  readonly connectionsMax: number;
  /** The last trouble with the backend; null when there was none. */
  readonly lastError: string | null;
  /** What this kind of backend tells of itself, by name of the peer: `active processes` of PHP-FPM. Empty for none. */
  readonly details: Readonly<Record<string, string | number>>;
}
