/**
 * One direction of a bridge: which services there are, and a `ServiceCopy` for each.
 *
 *   list the services of the source --answered--> begin the new ones, end those that are gone and empty --> rest --> list
 *                                   --refused---> told once; all goes on as it is, and it is listed again after a pause that doubles
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  AgentError,
  background,
  type Clock,
  type Logger,
  messageOf,
  type Random,
  type Registry,
  type ServiceName,
} from '../../core/index.js';
import type { BridgeEvent } from './bridge-event.js';
import { ServiceCopy } from './service-copy.js';
import type { ServiceFilter } from './service-filter.js';

/** Each is two subscriptions; more are left out and told. */
const SERVICES_MAX = 20_000;
/** A registry that has not said anything yet is not in trouble. */
const CONNECTING_MS = 50;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 10_000;
/** Listing costs at most a twentieth of the time. */
const REST_PER_LISTING = 20;

export interface LaneDeps {
  readonly from: Registry;
  readonly to: Registry;
  readonly mark: string;
  readonly filter: ServiceFilter;
  readonly holdMs: number;
  readonly refreshMs: number;
  readonly isDry: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  onEvent(event: BridgeEvent): void;
}

export interface LaneStatus {
  readonly from: string;
  readonly to: string;
  readonly services: number;
  readonly copied: number;
  readonly held: number;
  readonly skipped: number;
  /** Why the services cannot be listed; null when they can. */
  readonly trouble: string | null;
}

export class Lane {
  readonly #deps: LaneDeps;
  readonly #list: () => Promise<readonly ServiceName[]>;
  readonly #services = new Map<string, ServiceCopy>();
  readonly #end = new AbortController();
  #isListed = false;
  #trouble: string | null = null;
  #leftOut = 0;

  /** Throws AgentError `E_REGISTRY` for registries that cannot be bridged. */
  constructor(deps: LaneDeps) {
    this.#deps = deps;
    for (const registry of [deps.from, deps.to]) {
      if (registry.listServices !== undefined) continue;
      throw new AgentError(
        'E_REGISTRY',
        `registry ${registry.id} of protocol ${registry.protocol} cannot be bridged: it cannot tell its services`,
      );
    }
    this.#list = deps.from.listServices!;
  }

  start(): void {
    background('bridge-lane', this.#deps.logger, () => this.#run());
  }

  /** The services are known, and each was heard of by both registries. */
  get isSettled(): boolean {
    return this.#isListed && [...this.#services.values()].every(({ isHeard }) => isHeard);
  }

  get status(): LaneStatus {
    const { from, to } = this.#deps;
    const sum = { services: this.#services.size, copied: 0, held: 0, skipped: this.#leftOut };
    for (const { counts } of this.#services.values()) {
      sum.copied += counts.copied;
      sum.held += counts.held;
      sum.skipped += counts.skipped;
    }
    return { from: from.id, to: to.id, ...sum, trouble: this.#trouble };
  }

  /** Withdraws all copies. */
  close(): void {
    this.#end.abort();
    for (const service of this.#services.values()) service.close();
    this.#services.clear();
  }

  async #run(): Promise<void> {
    const { clock, random, refreshMs } = this.#deps;
    const { signal } = this.#end;
    let retryMs = RETRY_MS_MIN;
    while (!signal.aborted) {
      const beganMs = clock.nowMs();
      let restMs: number;
      try {
        this.#take(await this.#list());
        restMs = Math.max(refreshMs, REST_PER_LISTING * (clock.nowMs() - beganMs)) * (0.8 + 0.4 * random());
        retryMs = RETRY_MS_MIN;
      } catch (error) {
        if (signal.aborted) return;
        const { lastContactMs, lastError } = this.#deps.from.report();
        if (lastContactMs === null && lastError === null) {
          restMs = CONNECTING_MS;
        } else {
          this.#onTrouble(messageOf(error));
          restMs = retryMs * (0.5 + random() / 2);
          retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
        }
      }
      await pause(restMs, undefined, { signal }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  }

  #take(listed: readonly ServiceName[]): void {
    if (this.#end.signal.aborted) return;
    if (this.#trouble !== null)
      this.#tell('recovered', `the services of ${this.#deps.from.id} can be listed`);
    this.#trouble = null;
    this.#isListed = true;
    const keys = new Set<string>();
    let leftOut = 0;
    for (const service of listed) {
      if (!this.#deps.filter.takes(service)) continue;
      const key = `${service.group}\n${service.path}`;
      keys.add(key);
      if (this.#services.has(key)) continue;
      if (this.#services.size < SERVICES_MAX) this.#services.set(key, this.#begin(service));
      else leftOut += 1;
    }
    if (leftOut > 0 && this.#leftOut === 0)
      this.#tell('skipped', `${leftOut} services: at most ${SERVICES_MAX} are bridged`);
    this.#leftOut = leftOut;
    for (const [key, service] of this.#services) {
      if (keys.has(key) || !service.isIdle) continue;
      service.close();
      this.#services.delete(key);
    }
  }

  #begin(service: ServiceName): ServiceCopy {
    const { from, to, onEvent } = this.#deps;
    const about = { from: from.id, to: to.id, group: service.group, service: service.path };
    return new ServiceCopy({
      ...this.#deps,
      service,
      tell: (kind, node, detail = '') => onEvent({ kind, ...about, node, detail: detail || null }),
    });
  }

  #onTrouble(message: string): void {
    if (this.#trouble === null)
      this.#tell('trouble', `the services of ${this.#deps.from.id} cannot be listed: ${message}`);
    this.#trouble = message;
  }

  #tell(kind: BridgeEvent['kind'], detail: string): void {
    const { from, to, onEvent } = this.#deps;
    onEvent({ kind, from: from.id, to: to.id, group: null, service: null, node: null, detail });
  }
}
