/**
 * Frames one answer and writes it: out now when the answers before it are, else into memory until its turn.
 *
 *   front | Date | Content-Length or Transfer-Encoding | Connection | blank line | body
 *
 *   framing 'length'        whole answers, and streamed ones whose length is known
 *           'chunked'       streamed ones to HTTP/1.1
 *           'until-close'   streamed ones to HTTP/1.0
 *           'none'          204, 304, tunnels, and HEAD when nobody knows the length
 */
import assert from 'node:assert/strict';
import { copyBytes, writeInteger } from '../../../base/index.js';
import { chunkHead, type RequestHead } from '../../../wire/http1/index.js';
import { type ByteStream, CHUNK_BYTES } from '../../transport/index.js';
import { type AnswerFront, dateField } from './answer-front.js';
import { appendCopy } from './append-copy.js';

const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');
const LENGTH_NAME = Buffer.from('Content-Length: ');
const CHUNKED = Buffer.from('Transfer-Encoding: chunked\r\n');
const CLOSE = Buffer.from('Connection: close\r\n');
const KEEP_ALIVE = Buffer.from('Connection: keep-alive\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const CRLF = Buffer.from('\r\n');
/** Room for everything in a head besides its front. */
const FRAMING_BYTES_MAX = 160;
const BY_REFERENCE_BYTES_MIN = 16 * 1024;
/** Of a body whose length nobody knows. */
const UNKNOWN = -1;

export class AnswerWriter {
  readonly #stream: ByteStream;
  readonly #request: RequestHead;
  /** True once all answers before it are out. */
  #isFirst: boolean;
  /** False when nothing follows on the connection: the answer says so. Decided when it begins. */
  isKeptAlive = false;
  #framing: 'length' | 'chunked' | 'until-close' | 'none' = 'none';
  /** Of an answer with a length: what is still to be written. */
  #leftBytes = 0;
  /** Written before its turn. */
  #held: Buffer[] | null = null;
  #heldBytes = 0;

  constructor(stream: ByteStream, request: RequestHead, isFirst: boolean) {
    this.#stream = stream;
    this.#request = request;
    this.#isFirst = isFirst;
  }

  get isFirst(): boolean {
    return this.#isFirst;
  }

  /** Bytes that wait for the turn of this answer. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes that nobody has taken. */
  get pendingBytes(): number {
    return this.#isFirst ? this.#stream.pendingBytes : this.#heldBytes;
  }

  /** The answers before it are out. */
  onTurn(): void {
    this.#isFirst = true;
    const held = this.#held;
    this.#held = null;
    this.#heldBytes = 0;
    if (held !== null) for (const bytes of held) this.#stream.appendBuffer(bytes);
  }

  /** Tells a caller that waits with its body to send it. */
  writeContinue(): void {
    this.#put(CONTINUE);
  }

  /** As `HttpExchange.respondWith`. */
  writeWhole(
    front: AnswerFront,
    bytes: Buffer,
    view: DataView | null,
    start: number,
    end: number,
    isOwned: boolean,
    pooled: Buffer | null,
  ): void {
    const isHead = this.#request.method === 'HEAD';
    const bodyBytes = isHead || front.isBodiless ? 0 : end - start;
    this.#framing = front.isBodiless ? 'none' : 'length';
    this.#leftBytes = isHead && front.contentLength >= 0 ? front.contentLength : end - start;
    const most = front.bytes.length + FRAMING_BYTES_MAX;
    if (!this.#isFirst || most > CHUNK_BYTES) {
      this.#putHead(front);
      if (bodyBytes > 0) this.#put(Buffer.from(bytes.subarray(start, end)));
      return;
    }
    const byReference = isOwned && bodyBytes >= BY_REFERENCE_BYTES_MIN;
    const isCopied = !byReference && most + bodyBytes <= CHUNK_BYTES;
    const chunk = this.#stream.reserve(isCopied ? most + bodyBytes : most);
    const at = this.#fillHead(chunk.bytes, chunk.used, front);
    if (isCopied) {
      if (bodyBytes > 0) copyBytes(bytes, view, start, end, chunk.bytes, chunk.view, at);
      chunk.used = at + bodyBytes;
      return;
    }
    chunk.used = at;
    const body = bytes.subarray(start, end);
    if (isOwned) this.#stream.appendBuffer(body, pooled);
    else this.#stream.appendBuffer(Buffer.from(body));
  }

  /** As `HttpExchange.startResponse`. */
  begin(front: AnswerFront, bodyLength: number | 'chunked'): void {
    const isHead = this.#request.method === 'HEAD';
    const length = bodyLength === 'chunked' ? UNKNOWN : bodyLength;
    this.#leftBytes = isHead && front.contentLength >= 0 ? front.contentLength : length;
    if (front.isBodiless) {
      this.#framing = 'none';
    } else if (this.#leftBytes >= 0) {
      this.#framing = 'length';
    } else if (isHead) {
      this.#framing = 'none';
    } else if (this.#request.minorVersion === 1) {
      this.#framing = 'chunked';
    } else {
      this.#framing = 'until-close';
      this.isKeptAlive = false;
    }
    this.#putHead(front);
    if (isHead) this.#framing = 'none';
  }

  /** A head with neither length nor body: behind it the connection carries something else. */
  writeBare(front: AnswerFront): void {
    this.#framing = 'none';
    this.#putHead(front);
  }

  write(bytes: Buffer, start: number, end: number, isOwned: boolean): void {
    if (this.#framing === 'none' || end === start) return;
    if (this.#framing === 'length') {
      assert(end - start <= this.#leftBytes);
      this.#leftBytes -= end - start;
    }
    const isChunked = this.#framing === 'chunked';
    if (isChunked) this.#put(Buffer.from(chunkHead(end - start), 'latin1'));
    if (!this.#isFirst) this.#hold(Buffer.from(bytes.subarray(start, end)));
    else if (isOwned && end - start >= BY_REFERENCE_BYTES_MIN)
      this.#stream.appendBuffer(bytes.subarray(start, end));
    else appendCopy(this.#stream, bytes, start, end);
    if (isChunked) this.#put(CRLF);
  }

  /** The end of a streamed answer. False when it is shorter than announced. */
  end(): boolean {
    if (this.#framing === 'chunked') this.#put(LAST_CHUNK);
    return this.#framing !== 'length' || this.#leftBytes === 0;
  }

  #putHead(front: AnswerFront): void {
    const head = Buffer.allocUnsafe(front.bytes.length + FRAMING_BYTES_MAX);
    this.#put(head.subarray(0, this.#fillHead(head, 0, front)));
  }

  /** Front and framing at `start`; returns where the body begins. */
  #fillHead(into: Buffer, start: number, front: AnswerFront): number {
    into.set(front.bytes, start);
    let at = start + front.bytes.length;
    if (!front.hasDate) at = putBytes(into, at, dateField(this.#stream.loop.clock.wallMs()));
    if (this.#framing === 'length') {
      at = writeInteger(into, putBytes(into, at, LENGTH_NAME), this.#leftBytes);
      at = putBytes(into, at, CRLF);
    } else if (this.#framing === 'chunked') {
      at = putBytes(into, at, CHUNKED);
    }
    if (!this.isKeptAlive) at = putBytes(into, at, CLOSE);
    else if (this.#request.minorVersion === 0) at = putBytes(into, at, KEEP_ALIVE);
    return putBytes(into, at, CRLF);
  }

  /** Bytes of our own that do not change any more. */
  #put(bytes: Buffer): void {
    if (!this.#isFirst) this.#hold(bytes);
    else if (bytes.length < BY_REFERENCE_BYTES_MIN) appendCopy(this.#stream, bytes, 0, bytes.length);
    else this.#stream.appendBuffer(bytes);
  }

  #hold(bytes: Buffer): void {
    if (this.#held === null) this.#held = [];
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }
}

function putBytes(into: Buffer, at: number, bytes: Buffer): number {
  into.set(bytes, at);
  return at + bytes.length;
}
