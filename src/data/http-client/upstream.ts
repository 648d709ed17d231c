/**
 * The connections to one upstream: kept alive, bounded in number, age and idleness, and handed to exchanges.
 *
 *   start --idle connection--> carried
 *     |----- room for one more: opened; the exchange waits for it, or for one that becomes free
 *     |----- no room: waits in a bounded queue
 *     '----- queue full: fails at once, `no-connection`
 *
 * Idle connections are used newest first, so that those beyond the need grow old and are closed. A retry never takes a used one, idle or
 * just free: when one was stale the others may be, too.
 */
import type { WheelTimer } from '../../base/index.js';
import type { Http1Limits } from '../../wire/http1/index.js';
import type { ByteStream, IoLoop } from '../transport/index.js';
import { type ConnectionPool, HttpConnection } from './connection.js';
import {
  Exchange,
  type ExchangeOwner,
  type HttpExchange,
  type HttpFailure,
  type HttpHandler,
  type HttpRequest,
} from './exchange.js';
import { type DialTrouble, dialTarget, type HttpTarget, targetName } from './target.js';

export interface HttpUpstreamOptions {
  readonly target: HttpTarget;
  readonly connectTimeoutMs: number;
  readonly connectionsMax: number;
  /** Requests that may wait beyond those for which a connection is being opened. */
  readonly queueMax: number;
  /** How long one of those may wait; 0 for as long as its own deadline lets it. */
  readonly queueTimeoutMs: number;
  /** Life of an idle connection; 0 keeps none. */
  readonly idleTimeoutMs: number;
  /** Age at which a connection is used no more; 0 for any. */
  readonly maxAgeMs: number;
  readonly limits: Http1Limits;
}

export interface HttpClientDeps {
  readonly loop: IoLoop;
  /** Whether Node's own handles can be used: `rawStreamsWork`. */
  readonly useRaw: boolean;
}

export interface HttpUpstreamReport {
  /** `host:port`, `https://host:port` or `unix:path`. */
  readonly target: string;
  readonly connections: number;
  readonly idle: number;
  /** Requests carried by a connection. */
  readonly inFlight: number;
  /** Requests that wait for a connection. */
  readonly queued: number;
  /** Since start: connections opened, requests begun, sent a second time, failed, and refused for want of a connection. */
  readonly opened: number;
  readonly started: number;
  readonly retried: number;
  readonly failed: number;
  readonly refused: number;
  /** The last failure in words; null when there was none. */
  readonly lastError: string | null;
}

/** Between two looks for connections that are idle for too long. */
const REAP_MS_MIN = 100;
const REAP_MS_MAX = 5000;

export class HttpUpstream implements ConnectionPool, ExchangeOwner, WheelTimer {
  readonly loop: IoLoop;
  readonly name: string;
  readonly #options: HttpUpstreamOptions;
  readonly #useRaw: boolean;
  readonly #connections = new Set<HttpConnection>();
  /** Longest idle first. */
  readonly #idle: HttpConnection[] = [];
  #waiting: Exchange[] = [];
  #dialing = 0;
  #isClosing = false;
  /** At this time a closing upstream ends what is left. */
  #closeAtMs = 0;
  #opened = 0;
  #started = 0;
  #retried = 0;
  #failed = 0;
  #refused = 0;
  #lastError: string | null = null;
  deadlineMs = 0;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(options: HttpUpstreamOptions, deps: HttpClientDeps) {
    this.#options = options;
    this.#useRaw = deps.useRaw;
    this.loop = deps.loop;
    this.name = targetName(options.target);
  }

  /** Begins an exchange. The handler may hear of a failure before this returns. */
  start(request: HttpRequest, handler: HttpHandler): HttpExchange {
    const exchange = new Exchange(this, request, handler);
    this.#started += 1;
    if (this.#isClosing) {
      exchange.fail({ kind: 'no-connection', text: 'the upstream is being closed' });
      return exchange;
    }
    const connection = this.#takeIdle();
    if (connection !== null) connection.carry(exchange);
    else this.#enqueue(exchange);
    return exchange;
  }

  /** Takes no new exchanges, lets those begun end within `withinMs`, then fails the rest. Idle connections close at once. */
  close(withinMs: number): void {
    if (this.#isClosing && withinMs > 0) return;
    this.#isClosing = true;
    for (const connection of this.#idle.splice(0)) connection.close();
    for (const connection of this.#connections) connection.isClosing = true;
    this.loop.timers.remove(this);
    if (withinMs <= 0) {
      this.#closeAll();
      return;
    }
    this.#closeAtMs = this.loop.clock.nowMs() + withinMs;
    if (this.#connections.size + this.#waiting.length > 0) this.#wakeAt(this.#closeAtMs);
  }

  report(): HttpUpstreamReport {
    return {
      target: this.name,
      connections: this.#connections.size,
      idle: this.#idle.length,
      inFlight: this.#connections.size - this.#idle.length,
      queued: this.#waiting.length,
      opened: this.#opened,
      started: this.#started,
      retried: this.#retried,
      failed: this.#failed,
      refused: this.#refused,
      lastError: this.#lastError,
    };
  }

  onDeadline(nowMs: number): void {
    if (this.#isClosing) {
      this.#closeAll();
      return;
    }
    const stale = this.#idle.filter((connection) => !this.#isFresh(connection, nowMs));
    for (const connection of stale) connection.close();
    if (this.#idle.length > 0) this.#wakeToReap(nowMs);
  }

  onFree(connection: HttpConnection): void {
    const nowMs = this.loop.nowMs;
    const waiting = this.#isAged(connection, nowMs) ? undefined : this.#takeFirstTry();
    if (waiting !== undefined) {
      connection.carry(waiting);
      return;
    }
    connection.idleSinceMs = nowMs;
    const hasToMakeRoom = this.#waiting.length > this.#dialing;
    if (this.#isClosing || hasToMakeRoom || !this.#isFresh(connection, nowMs)) {
      connection.close();
      return;
    }
    this.#idle.push(connection);
    if (this.wheelSlot < 0) this.#wakeToReap(nowMs);
  }

  onConnectionClosed(connection: HttpConnection, error: string | null): void {
    this.#connections.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    if (error !== null) this.#lastError = error;
    if (this.#isClosing && this.#connections.size + this.#waiting.length === 0) this.loop.timers.remove(this);
    this.#dialForWaiting();
  }

  onLost(exchange: Exchange, isUnsent: boolean, error: string | null): void {
    if (!this.#isClosing && exchange.tryAgain(isUnsent)) {
      this.#retried += 1;
      exchange.waitForConnection(this.#options.connectTimeoutMs);
      this.#waiting.unshift(exchange);
      this.#makeRoom();
      this.#dialForWaiting();
      return;
    }
    exchange.fail({ kind: 'lost', text: error ?? 'the upstream closed the connection before its answer' });
  }

  forgetWaiting(exchange: Exchange): void {
    const index = this.#waiting.indexOf(exchange);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  onGivenUp(_exchange: Exchange, failure: HttpFailure | null): void {
    if (failure === null) return;
    this.#failed += 1;
    this.#lastError = failure.text;
    if (failure.kind === 'no-connection') this.#refused += 1;
  }

  /** Who has waited longest for any connection. Retries, which stand in front, wait for a new one. */
  #takeFirstTry(): Exchange | undefined {
    const waiting = this.#waiting;
    if (waiting[0]?.wasRetried !== true) return waiting.shift();
    const index = waiting.findIndex((exchange) => !exchange.wasRetried);
    return index < 0 ? undefined : waiting.splice(index, 1)[0];
  }

  /** The newest idle connection that can still be trusted. */
  #takeIdle(): HttpConnection | null {
    const nowMs = this.loop.nowMs;
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return null;
      if (this.#isFresh(connection, nowMs)) return connection;
      connection.close();
    }
  }

  #isFresh(connection: HttpConnection, nowMs: number): boolean {
    const idleMs = Math.min(this.#options.idleTimeoutMs, connection.keptMs);
    return nowMs - connection.idleSinceMs < idleMs && !this.#isAged(connection, nowMs);
  }

  #isAged(connection: HttpConnection, nowMs: number): boolean {
    const { maxAgeMs } = this.#options;
    return maxAgeMs > 0 && nowMs - connection.openedMs >= maxAgeMs;
  }

  #enqueue(exchange: Exchange): void {
    const { connectionsMax, queueMax, queueTimeoutMs } = this.#options;
    const canOpen = connectionsMax - this.#connections.size;
    if (this.#waiting.length >= Math.max(0, canOpen) + queueMax) {
      exchange.fail({ kind: 'no-connection', text: 'no free connections available to host' });
      return;
    }
    // Who waits for a connection that is being opened hears from that, within the connect timeout.
    exchange.waitForConnection(this.#waiting.length < canOpen ? 0 : queueTimeoutMs);
    this.#waiting.push(exchange);
    this.#dialForWaiting();
  }

  /** Idle connections make way for a new one when there are as many as there may be. */
  #makeRoom(): void {
    if (this.#connections.size + this.#dialing < this.#options.connectionsMax) return;
    this.#idle.shift()?.close();
  }

  #dialForWaiting(): void {
    const { connectionsMax } = this.#options;
    while (this.#waiting.length > this.#dialing && this.#connections.size + this.#dialing < connectionsMax) {
      this.#dial();
    }
  }

  #dial(): void {
    const { target, connectTimeoutMs } = this.#options;
    this.#dialing += 1;
    dialTarget(this.loop, target, connectTimeoutMs, this.#useRaw, (stream, trouble) => {
      this.#dialing -= 1;
      this.loop.tick();
      if (stream !== null) this.#onConnected(stream);
      else this.#onNotConnected(trouble!);
    });
  }

  #onConnected(stream: ByteStream): void {
    this.#opened += 1;
    const connection = new HttpConnection(this, stream, this.#options.limits);
    this.#connections.add(connection);
    connection.isClosing = this.#isClosing;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) connection.carry(waiting);
    else this.onFree(connection);
  }

  /** The exchange that has waited longest takes the blame; for the others more tries are made. */
  #onNotConnected(trouble: DialTrouble): void {
    this.#lastError = trouble.text;
    this.#waiting.shift()?.fail(trouble);
    this.#dialForWaiting();
  }

  #wakeToReap(nowMs: number): void {
    const { idleTimeoutMs } = this.#options;
    this.#wakeAt(nowMs + Math.min(Math.max(idleTimeoutMs / 2, REAP_MS_MIN), REAP_MS_MAX));
  }

  #wakeAt(ms: number): void {
    this.loop.timers.remove(this);
    this.deadlineMs = ms;
    this.loop.timers.add(this);
  }

  #closeAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const exchange of waiting)
      exchange.fail({ kind: 'no-connection', text: 'the upstream is being closed' });
    for (const connection of [...this.#connections]) connection.close();
  }
}
