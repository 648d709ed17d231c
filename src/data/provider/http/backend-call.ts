/**
 * One call on its way through an HTTP backend: what waits for the answer, gathers its body and tells the observer, once.
 *
 * A body that comes in one piece with its end stays where it was read; any other grows in memory of its own. In front of it there is room for
 * what makes it a value.
 */
import { type Call, failed, failure, type ProviderObserver, type Reply } from '../../../core/index.js';
import type { ResponseHead } from '../../../wire/http1/index.js';
import type { HttpExchange, HttpFailure, HttpHandler } from '../../http-client/index.js';

/** How the answers of one mode become replies. */
export interface AnswerMaker {
  /** Longest body; a longer one fails its call alone. */
  readonly answerBytesMax: number;
  /** Most bytes that stand in front of the body in the reply. */
  frontBytes(call: BackendCall, head: ResponseHead): number;
  /**
   * The answer is complete: `bytes[start, end)` is its body, with `frontBytes` bytes free in front of it, valid until this returns unless
   * `isOwned`. Tells `call.finish`, now or later.
   */
  answer(
    call: BackendCall,
    head: ResponseHead,
    bytes: Buffer,
    start: number,
    end: number,
    isOwned: boolean,
  ): void;
  fail(call: BackendCall, cause: HttpFailure): void;
  onFinished(call: BackendCall): void;
}

/** For answers whose heads are too short; all calls share it, one at a time. */
const SHARED_BYTES = 64 * 1024;
const shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
/** Up to this a body's length is believed at once; beyond it memory grows with what has really come. */
const BELIEVED_BYTES_MAX = 256 * 1024;

export class BackendCall implements HttpHandler {
  readonly call: Call;
  readonly maker: AnswerMaker;
  /** Of the request that is on its way; changes with redirects. */
  method: string;
  /** Null until started, and when the call is over. */
  exchange: HttpExchange | null = null;
  head: ResponseHead | null = null;
  /** The backend counts it as in flight. */
  isCounted = false;
  readonly #observer: ProviderObserver;
  #isDone = false;
  #front = 0;
  /** The body in one piece, while it is a view. */
  #piece: Buffer | null = null;
  #pieceStart = 0;
  #pieceEnd = 0;
  /** A body in several pieces, behind the room for its front. */
  #own: Buffer | null = null;
  #ownBytes = 0;

  constructor(call: Call, observer: ProviderObserver, maker: AnswerMaker, method: string) {
    this.call = call;
    this.maker = maker;
    this.method = method;
    this.#observer = observer;
  }

  onHead(head: ResponseHead): void {
    this.head = head;
    if (head.contentLength > this.maker.answerBytesMax && this.method !== 'HEAD') this.failTooLarge();
    else this.#front = this.maker.frontBytes(this, head);
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    if (this.#own === null && end - start === this.head!.contentLength) {
      this.#piece = bytes;
      this.#pieceStart = start;
      this.#pieceEnd = end;
      return;
    }
    const size = this.#ownBytes + end - start;
    if (size > this.maker.answerBytesMax) {
      this.failTooLarge();
      return;
    }
    const own = this.#grown(size);
    bytes.copy(own, this.#front + this.#ownBytes, start, end);
    this.#ownBytes = size;
  }

  onEnd(): void {
    this.exchange = null;
    const head = this.head!;
    const front = this.#front;
    if (this.#own !== null) {
      this.maker.answer(this, head, this.#own, front, front + this.#ownBytes, true);
      return;
    }
    // The end comes in the same read as the piece: the view still holds, and what was the head has room for what makes it a value.
    const piece = this.#piece;
    this.#piece = null;
    if (piece !== null && this.#pieceStart >= front) {
      this.maker.answer(this, head, piece, this.#pieceStart, this.#pieceEnd, false);
      return;
    }
    const size = this.#pieceEnd - this.#pieceStart;
    const isShared = front + size <= SHARED_BYTES;
    const bytes = isShared ? shared : Buffer.allocUnsafeSlow(front + size);
    piece?.copy(bytes, front, this.#pieceStart, this.#pieceEnd);
    this.maker.answer(this, head, bytes, front, front + size, !isShared);
  }

  onFailed(cause: HttpFailure): void {
    this.exchange = null;
    this.maker.fail(this, cause);
  }

  onDrain(): void {
    // Requests of calls are whole before they are sent.
  }

  /** Forgets an answer that is not the last one. */
  restart(method: string): void {
    this.method = method;
    this.head = null;
    this.#piece = null;
    this.#pieceStart = this.#pieceEnd = 0;
    this.#own = null;
    this.#ownBytes = 0;
  }

  /** Reads no more of the answer. */
  failTooLarge(): void {
    this.exchange?.cancel();
    this.exchange = null;
    const text = `the answer of the backend is larger than ${this.maker.answerBytesMax} bytes`;
    this.finish(failed(failure('E_ANSWER_TOO_LARGE', text)));
  }

  finish(reply: Reply): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#own = null;
    this.maker.onFinished(this);
    this.#observer.onProviderDone(this.call, reply);
  }

  #grown(size: number): Buffer {
    const own = this.#own;
    const needed = this.#front + size;
    if (own !== null && needed <= own.length) return own;
    const said = Math.min(this.head!.contentLength, BELIEVED_BYTES_MAX);
    const larger = Buffer.allocUnsafeSlow(this.#front + Math.max(said, size, this.#ownBytes * 2));
    own?.copy(larger, 0, 0, this.#front + this.#ownBytes);
    this.#own = larger;
    return larger;
  }
}
