/**
 * A client that is made anew whenever it has ended.
 *
 *   connecting --ready--> up --end--> waiting --a pause that doubles, with jitter--> connecting
 *       '-------- end, or not ready in time --------^
 */
import type { Cluster, Redis } from 'ioredis';
import { background, type Logger, messageOf, type Random } from '../../../core/index.js';
import type { RedisClasses } from './make-client.js';

/** Connecting, being let in, and the server's reading of its disk. */
const READY_MS_MAX = 15_000;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 3_000;

export interface KeptConnectionDeps<Client extends Redis | Cluster> {
  readonly random: Random;
  readonly logger: Logger;
  /** `attempt` counts the connections that were made: another server may be chosen each time. */
  make(redis: RedisClasses, attempt: number): Client;
  onUp(client: Client): void;
  /** It was up and is not, or another try has failed. */
  onDown(trouble: string): void;
}

export class KeptConnection<Client extends Redis | Cluster> {
  readonly #deps: KeptConnectionDeps<Client>;
  #client: Client | null = null;
  #isUp = false;
  #isClosed = false;
  #attempts = 0;
  /** In a row. */
  #failures = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: KeptConnectionDeps<Client>) {
    this.#deps = deps;
  }

  /** The client while it can be used. */
  get client(): Client | null {
    return this.#isUp ? this.#client : null;
  }

  open(): void {
    background('redis-connect', this.#deps.logger, async () => {
      // Loaded by those who use it only.
      const redis = await import('ioredis');
      if (!this.#isClosed) this.#connect(redis);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#isUp = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#client?.disconnect();
  }

  #connect(redis: RedisClasses): void {
    const client = this.#deps.make(redis, this.#attempts);
    this.#attempts += 1;
    this.#client = client;
    let cause: string | null = null;
    // One Sentinel in trouble is none when the next one answers.
    let sentinelCause: string | null = null;
    this.#timer = setTimeout(() => {
      cause ??= `not ready within ${READY_MS_MAX} ms`;
      client.disconnect();
    }, READY_MS_MAX);
    // While connecting, the first error is the cause, and others follow from it.
    const onError = (error: unknown): void => {
      if (cause !== null && !this.#isUp) return;
      const text = plainCause(error);
      cause = text.startsWith('All sentinels') ? (sentinelCause ?? text) : text;
    };
    client.on('error', onError);
    client.on('sentinelError', (error: unknown) => {
      sentinelCause ??= plainCause(error);
    });
    // The nodes of a cluster are trouble only when none is left, and then say why.
    client.on('node error', onError);
    client.on('ready', () => {
      if (this.#isClosed || this.#client !== client) return;
      if (this.#timer !== null) clearTimeout(this.#timer);
      cause = null;
      this.#failures = 0;
      this.#isUp = true;
      this.#deps.onUp(client);
    });
    client.on('end', () => this.#onEnd(client, redis, cause ?? 'the connection was closed'));
    // The events say it, too.
    client.connect().catch(onError);
  }

  #onEnd(client: Client, redis: RedisClasses, cause: string): void {
    if (this.#client !== client) return;
    // Also what a client of Sentinel has open beside its connection.
    client.disconnect();
    this.#client = null;
    this.#isUp = false;
    if (this.#isClosed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const pauseMs = Math.min(PAUSE_MS_MIN * 2 ** this.#failures, PAUSE_MS_MAX);
    this.#failures = Math.min(this.#failures + 1, 10);
    // Agents that lost a server together must not come back together.
    this.#timer = setTimeout(() => this.#connect(redis), pauseMs * (0.5 + this.#deps.random() / 2));
    this.#deps.onDown(cause);
  }
}

/** What ioredis says, without its advice to its users. */
export function plainCause(error: unknown): string {
  const last = (error as { lastNodeError?: unknown } | null)?.lastNodeError;
  if (last instanceof Error) return plainCause(last);
  const text = messageOf(error);
  if (text.endsWith('Please report this.')) return 'what answers there does not speak the protocol of Redis';
  if (text.startsWith('Socket timeout.')) return 'the server is silent';
  return text;
}
