/**
 * Looks after refers that hold nodes, or that have registries of several priorities: asks the data plane how their nodes fare, one
 * round after the other, in slices that leave the loop to the calls. Without such refers no timer runs.
 */
import type { Clock, NodeProbe } from '../../core/index.js';
import type { HeldNode } from './known-nodes.js';

/** One refer, as far as this is concerned. */
export interface Tended {
  readonly referId: string;
  /** Nodes to ask. */
  heldNodes(): Iterable<HeldNode>;
  /** All were asked: draws the conclusions. */
  onRound(probe: NodeProbe): void;
  /** False ends it. */
  readonly wantsTending: boolean;
}

export interface ProbeRoundsOptions {
  readonly probe: NodeProbe;
  readonly clock: Clock;
  /** From one round to the next. */
  readonly everyMs: number;
}

/** Nodes that are asked in one turn of the loop: about 5 ms of heartbeats. */
const SLICE = 250;
const SLICE_PAUSE_MS = 20;

export class ProbeRounds {
  readonly #options: ProbeRoundsOptions;
  readonly #tended = new Set<Tended>();
  #round: Generator<void> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ProbeRoundsOptions) {
    this.#options = options;
  }

  add(tended: Tended): void {
    if (!tended.wantsTending) return;
    this.#tended.add(tended);
    this.#timer ??= setTimeout(() => this.#go(), this.#options.everyMs);
  }

  remove(tended: Tended): void {
    this.#tended.delete(tended);
  }

  close(): void {
    this.#tended.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #go(): void {
    this.#timer = null;
    this.#round ??= this.#askAll();
    const isOver = this.#round.next().done === true;
    if (isOver) this.#round = null;
    if (this.#tended.size === 0) return;
    this.#timer ??= setTimeout(() => this.#go(), isOver ? this.#options.everyMs : SLICE_PAUSE_MS);
  }

  /** Yields where the loop may do something else. */
  *#askAll(): Generator<void> {
    const { probe } = this.#options;
    let count = 0;
    for (const tended of [...this.#tended]) {
      for (const held of [...tended.heldNodes()]) {
        if (!this.#tended.has(tended)) break;
        ask(probe, tended.referId, held, this.#options.clock.nowMs());
        count += 1;
        if (count % SLICE === 0) yield;
      }
      if (!this.#tended.has(tended)) continue;
      tended.onRound(probe);
      if (!tended.wantsTending) this.#tended.delete(tended);
    }
  }
}

function ask(probe: NodeProbe, referId: string, held: HeldNode, nowMs: number): void {
  const signs = probe.probe(referId, held.node.identity);
  if (signs === null) {
    if (held.askedMs !== null) held.probe = 'silent';
    return;
  }
  const isNews = signs.answeredMs !== null && signs.answeredMs > Math.max(held.sinceMs, held.answeredMs ?? 0);
  if (isNews) {
    held.answeredMs = signs.answeredMs;
    held.probe = 'answers';
  } else if (held.askedMs !== null) {
    held.probe = 'silent';
  }
  held.askedMs ??= nowMs;
}
