/**
 * One connection to an upstream: one exchange at a time, kept between them.
 *
 *   idle <---> busy        closed from anywhere
 *
 * Bytes that nobody asked for end it: behind an answer they would become the beginning of the next one.
 */
import { ProtocolError } from '../../core/index.js';
import {
  BODY,
  HEAD,
  type Http1Limits,
  NEED_MORE,
  type ResponseHead,
  ResponseReader,
} from '../../wire/http1/index.js';
import { type ByteStream, CHUNK_BYTES, type StreamOwner, WRITE_STALL_MS } from '../transport/index.js';
import {
  COPIED_HEAD_BYTES_MAX,
  type Exchange,
  type ExchangeCarrier,
  KEPT_BODY_BYTES_MAX,
} from './exchange.js';

/** Up to this size a body is copied behind its head, so that both leave in one slice. */
const COPIED_BYTES_MAX = 16 * 1024;
/** Unsent bytes of a streamed body from which its maker is asked to wait. */
const PRESSURE_BYTES = 256 * 1024;

/** The pool that the connection belongs to. */
export interface ConnectionPool {
  /** The connection can carry another exchange. */
  onFree(connection: HttpConnection): void;
  onConnectionClosed(connection: HttpConnection, error: string | null): void;
  /** Its connection ended without a byte of an answer. `isUnsent`: provably nothing of the request has left. */
  onLost(exchange: Exchange, isUnsent: boolean, error: string | null): void;
}

export class HttpConnection implements StreamOwner, ExchangeCarrier {
  readonly openedMs: number;
  /** Since when it waits for work. Owned by the pool. */
  idleSinceMs = 0;
  /** How long the upstream says that it keeps the connection; Infinity when it does not say. */
  keptMs = Number.POSITIVE_INFINITY;
  readonly #pool: ConnectionPool;
  readonly #stream: ByteStream;
  readonly #reader: ResponseReader;
  #exchange: Exchange | null = null;
  /** Of the answer that is being read. */
  #head: ResponseHead | null = null;
  /** The newest head of which `keptMs` was read. */
  #lastHead: ResponseHead | null = null;
  /** `bytesOut` of the stream when the exchange began. */
  #bytesBefore = 0;
  #answers = 0;
  #isPaused = false;
  /** It ends with the exchange that it carries. */
  isClosing = false;

  constructor(pool: ConnectionPool, stream: ByteStream, limits: Http1Limits) {
    this.#pool = pool;
    this.#stream = stream;
    this.#reader = new ResponseReader(limits);
    this.openedMs = stream.loop.nowMs;
    stream.owner = this;
  }

  /** Sends the request of `exchange` and reads its answer. Only while idle. */
  carry(exchange: Exchange): void {
    const stream = this.#stream;
    this.#exchange = exchange;
    this.#head = null;
    this.#bytesBefore = stream.bytesOut;
    this.#reader.expect(exchange.method);
    const { head, body, pooled, timeouts } = exchange.carriedBy(this, this.#answers > 0);
    // Who allows more time for the request than streams do means it.
    stream.writeStallMs = Math.max(WRITE_STALL_MS, timeouts.writeMs);
    if (body === null || body === 'stream') {
      this.#write(head, head.length > COPIED_HEAD_BYTES_MAX);
      exchange.writeEarly();
      return;
    }
    const bytes = head.length + body.length;
    if (body.length <= COPIED_BYTES_MAX && bytes <= CHUNK_BYTES) {
      const chunk = stream.reserve(bytes);
      chunk.bytes.set(head, chunk.used);
      chunk.bytes.set(body, chunk.used + head.length);
      chunk.used += bytes;
      return;
    }
    this.#write(head, true);
    // A body that may have to be sent again keeps its memory.
    stream.appendBuffer(body, body.length > KEPT_BODY_BYTES_MAX ? (pooled ?? null) : null);
    stream.notifyWhenDrained();
  }

  pauseReading(): void {
    this.#isPaused = true;
    this.#stream.pauseReading();
  }

  resumeReading(): void {
    this.#isPaused = false;
    this.#stream.resumeReading();
  }

  writeBody(bytes: Buffer, isOwned: boolean): boolean {
    this.#write(bytes, isOwned);
    if (this.#stream.pendingBytes < PRESSURE_BYTES) return true;
    this.#stream.notifyWhenDrained();
    return false;
  }

  abandon(): void {
    this.#exchange = null;
    this.#stream.close(null);
  }

  close(): void {
    this.#stream.close(null);
  }

  onBytes(input: Buffer, _view: DataView, length: number): Buffer | null {
    const exchange = this.#exchange;
    if (exchange === null) {
      this.#stream.close('bytes that nobody asked for');
      return null;
    }
    exchange.onBytes(this.#stream.loop.nowMs);
    this.#reader.push(input, length);
    this.#readAnswer(exchange);
    return null;
  }

  onDirectBytes(): Buffer | null {
    return null; // `onBytes` asks for no memory of its own
  }

  onEnd(): void {
    const exchange = this.#exchange;
    if (exchange !== null && this.#head !== null && this.#reader.finish()) {
      this.#onAnswered(exchange, false);
      return;
    }
    this.#stream.close(null);
  }

  onDrained(): void {
    this.#exchange?.onDrained();
  }

  onClosed(error: string | null): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#pool.onConnectionClosed(this, error);
    if (exchange === null) return;
    if (exchange.hasAnswer) {
      exchange.fail({ kind: 'cut', text: error ?? 'the upstream closed the connection inside its answer' });
      return;
    }
    // Bytes leave at the end of the turn in which they were made, so a connection that is found closed in that turn took nothing. A write
    // that is under way may have sent a part of them.
    const isUnsent = this.#stream.bytesOut === this.#bytesBefore && this.#stream.pendingBytes === 0;
    this.#pool.onLost(exchange, isUnsent, error);
  }

  #readAnswer(exchange: Exchange): void {
    for (;;) {
      const found = this.#next(exchange);
      if (found === NEED_MORE) return;
      if (found === HEAD) this.#onHead(exchange);
      else if (found === BODY) {
        const { bytes, bodyStart, bodyEnd } = this.#reader;
        exchange.handler.onBody(bytes, bodyStart, bodyEnd);
      } else {
        const canCarry = this.#head!.keepAlive && exchange.isSent && !this.isClosing;
        this.#onAnswered(exchange, canCarry && this.#reader.isIdle);
        return;
      }
      // The handler may have cancelled.
      if (this.#exchange !== exchange) return;
    }
  }

  /** What the reader finds next; bytes that are not HTTP fail the exchange and end the connection. */
  #next(exchange: Exchange): number {
    try {
      return this.#reader.next();
    } catch (error) {
      // Only bytes that make no sense; anything else is a fault of ours.
      if (!(error instanceof ProtocolError)) throw error;
      exchange.fail({ kind: 'malformed', text: error.message });
      return NEED_MORE;
    }
  }

  #onHead(exchange: Exchange): void {
    const { head } = this.#reader;
    if (head !== this.#lastHead) {
      this.#lastHead = head;
      this.keptMs = keptMs(head);
    }
    this.#head = head;
    if (head.status === 101) exchange.fail({ kind: 'malformed', text: 'switches protocols unasked' });
    else exchange.handler.onHead(head);
  }

  #onAnswered(exchange: Exchange, canCarry: boolean): void {
    this.#exchange = null;
    this.#answers += 1;
    exchange.onAnswered();
    if (canCarry) {
      if (this.#isPaused) this.resumeReading();
      this.#pool.onFree(this);
    } else {
      this.#stream.close(null);
    }
    exchange.handler.onEnd();
  }

  #write(bytes: Buffer, isOwned: boolean): void {
    const stream = this.#stream;
    if (isOwned && bytes.length > COPIED_BYTES_MAX) {
      stream.appendBuffer(bytes);
      return;
    }
    // Into memory that is used again: copies of their own would be as much garbage as a streamed body is long.
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      const end = Math.min(bytes.length, at + CHUNK_BYTES);
      const chunk = stream.reserve(end - at);
      bytes.copy(chunk.bytes, chunk.used, at, end);
      chunk.used += end - at;
    }
  }
}

/**
 * `Keep-Alive: timeout=5` of node, nginx and others, a second less: our request must arrive before the upstream closes. Half of it where a
 * second is too much.
 */
function keptMs(head: ResponseHead): number {
  const field = head.get('keep-alive');
  const found = field === undefined ? null : /(?:^|[,\s])timeout=(\d{1,7})/i.exec(field);
  if (found === null) return Number.POSITIVE_INFINITY;
  const saidMs = Number(found[1]) * 1000;
  return Math.max(saidMs - 1000, saidMs / 2);
}
