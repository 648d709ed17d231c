/**
 * The upstreams of the direct proxy: one for each server that callers have named, made when it is first asked for. Each request is
 * checked by the policy, and connections go only to addresses that it let through.
 */
import { HTTP1_LIMITS } from '../../../../wire/http1/index.js';
import {
  type HttpClientDeps,
  HttpUpstream,
  type HttpUpstreamReport,
  type Outbound,
  type OutboundTarget,
  type OutboundWaiter,
} from '../../../http-client/index.js';
import type { TargetPolicy, TargetVerdict, TargetWaiter } from '../target-policy.js';
import { checkedLookup } from './checked-lookup.js';

/** The part of the settings of the HTTP port that is about servers. */
export interface OutboundSettings {
  readonly keepalive: boolean;
  readonly upstreamIdleMs: number;
  readonly upstreamTimeoutMs: number;
}

/** Servers whose upstream is kept; callers choose the names. */
const UPSTREAMS_MAX = 512;
/** As motan-go's client. */
const CONNECTIONS_MAX = 512;
const QUEUE_MAX = 512;
/** Exchanges of an upstream that makes way for another may still end; downloads may take their time. */
const MAKE_WAY_MS = 3_600_000;

interface Entry {
  readonly upstream: HttpUpstream;
  /** What the policy let through last. */
  addresses: readonly string[];
  usedMs: number;
}

export class OutboundUpstreams implements Outbound {
  readonly #settings: OutboundSettings;
  readonly #policy: TargetPolicy;
  readonly #deps: HttpClientDeps;
  readonly #entries = new Map<string, Entry>();
  #isClosed = false;

  constructor(settings: OutboundSettings, policy: TargetPolicy, deps: HttpClientDeps) {
    this.#settings = settings;
    this.#policy = policy;
    this.#deps = deps;
  }

  find(target: OutboundTarget, waiter: OutboundWaiter): void {
    this.#policy.check(target.host, target.port, target.isDomain, new Search(this, target, waiter));
  }

  /** The upstream of a target that may be reached; null when everything is being closed. */
  upstreamOf(host: string, addresses: readonly string[], target: OutboundTarget): HttpUpstream | null {
    if (this.#isClosed) return null;
    const nowMs = this.#deps.loop.nowMs;
    const key = `${target.isTls ? 'https' : 'http'}://${host}:${target.port}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      this.#makeRoom();
      entry = this.#open(host, addresses, target, nowMs);
      this.#entries.set(key, entry);
    }
    entry.addresses = addresses;
    entry.usedMs = nowMs;
    return entry.upstream;
  }

  /** Takes nothing new; what was begun may end within `withinMs`. */
  close(withinMs: number): void {
    this.#isClosed = true;
    for (const { upstream } of this.#entries.values()) upstream.close(withinMs);
    if (withinMs <= 0) this.#entries.clear();
  }

  reports(): HttpUpstreamReport[] {
    return [...this.#entries.values()].map(({ upstream }) => upstream.report());
  }

  #open(host: string, addresses: readonly string[], target: OutboundTarget, nowMs: number): Entry {
    const { keepalive, upstreamIdleMs, upstreamTimeoutMs } = this.#settings;
    const { port, isTls } = target;
    const lookup = checkedLookup(() => entry.addresses);
    const upstream = new HttpUpstream(
      {
        target: { host, port, tlsName: isTls ? host : null, lookup },
        connectTimeoutMs: upstreamTimeoutMs,
        connectionsMax: CONNECTIONS_MAX,
        queueMax: QUEUE_MAX,
        queueTimeoutMs: upstreamTimeoutMs,
        idleTimeoutMs: keepalive ? upstreamIdleMs : 0,
        maxAgeMs: 0,
        limits: HTTP1_LIMITS,
      },
      this.#deps,
    );
    const entry: Entry = { upstream, addresses, usedMs: nowMs };
    return entry;
  }

  /** The server that was asked for longest ago makes way. */
  #makeRoom(): void {
    if (this.#entries.size < UPSTREAMS_MAX) return;
    let oldest: string | null = null;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const [key, { usedMs }] of this.#entries) {
      if (usedMs >= oldestMs) continue;
      oldest = key;
      oldestMs = usedMs;
    }
    if (oldest === null) return;
    this.#entries.get(oldest)!.upstream.close(MAKE_WAY_MS);
    this.#entries.delete(oldest);
  }
}

/** One request's question, until it has its answer. */
class Search implements TargetWaiter {
  readonly #upstreams: OutboundUpstreams;
  readonly #target: OutboundTarget;
  readonly #waiter: OutboundWaiter;

  constructor(upstreams: OutboundUpstreams, target: OutboundTarget, waiter: OutboundWaiter) {
    this.#upstreams = upstreams;
    this.#target = target;
    this.#waiter = waiter;
  }

  onTarget(verdict: TargetVerdict): void {
    if (verdict.kind !== 'allowed') {
      this.#waiter.onNoUpstream(verdict.kind === 'refused', verdict.text);
      return;
    }
    const upstream = this.#upstreams.upstreamOf(verdict.host, verdict.addresses, this.#target);
    if (upstream === null) this.#waiter.onNoUpstream(false, 'the agent is shutting down');
    else this.#waiter.onUpstream(upstream);
  }
}
