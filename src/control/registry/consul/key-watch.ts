/**
 * A text in Consul's key-value store, as it changes: commands of a group or of an application.
 *
 *   ask, waiting for the index to change --> answer --> tell --> rest --> ask
 *        '-- refused for want of a leader, or not answered --> ask for what any server knows, until there is a leader
 *        '-- nobody is there --> wait until an agent answers, ask at once
 *
 * For a key that is not there a question comes back whenever any key near it changes: an answer without news makes the rest long.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  background,
  COMMAND_BYTES_MAX,
  type CommandListener,
  type Logger,
  messageOf,
  type Random,
} from '../../../core/index.js';
import type { DriverWatch } from '../server/driver.js';
import { ConsulError, type KeyAnswer, type KeyQuery } from './consul-api.js';

const REST_MS = 100;
/** After an answer without news, and where nothing can be waited for. */
const POLL_MS = 2_000;
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 10_000;
/** Without a leader: soon enough to see that there is one again. */
const STALE_WAIT_MS_MAX = 5_000;

export interface KeyWatchDeps {
  readonly key: string;
  readonly listener: CommandListener;
  readonly ask: (query: KeyQuery, signal: AbortSignal) => Promise<KeyAnswer>;
  /** There is somebody to ask. */
  readonly isUp: () => boolean;
  /** Resolves when there is, or at the signal. */
  readonly untilUp: (signal: AbortSignal) => Promise<void>;
  /** How long a question may wait at the agent; less when there are very many keys. */
  readonly waitMs: () => number;
  readonly random: Random;
  readonly logger: Logger;
  onClosed(): void;
}

export class KeyWatch implements DriverWatch {
  readonly #deps: KeyWatchDeps;
  readonly #end = new AbortController();
  #question = new AbortController();
  /** What was told; undefined when the next answer is told whatever it is. */
  #told: string | null | undefined = undefined;
  #index = 0;
  #isStale = false;
  #isWanted = false;
  #retryMs = RETRY_MS_MIN;

  constructor(deps: KeyWatchDeps) {
    this.#deps = deps;
    background('consul-key', deps.logger, () => this.#run());
  }

  /** The agent answers again, or it is another one: all is read and told again. */
  onUp(): void {
    this.#told = undefined;
    this.#isStale = false;
    this.#retryMs = RETRY_MS_MIN;
    this.#isWanted = true;
    this.#question.abort();
  }

  close(): void {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    this.#question.abort();
    this.#deps.onClosed();
  }

  async #run(): Promise<void> {
    const { key, ask, untilUp, waitMs, random } = this.#deps;
    while (!this.#end.signal.aborted) {
      await untilUp(this.#end.signal);
      if (this.#end.signal.aborted) return;
      if (this.#isWanted) this.#index = 0;
      this.#isWanted = false;
      this.#question = new AbortController();
      const query = {
        key,
        index: this.#index,
        waitMs: this.#isStale ? Math.min(waitMs(), STALE_WAIT_MS_MAX) : waitMs(),
        isStale: this.#isStale,
      };
      try {
        const answer = await ask(query, this.#question.signal);
        if (this.#end.signal.aborted) return;
        const isNews = this.#take(answer);
        this.#onAnswered(answer, query);
        const isIdle = answer.index === 0 || (query.index > 0 && !isNews && answer.index !== query.index);
        await this.#rest((isIdle ? POLL_MS : REST_MS) * (0.5 + random()));
      } catch (error) {
        await this.#onFailed(error);
      }
    }
  }

  #onAnswered({ index, hasLeader }: KeyAnswer, query: KeyQuery): void {
    this.#retryMs = RETRY_MS_MIN;
    // One that went back was of another life of the servers.
    this.#index = index < this.#index ? 0 : index;
    // Not before one answer was waited for: a leader that is known and refuses would be asked without a pause.
    if (hasLeader && query.index > 0) this.#isStale = false;
  }

  /** True when it was something new. */
  #take({ value }: KeyAnswer): boolean {
    const { key, listener } = this.#deps;
    if (value !== null && value.length > COMMAND_BYTES_MAX) {
      const isNews = this.#told !== undefined;
      this.#told = undefined;
      listener.onTrouble(`the command at ${key} cannot be read: over ${COMMAND_BYTES_MAX} bytes`);
      return isNews;
    }
    const text = value === null ? null : value.toString('utf8');
    if (text === this.#told) return false;
    this.#told = text;
    listener.onCommand(text);
    return true;
  }

  async #onFailed(error: unknown): Promise<void> {
    const { key, listener, random, isUp } = this.#deps;
    const kind = error instanceof ConsulError ? error.kind : 'answer';
    if (kind === 'cancelled' || this.#end.signal.aborted) return;
    // As with the nodes of a group: without a leader any server still says what it last knew.
    const mayLackLeader = kind === 'wire' || (error instanceof ConsulError && error.status >= 500);
    this.#isStale = mayLackLeader && !this.#isStale;
    this.#index = 0;
    if (this.#isStale && kind === 'answer') return;
    // When nobody answers at all the link tells it, for all.
    if (!this.#isStale && (kind === 'answer' || isUp())) {
      this.#told = undefined;
      listener.onTrouble(`the command at ${key} cannot be read: ${messageOf(error)}`);
    }
    const retryMs = this.#retryMs * (0.5 + random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    await this.#rest(retryMs);
  }

  /** Ends early when there is something new to ask. */
  async #rest(ms: number): Promise<void> {
    const { signal } = this.#question;
    try {
      await pause(ms, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
