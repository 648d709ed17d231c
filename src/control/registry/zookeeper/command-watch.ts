/**
 * A command text, as it changes.
 *
 *   read the node (or wait for it to be made, whatever of its parents is missing) -> tell; again whenever the watch fires
 *
 * ZooKeeper takes a watch on a path of which nothing exists yet. Reads do not overlap, and between two there is a rest: whoever writes all the
 * time costs some reads a second. motan-go ends its watch when the node is deleted and spins, and never watches below a group that is not
 * there yet; and it ignores an empty text, which here is no command.
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
import type { ZooKeeperClient } from './client.js';
import { CODE, isCode } from './messages.js';
import { textOfData } from './node-data.js';
import type { Session, WatchWish } from './session.js';

/** Between two reads, so that not every step of somebody who writes all the time is read. */
const REST_MS = 100;
/** After a refusal, which may be lifted without any event. */
const REFUSED_PAUSE_MS = 10_000;

export interface CommandWatchDeps {
  readonly session: Session;
  readonly client: ZooKeeperClient;
  readonly gate: ReadGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly path: string;
  readonly listener: CommandListener;
  onClosed(): void;
}

export class CommandWatch implements DriverWatch {
  readonly #deps: CommandWatchDeps;
  readonly #dataWatch: WatchWish;
  readonly #existsWatch: WatchWish;
  /** What was read; null when there is nothing, undefined when it must be told whatever it is. */
  #told: string | null | undefined = undefined;
  #isStale = true;
  #isReading = false;
  #notBeforeMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(deps: CommandWatchDeps) {
    this.#deps = deps;
    const onWatch = (): void => this.#onStale();
    this.#dataWatch = { kind: 'data', path: deps.path, onWatch };
    this.#existsWatch = { kind: 'exists', path: deps.path, onWatch };
  }

  /** The session is there. When the watches were kept and nothing fired, what was read is still true. */
  onUp(areWatchesKept: boolean): void {
    const known = this.#told;
    this.#told = undefined;
    this.#notBeforeMs = 0;
    if (areWatchesKept && !this.#isStale && known !== undefined) this.#tell(known);
    else this.#onStale();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#unwatch();
    this.#deps.onClosed();
  }

  #onStale(): void {
    this.#isStale = true;
    if (this.#isClosed || this.#isReading) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const waitMs = this.#notBeforeMs - this.#deps.clock.nowMs();
    if (waitMs > 0) {
      this.#timer = setTimeout(() => this.#onStale(), waitMs);
    } else if (this.#deps.session.isUp) {
      background('zookeeper-command', this.#deps.logger, () => this.#pass());
    } // otherwise `onUp` comes back here
  }

  async #pass(): Promise<void> {
    const { session, gate, clock, random, listener, path } = this.#deps;
    this.#isReading = true;
    this.#isStale = false;
    this.#notBeforeMs = clock.nowMs() + REST_MS;
    try {
      const text = await gate.run(() => this.#read());
      if (!this.#isClosed) this.#tell(text);
    } catch (error) {
      // The end of a connection is told by the session, for all, and `onUp` reads again.
      if (isCode(error, CODE.connectionLoss) || isCode(error, CODE.sessionExpired)) {
        this.#isStale = true;
      } else {
        this.#told = undefined;
        // What makes no sense is watched, and told anew when it has changed; a refusal is not.
        if (!(error instanceof UnreadableError)) {
          this.#isStale = true;
          this.#notBeforeMs = clock.nowMs() + REFUSED_PAUSE_MS * (0.75 + random() / 2);
        }
        if (!this.#isClosed) listener.onTrouble(`the command at ${path} cannot be read: ${messageOf(error)}`);
      }
    } finally {
      this.#isReading = false;
      if (this.#isClosed) this.#unwatch();
      else if (this.#isStale && session.isUp) this.#onStale();
    }
  }

  /** Null when there is none. */
  async #read(): Promise<string | null> {
    const { client, path } = this.#deps;
    for (;;) {
      const content = await client.content(path, this.#dataWatch);
      if (content !== null) return textOf(content.data);
      if ((await client.stat(path, this.#existsWatch)) === null) return null;
      // made between the two questions
    }
  }

  #tell(text: string | null): void {
    if (this.#told === text) return;
    this.#told = text;
    this.#deps.listener.onCommand(text);
  }

  #unwatch(): void {
    this.#deps.session.unwatch(this.#dataWatch);
    this.#deps.session.unwatch(this.#existsWatch);
  }
}

/** The node is there, and what it holds is no text. */
class UnreadableError extends Error {}

function textOf(data: Buffer): string {
  try {
    return textOfData(data, COMMAND_BYTES_MAX);
  } catch (error) {
    throw new UnreadableError(messageOf(error));
  }
}
