/**
 * A command text, as it changes: read when a message says so, when a connection is (again) there, and when some time has passed, because
 * whoever writes by hand sends no message.
 */
import {
  background,
  type Clock,
  COMMAND_BYTES_MAX,
  type CommandListener,
  type Logger,
  messageOf,
  type Random,
} from '../../../core/index.js';
import type { DriverWatch } from '../server/driver.js';
import type { ReadGate } from '../server/read-gate.js';
import type { CommandPlace } from './layout.js';
import type { RedisClient } from './redis-client.js';
import type { Subscriber } from './subscriber.js';

/** Between two reads, however many messages come. */
const REST_MS = 100;

export interface CommandWatchDeps {
  readonly client: RedisClient;
  readonly subscriber: Subscriber;
  readonly gate: ReadGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly place: CommandPlace;
  readonly listener: CommandListener;
  /** Between two looks about which nothing was told. */
  lookEveryMs(): number;
  onClosed(): void;
}

export class CommandWatch implements DriverWatch {
  readonly #deps: CommandWatchDeps;
  /** What was told; undefined when the next answer is told whatever it is. */
  #told: string | undefined = undefined;
  #isWanted = false;
  #isReading = false;
  #notBeforeMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(deps: CommandWatchDeps) {
    this.#deps = deps;
    deps.subscriber.listen(deps.place.channel, {
      onMessage: () => this.#read(),
      onListening: () => this.#read(),
    });
  }

  /** The server answers (again). */
  onUp(): void {
    this.#told = undefined;
    this.#read();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#deps.subscriber.unlisten(this.#deps.place.channel);
    this.#deps.onClosed();
  }

  #read(): void {
    this.#isWanted = true;
    if (this.#isClosed || this.#isReading) return;
    const waitMs = this.#notBeforeMs - this.#deps.clock.nowMs();
    if (waitMs > 0) {
      this.#readLater(waitMs);
      return;
    }
    background('redis-command', this.#deps.logger, () => this.#pass());
  }

  async #pass(): Promise<void> {
    const { client, gate, clock, random, lookEveryMs } = this.#deps;
    if (!client.isUp) return; // `onUp` comes back here
    this.#isReading = true;
    this.#isWanted = false;
    this.#notBeforeMs = clock.nowMs() + REST_MS;
    try {
      await gate.run(() => this.#take());
    } catch (error) {
      await this.#onFailed(error);
    }
    this.#isReading = false;
    if (this.#isWanted) this.#read();
    else this.#readLater(lookEveryMs() * (0.8 + 0.4 * random()));
  }

  async #take(): Promise<void> {
    const { client, place, listener } = this.#deps;
    const [text] = await client.batch([['getrange', place.key, 0, COMMAND_BYTES_MAX]]);
    if (this.#isClosed) return;
    if (typeof text !== 'string') throw new Error(messageOf(text));
    if (Buffer.byteLength(text) > COMMAND_BYTES_MAX) throw new Error(`over ${COMMAND_BYTES_MAX} bytes`);
    if (text === this.#told) return;
    this.#told = text;
    // A key that is not there is answered as one without text.
    listener.onCommand(text === '' ? null : text);
  }

  async #onFailed(error: unknown): Promise<void> {
    const { client, place, listener } = this.#deps;
    // The end of the connection, which has its own trouble, comes a turn later than its errors.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#isClosed || !client.isUp) return;
    this.#told = undefined;
    listener.onTrouble(`the command at ${place.key} cannot be read: ${messageOf(error)}`);
  }

  #readLater(ms: number): void {
    if (this.#isClosed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), ms);
  }
}
