/**
 * CONNECT: bytes to and from a server that the policy lets through, as they come (spec traffic 2.11).
 *
 *   policy --allowed--> dial --connected--> 200, open --one side ends--> half-open --the other, too--> closed
 *     '---- refused: 403  '---- not connected: 502, empty             '---- idle for too long, or an error ----^
 *
 * The end of one side is passed on and the other side may still send: motan-go closes both, so that an answer to a caller that has
 * said all is lost. Each side is read only as fast as the other takes the bytes.
 */
import type { WheelTimer } from '../../../../base/index.js';
import type { Logger } from '../../../../core/index.js';
import {
  type ByteStream,
  CHUNK_BYTES,
  dial,
  type IoLoop,
  type StreamOwner,
} from '../../../transport/index.js';
import { AnswerFront } from '../answer-front.js';
import type { ExchangeWatcher, HttpExchange, HttpHandler, Tunnel, TunnelPeer } from '../exchange.js';
import type { TargetPolicy, TargetVerdict, TargetWaiter } from '../target-policy.js';
import { checkedLookup } from './checked-lookup.js';

export interface ConnectDeps {
  readonly loop: IoLoop;
  readonly logger: Logger;
  readonly useRaw: boolean;
  readonly policy: TargetPolicy;
}

export interface ConnectSettings {
  /** To connect to the server. */
  readonly upstreamTimeoutMs: number;
}

/** A tunnel in which nothing moves is closed: no end of it may ever learn that the other is gone. Long polls take minutes. */
const IDLE_MS = 600_000;
/** While the agent stops, tunnels in which nothing moves need not be waited for. */
const QUIET_MS = 1000;
const LOOK_MS = 500;
/** When the server is gone the caller has so long to take what it said and to end, too. */
const GONE_MS = 30_000;
/** Unsent bytes of one side from which the other is not read. */
const PENDING_BYTES_MAX = 512 * 1024;
const ESTABLISHED = new AnswerFront(200, []);

export class ConnectTunnels implements HttpHandler {
  readonly deps: ConnectDeps;
  readonly dialTimeoutMs: number;
  readonly idleMs: number;
  readonly #tunnels = new Set<OpenTunnel>();
  #isDraining = false;

  constructor(settings: ConnectSettings, deps: ConnectDeps, idleMs = IDLE_MS) {
    this.deps = deps;
    this.dialTimeoutMs = settings.upstreamTimeoutMs;
    this.idleMs = idleMs;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get open(): number {
    return this.#tunnels.size;
  }

  handle(exchange: HttpExchange): void {
    new OpenTunnel(this, exchange).begin();
  }

  /** From now on a tunnel is closed when nothing has moved in it for a moment. The server closes what is left in the end. */
  drain(): void {
    this.#isDraining = true;
    for (const tunnel of this.#tunnels) tunnel.look();
  }

  onOpened(tunnel: OpenTunnel): void {
    this.#tunnels.add(tunnel);
  }

  onClosed(tunnel: OpenTunnel): void {
    this.#tunnels.delete(tunnel);
  }
}

/** One CONNECT: first an exchange that waits, then the caller's side of a tunnel. */
class OpenTunnel implements TargetWaiter, ExchangeWatcher, TunnelPeer, WheelTimer {
  readonly #tunnels: ConnectTunnels;
  readonly #exchange: HttpExchange;
  readonly #loop: IoLoop;
  /** Towards the caller; null before it is open. */
  #caller: Tunnel | null = null;
  #server: ServerSide | null = null;
  #isCallerDone = false;
  #isServerDone = false;
  /** It has said its end and then closed: nobody takes what the caller still sends. */
  #isServerGone = false;
  #isCallerPaused = false;
  #isOver = false;
  #bytesUp = 0;
  #bytesDown = 0;
  /** When bytes moved last. */
  #lastMs = 0;
  deadlineMs = 0;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(tunnels: ConnectTunnels, exchange: HttpExchange) {
    this.#tunnels = tunnels;
    this.#exchange = exchange;
    this.#loop = tunnels.deps.loop;
  }

  begin(): void {
    const { host, port } = this.#exchange.target;
    this.#exchange.watch(this);
    this.#tunnels.deps.policy.check(host, port, false, this);
  }

  onTarget(verdict: TargetVerdict): void {
    if (this.#isOver) return;
    if (verdict.kind !== 'allowed') {
      this.#refuse(verdict.kind === 'refused' ? 403 : 502, verdict.text);
      return;
    }
    const { host, addresses } = verdict;
    const target = { host, port: this.#exchange.target.port, lookup: checkedLookup(() => addresses) };
    dial(this.#loop, target, this.#tunnels.dialTimeoutMs, this.#tunnels.deps.useRaw, (stream, error) => {
      this.#loop.tick();
      if (stream === null) this.#refuse(502, error ?? 'no connection');
      else this.#open(stream);
    });
  }

  onAborted(): void {
    this.#finish('the caller is gone');
  }

  // --- The caller's side

  onBytes(bytes: Buffer, start: number, end: number): void {
    if (this.#isOver || this.#isServerGone) return;
    this.#bytesUp += end - start;
    this.#lastMs = this.#loop.nowMs;
    if (this.#server!.write(bytes, start, end)) return;
    this.#isCallerPaused = true;
    this.#caller!.pauseReading();
  }

  onEnd(): void {
    if (this.#isOver) return;
    this.#isCallerDone = true;
    this.#endSides();
  }

  onWritable(): void {
    this.#server?.resume();
  }

  onClosed(reason: string | null): void {
    this.#finish(reason);
  }

  // --- The server's side

  onServerBytes(bytes: Buffer, length: number): void {
    this.#bytesDown += length;
    this.#lastMs = this.#loop.nowMs;
    if (!this.#caller!.write(bytes, 0, length)) this.#server!.pause();
  }

  onServerDrained(): void {
    this.#lastMs = this.#loop.nowMs;
    this.#resumeCaller();
  }

  onServerEnd(): void {
    this.#isServerDone = true;
    this.#endSides();
  }

  onServerClosed(reason: string | null): void {
    if (this.#isOver) return;
    if (this.#isServerDone) {
      // What it said may still be on its way to the caller, whose late bytes made the server's system answer with a reset.
      this.#isServerGone = true;
      this.#resumeCaller();
      this.look();
      return;
    }
    this.#exchange.outcome = 'failed';
    this.#finish(reason ?? 'the server closed the connection');
  }

  // --- Time

  onDeadline(nowMs: number): void {
    const { isDraining, idleMs } = this.#tunnels;
    const idleForMs = nowMs - this.#lastMs;
    if (isDraining && idleForMs >= QUIET_MS) this.#finish('the agent stops');
    else if (this.#isServerGone && idleForMs >= GONE_MS) this.#finish('the server is gone');
    else if (idleForMs >= idleMs) this.#finish(`nothing moved for ${idleMs} ms`);
    else this.look();
  }

  /** Sets the next look at the time. */
  look(): void {
    const { timers, clock } = this.#loop;
    const { isDraining, idleMs } = this.#tunnels;
    timers.remove(this);
    const quietMs = this.#isServerGone ? Math.min(GONE_MS, idleMs) : idleMs;
    this.deadlineMs = isDraining ? clock.nowMs() + LOOK_MS : this.#lastMs + quietMs;
    timers.add(this);
  }

  // --- Inside

  #open(stream: ByteStream): void {
    const caller = this.#isOver ? null : this.#exchange.openTunnel(ESTABLISHED, this);
    if (caller === null) {
      stream.close(null);
      return;
    }
    this.#exchange.outcome = 'ok';
    this.#caller = caller;
    this.#server = new ServerSide(this, stream, this.#tunnels.idleMs);
    this.#lastMs = this.#loop.nowMs;
    this.#tunnels.onOpened(this);
    this.look();
  }

  /** Passes on the end that one side has said, and lets both connections go when both have. */
  #endSides(): void {
    if (this.#isCallerDone) this.#server!.end(this.#isServerDone);
    if (this.#isServerDone) this.#caller!.end();
  }

  #resumeCaller(): void {
    if (!this.#isCallerPaused) return;
    this.#isCallerPaused = false;
    this.#caller!.resumeReading();
  }

  #refuse(status: number, text: string): void {
    if (this.#isOver) return;
    const exchange = this.#exchange;
    this.#isOver = true;
    this.#log(status, text);
    if (status === 403) {
      exchange.refuse(403, text);
    } else {
      exchange.outcome = 'failed';
      exchange.respond(status, ['Server', 'motan'], null);
    }
  }

  /** Closes what is open of both sides. */
  #finish(reason: string | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#loop.timers.remove(this);
    const caller = this.#caller;
    this.#log(caller === null ? 0 : 200, reason);
    if (caller === null) return;
    this.#tunnels.onClosed(this);
    this.#server!.close();
    caller.close(reason);
  }

  #log(status: number, trouble: string | null): void {
    const { authority, receivedMs } = this.#exchange;
    const fields = {
      host: authority,
      status,
      ms: Math.round((this.#loop.nowMs - receivedMs) * 10) / 10,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
    };
    this.#tunnels.deps.logger.info(trouble === null ? fields : { ...fields, trouble }, 'http-connect');
  }
}

/** The connection to the server. */
class ServerSide implements StreamOwner {
  readonly #tunnel: OpenTunnel;
  readonly #stream: ByteStream;
  #isPaused = false;

  constructor(tunnel: OpenTunnel, stream: ByteStream, idleMs: number) {
    this.#tunnel = tunnel;
    this.#stream = stream;
    // Who takes nothing for a while is as good as one who says nothing.
    stream.writeStallMs = idleMs;
    stream.owner = this;
  }

  /** False when the server takes the bytes too slowly: `onServerDrained` follows. */
  write(bytes: Buffer, start: number, end: number): boolean {
    const stream = this.#stream;
    for (let at = start; at < end; at += CHUNK_BYTES) {
      const stop = Math.min(end, at + CHUNK_BYTES);
      const chunk = stream.reserve(stop - at);
      bytes.copy(chunk.bytes, chunk.used, at, stop);
      chunk.used += stop - at;
    }
    if (stream.pendingBytes <= PENDING_BYTES_MAX) return true;
    stream.notifyWhenDrained();
    return false;
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#stream.pauseReading();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#stream.resumeReading();
  }

  /** @param isBoth the server has said its end, too */
  end(isBoth: boolean): void {
    if (isBoth) this.#stream.closeWhenWritten();
    else this.#stream.end();
  }

  close(): void {
    this.#stream.close(null);
  }

  onBytes(input: Buffer, _view: DataView, length: number): Buffer | null {
    this.#tunnel.onServerBytes(input, length);
    return null;
  }

  onDirectBytes(): Buffer | null {
    return null; // `onBytes` asks for no memory of its own
  }

  onEnd(): void {
    this.#tunnel.onServerEnd();
  }

  onDrained(): void {
    this.#tunnel.onServerDrained();
  }

  onClosed(error: string | null): void {
    this.#tunnel.onServerClosed(error);
  }
}
