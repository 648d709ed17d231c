/**
 * One request on its way to an upstream, and its answer.
 *
 *   waiting --connection--> sending --all of it sent--> awaiting --head--> receiving --end--> done
 *      ^------ one retry ------'--------'                     any deadline, loss or cancel ----^
 *
 * The handler hears `onHead`, then `onBody` any number of times, then `onEnd`; or, at any point, `onFailed`. After `onEnd`,
 * `onFailed` or `cancel` it hears nothing more.
 *
 * A request is sent a second time only when not one byte of an answer came, and either nothing of it was sent, or the connection had
 * been used before (so the upstream may have closed it for being idle) and the method is idempotent and its body is at hand.
 */
import type { WheelTimer } from '../../base/index.js';
import type { ResponseHead } from '../../wire/http1/index.js';
import type { IoLoop } from '../transport/index.js';

/** Ms from the moment at which each begins to count; 0 for no limit. */
export interface HttpTimeouts {
  /** For the upstream to take the request. With a streamed body it runs only while bytes wait that were not taken. */
  readonly writeMs: number;
  /** From the request's end to the first byte of the answer. */
  readonly firstByteMs: number;
  /** Longest pause between bytes of the answer; stands still while the exchange is paused. */
  readonly betweenBytesMs: number;
  /** From the request's end to the answer's end. */
  readonly answerMs: number;
}

export interface HttpRequest {
  readonly method: string;
  /** Request line, fields and blank line as they go out, and perhaps a small body. Must not change any more. */
  readonly head: Buffer;
  /** Memory of the loop's pool behind `head`: goes back when it cannot be sent again. At most COPIED_HEAD_BYTES_MAX of it are used. */
  readonly headPooled?: Buffer | null;
  /**
   * Null for none. A buffer is sent as it is and must not change until the exchange is over. `stream`: the body follows by
   * `write` and `end`, framed as the head says: chunk heads are the caller's.
   */
  readonly body: Buffer | null | 'stream';
  /** Memory of the loop's pool behind a body that is a buffer: goes back once it is written, or is forgotten. */
  readonly pooled?: Buffer | null;
  readonly timeouts: HttpTimeouts;
  /** Monotonic ms at which everything is over, waiting for a connection included; 0 for no limit. */
  readonly untilMs: number;
}

export interface HttpFailure {
  /**
   *   refused          no connection could be opened; `text` is the system's
   *   connect-timeout  no connection within its time
   *   no-connection    as many connections and waiting requests as there may be, or the upstream is being closed
   *   timeout          one of the other deadlines
   *   lost             the connection ended before the first byte of an answer
   *   cut              the connection ended inside the answer
   *   malformed        the answer is not HTTP
   */
  readonly kind: 'refused' | 'connect-timeout' | 'no-connection' | 'timeout' | 'lost' | 'cut' | 'malformed';
  /** In words, without the name of the upstream. */
  readonly text: string;
}

/** Who wants the answer. Its methods may start other exchanges and may cancel this one. */
export interface HttpHandler {
  /** Status and fields. The same object again when the bytes are the same on that connection: see `ResponseHead.memo`. */
  onHead(head: ResponseHead): void;
  /**
   * A piece of the decoded body, valid until this returns; until `onEnd` returns when it is as long as the `contentLength` of its head. The bytes
   * in front of `start` have been read and are free to be written over.
   */
  onBody(bytes: Buffer, start: number, end: number): void;
  onEnd(): void;
  onFailed(failure: HttpFailure): void;
  /** A streamed body may go on: `write` had said false. */
  onDrain(): void;
}

/** What callers see of an exchange. */
export interface HttpExchange {
  /** Stops reading the answer. What has been read already still comes: up to 256 KiB. */
  pause(): void;
  resume(): void;
  /**
   * The next bytes of a streamed body. False asks to wait for `onDrain`; the bytes are taken all the same.
   * @param isOwned the bytes never change again, so that they need not be copied
   */
  write(bytes: Buffer, isOwned: boolean): boolean;
  /** The streamed body is complete. */
  end(): void;
  /** Gives the exchange up; the handler hears nothing more. Its connection is closed unless it was still waiting. */
  cancel(): void;
}

/** The connection that carries an exchange. */
export interface ExchangeCarrier {
  pauseReading(): void;
  resumeReading(): void;
  /** False when the upstream should be given time; `onDrained` of the exchange follows. */
  writeBody(bytes: Buffer, isOwned: boolean): boolean;
  /** Nobody waits for the answer any more: the connection cannot be used again. */
  abandon(): void;
}

/** The upstream that the exchange belongs to. */
export interface ExchangeOwner {
  readonly loop: IoLoop;
  /** It waits no longer for a connection. */
  forgetWaiting(exchange: Exchange): void;
  /** It failed or was cancelled: counters. */
  onGivenUp(exchange: Exchange, failure: HttpFailure | null): void;
}

const NEVER = Number.POSITIVE_INFINITY;
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']);
/** A longer body is not kept for a second try: callers would decide how much memory a slow upstream costs. */
export const KEPT_BODY_BYTES_MAX = 64 * 1024;
/** Up to this size a head is copied to be sent, so that its memory is free as soon as it is not sent again. */
export const COPIED_HEAD_BYTES_MAX = 32 * 1024;

type Phase = 'waiting' | 'sending' | 'awaiting' | 'receiving' | 'done';

export class Exchange implements HttpExchange, WheelTimer {
  readonly handler: HttpHandler;
  readonly method: string;
  /** It is put a second time, and never a third. */
  wasRetried = false;
  readonly #owner: ExchangeOwner;
  readonly #timeouts: HttpTimeouts;
  readonly #untilMs: number;
  readonly #isStreamed: boolean;
  /** Null once it cannot be sent again. */
  #request: HttpRequest | null;
  #headPooled: Buffer | null;
  #carrier: ExchangeCarrier | null = null;
  #phase: Phase = 'waiting';
  #isReused = false;
  #isPaused = false;
  #isBodyEnded = false;
  /** Deadline of the phase; the wheel may fire earlier and is then set anew, which is cheaper than moving it. */
  #dueMs = NEVER;
  #answerDueMs = NEVER;
  #lastByteMs = 0;
  /** Streamed bytes that came before there was a connection. */
  #early: Buffer[] = [];
  deadlineMs = 0;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(owner: ExchangeOwner, request: HttpRequest, handler: HttpHandler) {
    this.handler = handler;
    this.method = request.method;
    this.#owner = owner;
    this.#timeouts = request.timeouts;
    this.#untilMs = request.untilMs === 0 ? NEVER : request.untilMs;
    this.#isStreamed = request.body === 'stream';
    this.#isBodyEnded = !this.#isStreamed;
    this.#request = request;
    this.#headPooled = request.headPooled ?? null;
  }

  /** True when the whole request is on its way: only then can the connection carry another. */
  get isSent(): boolean {
    return this.#isBodyEnded;
  }

  /** True once a byte of an answer came. */
  get hasAnswer(): boolean {
    return this.#phase === 'receiving';
  }

  pause(): void {
    if (this.#isPaused || this.#phase === 'done') return;
    this.#isPaused = true;
    this.#carrier?.pauseReading();
  }

  resume(): void {
    if (!this.#isPaused || this.#phase === 'done') return;
    this.#isPaused = false;
    this.#lastByteMs = this.#owner.loop.clock.nowMs();
    this.#carrier?.resumeReading();
  }

  write(bytes: Buffer, isOwned: boolean): boolean {
    if (this.#phase === 'done' || this.#isBodyEnded || bytes.length === 0) return true;
    if (this.#carrier === null) {
      this.#early.push(isOwned ? bytes : Buffer.from(bytes));
      return false;
    }
    const hasRoom = this.#carrier.writeBody(bytes, isOwned);
    if (!hasRoom && this.#phase === 'sending') this.#expect(this.#timeouts.writeMs);
    return hasRoom;
  }

  end(): void {
    if (this.#phase === 'done' || this.#isBodyEnded) return;
    this.#isBodyEnded = true;
    if (this.#carrier !== null) this.#onSent();
  }

  cancel(): void {
    if (this.#phase === 'done') return;
    this.#leave();
    this.#owner.onGivenUp(this, null);
  }

  onDeadline(nowMs: number): void {
    if (nowMs >= this.#untilMs) {
      this.fail({ kind: 'timeout', text: 'the time of the whole call is over' });
      return;
    }
    if (this.#phase === 'receiving') this.#dueMs = this.#receivingDueMs();
    if (nowMs >= this.#dueMs) {
      this.fail({ kind: 'timeout', text: this.#lateText() });
      return;
    }
    this.#arm();
  }

  /** Ends it without an answer. */
  fail(failure: HttpFailure): void {
    if (this.#phase === 'done') return;
    this.#leave();
    this.#owner.onGivenUp(this, failure);
    this.handler.onFailed(failure);
  }

  /** It waits for a connection, at most so long; 0 for no limit of its own. */
  waitForConnection(withinMs: number): void {
    this.#phase = 'waiting';
    this.#expect(withinMs);
  }

  /**
   * A connection carries it from now on: returns what to send. A request that may have to be sent again is kept.
   * @param isReused the connection has carried others before
   */
  carriedBy(carrier: ExchangeCarrier, isReused: boolean): HttpRequest {
    const request = this.#request!;
    this.#carrier = carrier;
    this.#isReused = isReused;
    this.#phase = 'sending';
    const bodyBytes = request.body === null || request.body === 'stream' ? 0 : request.body.length;
    if (this.wasRetried || this.#isStreamed || bodyBytes > KEPT_BODY_BYTES_MAX) this.#request = null;
    if (this.#isPaused) carrier.pauseReading();
    // Small requests are taken at once: their write needs no deadline of its own.
    if (bodyBytes > KEPT_BODY_BYTES_MAX) this.#expect(this.#timeouts.writeMs);
    else if (this.#isBodyEnded && !this.#isStreamed) this.#onSent();
    else this.#expect(0);
    return request;
  }

  /** Sends what was written before there was a connection. The carrier calls it behind the head. */
  writeEarly(): void {
    if (!this.#isStreamed) return;
    const early = this.#early;
    this.#early = [];
    let hasRoom = true;
    // The connection may be lost meanwhile, which has been told then.
    for (const bytes of early) hasRoom = this.#carrier?.writeBody(bytes, true) ?? false;
    if (this.#isBodyEnded) this.#onSent();
    else if (hasRoom && early.length > 0) this.handler.onDrain();
  }

  /** The kernel has taken all bytes that waited. */
  onDrained(): void {
    if (this.#phase === 'sending' && this.#isBodyEnded) this.#onSent();
    else if (!this.#isBodyEnded && this.#phase !== 'done') {
      if (this.#phase === 'sending') this.#expect(0);
      this.handler.onDrain();
    }
  }

  /** Bytes of an answer have come. */
  onBytes(nowMs: number): void {
    this.#lastByteMs = nowMs;
    if (this.#phase === 'receiving') return;
    this.#phase = 'receiving';
    this.#forgetRequest();
    this.#dueMs = this.#receivingDueMs();
    this.#arm();
  }

  /** The answer is complete; the connection is let go. */
  onAnswered(): void {
    this.#owner.loop.timers.remove(this);
    this.#phase = 'done';
    this.#carrier = null;
    this.#forgetRequest();
  }

  /**
   * The connection ended without a byte of an answer: true when the request may be sent once more, which the caller then does.
   * @param isUnsent provably nothing of it has left
   */
  tryAgain(isUnsent: boolean): boolean {
    const isSafe = isUnsent || (this.#isReused && IDEMPOTENT.has(this.method));
    if (!isSafe || this.#request === null || this.hasAnswer) return false;
    this.wasRetried = true;
    this.#carrier = null;
    this.#answerDueMs = NEVER;
    return true;
  }

  #onSent(): void {
    if (this.#phase !== 'sending') return;
    this.#phase = 'awaiting';
    const { firstByteMs, answerMs } = this.#timeouts;
    if (answerMs > 0) this.#answerDueMs = this.#owner.loop.nowMs + answerMs;
    this.#expect(firstByteMs);
  }

  /** Something has to happen within so many ms; 0 for no limit. */
  #expect(withinMs: number): void {
    const dueMs = withinMs > 0 ? this.#owner.loop.nowMs + withinMs : NEVER;
    this.#dueMs = Math.min(dueMs, this.#answerDueMs);
    this.#arm();
  }

  #receivingDueMs(): number {
    const { betweenBytesMs } = this.#timeouts;
    if (betweenBytesMs === 0) return this.#answerDueMs;
    const fromMs = this.#isPaused ? this.#owner.loop.nowMs : this.#lastByteMs;
    return Math.min(fromMs + betweenBytesMs, this.#answerDueMs);
  }

  #arm(): void {
    const { timers } = this.#owner.loop;
    const dueMs = Math.min(this.#dueMs, this.#untilMs);
    if (this.wheelSlot >= 0) {
      if (this.deadlineMs <= dueMs) return;
      timers.remove(this);
    }
    if (dueMs === NEVER) return;
    this.deadlineMs = dueMs;
    timers.add(this);
  }

  #leave(): void {
    this.#owner.loop.timers.remove(this);
    const isWaiting = this.#phase === 'waiting';
    this.#phase = 'done';
    this.#forgetRequest();
    this.#early = [];
    const carrier = this.#carrier;
    this.#carrier = null;
    if (isWaiting) this.#owner.forgetWaiting(this);
    else carrier?.abandon();
  }

  /** It is not sent again; whoever carried it has its own copy of the head. */
  #forgetRequest(): void {
    this.#request = null;
    if (this.#headPooled === null) return;
    this.#owner.loop.buffers.give(this.#headPooled);
    this.#headPooled = null;
  }

  #lateText(): string {
    switch (this.#phase) {
      case 'waiting':
        return 'no connection became free in time';
      case 'sending':
        return 'the request was not taken in time';
      case 'awaiting':
        return 'no byte of an answer in time';
      default:
        return 'the answer did not end in time';
    }
  }
}
