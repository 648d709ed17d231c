/**
 * The nodes that one registry told for one refer and group, with those that are held: lost by the registry, not believed, still in use.
 *
 *   listed --lost, few of many------------------------------> gone, remembered for a window: small losses add up
 *      |  ^--lost, more than the bound, or the last nodes---> held --silent, or held too long, or accepted--> gone
 *      |                                                        |
 *      '------------------------- listed again <---------------'
 *
 * Time comes from outside, and who is probed is somebody else's business.
 */
import type { HeldNodeReport, HoldSettings, MeshUrl } from '../../core/index.js';

export interface HeldNode {
  readonly node: MeshUrl;
  readonly why: HeldNodeReport['why'];
  /** Monotonic, and on the wall. */
  readonly sinceMs: number;
  readonly sinceWallMs: number;
  /** Monotonic: when it was probed first, and when it last gave a sign of life after that; null for not yet. */
  askedMs: number | null;
  answeredMs: number | null;
  probe: HeldNodeReport['probe'];
}

export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

/** Losses within this time count as one: leases and sessions that a registry forgot end a few seconds apart. */
const WINDOW_MS = 10_000;
/** Of fewer nodes, one that goes is already a large share. */
const NODES_MIN = 3;

export class KnownNodes {
  #listed: ReadonlyMap<string, MeshUrl> = new Map();
  readonly #held = new Map<string, HeldNode>();
  /** Lost and believed within the window, with the time. */
  readonly #lost = new Map<string, { readonly node: MeshUrl; readonly atMs: number }>();
  #all: readonly MeshUrl[] = [];

  /** Those in use: listed ones first. */
  get all(): readonly MeshUrl[] {
    return this.#all;
  }

  get held(): ReadonlyMap<string, HeldNode> {
    return this.#held;
  }

  /** Somebody is there, as far as is known: a node is listed, or a held one answers. */
  get hasLife(): boolean {
    return this.#listed.size > 0 || [...this.#held.values()].some(({ probe }) => probe === 'answers');
  }

  /**
   * Takes over an answer of the registry.
   * @param isLast true when the refer has no other nodes than these
   * @returns how many nodes are newly held
   */
  take(
    nodes: readonly MeshUrl[],
    { lossPercent }: Pick<HoldSettings, 'lossPercent'>,
    isLast: boolean,
    now: Moment,
  ): number {
    const listed = byAddress(nodes);
    const knownCount = this.#listed.size + this.#held.size + this.#forgetOldLosses(now.nowMs);
    for (const address of listed.keys()) {
      this.#held.delete(address);
      this.#lost.delete(address);
    }
    const lost = [...this.#listed].filter(([address]) => !listed.has(address));
    this.#listed = listed;
    const heldBefore = this.#held.size;
    for (const [address, node] of lost) this.#lost.set(address, { node, atMs: now.nowMs });
    const goneCount = this.#lost.size + this.#held.size;
    const isSudden = lossPercent > 0 && knownCount >= NODES_MIN && goneCount * 100 > knownCount * lossPercent;
    if (lost.length > 0 && isSudden) {
      for (const [address, { node }] of this.#lost) this.#hold(address, node, 'loss', now);
      this.#lost.clear();
    } else if (listed.size === 0 && heldBefore === 0 && isLast) {
      for (const [address, node] of lost) {
        this.#hold(address, node, 'last', now);
        this.#lost.delete(address);
      }
    }
    this.#all = [...this.#listed.values(), ...[...this.#held.values()].map(({ node }) => node)];
    return this.#held.size - heldBefore;
  }

  /** Held nodes that are to go: silent for too long, or held for too long. */
  overdue({ holdMs, silenceMs }: HoldSettings, nowMs: number): string[] {
    const addresses: string[] = [];
    for (const [address, held] of this.#held) {
      const sinceMs = held.answeredMs ?? held.askedMs;
      // Its last answer may be as old as the pause between two probes.
      const isSilent = held.probe !== 'answers' && sinceMs !== null && nowMs - sinceMs >= silenceMs;
      const isOver = holdMs > 0 && nowMs - held.sinceMs >= holdMs;
      if (isSilent || isOver) addresses.push(address);
    }
    return addresses;
  }

  letGo(addresses: Iterable<string>): void {
    for (const address of addresses) this.#held.delete(address);
    this.#all = [...this.#listed.values(), ...[...this.#held.values()].map(({ node }) => node)];
  }

  /** The registry is right: nothing is held, and nothing counts against it. */
  accept(): void {
    this.#lost.clear();
    this.letGo([...this.#held.keys()]);
  }

  #hold(address: string, node: MeshUrl, why: HeldNode['why'], now: Moment): void {
    this.#held.set(address, {
      node,
      why,
      sinceMs: now.nowMs,
      sinceWallMs: now.wallMs,
      askedMs: null,
      answeredMs: null,
      probe: 'waiting',
    });
  }

  /** How many count after that. */
  #forgetOldLosses(nowMs: number): number {
    for (const [address, { atMs }] of this.#lost) if (nowMs - atMs > WINDOW_MS) this.#lost.delete(address);
    return this.#lost.size;
  }
}

/** What makes two nodes of one refer the same, whichever protocol and group they were told with: their path is that of the refer. */
export function byAddress(nodes: readonly MeshUrl[]): Map<string, MeshUrl> {
  const found = new Map<string, MeshUrl>();
  for (const node of nodes) {
    const { address } = node;
    if (!found.has(address)) found.set(address, node);
  }
  return found;
}
