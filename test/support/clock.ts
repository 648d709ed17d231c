/** Time for tests: a clock that moves only when told, and waiting for a condition instead of sleeping. */
import type { Clock } from '../../src/core/index.js';

/** Stands still until `advanceMs`. The wall clock begins at 2026-01-02T03:04:05.678Z. */
export class FakeClock implements Clock {
  #elapsedMs = 0;
  readonly #wallStartMs: number;

  constructor(wallStartMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678)) {
    this.#wallStartMs = wallStartMs;
  }

  nowMs(): number {
    return this.#elapsedMs;
  }

  wallMs(): number {
    return this.#wallStartMs + this.#elapsedMs;
  }

  advanceMs(ms: number): void {
    this.#elapsedMs += ms;
  }
}

export const realClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/**
 * Resolves as soon as `condition` holds. Rejects with what was waited for when it does not within `withinMs`, so a test that
 * fails says why.
 */
export async function until(what: string, condition: () => boolean, withinMs = 5000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** `promise`, or a rejection that names what was waited for. */
export async function within<T>(what: string, promise: Promise<T>, ms = 5000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A seeded source of randomness (mulberry32), so that a failure can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
