/**
 * Ways to servers that callers name and no configuration does. Whoever wants one asks here each time: what may be reached is
 * decided anew, and connections are kept.
 */
import type { HttpUpstream } from './upstream.js';

export interface OutboundTarget {
  /** As callers write it: any case, a final dot, IPv6 with or without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** The host is the domain of an http-client, which may be reached unless its address is one that needs naming. */
  readonly isDomain: boolean;
}

/** Told exactly once, possibly before `find` returns. */
export interface OutboundWaiter {
  /** For requests that start now. */
  onUpstream(upstream: HttpUpstream): void;
  /** @param isForbidden the target may not be reached, whatever its state; `text` then is for the caller */
  onNoUpstream(isForbidden: boolean, text: string): void;
}

export interface Outbound {
  find(target: OutboundTarget, waiter: OutboundWaiter): void;
}
