/**
 * The caller of one node that speaks Motan: its connections, its health, its filters.
 *
 *   connecting --first connection--> up --last connection lost--> reconnecting --no connection--> down
 *        ^                            ^                                |  ^                        |
 *        '--- back-off, next try      '------- connection -------------'--+---- back-off ----------'
 *
 *   fused: independent of that; errors in a row reach the bound -> heartbeats until one is answered
 *
 * One connection carries all calls until it is under load; more, up to `clientConnection`, are opened when it is: fewer
 * connections mean fewer writes for the same calls. Calls that find no connection wait for the one being opened, at most for their
 * own timeout.
 */
import {
  type AttemptObserver,
  type Call,
  type ChainBuilder,
  type ClusterState,
  type Endpoint,
  type EndpointReport,
  type EndpointState,
  type FilterChain,
  failed,
  failure,
  type Logger,
  type Reply,
  TYPE_GZIP,
} from '../../core/index.js';
import type { ByteStream, IoLoop } from '../transport/index.js';
import { Attempt } from './attempt.js';
import type { DialQueue } from './dial-queue.js';
import { EndpointHealth } from './endpoint-health.js';
import { MotanConnection } from './motan-connection.js';
import { type EndpointSettings, endpointSettings, timeoutOf } from './settings.js';

/** In flight on every open connection before one more is opened. */
const GROW_IN_FLIGHT = 512;
const GROW_RETRY_MS = 1000;
const GROW_PENDING_BYTES = 256 * 1024;
/** Calls that may wait for a connection; the next ones fail at once. */
const WAITING_MAX = 1024;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
const FIRST_RETRY_MS = 100;
/** A connection that lived this long was a good one: its loss is made good at once. */
const STEADY_MS = 1000;
/** A node that comes back is found within this time, however long `connectRetryInterval` is (its default is a minute). */
const RETRY_MS_MAX = 5000;
/** After removal, calls in flight may finish for this long beyond the longest timeout. */
const CLOSE_GRACE_MS = 1000;

export interface EndpointDeps {
  readonly loop: IoLoop;
  readonly logger: Logger;
  readonly dialQueue: DialQueue;
  readonly chains: ChainBuilder;
  /** As `ConnectionOwner.isBackend`. */
  readonly isBackend: boolean;
}

export class MotanEndpoint implements Endpoint {
  readonly id: string;
  readonly address: string;
  readonly group: string;
  /** Of the refer: what `M_s` becomes when the caller gave none. */
  readonly application: string;
  readonly isBackend: boolean;
  /** Replaced as a whole by `update`. */
  settings: EndpointSettings;
  readonly health: EndpointHealth;
  readonly #deps: EndpointDeps;
  readonly #target: { host: string; port: number } | { path: string };
  readonly #chain: FilterChain | null;
  readonly #logger: Logger;
  #connections: MotanConnection[] = [];
  #turn = 0;
  #turnMs = 0;
  #waiting: Attempt[] = [];
  #waitingBytes = 0;
  #isDialing = false;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: NodeJS.Timeout | null = null;
  /** False while the last word of the network was "no". */
  #isReachable: boolean;
  #wasConnected = false;
  #connectedMs = 0;
  /** After a failure to open one more connection, none is tried before. */
  #growFromMs = 0;
  #isClosing = false;
  #lastError: string | null = null;
  /** When a heartbeat was last answered. */
  #answeredMs: number | null = null;
  #wasTried: boolean;
  readonly #tried: Promise<void>;
  #onTried: () => void = () => undefined;

  constructor(cluster: ClusterState, endpoint: EndpointState, deps: EndpointDeps) {
    const { node } = endpoint;
    this.id = endpoint.id;
    this.address = node.host.startsWith('unix://') ? `[${node.host}]:${node.port}` : node.address;
    this.group = node.group || cluster.url.group;
    this.application = cluster.url.text('application');
    this.settings = endpointSettings(cluster, endpoint);
    this.isBackend = deps.isBackend;
    this.#deps = deps;
    this.#logger = deps.logger;
    this.#target = node.host.startsWith('unix://')
      ? { path: node.host.slice('unix://'.length) }
      : { host: node.host, port: node.port };
    this.#chain = deps.chains(cluster.url.text('filter'), 'endpoint', {
      refer: this.group === cluster.url.group ? cluster.url : cluster.url.with({ group: this.group }),
      address: this.address,
      role: 'client-agent',
    });
    this.health = new EndpointHealth(this, this.settings);
    this.#isReachable = this.settings.lazyInit;
    this.#wasTried = this.settings.lazyInit;
    this.#tried = this.settings.lazyInit
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#onTried = resolve;
        });
    if (!this.settings.lazyInit) this.#dial();
  }

  get isAvailable(): boolean {
    return this.#isReachable && !this.#isClosing && this.health.isGood;
  }

  get isLastResort(): boolean {
    return (!this.#wasTried || this.#wasConnected) && !this.#isClosing && this.health.isGood;
  }

  get inFlight(): number {
    let count = this.#waiting.length;
    for (const connection of this.#connections) count += connection.inFlight;
    return count;
  }

  get frameBytesMax(): number {
    return this.settings.frameBytesMax;
  }

  whenTried(): Promise<void> {
    return this.#tried;
  }

  start(call: Call, observer: AttemptObserver): void {
    const startedMs = this.#deps.loop.nowMs;
    if (this.#chain !== null) {
      const refusal = this.#chain.before(call, startedMs);
      if (refusal !== null) {
        observer.onAttemptDone(call, refusal, this);
        return;
      }
    }
    const attempt = new Attempt(call, observer, this, startedMs, startedMs + timeoutOf(this.settings, call));
    const { zipAboveBytes } = this.settings;
    const isZipped = zipAboveBytes === 0 || call.protocol === 1 || (call.type & TYPE_GZIP) !== 0;
    if (isZipped || call.bodyBytes <= zipAboveBytes) this.#send(attempt);
    else this.#zipAndSend(attempt);
  }

  #send(attempt: Attempt): void {
    const connection = this.#pickConnection();
    if (connection === null) {
      this.#waitForConnection(attempt);
    } else if (connection.canTake) {
      this.#deps.loop.timers.add(attempt);
      connection.send(attempt);
    } else {
      const cause = failure('E_SEND_QUEUE_FULL', 'channel call error:timeout err: send request timeout');
      this.finish(attempt, failed(cause, this.address), attempt.startedMs);
    }
  }

  /** The deadline runs while the body is being zipped; a call that misses it is not sent any more. */
  #zipAndSend(attempt: Attempt): void {
    const { call } = attempt;
    const { gzip, timers } = this.#deps.loop;
    call.retain();
    timers.add(attempt);
    gzip.deflate(call.bytes.subarray(call.bodyStart, call.bodyEnd), (zipped) => {
      if (attempt.wheelSlot < 0) return;
      timers.remove(attempt);
      call.replaceBody(zipped);
      call.type |= TYPE_GZIP;
      this.#send(attempt);
    });
  }

  /** Ends an attempt whose slot and deadline are free already: filters, health, observer. */
  finish(attempt: Attempt, reply: Reply, nowMs: number): void {
    const call = attempt.call;
    this.health.onReply(reply, call.protocol);
    if (this.#chain !== null) this.#chain.after(call, reply, attempt.startedMs, nowMs);
    if (attempt.connection === null) this.#forgetWaiting(attempt);
    attempt.observer.onAttemptDone(call, reply, this);
  }

  update(cluster: ClusterState, endpoint: EndpointState): boolean {
    const settings = endpointSettings(cluster, endpoint);
    const before = this.settings;
    // Connections were made for their largest frame; lazy ones are dialled by other rules.
    if (settings.frameBytesMax !== before.frameBytesMax || settings.lazyInit !== before.lazyInit)
      return false;
    this.settings = settings;
    this.health.update(settings);
    return true;
  }

  probe(): number | null {
    const connection = this.#connections[0];
    if (connection === undefined) {
      if (this.settings.lazyInit) this.#dial();
    } else if (this.health.isGood && !connection.isAsked) {
      // A node that is fused gets heartbeats anyway, at a pace of their own.
      connection.sendHeartbeat(this.health.protocol);
    }
    return this.isAvailable && !this.health.isProviderMissing ? this.#answeredMs : null;
  }

  close(withinMs?: number): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.health.close();
    this.#onTried();
    const longestMs = Math.max(this.settings.requestTimeoutMs * 2, this.settings.maxTimeoutMs);
    this.#closeWhenIdle(this.#deps.loop.clock.nowMs() + (withinMs ?? longestMs + CLOSE_GRACE_MS));
  }

  report(): EndpointReport {
    return {
      id: this.id,
      address: this.address,
      available: this.isAvailable,
      connections: this.#connections.length,
      inFlight: this.inFlight,
      errorCount: this.health.errorCount,
      keepaliveRunning: this.health.keepaliveType !== 0,
      keepaliveType: this.health.keepaliveType,
      lastError: this.#lastError,
    };
  }

  onConnectionClosed(connection: MotanConnection, error: string | null): void {
    const index = this.#connections.indexOf(connection);
    if (index >= 0) this.#connections.splice(index, 1);
    if (this.#isClosing) return;
    this.#lastError = error ?? 'connection closed';
    this.#logger.info({ endpoint: this.address, error: this.#lastError }, 'lost a connection to a node');
    if (this.#connections.length > 0) return;
    // Until it is back other nodes come first: the next try of a call that was lost must not wait for this one.
    if (!this.settings.lazyInit) this.#isReachable = false;
    // A node that takes connections and drops them at once must not be dialled as fast as it drops.
    const wasSteady = this.#deps.loop.clock.nowMs() - this.#connectedMs >= STEADY_MS;
    if (wasSteady) this.#retryMs = FIRST_RETRY_MS;
    if (wasSteady || this.#waiting.length > 0) this.#dial();
    else this.#dialLater();
  }

  onHeartbeatAnswer(): void {
    this.#answeredMs = this.#deps.loop.nowMs;
    this.health.onSignOfLife();
  }

  /** Sends a heartbeat if there is a connection; one that is missing is being opened anyway. */
  sendHeartbeat(protocol: 1 | 2): void {
    const connection = this.#connections[0];
    if (connection !== undefined) connection.sendHeartbeat(protocol);
    else this.#dial();
  }

  /** One connection per batch of calls, in turn: batches stay together, so each makes one write. */
  #pickConnection(): MotanConnection | null {
    const connections = this.#connections;
    const count = connections.length;
    if (count === 0) return null;
    let connection = connections[0]!;
    if (count > 1) {
      const nowMs = this.#deps.loop.nowMs;
      if (nowMs !== this.#turnMs) {
        this.#turnMs = nowMs;
        this.#turn += 1;
      }
      connection = connections[this.#turn % count]!;
    }
    const isLoaded = connection.inFlight >= GROW_IN_FLIGHT || connection.pendingBytes >= GROW_PENDING_BYTES;
    const mayGrow = count < this.settings.connectionsMax && !this.#isDialing;
    if (isLoaded && mayGrow && this.#deps.loop.nowMs >= this.#growFromMs) this.#dial();
    return connection;
  }

  #waitForConnection(attempt: Attempt): void {
    if (this.#waiting.length >= WAITING_MAX || this.#waitingBytes >= WAITING_BYTES_MAX) {
      this.finish(attempt, this.#noConnection(), attempt.startedMs);
      return;
    }
    attempt.call.retain();
    this.#waiting.push(attempt);
    this.#waitingBytes += attempt.call.bodyBytes;
    this.#deps.loop.timers.add(attempt);
    this.#dial();
  }

  #forgetWaiting(attempt: Attempt): void {
    const index = this.#waiting.indexOf(attempt);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    this.#waitingBytes -= attempt.call.bodyBytes;
  }

  #dial(): void {
    if (this.#isDialing || (this.#isClosing && this.#waiting.length === 0)) return;
    this.#isDialing = true;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    this.#deps.dialQueue.dial(this.#target, this.settings.connectTimeoutMs, (stream, error) => {
      this.#isDialing = false;
      this.#wasTried = true;
      if (stream !== null) this.#onConnected(stream);
      else this.#onNotConnected(error ?? 'no connection');
      this.#onTried();
    });
  }

  #onConnected(stream: ByteStream): void {
    const connection = new MotanConnection(this, stream, this.settings.frameBytesMax);
    if (this.#isClosing && this.#waiting.length === 0) {
      connection.close(null);
      return;
    }
    this.#connections.push(connection);
    this.#isReachable = true;
    this.#wasConnected = true;
    this.#connectedMs = this.#deps.loop.clock.nowMs();
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const attempt of waiting) connection.send(attempt);
    this.health.onConnected();
  }

  #onNotConnected(error: string): void {
    if (this.#lastError !== error) {
      this.#logger.warn({ endpoint: this.address, error }, 'cannot connect to a node');
    }
    this.#lastError = error;
    const isDown = this.#connections.length === 0;
    if (isDown) {
      if (!this.settings.lazyInit) this.#isReachable = false;
      this.#failWaiting();
    }
    if (isDown) this.#dialLater();
    else this.#growFromMs = this.#deps.loop.tick() + GROW_RETRY_MS;
  }

  /** A lazy endpoint is dialled by its calls; everyone else is looked for in the background. */
  #dialLater(): void {
    if (this.#isClosing || this.settings.lazyInit || this.#isDialing || this.#retryTimer !== null) return;
    this.#retryTimer = setTimeout(() => this.#dial(), this.#retryMs);
    const { connectRetryMs, keepaliveIntervalMs } = this.settings;
    this.#retryMs = Math.min(this.#retryMs * 2, connectRetryMs, keepaliveIntervalMs, RETRY_MS_MAX);
  }

  #failWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const nowMs = this.#deps.loop.tick();
    for (const attempt of waiting) {
      this.#deps.loop.timers.remove(attempt);
      this.finish(attempt, this.#noConnection(), nowMs);
    }
  }

  #noConnection(): Reply {
    return failed(failure('E_NO_CONNECTION', 'can not get a channel'), this.address);
  }

  #closeWhenIdle(untilMs: number): void {
    if (this.inFlight > 0 && this.#deps.loop.clock.nowMs() < untilMs) {
      setTimeout(() => this.#closeWhenIdle(untilMs), 50);
      return;
    }
    for (const connection of [...this.#connections]) connection.close(null);
    this.#failWaiting();
  }
}
