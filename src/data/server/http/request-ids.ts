/**
 * Ids for requests that bring none: HTTP callers do not number theirs.
 *
 * 64 bits, as peers make them: milliseconds since 1970 in the upper 44, counted up from there. So they do not come again after a restart, because
 * no agent takes a million requests in each millisecond.
 */
export class RequestIds {
  high: number;
  low: number;

  constructor(wallMs: number) {
    // wallMs << 20, beyond what bit operations can hold.
    this.high = Math.floor(wallMs / 4096) >>> 0;
    this.low = ((wallMs % 4096) * 2 ** 20) >>> 0;
  }

  /** Moves on; the id is in `high` and `low`. */
  next(): void {
    this.low = (this.low + 1) >>> 0;
    if (this.low === 0) this.high = (this.high + 1) >>> 0;
  }
}
