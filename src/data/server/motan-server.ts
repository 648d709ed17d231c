/**
 * What the agent listens with for Motan2 and Motan v1 callers, and the balance of their calls.
 *
 * Always true: in = ok + failed + shed + in flight. `begin` counts every call when its frame is whole, `onAnswered`, which its
 * origin calls once, when it leaves.
 */
import {
  type Call,
  type Failure,
  failed,
  failure,
  type ListenerReport,
  type ListenerState,
  type Logger,
  type ProtocolError,
  type Reply,
} from '../../core/index.js';
import { type ByteStream, type IoLoop, Listener } from '../transport/index.js';
import { whenSaidAll } from './drain-connections.js';
import { type CallIntake, MotanServerConnection } from './motan-server-connection.js';

export interface MotanServerDeps {
  readonly loop: IoLoop;
  readonly logger: Logger;
  readonly useRaw: boolean;
  readonly connectionsMax: number;
  /** Carries the call to where it belongs; the call's origin is told exactly once. */
  readonly route: (call: Call) => void;
}

export class MotanServer implements CallIntake {
  readonly frameBytesMax: number;
  readonly #state: ListenerState;
  readonly #deps: MotanServerDeps;
  readonly #listener: Listener;
  readonly #connections = new Set<MotanServerConnection>();
  #isDraining = false;
  #in = 0;
  #ok = 0;
  #failed = 0;
  #shed = 0;
  #accepted = 0;
  #protocolErrors = 0;
  #heartbeats = 0;
  #acceptPauses = 0;
  #slowReadersClosed = 0;
  /** Of connections that are gone. */
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(state: ListenerState, deps: MotanServerDeps) {
    this.#state = state;
    this.#deps = deps;
    this.frameBytesMax = state.frameBytesMax;
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

  get port(): number {
    return this.#listener.port;
  }

  async listen(): Promise<void> {
    await this.#listener.listen();
    this.#deps.logger.info({ listener: this.#state.name, address: this.#listener.boundAddress }, 'listening');
  }

  /** Stops accepting; resolves when all connections are closed, or after `withinMs` with the calls left unfinished. */
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

  carry(call: Call): void {
    if (this.inFlight > this.#state.callsMax) {
      this.refuse(call, failure('E_OVERLOADED', `the agent has ${this.#state.callsMax} calls in flight`));
    } else if (this.#isDraining) {
      this.refuse(call, failure('E_DRAINING', 'the agent is shutting down'));
    } else {
      this.#deps.route(call);
    }
  }

  refuse(call: Call, cause: Failure): void {
    call.origin.onReply(call, failed(cause));
  }

  onAnswered(reply: Reply): void {
    if (reply.failure === null) this.#ok += 1;
    else if (reply.failure.code === 'E_OVERLOADED' || reply.failure.code === 'E_DRAINING') this.#shed += 1;
    else this.#failed += 1;
  }

  onHeartbeat(): void {
    this.#heartbeats += 1;
  }

  onProtocolError(caller: string, error: ProtocolError): void {
    this.#protocolErrors += 1;
    this.#deps.logger.info(
      { listener: this.#state.name, caller, error: error.message },
      'closed an unreadable connection',
    );
  }

  onSlowReader(caller: string): void {
    this.#slowReadersClosed += 1;
    this.#deps.logger.warn(
      { listener: this.#state.name, caller },
      'closed a caller that does not take its answers',
    );
  }

  onConnectionClosed(connection: MotanServerConnection): void {
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
      name: this.#state.name,
      address: this.#listener.boundAddress,
      in: this.#in,
      ok: this.#ok,
      failed: this.#failed,
      shed: this.#shed,
      inFlight: this.inFlight,
      connections: this.#connections.size,
      connectionsAccepted: this.#accepted,
      protocolErrors: this.#protocolErrors,
      heartbeats: this.#heartbeats,
      bytesIn,
      bytesOut,
      acceptPauses: this.#acceptPauses,
      slowReadersClosed: this.#slowReadersClosed,
    };
  }

  #onStream(stream: ByteStream): void {
    this.#accepted += 1;
    this.#connections.add(new MotanServerConnection(this, stream));
  }

  #onAcceptPause(): void {
    this.#acceptPauses += 1;
    // Once per ten: this comes in bursts, and a log line needs what is missing, too.
    if (this.#acceptPauses % 10 !== 1) return;
    this.#deps.logger.error(
      { listener: this.#state.name, times: this.#acceptPauses },
      'no descriptor left for a connection',
    );
  }
}
