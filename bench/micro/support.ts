/** Timing of small operations: median of several batches, each long enough for the clock. */

const BATCHES = 9;
const BATCH_MS = 60;

/** Prints the nanoseconds that one call of `operation` takes. What it returns is kept alive, so that it is not optimised away. */
export function timeOperation(title: string, operation: () => unknown): void {
  let calls = 1;
  while (batchMs(calls, operation) < BATCH_MS) calls *= 2;
  const nanoseconds = Array.from({ length: BATCHES }, () => (batchMs(calls, operation) / calls) * 1e6);
  const { middle, low, high } = spread(nanoseconds);
  console.log(`  ${title}: ${middle.toFixed(0)} ns (${low.toFixed(0)} to ${high.toFixed(0)})`);
}

/** Median, lowest and highest. */
export function spread(values: readonly number[]): { middle: number; low: number; high: number } {
  const sorted = values.toSorted((a, b) => a - b);
  return { middle: sorted[sorted.length >> 1]!, low: sorted[0]!, high: sorted.at(-1)! };
}

let kept: unknown;

function batchMs(calls: number, operation: () => unknown): number {
  const startedMs = performance.now();
  for (let call = 0; call < calls; call += 1) kept = operation();
  const ms = performance.now() - startedMs;
  return kept === timeOperation ? 0 : ms;
}
