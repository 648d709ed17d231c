/**
 * Calls of the last finished metrics period (spec agent 7.1, 9.1), made of counters that only grow: the difference of two looks.
 */
import type { CallStatistics, PeriodCount } from '../core/index.js';

export class PeriodStatistics {
  /** Totals at the end of the last finished period. */
  #totals: ReadonlyMap<string, number> = new Map();
  #last: readonly PeriodCount[] = [];

  /** Ends the period that runs. Called by the owner once per `metrics.period`. */
  roll(calls: readonly CallStatistics[]): void {
    const totals = new Map<string, number>();
    const counts = new Map<string, PeriodCount>();
    for (const statistics of calls) {
      const { role, application, group, scope, service } = statistics;
      const key = [role, application, group, scope, service, statistics.method].join('\n');
      totals.set(key, statistics.total);
      const before = this.#totals.get(key) ?? 0;
      // A counter that went back belongs to a new series of the same name.
      const grown = statistics.total >= before ? statistics.total - before : statistics.total;
      const method = escapedName(statistics.method);
      const shownKey = [role, application, group, scope, service, method].join('\n');
      const shown = (counts.get(shownKey)?.calls ?? 0) + grown;
      counts.set(shownKey, { role, application, group, scope, service, method, calls: shown });
    }
    this.#totals = totals;
    this.#last = [...counts.values()];
  }

  /** Every method that has statistics, also those without a call in the period. */
  last(): readonly PeriodCount[] {
    return this.#last;
  }
}

/** As the peers write names in metric keys: spec agent 9.2. */
export function escapedName(name: string): string {
  return name.replace(/[^A-Za-z0-9-]/g, '_');
}
