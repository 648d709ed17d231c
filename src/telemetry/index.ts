import type { MetricSources, Metrics } from './metrics.js';

export * from './access-log-file.js';
export { MainLog, type MainLogOptions } from './log.js';
export type { MetricBounds, MetricSources, Metrics } from './metrics.js';
export * from './period-statistics.js';

/** Loads the metrics library, which nobody needs before the first scrape: it costs memory and a timer. */
export async function createMetrics(sources: MetricSources): Promise<Metrics> {
  const loaded = await import('./metrics.js');
  return new loaded.Metrics(sources);
}
