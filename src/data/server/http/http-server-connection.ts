/**
 * One HTTP caller's connection: requests in, exchanges out, answers in the order of the requests.
 *
 *   open --last request read, or broken bytes--> ending --last answer--> ended --end of caller, LINGER_MS--> closed
 *     '--CONNECT answered--> tunnel --> closed
 *
 * Safe requests without a body are served side by side, PIPELINE_MAX at most; any other waits until those before it are answered, and the next
 * waits for it. While a request waits, a handler has not asked for its body or has paused it, or too much is unwritten, the connection is
 * blocked: nothing is read from the kernel, and what was read already is kept.
 *
 * After bytes that are not HTTP nothing is parsed any more: they are answered behind the answers that are due, and the connection ends.
 */
import type { WheelTimer } from '../../../base/index.js';
import type { ListenerState } from '../../../core/index.js';
import {
  BODY,
  HEAD,
  HTTP1_LIMITS,
  HttpError,
  NEED_MORE,
  type RequestHead,
  RequestReader,
} from '../../../wire/http1/index.js';
import type { ByteStream, StreamOwner } from '../../transport/index.js';
import { dateField, textFront } from './answer-front.js';
import {
  type ExchangeCarrier,
  HttpExchange,
  type Outcome,
  type Tunnel,
  type TunnelPeer,
} from './exchange.js';
import { HttpTunnel, type TunnelOwner } from './http-tunnel.js';
import { type RequestMemo, requestMemo } from './request-memo.js';

/** Requests of one connection that are served side by side. */
const PIPELINE_MAX = 16;
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
/** Bytes that come after the last answer are thrown away for this long: closing with bytes unread would take the answer back. */
const LINGER_MS = 1000;
/** A draining connection on which nothing came for this long has nothing on its way. */
const QUIET_MS = 100;
/** One that is never quiet ends after this. */
const END_MS_MAX = 1000;
/** Unwritten answers before reading pauses. */
const UNSENT_BYTES_PAUSE = 4 * 1024 * 1024;
/** Unwritten answers before the caller is given up. */
const UNSENT_BYTES_MAX = 128 * 1024 * 1024;

/** The server that the connection belongs to: it keeps the balance of requests and sends them on their way. */
export interface RequestIntake {
  readonly state: ListenerState;
  readonly isDraining: boolean;
  /** One more request has come. */
  begin(): void;
  /** Takes the exchange to its handler, or refuses it. */
  carry(exchange: HttpExchange): void;
  onSettled(outcome: Outcome): void;
  mayGather(bytes: number): boolean;
  onProtocolError(caller: string, error: HttpError): void;
  /** A fault of our own while bytes of `caller` were handled. */
  onFault(caller: string, error: unknown): void;
  onSlowReader(caller: string): void;
  onConnectionClosed(connection: HttpServerConnection): void;
}

export class HttpServerConnection implements StreamOwner, ExchangeCarrier, TunnelOwner, WheelTimer {
  readonly stream: ByteStream;
  readonly #server: RequestIntake;
  readonly #reader: RequestReader;
  #phase: 'open' | 'ending' | 'ended' = 'open';
  /** In the order of their requests; the first one's answer is being written. */
  readonly #exchanges: HttpExchange[] = [];
  /** The one whose message is being read. */
  #reading: HttpExchange | null = null;
  /** Bytes of its body so far. */
  #bodyBytes = 0;
  /** Of a request that has to wait for those before it. */
  #heldHead: RequestHead | null = null;
  /** From a CONNECT on what comes is for the tunnel that it may open. */
  #isConnecting = false;
  /** The CONNECT whose tunnel the connection has become. */
  #tunnelled: HttpExchange | null = null;
  /** The answer to broken bytes, which follows those that are due. */
  #lastWords: Buffer | null = null;

  #input: Buffer | null = null;
  #inputView: DataView | null = null;
  #inputBytes = 0;
  /** True when the input is a copy that outlives this turn. */
  #isInputOwned = false;
  #isGoing = false;
  #isBlocked = false;
  /** Nodes and handlers that asked for a pause, plus one for the own bound. */
  #pauses = 0;
  #isUnsentPaused = false;

  #hasEnded = false;
  #isInHead = false;
  #headStartMs = 0;
  #lastReadMs: number;
  #idleSinceMs: number;
  #lingerUntilMs = 0;
  /** Monotonic ms at which the drain began; 0 before. */
  #drainMs = 0;
  #bytesIn = 0;

  deadlineMs = 0;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(server: RequestIntake, stream: ByteStream) {
    const { headBytesMax, bodyTimeoutMs } = server.state.http!;
    this.#server = server;
    this.stream = stream;
    // Answers that stream may be taken slowly, as bodies may come slowly.
    stream.writeStallMs = bodyTimeoutMs;
    this.#reader = new RequestReader({ ...HTTP1_LIMITS, headBytesMax });
    this.#lastReadMs = stream.loop.nowMs;
    this.#idleSinceMs = stream.loop.nowMs;
    stream.owner = this;
    this.#setDeadline();
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.stream.bytesOut;
  }

  /** From now on requests are refused; `sayEndWhenQuiet` ends the connection. */
  drain(): void {
    this.#drainMs = this.stream.loop.clock.nowMs();
  }

  /**
   * Says the end once all is answered and the caller has been quiet for a moment: a request that is on its way then would get no answer. A caller
   * that never is quiet has refusals for END_MS_MAX to learn from.
   */
  sayEndWhenQuiet(nowMs: number): void {
    if (this.#phase === 'ended' || this.#exchanges.length > 0 || this.#tunnelled !== null) return;
    const isQuiet = nowMs - this.#lastReadMs >= QUIET_MS;
    if (isQuiet || nowMs - this.#drainMs >= END_MS_MAX) this.#sayEnd();
  }

  /** True when a draining connection has said all it had to say. */
  get hasSaidAll(): boolean {
    return this.#phase === 'ended' && this.stream.pendingBytes === 0;
  }

  close(reason: string | null): void {
    this.stream.close(reason);
  }

  // --- StreamOwner

  onBytes(input: Buffer, view: DataView, length: number): Buffer | null {
    this.#bytesIn += length;
    this.#lastReadMs = this.stream.loop.nowMs;
    if (this.#phase !== 'open') return null;
    this.#input = input;
    this.#inputView = view;
    this.#inputBytes = length;
    this.#isInputOwned = false;
    this.#reader.push(input, length);
    this.#go();
    return null;
  }

  onDirectBytes(): Buffer | null {
    return null; // no read of its own is ever asked for
  }

  onEnd(): void {
    this.#hasEnded = true;
    if (this.#phase === 'ended') {
      this.stream.closeWhenWritten();
      return;
    }
    this.#drop(this.#reading);
    this.#phase = 'ending';
    if (this.#exchanges.length === 0) this.#finish();
  }

  onDrained(): void {
    if (this.#isUnsentPaused) {
      this.#isUnsentPaused = false;
      this.resume();
    }
    this.#exchanges[0]?.onDrained();
  }

  onClosed(): void {
    this.stream.loop.timers.remove(this);
    this.#phase = 'ended';
    this.#heldHead = null;
    for (const exchange of this.#exchanges.splice(0)) exchange.onCallerGone();
    this.#server.onConnectionClosed(this);
  }

  // --- ExchangeCarrier

  mayFollow(exchange: HttpExchange): boolean {
    // Whatever stands behind a CONNECT that is refused was meant for the tunnel.
    if (this.#phase === 'ended' || exchange.head.method === 'CONNECT') return false;
    return !this.#server.isDraining || this.#exchanges[this.#exchanges.length - 1] !== exchange;
  }

  onBodyWanted(): void {
    if (this.#isBlocked) this.#go();
  }

  mayGather(bytes: number): boolean {
    return this.#server.mayGather(bytes);
  }

  pause(): void {
    this.#pauses += 1;
  }

  resume(): void {
    this.#pauses -= 1;
    if (this.#isBlocked && this.#pauses === 0) this.#go();
  }

  onSettled(exchange: HttpExchange): void {
    this.#server.onSettled(exchange.outcome);
  }

  onAnswered(exchange: HttpExchange): void {
    const { stream } = this;
    if (this.#exchanges[0] === exchange) this.#nextTurn();
    this.#checkUnsent();
    if (stream.isClosed || this.#phase === 'ended') return;
    if (this.#exchanges.length === 0) {
      this.#idleSinceMs = stream.loop.nowMs;
      if (this.#phase === 'ending') this.#finish();
    }
    if (this.#isGoing) return;
    if (this.#isBlocked) this.#go();
    else this.#setDeadline();
  }

  openTunnel(exchange: HttpExchange, peer: TunnelPeer): Tunnel {
    this.#exchanges.length = 0;
    this.#reading = null;
    this.#tunnelled = exchange;
    this.stream.loop.timers.remove(this);
    return new HttpTunnel(this, this.stream, peer, this.#reader.takeRest());
  }

  onTunnelBytes(length: number): void {
    this.#bytesIn += length;
  }

  onTunnelClosed(): void {
    this.#tunnelled!.settle();
    this.onClosed();
  }

  // --- WheelTimer

  onDeadline(nowMs: number): void {
    const dueMs = this.#dueMs();
    if (dueMs > nowMs) this.#setDeadline();
    else if (this.#phase === 'ended') this.stream.close(null);
    else if (this.#reading !== null) this.#fail(new HttpError(408, 'the body comes too slowly'));
    else if (this.#isInHead) this.#fail(new HttpError(408, 'the head comes too slowly'));
    else this.#sayEnd();
  }

  /** When the caller must have done something. */
  #dueMs(): number {
    const { headTimeoutMs, bodyTimeoutMs, idleTimeoutMs } = this.#server.state.http!;
    if (this.#phase === 'ended') return this.#lingerUntilMs;
    if (this.#isBlocked || this.#phase === 'ending') return Number.POSITIVE_INFINITY;
    if (this.#reading !== null) return this.#lastReadMs + bodyTimeoutMs;
    if (this.#isInHead) return this.#headStartMs + headTimeoutMs;
    return this.#exchanges.length > 0 ? Number.POSITIVE_INFINITY : this.#idleSinceMs + idleTimeoutMs;
  }

  /** One that hangs for an earlier time is left there: it looks again when it fires, and most requests are over by then. */
  #setDeadline(): void {
    const dueMs = this.#dueMs();
    if (dueMs === Number.POSITIVE_INFINITY || this.stream.isClosed) return;
    const { timers } = this.stream.loop;
    if (this.wheelSlot >= 0) {
      if (this.deadlineMs <= dueMs) return;
      timers.remove(this);
    }
    this.deadlineMs = dueMs;
    timers.add(this);
  }

  // --- Reading

  /** Reads on as far as it may; then blocks or waits for more. */
  #go(): void {
    if (this.#isGoing) return;
    this.#isGoing = true;
    let isHungry = true;
    try {
      isHungry = this.#readMessages();
    } catch (error) {
      this.#onThrown(error);
    }
    this.#isGoing = false;
    if (this.stream.isClosed || this.#tunnelled !== null) return;
    if (isHungry || this.#phase !== 'open') this.#unblock();
    else this.#block();
    this.#setDeadline();
  }

  /** False when something has to happen here before more is read. */
  #readMessages(): boolean {
    const reader = this.#reader;
    while (this.#phase === 'open') {
      if (this.#pauses > 0 || this.#isConnecting) return false;
      if (this.#heldHead !== null) {
        if (!this.#mayBegin(this.#heldHead)) return false;
        const head = this.#heldHead;
        this.#heldHead = null;
        this.#begin(head);
        continue;
      }
      const reading = this.#reading;
      if (reading !== null && !reading.isBodyComplete && !reading.isBodyWanted) return false;
      const found = reader.next();
      if (found === NEED_MORE) {
        this.#noteHead();
        return true;
      }
      if (found === HEAD) this.#onHead(reader.head);
      else if (found === BODY) this.#onBody(reading!);
      else this.#onMessageEnd(reading!);
    }
    return true;
  }

  #onHead(head: RequestHead): void {
    this.#isInHead = false;
    if (this.#mayBegin(head)) this.#begin(head);
    else this.#heldHead = head;
  }

  #mayBegin(head: RequestHead): boolean {
    const count = this.#exchanges.length;
    if (count === 0) return true;
    return (
      count < PIPELINE_MAX &&
      isSafe(head) &&
      isSafe(this.#exchanges[count - 1]!.head) &&
      !this.#isUnsentPaused
    );
  }

  #begin(head: RequestHead): void {
    const server = this.#server;
    const { bodyBytesMax } = server.state.http!;
    server.begin();
    const exchange = new HttpExchange(this, head, this.#memoOf(head), this.#exchanges.length === 0);
    this.#exchanges.push(exchange);
    this.#reading = exchange;
    this.#bodyBytes = 0;
    this.#isConnecting = head.method === 'CONNECT';
    if (head.contentLength > bodyBytesMax) exchange.refuse(413, tooLarge(bodyBytesMax));
    else server.carry(exchange);
  }

  #memoOf(head: RequestHead): RequestMemo {
    try {
      return requestMemo(head);
    } catch (error) {
      this.#server.onSettled('failed');
      throw error;
    }
  }

  #onBody(reading: HttpExchange): void {
    const { bytes, bodyStart, bodyEnd } = this.#reader;
    const { bodyBytesMax } = this.#server.state.http!;
    this.#bodyBytes += bodyEnd - bodyStart;
    if (this.#bodyBytes > bodyBytesMax) throw new HttpError(413, tooLarge(bodyBytesMax));
    reading.takeBody(bytes, bodyStart, bodyEnd, bytes === this.#input ? this.#inputView : null);
  }

  #onMessageEnd(reading: HttpExchange): void {
    this.#reading = null;
    reading.endBody();
    // What stands behind the last request is none: the caller said so.
    if (!reading.head.keepAlive && this.#phase === 'open') this.#phase = 'ending';
  }

  #noteHead(): void {
    if (this.#reading !== null || this.#isInHead || this.#reader.isIdle) return;
    this.#isInHead = true;
    this.#headStartMs = this.stream.loop.nowMs;
  }

  #block(): void {
    if (!this.#isInputOwned) {
      const unread = this.#reader.unreadBytes;
      if (unread > 0) {
        const kept = Buffer.from(this.#input!.subarray(this.#inputBytes - unread, this.#inputBytes));
        this.#reader.push(kept, unread);
        this.#input = kept;
        this.#inputView = null;
        this.#inputBytes = unread;
      }
      this.#isInputOwned = true;
    }
    this.#isBlocked = true;
    this.stream.pauseReading();
  }

  #unblock(): void {
    this.#input = null;
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    if (!this.#hasEnded) this.stream.resumeReading();
  }

  // --- Ending

  #onThrown(error: unknown): void {
    if (error instanceof HttpError) {
      this.#fail(error);
      return;
    }
    // One request that finds a fault of ours must not end the calls of all others: spec traffic 2.2 step 1.
    this.#server.onFault(this.stream.remoteHost, error);
    const blamed = this.#reading ?? this.#exchanges[this.#exchanges.length - 1] ?? null;
    this.#endWith(blamed, 502, 'err_msg: http proxy panic', ['Server', 'motan']);
  }

  /** The bytes are not HTTP, or come too slowly: says so behind the answers that are due, and ends. */
  #fail(error: HttpError): void {
    this.#server.onProtocolError(this.stream.remoteHost, error);
    this.#endWith(this.#reading, error.status, error.message, []);
  }

  #endWith(broken: HttpExchange | null, status: number, text: string, fields: readonly string[]): void {
    this.#phase = 'ending';
    const hasAnswer = broken?.hasStarted ?? false;
    this.#drop(broken);
    // Behind half an answer nothing can be said any more.
    if (!hasAnswer) this.#lastWords = lastAnswer(status, text, fields, this.stream.loop.clock.wallMs());
    if (this.#exchanges.length === 0) this.#finish();
  }

  /** Forgets a request that is broken; its handler hears that nobody waits for an answer. */
  #drop(broken: HttpExchange | null): void {
    this.#reading = null;
    if (broken === null || !broken.isOpen) return;
    this.#exchanges.splice(this.#exchanges.indexOf(broken), 1);
    broken.onCallerGone();
  }

  /** Takes answered exchanges out, as far as they are next. */
  #nextTurn(): void {
    const exchanges = this.#exchanges;
    while (exchanges.length > 0 && !exchanges[0]!.isOpen) {
      const done = exchanges.shift()!;
      if (!done.isKeptAlive) {
        this.#sayEnd();
        return;
      }
      if (exchanges.length > 0) exchanges[0]!.onTurn();
    }
  }

  #checkUnsent(): void {
    const { stream } = this;
    let bytes = stream.pendingBytes;
    if (this.#exchanges.length > 1) for (const exchange of this.#exchanges) bytes += exchange.heldBytes;
    if (bytes > UNSENT_BYTES_MAX) {
      this.#server.onSlowReader(stream.remoteHost);
      stream.close('the caller takes its answers too slowly');
    } else if (stream.pendingBytes > UNSENT_BYTES_PAUSE && !this.#isUnsentPaused) {
      this.#isUnsentPaused = true;
      this.#pauses += 1;
      stream.notifyWhenDrained();
    }
  }

  #finish(): void {
    const words = this.#lastWords;
    this.#lastWords = null;
    if (words !== null) this.stream.appendBuffer(words);
    this.#sayEnd();
  }

  #sayEnd(): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#heldHead = null;
    const reading = this.#reading;
    this.#reading = null;
    reading?.onCallerGone();
    for (const exchange of this.#exchanges.splice(0)) exchange.onCallerGone();
    if (this.#hasEnded) {
      this.stream.closeWhenWritten();
      return;
    }
    this.stream.end();
    this.#lingerUntilMs = this.stream.loop.nowMs + LINGER_MS;
    this.#unblock();
    this.#setDeadline();
  }
}

/** Whether it may be served beside others: in whatever order it is done, it changes nothing. */
function isSafe(head: RequestHead): boolean {
  return SAFE_METHODS.has(head.method) && head.contentLength <= 0 && !head.isChunked;
}

function tooLarge(bytesMax: number): string {
  return `the body is larger than ${bytesMax} bytes`;
}

/** A whole answer that says that the connection ends. */
function lastAnswer(status: number, text: string, fields: readonly string[], wallMs: number): Buffer {
  const body = Buffer.from(text, 'utf8');
  const framing = `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  return Buffer.concat([
    textFront(status, fields).bytes,
    dateField(wallMs),
    Buffer.from(framing, 'latin1'),
    body,
  ]);
}
