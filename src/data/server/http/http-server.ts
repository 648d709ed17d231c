/**
 * What the agent listens with for HTTP callers, and the balance of their requests.
 *
 * Always true: in = ok + failed + shed + in flight. `begin` counts every request when its head is whole, `onSettled`, which comes once
 * for each, when it leaves.
 */
import type { Call, HttpDomainLookup, ListenerReport, ListenerState, Logger } from '../../../core/index.js';
import type { HttpError } from '../../../wire/http1/index.js';
import { type ByteStream, type IoLoop, Listener } from '../../transport/index.js';
import { whenSaidAll } from '../drain-connections.js';
import { Dispatcher, RefusingHandler } from './dispatch.js';
import type { HttpExchange, HttpHandler, Outcome } from './exchange.js';
import { HttpServerConnection, type RequestIntake } from './http-server-connection.js';
import { ProxyToRpc } from './proxy-to-rpc.js';
import { RequestIds } from './request-ids.js';
import { TransparentHttp } from './transparent.js';

/** Bodies and answers that are kept in memory for all connections together. */
const GATHERED_BYTES_MAX = 512 * 1024 * 1024;

export interface HttpServerDeps {
  readonly loop: IoLoop;
  readonly logger: Logger;
  readonly useRaw: boolean;
  readonly connectionsMax: number;
  /** Carries a call to the cluster of its service, as one from the Motan port; its origin is told exactly once. */
  readonly routeRpc: (call: Call) => void;
  readonly domains: HttpDomainLookup;
  /** `/v1/...`; null answers 404. */
  readonly typedCalls: HttpHandler | null;
  /** Whatever the mesh does not serve; null answers 403. */
  readonly directProxy: HttpHandler | null;
  /** CONNECT; null answers 403. */
  readonly connect: HttpHandler | null;
}

export class HttpServer implements RequestIntake {
  readonly state: ListenerState;
  readonly #deps: HttpServerDeps;
  readonly #handler: HttpHandler;
  readonly #listener: Listener;
  readonly #connections = new Set<HttpServerConnection>();
  #isDraining = false;
  #in = 0;
  #ok = 0;
  #failed = 0;
  #shed = 0;
  #accepted = 0;
  #protocolErrors = 0;
  #acceptPauses = 0;
  #slowReadersClosed = 0;
  #gatheredBytes = 0;
  /** Of connections that are gone. */
  #bytesIn = 0;
  #bytesOut = 0;

  /** @param state of a listener whose kind is `http` */
  constructor(state: ListenerState, deps: HttpServerDeps) {
    const http = state.http!;
    this.state = state;
    this.#deps = deps;
    const directProxy = deps.directProxy ?? new RefusingHandler(403, 'this host is not served');
    const ids = new RequestIds(deps.loop.clock.wallMs());
    this.#handler = new Dispatcher({
      domains: deps.domains,
      bridge: new ProxyToRpc(state, deps, ids),
      transparent: new TransparentHttp(state, directProxy, ids),
      typedCalls: deps.typedCalls ?? new RefusingHandler(404, 'typed calls are not served'),
      directProxy,
      connect: deps.connect ?? new RefusingHandler(403, 'CONNECT is not served'),
      defaultDomain: http.defaultDomain,
      ownHosts: http.ownHosts,
      ownPort: () => this.#listener.port,
    });
    const events = {
      onStream: (stream: ByteStream) => this.#onStream(stream),
      onAcceptPause: () => this.#onAcceptPause(),
    };
    this.#listener = new Listener(deps.loop, state, events, deps);
    this.#listener.connectionCount = () => this.#connections.size;
  }

  get inFlight(): number {
    return this.#in - this.#ok - this.#failed - this.#shed;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get port(): number {
    return this.#listener.port;
  }

  async listen(): Promise<void> {
    await this.#listener.listen();
    this.#deps.logger.info({ listener: this.state.name, address: this.#listener.boundAddress }, 'listening');
  }

  /** Stops accepting; resolves when all connections are closed, or after `withinMs` with the requests left unfinished. */
  async drain(withinMs: number): Promise<number> {
    this.#isDraining = true;
    this.#listener.close();
    for (const connection of this.#connections) connection.drain();
    await whenSaidAll(this.#connections, this.#deps.loop.clock, withinMs);
    const left = this.inFlight;
    for (const connection of [...this.#connections]) connection.close('the agent stops');
    return left;
  }

  begin(): void {
    this.#in += 1;
  }

  carry(exchange: HttpExchange): void {
    if (this.inFlight > this.state.callsMax) {
      exchange.refuse(503, `the agent has ${this.state.callsMax} calls in flight`, 'shed', [
        'Retry-After',
        '1',
      ]);
    } else if (this.#isDraining) {
      exchange.refuse(503, 'the agent is shutting down', 'shed', ['Retry-After', '1']);
    } else {
      this.#handler.handle(exchange);
    }
  }

  onSettled(outcome: Outcome): void {
    if (outcome === 'ok') this.#ok += 1;
    else if (outcome === 'shed') this.#shed += 1;
    else this.#failed += 1;
  }

  mayGather(bytes: number): boolean {
    if (this.#gatheredBytes + bytes > GATHERED_BYTES_MAX) return false;
    this.#gatheredBytes += bytes;
    return true;
  }

  onProtocolError(caller: string, error: HttpError): void {
    this.#protocolErrors += 1;
    this.#deps.logger.info(
      { listener: this.state.name, caller, error: error.message, status: error.status },
      'closed an unreadable connection',
    );
  }

  onFault(caller: string, error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#deps.logger.error(
      { listener: this.state.name, caller, error: stack },
      'a fault while handling a request',
    );
  }

  onSlowReader(caller: string): void {
    this.#slowReadersClosed += 1;
    this.#deps.logger.warn(
      { listener: this.state.name, caller },
      'closed a caller that does not take its answers',
    );
  }

  onConnectionClosed(connection: HttpServerConnection): void {
    this.#connections.delete(connection);
    this.#bytesIn += connection.bytesIn;
    this.#bytesOut += connection.bytesOut;
  }

  report(): ListenerReport {
    let bytesIn = this.#bytesIn;
    let bytesOut = this.#bytesOut;
    for (const connection of this.#connections) {
      bytesIn += connection.bytesIn;
      bytesOut += connection.bytesOut;
    }
    return {
      name: this.state.name,
      address: this.#listener.boundAddress,
      in: this.#in,
      ok: this.#ok,
      failed: this.#failed,
      shed: this.#shed,
      inFlight: this.inFlight,
      connections: this.#connections.size,
      connectionsAccepted: this.#accepted,
      protocolErrors: this.#protocolErrors,
      heartbeats: 0,
      bytesIn,
      bytesOut,
      acceptPauses: this.#acceptPauses,
      slowReadersClosed: this.#slowReadersClosed,
    };
  }

  #onStream(stream: ByteStream): void {
    this.#accepted += 1;
    this.#connections.add(new HttpServerConnection(this, stream));
  }

  #onAcceptPause(): void {
    this.#acceptPauses += 1;
    // Once per ten: this comes in bursts, and a log line needs what is missing, too.
    if (this.#acceptPauses % 10 !== 1) return;
    this.#deps.logger.error(
      { listener: this.state.name, times: this.#acceptPauses },
      'no descriptor left for a connection',
    );
  }
}
