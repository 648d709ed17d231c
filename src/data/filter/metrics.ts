/**
 * Filters `metrics` (every try) and `clusterMetrics` (every call): counts and latencies per method (spec traffic 6.3).
 *
 * The hot path increments plain numbers; reports read them. Methods come from callers, so their number is bounded: what is
 * over the bound is counted under the method `other`.
 */
import {
  type Call,
  type CallStatistics,
  type Filter,
  type FilterFactory,
  type FilterTarget,
  LATENCY_BUCKETS_MS,
  type Reply,
  utf8Text,
} from '../../core/index.js';

/** Distinct (service, group, method) per agent. */
const METHODS_MAX = 10_000;
/** Method and group of a call that is counted under its own names. A frame has room for names of megabytes. */
const NAMES_CHARS_MAX = 1024;
const SLOW_MS = 200; // spec agent 9.2

class MethodStatistics {
  readonly role: CallStatistics['role'];
  readonly application: string;
  readonly group: string;
  readonly scope: CallStatistics['scope'];
  readonly service: string;
  readonly method: string;
  total = 0;
  bizErrors = 0;
  otherErrors = 0;
  slow = 0;
  sumMs = 0;
  readonly buckets = new Array<number>(LATENCY_BUCKETS_MS.length + 1).fill(0);

  constructor(
    key: Omit<CallStatistics, 'total' | 'bizErrors' | 'otherErrors' | 'slow' | 'sumMs' | 'buckets'>,
  ) {
    this.role = key.role;
    this.application = key.application;
    this.group = key.group;
    this.scope = key.scope;
    this.service = key.service;
    this.method = key.method;
  }
}

/** All that was counted, shared by the filters of all endpoints. */
export class CallCounters {
  readonly #methods = new Map<string, MethodStatistics>();

  report(): CallStatistics[] {
    return [...this.#methods.values()];
  }

  find(call: Call, refer: FilterTarget, scope: CallStatistics['scope']): MethodStatistics {
    const { service, method } = call.head;
    // Tries carry the group of their endpoint by then, calls the one they asked for (spec traffic 6.3).
    const group = refer.refer.group || call.head.group;
    const application = refer.refer.text('application');
    const role = refer.role === 'client-agent' ? 'motan-client-agent' : 'motan-server-agent';
    const key = `${role}\n${application}\n${scope}\n${group}\n${service}\n${method}`;
    const known = this.#methods.get(key);
    if (known !== undefined) return known;
    const isFull = this.#methods.size >= METHODS_MAX && method !== 'other';
    if (isFull || method.length + group.length > NAMES_CHARS_MAX)
      return this.#other({ role, application, group, scope, service: utf8Text(service), method: 'other' });
    const made = new MethodStatistics({
      role,
      application,
      group,
      scope,
      service: utf8Text(service),
      method: utf8Text(method),
    });
    this.#methods.set(key, made);
    return made;
  }

  #other(key: ConstructorParameters<typeof MethodStatistics>[0]): MethodStatistics {
    const text = `${key.role}\n${key.application}\n${key.scope}\nother`;
    let other = this.#methods.get(text);
    if (other === undefined) {
      other = new MethodStatistics({ ...key, service: 'other', group: 'other' });
      this.#methods.set(text, other);
    }
    return other;
  }
}

class MetricsFilter implements Filter {
  readonly before = null;
  readonly #counters: CallCounters;
  readonly #target: FilterTarget;
  readonly #scope: CallStatistics['scope'];
  /** By method name: the service and group of a target do not change. */
  readonly #byMethod = new Map<string, MethodStatistics>();

  constructor(counters: CallCounters, target: FilterTarget, scope: CallStatistics['scope']) {
    this.#counters = counters;
    this.#target = target;
    this.#scope = scope;
  }

  after(call: Call, reply: Reply, startedMs: number, nowMs: number): void {
    const { method } = call.head;
    let counted = this.#byMethod.get(method);
    if (counted === undefined) {
      counted = this.#counters.find(call, this.#target, this.#scope);
      const mayBeKept = this.#byMethod.size < METHODS_MAX && method.length <= NAMES_CHARS_MAX;
      if (mayBeKept) this.#byMethod.set(method, counted);
    }
    const costMs = nowMs - startedMs;
    counted.total += 1;
    counted.sumMs += costMs;
    if (costMs > SLOW_MS) counted.slow += 1;
    if (reply.exception !== null) {
      if (reply.exception.type === 2) counted.bizErrors += 1;
      else counted.otherErrors += 1;
    }
    let bucket = 0;
    while (bucket < LATENCY_BUCKETS_MS.length && costMs > LATENCY_BUCKETS_MS[bucket]!) bucket += 1;
    counted.buckets[bucket]! += 1;
  }
}

export function metrics(counters: CallCounters): FilterFactory {
  return { order: 2, scope: 'endpoint', create: (target) => new MetricsFilter(counters, target, 'endpoint') };
}

export function clusterMetrics(counters: CallCounters): FilterFactory {
  return { order: 5, scope: 'cluster', create: (target) => new MetricsFilter(counters, target, 'cluster') };
}
