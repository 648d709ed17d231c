/**
 * The nodes of a service as far as they are believed. A registry that was wiped or restarted says "nobody" before it says who: an answer
 * that lacks more than half of what is known counts only when it has stood for a while.
 *
 *   accepted --answer that lacks more than half--> held: the accepted ones and the new ones count
 *      ^--- answer with half or more, or the time is over ---'         no answers: time does not run
 */
import type { MeshUrl } from '../../core/index.js';

export type NodesByAddress = ReadonlyMap<string, MeshUrl>;

export class HeldNodes {
  readonly #holdMs: number;
  #accepted: NodesByAddress = new Map();
  #last: NodesByAddress = new Map();
  #untilMs: number | null = null;

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  /** Monotonic ms at which what is held goes; null when nothing is held. */
  get untilMs(): number | null {
    return this.#untilMs;
  }

  /** That are gone by the last answer and count all the same. */
  get heldCount(): number {
    if (this.#untilMs === null) return 0;
    let count = 0;
    for (const address of this.#accepted.keys()) if (!this.#last.has(address)) count += 1;
    return count;
  }

  get nodes(): NodesByAddress {
    if (this.#untilMs === null) return this.#accepted;
    return new Map([...this.#accepted, ...this.#last]);
  }

  /** An answer. */
  take(nodes: NodesByAddress, nowMs: number): void {
    this.#last = nodes;
    const isSudden = this.#accepted.size > 0 && 2 * this.#keptOf(nodes) < this.#accepted.size;
    if (!isSudden) this.#accept();
    else if (this.#untilMs === null) this.#untilMs = nowMs + this.#holdMs;
    else this.expire(nowMs);
  }

  /** Lets go what was held long enough; true when it was. */
  expire(nowMs: number): boolean {
    if (this.#untilMs === null || nowMs < this.#untilMs) return false;
    this.#accept();
    return true;
  }

  /** The registry cannot be asked: what is held stays, and its time begins anew with the next answer. */
  suspend(): void {
    if (this.#untilMs !== null) this.#untilMs = Number.POSITIVE_INFINITY;
  }

  /** It can be asked again. */
  resume(nowMs: number): void {
    if (this.#untilMs === Number.POSITIVE_INFINITY) this.#untilMs = nowMs + this.#holdMs;
  }

  #accept(): void {
    this.#accepted = this.#last;
    this.#untilMs = null;
  }

  #keptOf(nodes: NodesByAddress): number {
    let count = 0;
    for (const address of this.#accepted.keys()) if (nodes.has(address)) count += 1;
    return count;
  }
}
