/** What discovery knows about every refer, for operators. */
import type { ClusterState } from './mesh-state.js';

export interface DiscoveryReport {
  readonly stateNumber: number;
  readonly refers: readonly ReferReport[];
}

export interface ReferReport {
  readonly id: string;
  readonly key: string;
  readonly service: string;
  readonly group: string;
  readonly source: ClusterState['source'];
  readonly endpoints: number;
  /** The snapshot that the endpoints come from; null when they do not. */
  readonly snapshotFile: string | null;
  readonly snapshotSavedAtMs: number | null;
  readonly registries: readonly ReferRegistryReport[];
}

/** One registry of a refer, in one of its groups. */
export interface ReferRegistryReport {
  readonly id: string;
  readonly group: string;
  /** Nodes in use because of this registry: those that it lists, and those that are held. */
  readonly nodes: number;
  readonly held: readonly HeldNodeReport[];
  /** 0 is the best; others are used only while the better ones have nobody to call. */
  readonly priority: number;
  readonly isHeard: boolean;
  /** In words; null when the last thing heard was an answer. */
  readonly trouble: string | null;
}

/** A node that a registry does not list any more and that stays in use. */
export interface HeldNodeReport {
  readonly node: string;
  /** Unix ms of the answer that missed it. */
  readonly sinceMs: number;
  /** `loss`: too many went at once; `last`: without it nobody is left. */
  readonly why: 'loss' | 'last';
  /** `waiting` until the first probe has had its time. */
  readonly probe: 'waiting' | 'answers' | 'silent';
}
