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
import type { Call, CallOrigin, Reply } from '../../../core/index.js';
import type { RequestHead } from '../../../wire/http1/index.js';
import type { ByteStream } from '../../transport/index.js';
import { AnswerFront, textFront } from './answer-front.js';
import { AnswerWriter } from './answer-writer.js';
import { type BodyMemory, RequestBody } from './request-body.js';
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
export interface ExchangeCarrier extends BodyMemory {
  readonly stream: ByteStream;
  /** False when the answer to this exchange is the last of the connection. */
  mayFollow(exchange: HttpExchange): boolean;
  /** The exchange reads on, or throws away what it gets. */
  onBodyWanted(): void;
  pause(): void;
  resume(): void;
  onAnswered(exchange: HttpExchange): void;
  onSettled(exchange: HttpExchange): void;
  openTunnel(exchange: HttpExchange, peer: TunnelPeer): Tunnel;
}

const NO_BYTES = Buffer.alloc(0);
/** Unwritten bytes of a streamed answer, or of a tunnel, before `write` asks to wait. */
export const STREAM_PENDING_MAX = 512 * 1024;
/** Enough for the tag and the size of a serialized argument. */
const HEADROOM_BYTES = 8;
/** What is left of a body when its request is answered is read and thrown away up to this size; beyond it the connection is closed. */
const DISCARD_BYTES_MAX = 64 * 1024;

export class HttpExchange implements CallOrigin {
  readonly head: RequestHead;
  readonly target: RequestTarget;
  /** What was derived from the head before, shared with all requests that have an equal one. */
  readonly memo: RequestMemo;
  readonly remoteHost: string;
  /** Monotonic ms at which the head was complete. */
  readonly receivedMs: number;
  /** `host[:port]` that the request is for: of its target, unless it goes to the default domain. */
  authority: string;
  /** The handler sets this before it answers; `refuse` does. */
  outcome: Outcome = 'ok';
  /** The handler's own. */
  context: unknown = null;

  readonly #carrier: ExchangeCarrier;
  readonly #writer: AnswerWriter;
  readonly #body: RequestBody;
  #state: 'open' | 'streaming' | 'answered' | 'aborted' = 'open';
  #isSettled = false;
  /** `none`: nobody asked yet, so nothing may be read. */
  #bodyMode: 'none' | 'collect' | 'read' | 'discard' = 'none';
  /** True when no byte of the body is left to come. */
  #isBodyComplete: boolean;
  #receivedBytes = 0;
  #bodyBytesMax = 0;
  #headroomBytes = 0;
  #isBodyPaused = false;
  #hasContinued = false;
  #collector: BodyCollector | null = null;
  #reader: BodyReader | null = null;
  #receiver: ReplyReceiver | null = null;
  #watcher: ExchangeWatcher | null = null;
  #isWritableAwaited = false;

  /** @param isFirst nothing has to be answered before */
  constructor(carrier: ExchangeCarrier, head: RequestHead, memo: RequestMemo, isFirst: boolean) {
    const { stream } = carrier;
    this.#carrier = carrier;
    this.#writer = new AnswerWriter(stream, head, isFirst);
    this.#body = new RequestBody(carrier);
    this.head = head;
    this.memo = memo;
    this.target = memo.target;
    this.authority = memo.target.authority;
    this.remoteHost = stream.remoteHost;
    this.receivedMs = stream.loop.nowMs;
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
    return this.head.isChunked ? -1 : Math.max(0, this.head.contentLength);
  }

  // --- What a handler does with the request

  /** Tells `watcher` what becomes of the exchange meanwhile. For handlers that do more than one call. */
  watch(watcher: ExchangeWatcher): void {
    this.#watcher = watcher;
  }

  /**
   * Reads the whole body, then tells `collector`, possibly before this returns. A body that was collected before is given again. One that is longer
   * than `bytesMax` is answered with 413 here, and `collector` is not told.
   * @param headroomBytes free bytes in front of a body that `isBodyOwned` and not empty, so that a frame can be put around it where it lies
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

  /** True when no byte of the body is left to come. */
  get isBodyComplete(): boolean {
    return this.#isBodyComplete;
  }

  /** Memory of the collected body, which is `body[bodyStart, bodyEnd)`: empty until then. */
  get body(): Buffer {
    return this.#body.bytes;
  }

  get bodyStart(): number {
    return this.#body.start;
  }

  get bodyEnd(): number {
    return this.#body.end;
  }

  /** Over the memory of `body`, when there is one at hand. */
  get bodyView(): DataView | null {
    return this.#body.view;
  }

  /** False for a view into a read buffer, which is valid until `onBodyCollected` returns. */
  get isBodyOwned(): boolean {
    return this.#body.isOwned;
  }

  /** Makes the collected body outlive the read buffer. False when there is no memory for it: then the exchange is answered. */
  retainBody(): boolean {
    if (this.#body.isOwned) return true;
    return this.replaceBody(Buffer.from(this.body.subarray(this.bodyStart, this.bodyEnd)), 0);
  }

  /** As `retainBody`, with the copy that the handler has made: the body begins at `start` of `copy`. */
  replaceBody(copy: Buffer, start: number): boolean {
    if (this.#body.replace(copy, start)) return true;
    this.#refuseForMemory();
    return false;
  }

  /** The body is in other hands now, or is not needed any more: the exchange must not keep it while it waits. */
  releaseBody(): void {
    this.#body.release();
  }

  /** Says who gets the reply of the call that is made next with this exchange as its origin. One call at a time. */
  awaitReply(receiver: ReplyReceiver): void {
    assert(this.#receiver === null);
    this.#receiver = receiver;
  }

  // --- What a handler answers. All of it is ignored once the caller is gone.

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
    if (!this.#beginsAnswer()) return;
    this.#writer.writeWhole(front, bytes, view, start, end, isOwned, pooled);
    this.#complete();
  }

  /**
   * Begins an answer whose body follows in pieces.
   * @param bodyLength `chunked` when it is not known; a caller of HTTP/1.0 then gets it until the connection ends
   */
  startResponse(status: number, fields: readonly string[], bodyLength: number | 'chunked'): void {
    if (!this.#beginsAnswer()) return;
    this.#writer.begin(new AnswerFront(status, fields), bodyLength);
    this.#state = 'streaming';
  }

  /**
   * The next piece of the body, which is copied unless `isOwned`. False when the caller takes it too slowly: the handler then waits for
   * `onWritable` before it writes more.
   */
  write(bytes: Buffer, start: number, end: number, isOwned = false): boolean {
    if (this.#state === 'aborted') return true;
    assert(this.#state === 'streaming');
    this.#writer.write(bytes, start, end, isOwned);
    if (this.#writer.pendingBytes <= STREAM_PENDING_MAX || !this.isOpen) return true;
    this.#isWritableAwaited = true;
    if (this.#writer.isFirst) this.#carrier.stream.notifyWhenDrained();
    return false;
  }

  /** The streamed answer is complete. One that is shorter than was announced ends the connection, as `abort`. */
  end(): void {
    if (this.#state === 'aborted') return;
    assert(this.#state === 'streaming');
    if (this.#writer.end()) this.#complete();
    else this.abort('the answer is shorter than announced');
  }

  /** The answer cannot be finished: the connection ends, so that the caller takes no half for a whole. The watcher is not told. */
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
    this.#writer.isKeptAlive = true;
    this.#writer.writeBare(front);
    this.#state = 'answered';
    return this.#carrier.openTunnel(this, peer);
  }

  // --- CallOrigin

  onReply(call: Call, reply: Reply): void {
    const receiver = this.#receiver!;
    this.#receiver = null;
    if (this.#state === 'aborted') {
      this.outcome = outcomeOf(reply);
      this.settle();
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

  /** True when the next request may follow on the connection. Only once answered. */
  get isKeptAlive(): boolean {
    return this.#writer.isKeptAlive;
  }

  /** Bytes that wait for the turn of this answer. */
  get heldBytes(): number {
    return this.#writer.heldBytes;
  }

  takeBody(bytes: Buffer, start: number, end: number, view: DataView | null): void {
    const { contentLength, isChunked } = this.head;
    this.#receivedBytes += end - start;
    const isLast = !isChunked && this.#receivedBytes === contentLength;
    if (this.#bodyMode === 'read') {
      this.#reader!.onBody(this, bytes, start, end);
    } else if (this.#bodyMode === 'collect') {
      if (this.#receivedBytes > this.#bodyBytesMax) this.#refuseBody(this.#bodyBytesMax);
      else if (isLast && this.#receivedBytes === end - start) this.#body.lookAt(bytes, start, end, view);
      else if (!this.#body.gather(bytes, start, end, this.#headroomBytes, contentLength))
        this.#refuseForMemory();
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
    if (!this.#body.isOwned) this.#body.release();
  }

  /** It is this answer's turn. */
  onTurn(): void {
    this.#writer.onTurn();
    if (this.#isWritableAwaited) this.#carrier.stream.notifyWhenDrained();
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
    const watcher = this.#watcher;
    this.#watcher = null;
    watcher?.onAborted(this);
    if (this.#receiver === null) this.settle();
  }

  /** Leaves the balance, once. */
  settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#body.release();
    this.#carrier.onSettled(this);
  }

  // --- Inside

  #wantBody(): void {
    if (this.head.expectsContinue && !this.#hasContinued && this.#receivedBytes === 0) {
      this.#hasContinued = true;
      this.#writer.writeContinue();
    }
    this.#carrier.onBodyWanted();
  }

  #refuseBody(bytesMax: number): void {
    this.refuse(413, `the body is larger than ${bytesMax} bytes`);
  }

  #refuseForMemory(): void {
    this.refuse(503, 'the agent has too many bodies in memory', 'shed', ['Retry-After', '1']);
  }

  /** False when nobody is there for an answer. */
  #beginsAnswer(): boolean {
    if (this.#state === 'aborted') return false;
    assert(this.#state === 'open', 'an exchange is answered once');
    this.#writer.isKeptAlive = this.#mayKeepAlive();
    return true;
  }

  #mayKeepAlive(): boolean {
    const { keepAlive, isChunked, expectsContinue, contentLength } = this.head;
    if (!keepAlive || !this.#carrier.mayFollow(this)) return false;
    if (this.#isBodyComplete) return true;
    // Unread bytes must be read before the next head: few and announced ones are. Who waits for 100 may send them or not.
    const isAwaited = expectsContinue && !this.#hasContinued;
    return !isChunked && !isAwaited && contentLength - this.#receivedBytes <= DISCARD_BYTES_MAX;
  }

  #complete(): void {
    this.#state = 'answered';
    this.#watcher = null;
    this.#collector = null;
    this.#reader = null;
    this.settle();
    if (!this.#isBodyComplete) this.#bodyMode = 'discard';
    this.resumeBody();
    this.#carrier.onAnswered(this);
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
