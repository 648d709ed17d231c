/**
 * Which of the Consul agents we talk to.
 *
 *   seeking --one answers--> up --a request got no answer--> doubted --the same one answers--> up
 *      ^                                                       '--it does not: onDown----------'
 *      '---- none answers: again after a pause that doubles, with jitter ----'
 *
 * The addresses are tried in their order, so the first is the one to use and the others stand in for it: while one of them does, the first
 * are asked from time to time whether they are back. What is registered stands at one agent, so another one is a fresh start.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { background, type Clock, type Logger, messageOf, type Random } from '../../../core/index.js';
import { ConsulError } from './consul-api.js';

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 10_000;
/** Agents that lost the same server spread over this before they go to the next. */
const SPREAD_MS = 500;

/** One Consul agent, as far as the link cares. */
export interface Pinged {
  readonly address: string;
  /** Rejects unless it answers as it should. */
  ping(): Promise<void>;
}

export interface LinkEvents {
  /** `isFresh`: what was registered is not there. Also said without `onDown` before it, when a better agent took over. */
  onUp(isFresh: boolean): void;
  onDown(trouble: string): void;
  /** It has answered. */
  onHeard(): void;
  /** Connections broke and the agent answers all the same: it may have been restarted. */
  onShaken(): void;
}

export interface LinkDeps<Api extends Pinged> {
  /** At least one; in the order of preference. */
  readonly apis: readonly Api[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** An agent that was silent for so long is asked whether it is there. */
  readonly pingEveryMs: number;
  readonly events: LinkEvents;
}

export class ConsulLink<Api extends Pinged> {
  readonly #deps: LinkDeps<Api>;
  readonly #end = new AbortController();
  /** The agent in use, or the last one that was. */
  #index = 0;
  #isUp = false;
  #wasUp = false;
  #isSeeking = false;
  #heardMs = Number.NEGATIVE_INFINITY;
  readonly #waiters = new Set<() => void>();
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: LinkDeps<Api>) {
    this.#deps = deps;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  start(): void {
    this.#seekLater();
    this.#askLater();
  }

  /** Does `work` with the agent in use; rejects when there is none. What fails on the wire makes the agent doubted. */
  async ask<T>(work: (api: Api) => Promise<T>): Promise<T> {
    const api = this.#deps.apis[this.#index]!;
    if (!this.#isUp) throw new ConsulError('cancelled', 'no Consul agent answers');
    try {
      const answer = await work(api);
      this.#onHeard();
      return answer;
    } catch (error) {
      if (error instanceof ConsulError && error.kind === 'answer') this.#onHeard();
      if (error instanceof ConsulError && error.kind === 'wire' && api === this.#deps.apis[this.#index])
        this.#seekLater();
      if (error instanceof ConsulError && error.kind !== 'cancelled')
        throw new ConsulError(error.kind, `${api.address}: ${error.message}`, error.status);
      throw error;
    }
  }

  /** Resolves when an agent answers, at the signal, or after the end. */
  untilUp(signal: AbortSignal): Promise<void> {
    if (this.#isUp || this.#end.signal.aborted || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiters.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  close(): void {
    this.#end.abort();
    this.#isUp = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const wake of [...this.#waiters]) wake();
  }

  #onHeard(): void {
    this.#heardMs = this.#deps.clock.nowMs();
    this.#deps.events.onHeard();
  }

  #seekLater(): void {
    if (this.#isSeeking || this.#end.signal.aborted) return;
    this.#isSeeking = true;
    background('consul-seek', this.#deps.logger, async () => {
      try {
        await this.#seek();
      } catch (error) {
        if (!this.#end.signal.aborted) throw error;
      } finally {
        this.#isSeeking = false;
      }
    });
  }

  async #seek(): Promise<void> {
    const { apis, random } = this.#deps;
    for (let retryMs = RETRY_MS_MIN; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
      const troubles: string[] = [];
      for (let offset = 0; offset < apis.length; offset += 1) {
        const index = (this.#index + offset) % apis.length;
        if (offset > 0 && this.#wasUp) await this.#pause(SPREAD_MS * random());
        const trouble = await this.#troubleOf(index);
        if (this.#end.signal.aborted) return;
        if (trouble === null) {
          this.#onFound(index);
          return;
        }
        troubles.push(trouble);
        // Nothing is asked of it while the others are tried.
        if (this.#isUp) this.#onDown(trouble);
      }
      this.#onDown(troubles.join('; '));
      await this.#pause(retryMs * (0.5 + random() / 2));
    }
  }

  async #troubleOf(index: number): Promise<string | null> {
    const api = this.#deps.apis[index]!;
    try {
      await api.ping();
      return null;
    } catch (error) {
      return `${api.address}: ${messageOf(error)}`;
    }
  }

  #onFound(index: number): void {
    const { clock, events } = this.#deps;
    const isOther = index !== this.#index || !this.#wasUp;
    const wasUp = this.#isUp;
    this.#index = index;
    this.#heardMs = clock.nowMs();
    this.#isUp = true;
    this.#wasUp = true;
    if (wasUp && !isOther) events.onShaken();
    else events.onUp(isOther);
    for (const wake of [...this.#waiters]) wake();
  }

  #onDown(trouble: string): void {
    this.#isUp = false;
    this.#deps.events.onDown(trouble);
  }

  /** Now and then: is a better agent back, is a silent one still there? */
  #askLater(): void {
    const { pingEveryMs, random, logger } = this.#deps;
    if (this.#end.signal.aborted) return;
    this.#timer = setTimeout(
      () => {
        background('consul-ping', logger, async () => {
          try {
            if (this.#isUp && !this.#isSeeking) await this.#lookAround();
          } finally {
            this.#askLater();
          }
        });
      },
      pingEveryMs * (0.8 + 0.4 * random()),
    );
    this.#timer.unref();
  }

  async #lookAround(): Promise<void> {
    const { clock, pingEveryMs } = this.#deps;
    for (let index = 0; index < this.#index; index += 1) {
      if ((await this.#troubleOf(index)) !== null) continue;
      if (!this.#end.signal.aborted && !this.#isSeeking && index < this.#index) this.#onFound(index);
      return;
    }
    if (clock.nowMs() - this.#heardMs < pingEveryMs) return;
    if ((await this.#troubleOf(this.#index)) !== null) this.#seekLater();
    else this.#onHeard();
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#end.signal });
  }
}
