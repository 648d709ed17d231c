/**
 * A session with a group of ZooKeeper servers: what outlives a connection. Nodes that we list live as long as it does.
 *
 *   down --connected, welcomed, authenticated, watches set--> up --connection lost--> down ...
 *
 * After a loss the next server is tried, and the session is asked for again: until the servers have given it up, nothing of ours has gone.
 * Only they know when that is, so it is asked for however long the outage was; `onDown` says when it must be expected.
 */
import { type Clock, messageOf, type Random } from '../../../core/index.js';
import { Connection, type ServerAddress, type Settle } from './connection.js';
import type { JuteReader, JuteWriter } from './jute.js';
import { CODE, codeText, OP, type WatchKind, type Welcome, ZooKeeperError } from './messages.js';
import { type OnWatch, WatchTable } from './watch-table.js';

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 3_000;
const CLOSE_MS_MAX = 1_000;
/** A server takes requests up to 1 MiB. */
const SET_WATCHES_BYTES_MAX = 128 * 1024;
/** Refusals by every server, in so many rounds, after which what we have seen is no longer insisted on. */
const REFUSED_ROUNDS_MAX = 2;
const NO_PASSWORD = Buffer.alloc(16);

export interface SessionOptions {
  readonly servers: readonly ServerAddress[];
  /** Asked for; the servers decide. */
  readonly timeoutMs: number;
  /** `user:password` of the scheme `digest`; null without. */
  readonly digest: string | null;
}

export interface SessionEvents {
  /** `isFresh`: another session than before. `areWatchesKept`: what changed meanwhile has been told; otherwise all watches are gone. */
  onUp(isFresh: boolean, areWatchesKept: boolean): void;
  /** The server has answered a ping. */
  onHeard(): void;
  /** After the loss of a connection, and after each round in which no server could be reached. */
  onDown(trouble: string): void;
}

export interface SessionDeps {
  readonly clock: Clock;
  readonly random: Random;
}

export interface WatchWish {
  readonly kind: WatchKind;
  readonly path: string;
  readonly onWatch: OnWatch;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  readonly #deps: SessionDeps;
  /** In an order of our own, so that not all agents go to the same server. */
  readonly #servers: readonly ServerAddress[];
  readonly #watches = new WatchTable();
  #serverIndex = 0;
  #connection: Connection | null = null;
  #isUp = false;
  #isClosed = false;
  #sessionId = 0n;
  #password: Buffer = NO_PASSWORD;
  #timeoutMs = 0;
  #lastZxid = 0n;
  /** What we have seen was given up, so the server cannot tell what changed since. */
  #isBlind = false;
  #lastUpMs: number | null = null;
  /** Connections in a row that brought no session. */
  #failures = 0;
  #refusals = 0;
  #retryTimer: NodeJS.Timeout | null = null;

  constructor(options: SessionOptions, deps: SessionDeps, events: SessionEvents) {
    this.#options = options;
    this.#deps = deps;
    this.#events = events;
    this.#servers = shuffled(options.servers, deps.random);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** 0 before the first. */
  get id(): bigint {
    return this.#sessionId;
  }

  start(): void {
    this.#connect();
  }

  /**
   * Sends a request of which the answer is read by `read`. With a watch it is known before its event can come: on success, but for
   * `exists`, which waits for a node to be created, when there is none. Rejects with ZooKeeperError.
   */
  request<T>(
    about: string,
    type: number,
    write: (writer: JuteWriter) => void,
    read: (reader: JuteReader) => T,
    watch?: WatchWish,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle: Settle = (code, reader) => {
        if (watch !== undefined && code === (watch.kind === 'exists' ? CODE.noNode : 0))
          this.#watches.add(watch.kind, watch.path, watch.onWatch);
        if (reader === null) {
          reject(this.error(code, about));
          if (code === CODE.sessionExpired || code === CODE.sessionMoved)
            this.#connection?.close(codeText(code));
          return;
        }
        try {
          resolve(read(reader));
        } catch (error) {
          reject(new Error(`${about}: ${messageOf(error)}`));
          throw error; // the connection ends on it
        }
      };
      if (!this.#isUp || this.#connection === null) settle(CODE.connectionLoss, null);
      else this.#connection.request(type, write, settle);
    });
  }

  /** The error of an answer that carries its code in its body. */
  error(code: number, about: string): ZooKeeperError {
    const server = this.#connection === null ? 'not connected,' : this.#connection.name;
    return new ZooKeeperError(code, `${server} ${about}`, code === CODE.noAuth ? ` ${this.#user}` : '');
  }

  unwatch({ kind, path, onWatch }: WatchWish): void {
    this.#watches.remove(kind, path, onWatch);
  }

  /** Ends the session at the server too, so that what it listed goes at once. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    const connection = this.#connection;
    if (connection?.isOpen) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_MS_MAX);
        connection.request(
          OP.closeSession,
          () => {},
          () => {
            clearTimeout(timer);
            resolve();
          },
        );
      });
    }
    this.#isUp = false;
    connection?.close('closed by us');
    this.#watches.clear();
  }

  #connect(): void {
    const server = this.#servers[this.#serverIndex % this.#servers.length];
    if (server === undefined) return;
    const hello = {
      lastZxid: this.#lastZxid,
      timeoutMs: this.#options.timeoutMs,
      sessionId: this.#sessionId,
      password: this.#password,
    };
    const connection = new Connection(
      server,
      hello,
      {
        onWelcome: (welcome) => this.#onWelcome(connection, welcome),
        onZxid: (zxid) => {
          this.#lastZxid = zxid;
        },
        onPong: () => {
          if (this.#isUp) this.#events.onHeard();
        },
        onEvent: (event) => this.#watches.fire(event),
        onClosed: (trouble, wasRefused) => this.#onClosed(connection.name, trouble, wasRefused),
      },
      this.#deps.clock,
    );
    this.#connection = connection;
  }

  #onWelcome(connection: Connection, welcome: Welcome): void {
    if (welcome.timeoutMs <= 0) {
      this.#forgetSession();
      connection.close('the session has expired');
      return;
    }
    const isFresh = welcome.sessionId !== this.#sessionId;
    this.#sessionId = welcome.sessionId;
    this.#password = welcome.password;
    this.#timeoutMs = welcome.timeoutMs;
    this.#refusals = 0;
    if (isFresh || this.#isBlind) this.#watches.clear();
    // Answers come in order: the last of these settles when all is done, and after the events of what changed meanwhile.
    let open = 1;
    const onStep: Settle = (code) => {
      open -= 1;
      if (code === CODE.connectionLoss) return; // told by the end of the connection
      if (code !== 0) connection.close(`${codeText(code)} ${this.#user}`);
      else if (open === 0) this.#onReady(isFresh);
    };
    const { digest } = this.#options;
    if (digest !== null) {
      open += 1;
      connection.authenticate('digest', digest, onStep);
    }
    for (const { data, exists, children } of this.#watches.pieces(SET_WATCHES_BYTES_MAX)) {
      open += 1;
      const since = this.#lastZxid;
      connection.setWatches((writer) => writer.long(since).texts(data).texts(exists).texts(children), onStep);
    }
    onStep(0, null);
  }

  #onReady(isFresh: boolean): void {
    if (this.#isClosed) return;
    const areWatchesKept = !isFresh && !this.#isBlind;
    this.#isUp = true;
    this.#isBlind = false;
    this.#failures = 0;
    this.#events.onUp(isFresh, areWatchesKept);
  }

  #onClosed(server: string, trouble: string, wasRefused: boolean): void {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#connection = null;
    if (this.#isClosed) return;
    const nowMs = this.#deps.clock.nowMs();
    if (wasUp) this.#lastUpMs = nowMs;
    this.#serverIndex += 1;
    this.#failures += 1;
    if (wasRefused) this.#onRefused();
    const isRoundOver = this.#failures % this.#servers.length === 0;
    if (wasUp || isRoundOver) this.#events.onDown(`${server}: ${trouble}${this.#lossText(nowMs)}`);
    this.#retryTimer = setTimeout(() => this.#connect(), this.#pauseMs(isRoundOver));
  }

  /**
   * A server whose data is older than what we have seen refuses us. It may lag behind the others, so they are tried first; but a server
   * whose data was wiped would refuse us for ever.
   */
  #onRefused(): void {
    this.#refusals += 1;
    if (this.#refusals < REFUSED_ROUNDS_MAX * this.#servers.length || this.#lastZxid === 0n) return;
    this.#lastZxid = 0n;
    this.#isBlind = true;
  }

  #forgetSession(): void {
    this.#sessionId = 0n;
    this.#password = NO_PASSWORD;
    this.#lastZxid = 0n;
    this.#lastUpMs = null;
  }

  #lossText(nowMs: number): string {
    if (this.#lastUpMs === null || nowMs - this.#lastUpMs < this.#timeoutMs) return '';
    return `; the session of ${this.#timeoutMs} ms must have expired, and what it listed is gone`;
  }

  /** None is alike, so that agents which lost a server together do not come back together; doubled with every round. */
  #pauseMs(isRoundOver: boolean): number {
    const rounds = Math.floor(this.#failures / this.#servers.length);
    const pauseMs = isRoundOver
      ? Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(rounds - 1, 10))
      : RETRY_MS_MIN;
    return pauseMs * (0.25 + 0.75 * this.#deps.random());
  }

  get #user(): string {
    const { digest } = this.#options;
    return digest === null ? 'without credentials' : `as digest user "${digest.split(':', 1)[0]}"`;
  }
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const left = [...items];
  const out: T[] = [];
  while (left.length > 0) out.push(...left.splice(Math.floor(random() * left.length), 1));
  return out;
}
