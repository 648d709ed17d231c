/**
 * The connections to one PHP-FPM pool, and the calls that wait for one.
 *
 * A connection beyond the number of children is taken by the kernel and then waits in the backlog of FPM, where nobody can refuse it,
 * count it or take it back. So there are never more connections than children, with those of abandoned calls, the status page and
 * pings among them; what is more waits here, in order, for a bounded time and in a bounded number, and the rest is refused at once.
 */
import type { IoLoop } from '../../transport/index.js';
import type { ConnectTarget } from '../probe-connect.js';
import { Exchange, type ExchangeOwner, type Job } from './exchange.js';
import type { Trouble } from './trouble.js';

/** When nothing says how many children there are: the default of FPM's own configuration file. */
export const CHILDREN_GUESS = 5;
/** Bodies of waiting calls; a single call may be larger. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;

export interface PoolOptions {
  readonly loop: IoLoop;
  readonly useRaw: boolean;
  readonly target: ConnectTarget;
  readonly connectTimeoutMs: number;
  readonly queueMax: number;
}

/** Small requests of the agent itself, which the pool makes when there is room. */
export interface Errands {
  /** One that is due, or null. With `hasWaiting` it would go before a call that waits. */
  next(nowMs: number, hasWaiting: boolean): Job | null;
}

export class FpmPool implements ExchangeOwner {
  readonly loop: IoLoop;
  readonly useRaw: boolean;
  readonly target: ConnectTarget;
  readonly connectTimeoutMs: number;
  readonly #queueMax: number;
  #errands: Errands | null = null;
  #connectionsMax = CHILDREN_GUESS;
  /** With a connection, or getting one. */
  readonly #open = new Set<Exchange>();
  /** Of `#open`, those whose caller has its answer or was told that there is none. */
  #settled = 0;
  readonly #queue = new Set<Exchange>();
  #queuedBytes = 0;
  #refused = 0;
  #answered = 0;
  #lastError: string | null = null;

  constructor(options: PoolOptions) {
    this.loop = options.loop;
    this.useRaw = options.useRaw;
    this.target = options.target;
    this.connectTimeoutMs = options.connectTimeoutMs;
    this.#queueMax = options.queueMax;
  }

  set errands(errands: Errands) {
    this.#errands = errands;
  }

  get connectionsMax(): number {
    return this.#connectionsMax;
  }

  set connectionsMax(count: number) {
    this.#connectionsMax = count;
    this.#fill();
  }

  get connections(): number {
    return this.#open.size;
  }

  get inFlight(): number {
    return this.#open.size - this.#settled;
  }

  get queued(): number {
    return this.#queue.size;
  }

  get refused(): number {
    return this.#refused;
  }

  /** Answers since start: a pool that is full and gives some is busy, one that gives none may be stuck. */
  get answered(): number {
    return this.#answered;
  }

  get lastError(): string | null {
    return this.#lastError;
  }

  get hasRoom(): boolean {
    return this.#open.size < this.#connectionsMax;
  }

  /** Takes a job: at once when there is room, else into the queue. False when that is full as well; the job is then told nothing. */
  submit(job: Job): boolean {
    if (this.#queue.size === 0 && this.hasRoom) {
      this.#dispatch(new Exchange(job, this));
      this.runErrands();
      return true;
    }
    const isFull = this.#queue.size >= this.#queueMax;
    const isHeavy = this.#queue.size > 0 && this.#queuedBytes + job.bytes > QUEUE_BYTES_MAX;
    if (isFull || isHeavy) {
      this.#refused += 1;
      this.#lastError = 'the queue is full';
      return false;
    }
    const exchange = new Exchange(job, this);
    this.#queue.add(exchange);
    this.#queuedBytes += job.bytes;
    exchange.wait();
    return true;
  }

  /** Takes a job only if there is room for it now, in front of what waits. */
  submitNow(job: Job): boolean {
    if (!this.hasRoom) return false;
    this.#dispatch(new Exchange(job, this));
    return true;
  }

  /** Makes the agent's own requests that are due, as far as there is room. */
  runErrands(): void {
    if (this.#errands === null || !this.hasRoom) return;
    const job = this.#errands.next(this.loop.clock.nowMs(), false);
    if (job !== null) this.submitNow(job);
  }

  /** Ends everything: calls that wait, calls that are being served, abandoned ones. */
  cancelAll(waiting: Trouble, served: Trouble): void {
    for (const exchange of [...this.#queue]) {
      this.#leaveQueue(exchange);
      exchange.cancel(waiting);
    }
    for (const exchange of [...this.#open]) exchange.cancel(served);
  }

  onQueueDeadline(exchange: Exchange): void {
    this.#leaveQueue(exchange);
    this.#refused += 1;
  }

  onSettled(exchange: Exchange, trouble: Trouble | null): void {
    if (trouble === null) this.#answered += 1;
    else this.#lastError = trouble.message;
    if (this.#open.has(exchange)) this.#settled += 1;
  }

  onReleased(exchange: Exchange): void {
    this.#open.delete(exchange);
    if (exchange.isSettled) this.#settled -= 1;
    this.#fill();
  }

  #dispatch(exchange: Exchange): void {
    this.#open.add(exchange);
    exchange.dispatch();
  }

  #fill(): void {
    while (this.hasRoom && this.#queue.size > 0) {
      const errand = this.#errands?.next(this.loop.clock.nowMs(), true) ?? null;
      if (errand !== null) {
        this.#dispatch(new Exchange(errand, this));
        continue;
      }
      const [next] = this.#queue;
      this.#leaveQueue(next!);
      this.#dispatch(next!);
    }
  }

  #leaveQueue(exchange: Exchange): void {
    if (this.#queue.delete(exchange)) this.#queuedBytes -= exchange.job.bytes;
  }
}
