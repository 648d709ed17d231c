/**
 * Listens to the channels of services. A connection of its own, because one that listens may do nothing else; made with the first channel.
 *
 * Messages may be lost with the connection: whoever listens is told when it does (again), and reads then.
 */
import type { Redis } from 'ioredis';
import { background, type Logger, messageOf, type Random } from '../../../core/index.js';
import { KeptConnection } from './kept-connection.js';
import { makeOne, type RedisSettings, type ServerAddress } from './make-client.js';

/** Channels in one command. */
const CHANNELS_AT_ONCE = 500;
/** A silent server is noticed by a question that it leaves open. */
const ASK_EVERY_MS = 5_000;
/** After a refusal, which may be lifted without any event. */
const REFUSED_PAUSE_MS = 10_000;

export interface ChannelListener {
  onMessage(text: string): void;
  /** From now on messages come; those of before may have been missed. */
  onListening(): void;
}

export interface SubscriberDeps {
  readonly settings: RedisSettings;
  readonly random: Random;
  readonly logger: Logger;
  /** Servers of a cluster that were found since; each of them passes every message on. */
  clusterServers(): readonly ServerAddress[];
}

export class Subscriber {
  readonly #deps: SubscriberDeps;
  readonly #connection: KeptConnection<Redis>;
  readonly #listeners = new Map<string, ChannelListener>();
  /** Channels that are not yet asked for on this connection. */
  #waiting: string[] = [];
  #isOpen = false;
  #isAsking = false;
  #isInTrouble = false;
  #askTimer: NodeJS.Timeout | null = null;
  #retryTimer: NodeJS.Timeout | null = null;

  constructor(deps: SubscriberDeps) {
    this.#deps = deps;
    this.#connection = new KeptConnection<Redis>({
      random: deps.random,
      logger: deps.logger,
      make: (classes, attempt) => {
        const client = makeOne(classes, deps.settings, this.#serverOf(attempt));
        client.on('message', (channel: string, text: string) =>
          this.#listeners.get(channel)?.onMessage(text),
        );
        return client;
      },
      onUp: (client) => this.#onUp(client),
      onDown: (trouble) => this.#onTrouble(trouble),
    });
  }

  /** One listener for each channel. */
  listen(channel: string, listener: ChannelListener): void {
    this.#listeners.set(channel, listener);
    this.#waiting.push(channel);
    if (!this.#isOpen) this.#connection.open();
    this.#isOpen = true;
    this.#askForWaiting();
  }

  unlisten(channel: string): void {
    this.#listeners.delete(channel);
    this.#connection.client?.unsubscribe(channel).catch(() => {
      // The connection has ended, and its subscriptions with it.
    });
  }

  close(): void {
    this.#listeners.clear();
    if (this.#askTimer !== null) clearInterval(this.#askTimer);
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#connection.close();
  }

  #serverOf(attempt: number): ServerAddress {
    const { settings, clusterServers } = this.#deps;
    const servers = [...settings.servers, ...clusterServers()];
    return servers[attempt % servers.length]!;
  }

  #onUp(client: Redis): void {
    if (this.#askTimer !== null) clearInterval(this.#askTimer);
    this.#askTimer = setInterval(() => {
      client.ping().catch(() => {
        // The end of the connection, which has its own event.
      });
    }, ASK_EVERY_MS);
    this.#waiting = [...this.#listeners.keys()];
    this.#askForWaiting();
  }

  #onTrouble(trouble: string): void {
    if (!this.#isInTrouble)
      this.#deps.logger.warn({ trouble }, 'the registry tells no changes; they are looked for meanwhile');
    this.#isInTrouble = true;
  }

  #askForWaiting(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    background('redis-subscribe', this.#deps.logger, async () => {
      // All that are wanted in one turn go together.
      await new Promise((resolve) => setImmediate(resolve));
      try {
        await this.#subscribe();
      } finally {
        this.#isAsking = false;
      }
    });
  }

  async #subscribe(): Promise<void> {
    for (let client = this.#connection.client; client !== null; client = this.#connection.client) {
      const channels = this.#waiting.splice(0, CHANNELS_AT_ONCE).filter((each) => this.#listeners.has(each));
      if (channels.length === 0 && this.#waiting.length === 0) return;
      if (channels.length === 0) continue;
      try {
        await client.subscribe(...channels);
      } catch (error) {
        // With a connection that has ended all are asked for again on the next one; else it is a refusal.
        if (this.#connection.client === client) this.#onRefused(channels, messageOf(error));
        return;
      }
      if (this.#isInTrouble) this.#deps.logger.info({}, 'the registry tells changes again');
      this.#isInTrouble = false;
      for (const channel of channels) this.#listeners.get(channel)?.onListening();
    }
  }

  #onRefused(channels: readonly string[], trouble: string): void {
    this.#onTrouble(trouble);
    this.#retryTimer = setTimeout(() => {
      this.#waiting.push(...channels);
      this.#askForWaiting();
    }, REFUSED_PAUSE_MS);
  }
}
