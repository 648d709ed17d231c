/** Time as the agent sees it. Made in `agent`, handed down, replaced in tests. */
export interface Clock {
  /** Monotonic milliseconds with fractions; never goes back. For durations and deadlines. */
  nowMs(): number;
  /** Milliseconds since 1970 by the wall clock. For texts only. */
  wallMs(): number;
}

/** A source of randomness: a float in [0, 1). */
export type Random = () => number;
