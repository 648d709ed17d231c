/**
 * One HTTP request and its answer, as handlers see them. Handlers know no connection, no order of answers and no framing.
 *
 *   open --start--> streaming --end--> answered      `respond` goes from open to answered at once
 *     '----------------'--caller gone, abort--> aborted
 *
 * A handler answers exactly once, during `handle` or later. It gets the body only after it asked for it, whole (`collectBody`) or in pieces
 * (`readBody`); what it does not read the connection throws away. Answers of pipelined requests are held back until their turn.
 *
 * Every exchange leaves the balance of its listener once: when it is answered, or when its caller is gone and no call is under way for it.
 */
import assert from 'node:assert/strict';
import { copyBytes, writeInteger } from '../../../base/index.js';
import type { Call, CallOrigin, Reply } from '../../../core/index.js';
import { chunkHead, type RequestHead } from '../../../wire/http1/index.js';
import { type ByteStream, CHUNK_BYTES } from '../../transport/index.js';
import { AnswerFront, dateField, textFront } from './answer-front.js';
import type { RequestMemo } from './request-memo.js';
import type { RequestTarget } from './request-target.js';

/** Answers a kind of request. */
export interface HttpHandler {
  /** The head is complete, nothing of the body was read. */
  handle(exchange: HttpExchange): void;
}

export interface BodyCollector {
  /** `body[bodyStart, bodyEnd)` of the exchange is whole. Unless `isBodyOwned` it is a view that is valid until this returns. */
  onBodyCollected(exchange: HttpExchange): void;
}

export interface BodyReader {
  /** The next piece: a view that is valid until this returns. `pauseBody` stops them. */
  onBody(exchange: HttpExchange, bytes: Buffer, start: number, end: number): void;
  /** All pieces were given. Not said when the caller is gone before. */
  onBodyEnd(exchange: HttpExchange): void;
}

export interface ReplyReceiver {
  /** The call made for this exchange is answered, and the caller is still there. Views inside `reply` are valid until this returns. */
  onReply(exchange: HttpExchange, call: Call, reply: Reply): void;
}

export interface ExchangeWatcher {
  /** The caller is gone, or broke its request: nothing can be answered any more. Said once, and only before the answer is complete. */
  onAborted(exchange: HttpExchange): void;
  /** `write` said false before; now there is room. */
  onWritable(exchange: HttpExchange): void;
}

/** One end of a tunnel, from the view of the other: what a CONNECT handler gets. */
export interface Tunnel {
  /** False when the caller takes bytes too slowly: wait for `onWritable`. The bytes are copied. */
  write(bytes: Buffer, start: number, end: number): boolean;
  pauseReading(): void;
  resumeReading(): void;
  /** No more follows; the caller may still send. */
  end(): void;
  close(reason: string | null): void;
}

export interface TunnelPeer {
  /** A view that is valid until this returns. */
  onBytes(bytes: Buffer, start: number, end: number): void;
  /** The caller sends no more. */
  onEnd(): void;
  onWritable(): void;
  /** Said once, also after `close`. */
  onClosed(reason: string | null): void;
}

/** How an exchange counts: answered by a service or another server, by the agent with an error, or refused because a bound was reached. */
export type Outcome = 'ok' | 'failed' | 'shed';

/** The connection, as its exchanges see it. */
export interface ExchangeCarrier {
  readonly stream: ByteStream;
  /** False when the answer to this exchange is the last of the connection. */
  mayFollow(exchange: HttpExchange): boolean;
  /** Whether the answer may go out now: all before it have. */
  isFirst(exchange: HttpExchange): boolean;
  /** The exchange reads on, or throws away what it gets. */
  onBodyWanted(exchange: HttpExchange): void;
  /** Asks for memory that the exchange keeps until it is settled; below 0 it gives back. */
  mayGather(bytes: number): boolean;
  pause(): void;
  resume(): void;
  onAnswered(exchange: HttpExchange): void;
  onSettled(exchange: HttpExchange, gatheredBytes: number): void;
  openTunnel(exchange: HttpExchange, peer: TunnelPeer): Tunnel;
}

const NO_BYTES = Buffer.alloc(0);
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');
const LENGTH_NAME = Buffer.from('Content-Length: ');
const CHUNKED = Buffer.from('Transfer-Encoding: chunked\r\n');
const CLOSE = Buffer.from('Connection: close\r\n');
const KEEP_ALIVE = Buffer.from('Connection: keep-alive\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const CRLF = Buffer.from('\r\n');
/** Room for everything in a head besides its front: date, length or encoding, connection, blank line. */
const FRAMING_BYTES_MAX = 160;
/** A piece of a streamed answer, so that it fits into a chunk with its size line. */
const PIECE_BYTES_MAX = CHUNK_BYTES - 64;
const BY_REFERENCE_BYTES_MIN = 16 * 1024;
/** Unwritten bytes of a streamed answer before `write` asks to wait. */
export const STREAM_PENDING_MAX = 512 * 1024;
/** Memory that a body is first given; then it doubles: a length that is only promised costs nothing. */
const GATHER_BYTES_MIN = 16 * 1024;
/** Enough for the tag and the size of a serialized argument. */
const HEADROOM_BYTES = 8;
/** What is left of a body when its request is answered is read and thrown away up to this size; beyond it the connection is closed. */
const DISCARD_BYTES_MAX = 64 * 1024;

/** Of Content-Length for what has none. */
const UNKNOWN = -1;

export class HttpExchange implements CallOrigin {
  readonly head: RequestHead;
  readonly target: RequestTarget;
  /** What was derived from the head before, shared with all requests that have an equal one. */
  readonly memo: RequestMemo;
  readonly remoteHost: string;
  /** Monotonic ms at which the head was complete. */
  readonly receivedMs: number;
  /** The handler sets this before it answers; `refuse` does. */
  outcome: Outcome = 'ok';
  /** The handler's own. */
  context: unknown = null;
  /** The collected body: empty until then. */
  body: Buffer = NO_BYTES;
  bodyStart = 0;
  bodyEnd = 0;
  /** Over the memory of `body`, when there is one at hand. */
  bodyView: DataView | null = null;
  isBodyOwned = true;
  /** `host[:port]` that the request is for: of its target, unless it goes to the default domain. */
  authority: string;

  readonly #carrier: ExchangeCarrier;
  #state: 'open' | 'streaming' | 'answered' | 'aborted' = 'open';
  #isSettled = false;
  /** `none`: nobody asked yet, so nothing may be read. */
  #bodyMode: 'none' | 'collect' | 'read' | 'discard' = 'none';
  /** True when no byte of the body is left to come. */
  #isBodyComplete: boolean;
  #receivedBytes = 0;
  #bodyBytesMax = 0;
  #headroomBytes = 0;
  #gathered: Buffer | null = null;
  #gatheredBytes = 0;
  #isBodyPaused = false;
  #hasContinued = false;
  #collector: BodyCollector | null = null;
  #reader: BodyReader | null = null;
  #receiver: ReplyReceiver | null = null;
  #watcher: ExchangeWatcher | null = null;
  #isKeptAlive = false;
  #framing: 'length' | 'chunked' | 'until-close' | 'none' = 'none';
  #leftToWrite = 0;
  #isWritableAwaited = false;
  /** Written before its turn. */
  #held: Buffer[] | null = null;
  #heldBytes = 0;

  constructor(carrier: ExchangeCarrier, head: RequestHead, memo: RequestMemo, remoteHost: string) {
    this.#carrier = carrier;
    this.head = head;
    this.memo = memo;
    this.target = memo.target;
    this.authority = memo.target.authority;
    this.remoteHost = remoteHost;
    this.receivedMs = carrier.stream.loop.nowMs;
    this.#isBodyComplete = head.contentLength <= 0 && !head.isChunked;
  }

  /** Monotonic ms of the batch of bytes that is being worked on. */
  get nowMs(): number {
    return this.#carrier.stream.loop.nowMs;
  }

  /** True while an answer can still be given or go on. */
  get isOpen(): boolean {
    return this.#state === 'open' || this.#state === 'streaming';
  }

  /** True once the status has been given. */
  get hasStarted(): boolean {
    return this.#state !== 'open';
  }

  /** Length of the body as announced; -1 for a chunked one, 0 for none. */
  get bodyLength(): number {
    return this.head.isChunked ? UNKNOWN : Math.max(0, this.head.contentLength);
  }

  // --- What a handler does with the request

  /** Tells `watcher` what becomes of the exchange meanwhile. For handlers that do more than one call. */
  watch(watcher: ExchangeWatcher): void {
    this.#watcher = watcher;
  }

  /**
   * Reads the whole body, then tells `collector`, possibly before this returns. A body that was collected before is given again. One that is longer
   * than `bytesMax` is answered with 413 here, and `collector` is not told.
   * @param headroomBytes free bytes in front of a body that `isBodyOwned`, so that a frame can be put around it where it lies
   */
  collectBody(bytesMax: number, collector: BodyCollector, headroomBytes = HEADROOM_BYTES): void {
    assert(this.#bodyMode === 'none' || this.#isBodyComplete);
    if (this.#isBodyComplete) {
      collector.onBodyCollected(this);
      return;
    }
    if (this.head.contentLength > bytesMax) {
      this.#refuseBody(bytesMax);
      return;
    }
    this.#bodyMode = 'collect';
    this.#bodyBytesMax = bytesMax;
    this.#headroomBytes = headroomBytes;
    this.#collector = collector;
    this.#wantBody();
  }

  /** Reads the body in pieces. A collected body is given as one piece, before this returns. */
  readBody(reader: BodyReader): void {
    assert(this.#bodyMode === 'none' || this.#isBodyComplete);
    if (this.#isBodyComplete) {
      if (this.bodyEnd > this.bodyStart) reader.onBody(this, this.body, this.bodyStart, this.bodyEnd);
      reader.onBodyEnd(this);
      return;
    }
    this.#bodyMode = 'read';
    this.#reader = reader;
    this.#wantBody();
  }

  /** No more pieces until `resumeBody`. */
  pauseBody(): void {
    if (this.#isBodyPaused || this.#isBodyComplete || !this.isOpen) return;
    this.#isBodyPaused = true;
    this.#carrier.pause();
  }

  resumeBody(): void {
    if (!this.#isBodyPaused) return;
    this.#isBodyPaused = false;
    this.#carrier.resume();
  }

  /** Makes the collected body outlive the read buffer. False when there is no memory for it: then the exchange is answered. */
  retainBody(): boolean {
    if (this.isBodyOwned) return true;
    return this.replaceBody(Buffer.from(this.body.subarray(this.bodyStart, this.bodyEnd)), 0);
  }

  /** As `retainBody`, with the copy that the handler has made: the body begins at `start` of `copy`. */
  replaceBody(copy: Buffer, start: number): boolean {
    if (!this.#mayGrow(copy.length)) return false;
    const bytes = this.bodyEnd - this.bodyStart;
    this.body = copy;
    this.bodyStart = start;
    this.bodyEnd = start + bytes;
    this.bodyView = null;
    this.isBodyOwned = true;
    return true;
  }

  /** The body is in other hands now, or is not needed any more: the exchange must not keep it while it waits. */
  releaseBody(): void {
    this.body = NO_BYTES;
    this.bodyStart = 0;
    this.bodyEnd = 0;
    this.bodyView = null;
    this.isBodyOwned = true;
    this.#gathered = null;
    if (this.#gatheredBytes > 0) this.#carrier.mayGather(-this.#gatheredBytes);
    this.#gatheredBytes = 0;
  }

  /** Says who gets the reply of the call that is made next with this exchange as its origin. One call at a time. */
  awaitReply(receiver: ReplyReceiver): void {
    assert(this.#receiver === null);
    this.#receiver = receiver;
  }

  // --- What a handler answers

  /** Answers with a short body. `fields`: name, value, name, value ...; framing is added. */
  respond(status: number, fields: readonly string[], body: Buffer | null): void {
    const bytes = body ?? NO_BYTES;
    this.respondWith(new AnswerFront(status, fields), bytes, null, 0, bytes.length, true, null);
  }

  /** Answers with words of the agent's own. */
  refuse(status: number, text: string, outcome: Outcome = 'failed', fields: readonly string[] = []): void {
    const body = Buffer.from(text, 'utf8');
    this.outcome = outcome;
    this.respondWith(textFront(status, fields), body, null, 0, body.length, true, null);
  }

  /**
   * Answers with `bytes[start, end)`, which are copied unless `isOwned`.
   * @param view over the memory of `bytes`, when there is one at hand
   * @param pooled memory behind the bytes that goes back to the pool once they are written; null for none
   */
  respondWith(
    front: AnswerFront,
    bytes: Buffer,
    view: DataView | null,
    start: number,
    end: number,
    isOwned: boolean,
    pooled: Buffer | null,
  ): void {
    if (this.#state === 'aborted') return;
    assert(this.#state === 'open');
    const hasBody = !front.isBodiless && this.head.method !== 'HEAD';
    const bodyBytes = hasBody ? end - start : 0;
    this.#framing = front.isBodiless ? 'none' : 'length';
    this.#leftToWrite = this.#lengthToTell(front, end - start);
    this.#isKeptAlive = this.#mayKeepAlive();
    const most = front.bytes.length + FRAMING_BYTES_MAX;
    if (!this.#carrier.isFirst(this) || most > CHUNK_BYTES) {
      this.#writeSlowly(front, most, bodyBytes === 0 ? NO_BYTES : bytes.subarray(start, end));
    } else {
      const { stream } = this.#carrier;
      const byReference = isOwned && bodyBytes >= BY_REFERENCE_BYTES_MIN;
      const isCopied = !byReference && most + bodyBytes <= CHUNK_BYTES;
      const chunk = stream.reserve(isCopied ? most + bodyBytes : most);
      const at = this.#fillHead(chunk.bytes, chunk.used, front);
      if (isCopied) {
        if (bodyBytes > 0) copyBytes(bytes, view, start, end, chunk.bytes, chunk.view, at);
        chunk.used = at + bodyBytes;
      } else {
        chunk.used = at;
        const body = bytes.subarray(start, end);
        if (isOwned) stream.appendBuffer(body, pooled);
        else stream.appendBuffer(Buffer.from(body));
      }
    }
    this.#leftToWrite = 0;
    this.#complete();
  }

  /**
   * Begins an answer whose body follows in pieces.
   * @param bodyLength `chunked` when it is not known; a caller of HTTP/1.0 then gets it until the connection ends
   */
  startResponse(status: number, fields: readonly string[], bodyLength: number | 'chunked'): void {
    if (this.#state === 'aborted') return;
    assert(this.#state === 'open');
    const front = new AnswerFront(status, fields);
    this.#isKeptAlive = this.#mayKeepAlive();
    if (front.isBodiless || this.head.method === 'HEAD') {
      this.#leftToWrite = this.#lengthToTell(front, bodyLength === 'chunked' ? UNKNOWN : bodyLength);
      this.#framing = front.isBodiless || this.#leftToWrite < 0 ? 'none' : 'length';
    } else if (bodyLength !== 'chunked') {
      this.#framing = 'length';
      this.#leftToWrite = bodyLength;
    } else if (this.head.minorVersion === 1) {
      this.#framing = 'chunked';
    } else {
      this.#framing = 'until-close';
      this.#isKeptAlive = false;
    }
    const head = Buffer.allocUnsafe(front.bytes.length + FRAMING_BYTES_MAX);
    this.#put(head.subarray(0, this.#fillHead(head, 0, front)));
    if (this.head.method === 'HEAD' || front.isBodiless) this.#framing = 'none';
    this.#state = 'streaming';
  }

  /**
   * The next piece of the body, which is copied unless `isOwned`. False when the caller takes it too slowly: the handler then waits for
   * `onWritable` before it writes more.
   */
  write(bytes: Buffer, start: number, end: number, isOwned = false): boolean {
    if (this.#state === 'aborted') return true;
    assert(this.#state === 'streaming');
    if (this.#framing !== 'none' && end > start) {
      if (this.#framing === 'length') {
        assert(end - start <= this.#leftToWrite);
        this.#leftToWrite -= end - start;
      }
      if (isOwned && end - start >= BY_REFERENCE_BYTES_MIN) this.#putOwned(bytes.subarray(start, end));
      else
        for (let at = start; at < end; at += PIECE_BYTES_MAX)
          this.#putPiece(bytes, at, Math.min(end, at + PIECE_BYTES_MAX));
    }
    const pending = this.#carrier.isFirst(this) ? this.#carrier.stream.pendingBytes : this.#heldBytes;
    if (pending <= STREAM_PENDING_MAX || !this.isOpen) return true;
    this.#isWritableAwaited = true;
    if (this.#carrier.isFirst(this)) this.#carrier.stream.notifyWhenDrained();
    return false;
  }

  /** The streamed answer is complete. One that is shorter than was announced ends the connection, as `abort`. */
  end(): void {
    if (this.#state === 'aborted') return;
    assert(this.#state === 'streaming');
    if (this.#framing === 'length' && this.#leftToWrite > 0) {
      this.abort('the answer is shorter than announced');
      return;
    }
    if (this.#framing === 'chunked') this.#put(LAST_CHUNK);
    this.#complete();
  }

  /** The answer cannot be finished: the connection ends, so that the caller takes no half for a whole. Handlers are not told. */
  abort(reason: string): void {
    if (!this.isOpen) return;
    this.#watcher = null;
    this.#carrier.stream.close(reason);
  }

  /**
   * Answers with `front` and turns the connection into a tunnel, or null when the caller is gone. The exchange counts as in flight until the tunnel
   * is closed. What the caller has sent behind its head comes to `peer` after this returns.
   */
  openTunnel(front: AnswerFront, peer: TunnelPeer): Tunnel | null {
    if (this.#state !== 'open') return null;
    this.#framing = 'none';
    this.#isKeptAlive = true;
    const head = Buffer.allocUnsafe(front.bytes.length + FRAMING_BYTES_MAX);
    this.#put(head.subarray(0, this.#fillHead(head, 0, front)));
    this.#state = 'answered';
    return this.#carrier.openTunnel(this, peer);
  }

  // --- CallOrigin

  onReply(call: Call, reply: Reply): void {
    const receiver = this.#receiver!;
    this.#receiver = null;
    if (this.#state === 'aborted') {
      this.outcome = outcomeOf(reply);
      this.#settle();
      return;
    }
    receiver.onReply(this, call, reply);
  }

  onPressure(): void {
    this.#carrier.pause();
  }

  onRelief(): void {
    this.#carrier.resume();
  }

  // --- What the connection says

  /** True when bytes of the body may come: somebody takes them. */
  get isBodyWanted(): boolean {
    return this.#bodyMode !== 'none';
  }

  get isBodyComplete(): boolean {
    return this.#isBodyComplete;
  }

  /** True when the next request may follow on the connection. Only once answered. */
  get isKeptAlive(): boolean {
    return this.#isKeptAlive;
  }

  /** Bytes that wait for the turn of this answer. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  takeBody(bytes: Buffer, start: number, end: number, view: DataView | null): void {
    this.#receivedBytes += end - start;
    const isLast = !this.head.isChunked && this.#receivedBytes === this.head.contentLength;
    if (this.#bodyMode === 'read') {
      this.#reader!.onBody(this, bytes, start, end);
    } else if (this.#bodyMode === 'collect') {
      if (isLast && this.#gathered === null) {
        this.body = bytes;
        this.bodyStart = start;
        this.bodyEnd = end;
        this.bodyView = view;
        this.isBodyOwned = false;
      } else if (!this.#gather(bytes, start, end)) {
        return;
      }
    }
    if (isLast) this.endBody();
  }

  endBody(): void {
    if (this.#isBodyComplete) return;
    this.#isBodyComplete = true;
    const collector = this.#collector;
    const reader = this.#reader;
    this.#collector = null;
    this.#reader = null;
    if (collector !== null) collector.onBodyCollected(this);
    else if (reader !== null) reader.onBodyEnd(this);
    // A view is of no use to whoever looks later.
    if (!this.isBodyOwned) this.releaseBody();
  }

  /** It is this answer's turn. */
  onTurn(): void {
    const held = this.#held;
    this.#held = null;
    this.#heldBytes = 0;
    const { stream } = this.#carrier;
    if (held !== null) for (const bytes of held) stream.appendBuffer(bytes);
    if (this.#isWritableAwaited) stream.notifyWhenDrained();
  }

  onDrained(): void {
    if (!this.#isWritableAwaited || !this.isOpen) return;
    this.#isWritableAwaited = false;
    this.#watcher?.onWritable(this);
  }

  /** The caller is gone, or its request turned out to be broken. */
  onCallerGone(): void {
    if (!this.isOpen) return;
    this.#state = 'aborted';
    this.outcome = 'failed';
    this.#collector = null;
    this.#reader = null;
    this.#bodyMode = 'discard';
    this.#held = null;
    const watcher = this.#watcher;
    this.#watcher = null;
    watcher?.onAborted(this);
    if (this.#receiver === null) this.#settle();
  }

  onTunnelClosed(): void {
    this.#settle();
  }

  // --- Inside

  #wantBody(): void {
    if (this.head.expectsContinue && !this.#hasContinued && this.#receivedBytes === 0) {
      this.#hasContinued = true;
      this.#put(CONTINUE);
    }
    this.#carrier.onBodyWanted(this);
  }

  #refuseBody(bytesMax: number): void {
    this.refuse(413, `the body is larger than ${bytesMax} bytes`);
  }

  /** Copies a piece behind those before it. False when there are too many bytes: then the answer is given. */
  #gather(bytes: Buffer, start: number, end: number): boolean {
    const filled = this.#gathered === null ? this.#headroomBytes : this.bodyEnd;
    const needed = filled + end - start;
    if (this.#receivedBytes > this.#bodyBytesMax) {
      this.#refuseBody(this.#bodyBytesMax);
      return false;
    }
    let into = this.#gathered;
    if (into === null || into.length < needed) {
      const announced = this.head.contentLength < 0 ? Number.MAX_SAFE_INTEGER : this.head.contentLength;
      const grown = Math.max(needed, GATHER_BYTES_MIN, filled * 2);
      const size = Math.max(needed, Math.min(grown, this.#headroomBytes + announced));
      if (!this.#mayGrow(size)) return false;
      const larger = Buffer.allocUnsafe(size);
      into?.copy(larger, this.#headroomBytes, this.#headroomBytes, filled);
      into = larger;
      this.#gathered = larger;
      this.body = larger;
      this.bodyStart = this.#headroomBytes;
      this.isBodyOwned = true;
    }
    bytes.copy(into, filled, start, end);
    this.bodyEnd = needed;
    return true;
  }

  /** Whether the body may take so much memory; if not, the exchange is answered. */
  #mayGrow(bytes: number): boolean {
    if (!this.#carrier.mayGather(bytes - this.#gatheredBytes)) {
      this.refuse(503, 'the agent has too many bodies in memory', 'shed', ['Retry-After', '1']);
      return false;
    }
    this.#gatheredBytes = bytes;
    return true;
  }

  #mayKeepAlive(): boolean {
    if (!this.head.keepAlive || !this.#carrier.mayFollow(this)) return false;
    if (this.#isBodyComplete) return true;
    // Unread bytes must be read before the next head: few and announced ones are. Who waits for 100 may send them or not.
    const isAwaited = this.head.expectsContinue && !this.#hasContinued;
    return (
      !this.head.isChunked && !isAwaited && this.head.contentLength - this.#receivedBytes <= DISCARD_BYTES_MAX
    );
  }

  /** What Content-Length says: for HEAD and 304 what the body would have. */
  #lengthToTell(front: AnswerFront, bodyBytes: number): number {
    return this.head.method === 'HEAD' && front.contentLength >= 0 ? front.contentLength : bodyBytes;
  }

  #writeSlowly(front: AnswerFront, most: number, body: Buffer): void {
    const head = Buffer.allocUnsafe(most);
    this.#put(head.subarray(0, this.#fillHead(head, 0, front)));
    if (body.length > 0) this.#put(Buffer.from(body));
  }

  /** Front and framing at `start`; returns where the body begins. */
  #fillHead(into: Buffer, start: number, front: AnswerFront): number {
    into.set(front.bytes, start);
    let at = start + front.bytes.length;
    if (!front.hasDate) at = putBytes(into, at, dateField(this.#carrier.stream.loop.clock.wallMs()));
    if (this.#framing === 'length') {
      at = writeInteger(into, putBytes(into, at, LENGTH_NAME), this.#leftToWrite);
      at = putBytes(into, at, CRLF);
    } else if (this.#framing === 'chunked') {
      at = putBytes(into, at, CHUNKED);
    }
    if (!this.#isKeptAlive) at = putBytes(into, at, CLOSE);
    else if (this.head.minorVersion === 0) at = putBytes(into, at, KEEP_ALIVE);
    return putBytes(into, at, CRLF);
  }

  #putPiece(bytes: Buffer, start: number, end: number): void {
    if (this.#framing === 'chunked') this.#put(Buffer.from(chunkHead(end - start), 'latin1'));
    if (this.#carrier.isFirst(this)) {
      const chunk = this.#carrier.stream.reserve(end - start);
      bytes.copy(chunk.bytes, chunk.used, start, end);
      chunk.used += end - start;
    } else {
      this.#hold(Buffer.from(bytes.subarray(start, end)));
    }
    if (this.#framing === 'chunked') this.#put(CRLF);
  }

  #putOwned(bytes: Buffer): void {
    if (this.#framing === 'chunked') this.#put(Buffer.from(chunkHead(bytes.length), 'latin1'));
    if (this.#carrier.isFirst(this)) this.#carrier.stream.appendBuffer(bytes);
    else this.#hold(bytes);
    if (this.#framing === 'chunked') this.#put(CRLF);
  }

  /** Bytes of the agent's own making. */
  #put(bytes: Buffer): void {
    if (!this.#carrier.isFirst(this)) {
      this.#hold(bytes);
    } else if (bytes.length > CHUNK_BYTES) {
      this.#carrier.stream.appendBuffer(bytes);
    } else {
      const chunk = this.#carrier.stream.reserve(bytes.length);
      chunk.bytes.set(bytes, chunk.used);
      chunk.used += bytes.length;
    }
  }

  #hold(bytes: Buffer): void {
    if (this.#held === null) this.#held = [];
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #complete(): void {
    this.#state = 'answered';
    this.#watcher = null;
    this.#collector = null;
    this.#reader = null;
    this.#settle();
    if (!this.#isBodyComplete) this.#bodyMode = 'discard';
    this.resumeBody();
    this.#carrier.onAnswered(this);
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#gathered = null;
    this.#carrier.onSettled(this, this.#gatheredBytes);
  }
}

/** How a reply counts. */
export function outcomeOf(reply: Reply): Outcome {
  if (reply.failure === null) return 'ok';
  return SHED_CODES.has(reply.failure.code) ? 'shed' : 'failed';
}

const SHED_CODES: ReadonlySet<string> = new Set([
  'E_OVERLOADED',
  'E_DRAINING',
  'E_BACKEND_BUSY',
  'E_SEND_QUEUE_FULL',
]);

function putBytes(into: Buffer, at: number, bytes: Buffer): number {
  into.set(bytes, at);
  return at + bytes.length;
}
