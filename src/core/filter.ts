/**
 * The Filter contract: what happens around every call, or around every try of a call.
 *
 * `before` runs from the outermost filter inwards; the first that gives a reply ends the way in. `after` then runs
 * outwards for exactly those filters that let the call pass. Neither may throw, wait, or keep views of call or reply.
 */
import type { Call } from './call.js';
import type { Reply } from './reply.js';
import type { MeshUrl } from './url.js';

export interface Filter {
  readonly before: ((call: Call) => Reply | null) | null;
  /** `startedMs` is when this way in began, monotonic; `nowMs` is now, read once per batch of answers. */
  readonly after: ((call: Call, reply: Reply, startedMs: number, nowMs: number) => void) | null;
}

export interface FilterFactory {
  /** Smaller is outer: spec agent 2.7. Equal ones keep configuration order. */
  readonly order: number;
  readonly scope: 'endpoint' | 'cluster';
  create(target: FilterTarget): Filter;
}

/** The filters of one scope around a call, fixed when it is built. */
export interface FilterChain {
  /** The way in. A reply ends it; `after` has then run for the filters that let the call pass. */
  before(call: Call, startedMs: number): Reply | null;
  /** The way out, innermost first. */
  after(call: Call, reply: Reply, startedMs: number, nowMs: number): void;
}

/** Builds the chain of one scope out of a `filter` parameter; null when it is empty. */
export type ChainBuilder = (
  names: string,
  scope: FilterFactory['scope'],
  target: FilterTarget,
) => FilterChain | null;

/** What a filter is built for. */
export interface FilterTarget {
  readonly refer: MeshUrl;
  /** `host:port` of the endpoint; empty for cluster filters. */
  readonly address: string;
  readonly role: 'client-agent' | 'server-agent';
}
