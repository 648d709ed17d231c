/** The filters by the name that `filter` takes. */
import type { FilterFactory } from '../../core/index.js';
import { type AccessLogWriter, accessLog, clusterAccessLog } from './access-log.js';
import { type CallCounters, clusterMetrics, metrics } from './metrics.js';

export { AccessLogWriter } from './access-log.js';
export { chainBuilder } from './chain.js';
export { CallCounters } from './metrics.js';

export interface FilterDeps {
  readonly accessLog: AccessLogWriter;
  readonly counters: CallCounters;
}

export const filters = {
  accessLog: (deps) => accessLog(deps.accessLog),
  metrics: (deps) => metrics(deps.counters),
  clusterAccessLog: (deps) => clusterAccessLog(deps.accessLog),
  clusterMetrics: (deps) => clusterMetrics(deps.counters),
} satisfies Record<string, (deps: FilterDeps) => FilterFactory>;

/** Every filter ready to be created. */
export function filterTable(deps: FilterDeps): ReadonlyMap<string, FilterFactory> {
  return new Map(Object.entries(filters).map(([name, make]) => [name, make(deps)]));
}
