/**
 * What PHP-FPM tells of its pool on its status page (`pm.status_path`), read now and then while there are calls.
 *
 * Its page is served by a child as any other, so it takes a connection of the bound. It is asked for when there is room; a pool that is
 * full for a whole interval more is asked once before the next call that waits, or it would never be known to have grown.
 */
import { type Logger, utf8Text } from '../../../core/index.js';
import type { Job, ScriptAnswer } from './exchange.js';
import { CHILDREN_GUESS, type Errands } from './fpm-pool.js';
import { fpmPage } from './fpm-request.js';
import type { Trouble } from './trouble.js';

export const STATUS_INTERVAL_MS = 5000;
/** After a failure, and while calls wait at a pool that grows. */
const SOON_MS = 1000;
const TIMEOUT_MS = 1000;

export interface FpmStatus {
  /** Connections that the pool can serve at once. */
  readonly childrenMax: number;
  /** `static`, `dynamic` or `ondemand`. */
  readonly manager: string;
  readonly details: Readonly<Record<string, string | number>>;
}

/** What operators look at, by FPM's own names. */
const DETAILS = [
  'process manager',
  'accepted conn',
  'listen queue',
  'max listen queue',
  'idle processes',
  'active processes',
  'total processes',
  'max active processes',
  'max children reached',
  'slow requests',
] as const;

/** Beyond this it is no count of processes. */
const CHILDREN_MAX = 100_000;

/** Reads the JSON form of the page; null when it is something else. */
export function parseFpmStatus(body: Buffer): FpmStatus | null {
  let page: unknown;
  try {
    page = JSON.parse(body.toString('utf8'));
  } catch {
    return null; // the only thing that JSON.parse says
  }
  if (typeof page !== 'object' || page === null) return null;
  const details: Record<string, string | number> = {};
  for (const name of DETAILS) {
    const value = (page as Record<string, unknown>)[name];
    if (typeof value === 'number' || (typeof value === 'string' && value.length < 64)) details[name] = value;
  }
  const childrenMax = childrenOf(details);
  if (childrenMax === null) return null;
  return { childrenMax, manager: String(details['process manager'] ?? ''), details };
}

/**
 * `static` has all its children, and `dynamic` makes more by itself when none is idle, so their number is the bound. `ondemand` makes one
 * only for a connection that finds none: it is let grow, twofold, until it has been at its limit.
 */
function childrenOf(details: Readonly<Record<string, string | number>>): number | null {
  const total = details['total processes'];
  if (typeof total !== 'number' || !Number.isInteger(total) || total < 1 || total > CHILDREN_MAX) return null;
  if (details['process manager'] !== 'ondemand') return total;
  const isAtLimit = Number(details['max children reached'] ?? 0) > 0;
  const most = Number(details['max active processes'] ?? 0);
  return isAtLimit ? Math.max(total, Number.isInteger(most) ? most : 0) : total * 2;
}

export class FpmStatusWatch implements Errands {
  readonly #path: string;
  readonly #logger: Logger;
  /** Told the bound that the page gives; null when it cannot be had. */
  readonly #onLearnt: (childrenMax: number | null) => void;
  #status: FpmStatus | null = null;
  #trouble: string | null = null;
  #dueMs = 0;
  #isAsking = false;
  #isStopped = false;

  constructor(path: string, logger: Logger, onLearnt: (childrenMax: number | null) => void) {
    this.#path = path;
    this.#logger = logger;
    this.#onLearnt = onLearnt;
  }

  /** The last page that could be read. */
  get status(): FpmStatus | null {
    return this.#status;
  }

  /** Why the last page could not be read; null when it could. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Asks no more, and tells nothing more. */
  stop(): void {
    this.#isStopped = true;
  }

  next(nowMs: number, hasWaiting: boolean): Job | null {
    const canGrow = this.#status !== null && this.#status.manager !== 'static';
    const patienceMs = hasWaiting && !canGrow ? STATUS_INTERVAL_MS : 0;
    if (this.#isAsking || this.#isStopped || nowMs < this.#dueMs + patienceMs) return null;
    this.#isAsking = true;
    return fpmPage(this.#path, 'json', nowMs + TIMEOUT_MS, (answer, trouble) => {
      this.#isAsking = false;
      this.#onPage(nowMs, answer, trouble);
    });
  }

  #onPage(nowMs: number, answer: ScriptAnswer | null, trouble: Trouble | null): void {
    if (this.#isStopped) return;
    const status = answer === null ? null : parseFpmStatus(Buffer.concat(answer.pieces));
    if (status !== null) {
      this.#dueMs = nowMs + (status.manager === 'static' ? STATUS_INTERVAL_MS : SOON_MS);
      this.#status = status;
      this.#trouble = null;
      this.#onLearnt(status.childrenMax);
      return;
    }
    this.#dueMs = nowMs + SOON_MS;
    const path = utf8Text(this.#path);
    const text = trouble?.message ?? `${path} answers ${answer!.head.status}, and no status page`;
    if (this.#trouble === null)
      this.#logger.warn(
        { path, trouble: text, assumed: CHILDREN_GUESS },
        'the status page of php-fpm cannot be read',
      );
    this.#trouble = text;
    this.#onLearnt(this.#status?.childrenMax ?? null);
  }
}
