/** A bridge between two registries: one lane, or one each way. Its copies live as long as it does. */
import { createHash } from 'node:crypto';
import { AgentError, type Clock, type Logger, type Random, type Registry } from '../../core/index.js';
import type { BridgeEvent } from './bridge-event.js';
import { Lane, type LaneStatus } from './lane.js';
import { ServiceFilter } from './service-filter.js';

export type { LaneStatus } from './lane.js';

export interface BridgeOptions {
  readonly from: Registry;
  readonly to: Registry;
  readonly isBothWays: boolean;
  /** Patterns; none take everything. */
  readonly groups: readonly string[];
  readonly services: readonly string[];
  /** How long nodes that vanish too suddenly stay. */
  readonly holdMs: number;
  /** Between two looks for new services. */
  readonly refreshMs: number;
  /** Nothing is written; events say what would be. */
  readonly isDry: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  onEvent(event: BridgeEvent): void;
}

export interface BridgeStatus {
  readonly isSettled: boolean;
  readonly lanes: readonly LaneStatus[];
}

const LOOK_MS = 20;

export class Bridge {
  readonly #lanes: readonly Lane[];
  readonly #clock: Clock;

  /** Throws AgentError `E_REGISTRY` for registries that cannot be bridged. The registries are not closed here. */
  constructor(options: BridgeOptions) {
    const { from, to, isBothWays, groups, services } = options;
    this.#clock = options.clock;
    if (from === to)
      throw new AgentError(
        'E_REGISTRY',
        `registry ${from.id} cannot be bridged to itself: both mean one place`,
      );
    const filter = new ServiceFilter(groups, services);
    const ways = isBothWays
      ? [
          { from, to },
          { from: to, to: from },
        ]
      : [{ from, to }];
    this.#lanes = ways.map((way) => new Lane({ ...options, ...way, filter, mark: markOf(way.from) }));
  }

  start(): void {
    for (const lane of this.#lanes) lane.start();
  }

  get status(): BridgeStatus {
    return {
      isSettled: this.#lanes.every(({ isSettled }) => isSettled),
      lanes: this.#lanes.map(({ status }) => status),
    };
  }

  /** Resolves with true when every service was heard of by both registries, with false after `withinMs`. */
  async settled(withinMs: number): Promise<boolean> {
    const endMs = this.#clock.nowMs() + withinMs;
    while (!this.#lanes.every(({ isSettled }) => isSettled)) {
      if (this.#clock.nowMs() > endMs) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return true;
  }

  /** Wants all copies withdrawn; `settled` of the registries tells when they are. */
  close(): void {
    for (const lane of this.#lanes) lane.close();
  }
}

/** The same for every bridge from that place, whatever its id in a configuration is; and no address is told to the world. */
function markOf(registry: Registry): string {
  const { protocol, address } = registry.report();
  return `${protocol}-${createHash('sha256').update(address).digest('hex').slice(0, 8)}`;
}
