/**
 * Commands to Redis, several at once. Nothing is kept for later: what cannot be sent now is refused.
 *
 * In a cluster a batch must be about one service, whose keys are on one server.
 */
import type { Cluster, Redis } from 'ioredis';
import type { Logger, Random } from '../../../core/index.js';
import { KeptConnection, plainCause } from './kept-connection.js';
import { makeClient, type RedisSettings, type ServerAddress } from './make-client.js';

export type RedisCommand = readonly [name: string, ...args: (string | number)[]];

/** What a command was answered; an Error when a key holds another kind of value than it should. */
export type RedisAnswer = string | number | readonly (string | null)[] | null | Error;

export interface RedisClientEvents {
  onUp(): void;
  onDown(trouble: string): void;
}

interface WaitingBatch {
  readonly commands: readonly RedisCommand[];
  resolve(answers: RedisAnswer[]): void;
  reject(error: unknown): void;
}

const NOT_CONNECTED = 'the server is not connected';
/** A turn of the event loop must not take long. */
const COMMANDS_AT_ONCE = 500;
/** Looked at by one command, which takes a server less than a millisecond. */
const KEYS_A_ROUND = 1_000;
const SCAN_ROUNDS_MAX = 5_000;

export class RedisClient {
  /** Whether a batch may only be about one service. */
  readonly isCluster: boolean;
  readonly #connection: KeptConnection<Redis | Cluster>;
  #waiting: WaitingBatch[] = [];

  constructor(
    settings: RedisSettings,
    deps: { readonly random: Random; readonly logger: Logger },
    events: RedisClientEvents,
  ) {
    this.isCluster = settings.kind === 'cluster';
    this.#connection = new KeptConnection<Redis | Cluster>({
      ...deps,
      make: (classes) => makeClient(classes, settings),
      onUp: () => events.onUp(),
      onDown: (trouble) => events.onDown(trouble),
    });
  }

  get isUp(): boolean {
    return this.#connection.client !== null;
  }

  /** The servers of a cluster as they are known now; empty for others. */
  get clusterServers(): readonly ServerAddress[] {
    const client = this.#connection.client;
    if (client === null || !client.isCluster) return [];
    return (client as Cluster).nodes().map(({ options }) => ({ host: options.host!, port: options.port! }));
  }

  open(): void {
    this.#connection.open();
  }

  /** One answer for each command. Rejects with the first error that is not about a single value. */
  async batch(commands: readonly RedisCommand[]): Promise<RedisAnswer[]> {
    if (this.isCluster) return answersOf(await this.#connected().pipeline(copyOf(commands)).exec());
    return new Promise((resolve, reject) => {
      // What is asked in one turn goes together: a thousand services that are looked at cost a few writes.
      if (this.#waiting.length === 0) setImmediate(() => this.#sendWaiting());
      this.#waiting.push({ commands, resolve, reject });
    });
  }

  /** All or nothing, and nobody sees it half done. */
  async transact(commands: readonly RedisCommand[]): Promise<RedisAnswer[]> {
    let results: [Error | null, unknown][] | null;
    // In the order in which it was asked for.
    this.#sendWaiting();
    try {
      results = await this.#connected().multi(copyOf(commands)).exec();
    } catch (error) {
      // The cause of an EXECABORT stands beside it.
      const [first] = (error as { previousErrors?: unknown[] }).previousErrors ?? [];
      throw new Error(plainCause(first ?? error));
    }
    const answers = answersOf(results);
    for (const answer of answers) if (answer instanceof Error) throw answer;
    return answers;
  }

  /** The keys that match, of all servers, some of them perhaps twice. Looks at all keys that there are. */
  async keys(pattern: string): Promise<string[]> {
    const client = this.#connected();
    const servers = client.isCluster ? (client as Cluster).nodes('master') : [client as Redis];
    const found: string[] = [];
    let rounds = 0;
    for (const server of servers) {
      let cursor = '0';
      do {
        rounds += 1;
        if (rounds > SCAN_ROUNDS_MAX)
          throw new Error(`over ${SCAN_ROUNDS_MAX * KEYS_A_ROUND} keys are too many to look for ${pattern}`);
        let keys: string[];
        try {
          [cursor, keys] = await server.scan(cursor, 'MATCH', pattern, 'COUNT', KEYS_A_ROUND);
        } catch (error) {
          throw new Error(plainCause(error));
        }
        found.push(...keys);
      } while (cursor !== '0');
    }
    return found;
  }

  close(): void {
    this.#connection.close();
  }

  #sendWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < waiting.length; ) {
      const some: WaitingBatch[] = [];
      for (let size = 0; at < waiting.length && size < COMMANDS_AT_ONCE; at += 1) {
        some.push(waiting[at]!);
        size += waiting[at]!.commands.length;
      }
      this.#send(some);
    }
  }

  #send(batches: readonly WaitingBatch[]): void {
    const client = this.#connection.client;
    if (client === null) {
      for (const { reject } of batches) reject(new Error(NOT_CONNECTED));
      return;
    }
    const sent = client.pipeline(copyOf(batches.flatMap(({ commands }) => commands))).exec();
    sent.then(
      (results) => {
        let at = 0;
        for (const { commands, resolve, reject } of batches) {
          const own = results!.slice(at, at + commands.length);
          at += commands.length;
          try {
            resolve(answersOf(own));
          } catch (error) {
            reject(error);
          }
        }
      },
      (error: unknown) => {
        for (const { reject } of batches) reject(new Error(plainCause(error)));
      },
    );
  }

  #connected(): Redis | Cluster {
    const client = this.#connection.client;
    if (client === null) throw new Error(NOT_CONNECTED);
    return client;
  }
}

/** ioredis wants arrays that it may change. */
function copyOf(commands: readonly RedisCommand[]): (string | number)[][] {
  return commands.map((command) => [...command]);
}

function answersOf(results: readonly [Error | null, unknown][] | null): RedisAnswer[] {
  const answers: RedisAnswer[] = [];
  for (const [error, answer] of results ?? []) {
    if (error !== null && !error.message.startsWith('WRONGTYPE')) throw new Error(plainCause(error));
    answers.push(error ?? (answer as RedisAnswer));
  }
  return answers;
}
