/** One run of the load generator, repeated while others use the machine; and medians over rounds. */
import { runOnce } from './processes.mjs';
import { LOAD_CPU, pidsOf } from './systems.mjs';

const REPEATS_MAX = 3;
const REPEAT_PAUSE_MS = 1500;
const LOAD_TIMEOUT_EXTRA_MS = 60_000;

/**
 * Loads one system. Of up to three tries the first that nobody disturbed counts, else the least disturbed one.
 * Throws when calls failed: figures of a system that does not answer mean nothing.
 *
 * @param options { seconds, warmupSeconds, foreignMax (percent of one CPU used by others), peers (pids of the run beside the system's) }
 */
export async function measure(meshload, system, spec, options) {
  let best = null;
  for (let tries = 0; tries < REPEATS_MAX; tries += 1) {
    // What disturbed the last one, a compiler for example, is often over soon.
    if (tries > 0) await new Promise((resolve) => setTimeout(resolve, REPEAT_PAUSE_MS));
    const result = await loadOnce(meshload, system, spec, options);
    if (best === null || result.foreignPercent < best.foreignPercent) best = result;
    if (best.foreignPercent <= options.foreignMax) break;
  }
  return best;
}

async function loadOnce(meshload, { name, children, load }, spec, { seconds, warmupSeconds, peers }) {
  const args = [
    ...['load', '--cpu', String(LOAD_CPU)],
    ...['--duration', String(seconds), '--warmup', String(warmupSeconds)],
    ...['--watch-pid', pidsOf(children).join(','), '--peer-pid', peers.join(',')],
    ...spec.load,
    ...load,
  ];
  const timeoutMs = (seconds + warmupSeconds) * 1000 + LOAD_TIMEOUT_EXTRA_MS;
  const result = JSON.parse(await runOnce(meshload, args, { timeoutMs }));
  if (result.errors > 0) {
    throw new Error(
      `${spec.name}: ${result.errors} of ${result.requests} calls through ${name} failed: ${result.first_error ?? JSON.stringify(result.errors_by_kind)}`,
    );
  }
  return {
    rps: result.rps,
    p50Us: result.p50_us,
    p99Us: result.p99_us,
    cpuUs: result.watch.cpu_us_per_request,
    rssKib: result.watch.rss_kib,
    foreignPercent: result.foreign_cpu_percent,
    stealPercent: result.steal_percent,
    loadCpuPercent: result.load_cpu_percent,
  };
}

/** Median with the lowest and highest value. */
export function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, low: sorted[0], high: sorted.at(-1) };
}

/** Ratios are taken inside a round, where both met the same machine, and summed up over the rounds. */
export function ratio(over, under, field) {
  return summary(over.map((run, round) => run[field] / under[round][field]));
}
