/**
 * What readers of requests and responses share: cuts the bytes of one connection into messages.
 *
 *   between --head--> length | chunked | until-close --last byte--> complete --END told--> between
 *                       (nothing of these when there is no body)
 *
 * Bodies are views into the input. Only a head that arrives in pieces is gathered; memory for it grows with the bytes that
 * have really come, and each byte is looked at a fixed number of times however the head is cut.
 *
 * A head that is byte for byte the last one is the same object, found by comparing and not by parsing.
 */
import { CHARACTERS, CR, LF, VALUE } from './characters.js';
import { ChunkReader } from './chunk-reader.js';
import { BODY, END, type Found, HEAD, NEED_MORE } from './found.js';
import type { MessageHead } from './head.js';
import { parsedUntil } from './head-parser.js';
import { HttpError } from './http-error.js';
import { KnownHead } from './known-head.js';
import type { Http1Limits } from './limits.js';

const BETWEEN = 0;
const LENGTH = 1;
const CHUNKED = 2;
const UNTIL_CLOSE = 3;
const COMPLETE = 4;
const BROKEN = 5;

/** Sizes of a body that are not sizes: what `begin` of a subclass answers. */
export const BODY_CHUNKED = -1;
export const BODY_UNTIL_CLOSE = -2;
/** The head was not one of a message: the next head follows. */
export const BODY_SKIP_HEAD = -3;

/** First memory for a head in pieces; most heads fit. */
const GATHER_BYTES_MIN = 1024;
const NO_BYTES = Buffer.alloc(0);

export abstract class MessageReader<Head extends MessageHead> {
  protected readonly limits: Http1Limits;
  /** Of the message that is being read; valid from HEAD until the next HEAD. */
  head: Head;
  /** The input; what BODY shows is valid until the next `next` or `push`. */
  bytes: Buffer = NO_BYTES;
  bodyStart = 0;
  bodyEnd = 0;

  #state = BETWEEN;
  #at = 0;
  #inputEnd = 0;
  /** Of a body with Content-Length: what has not come. */
  #remaining = 0;
  #chunks: ChunkReader | null = null;
  /** A head in pieces: its first `#gathered` bytes. */
  #gather: Buffer | null = null;
  #gathered = 0;
  /** How much of CR LF CR LF the gathered bytes end in. */
  #endMatched = 0;
  /** The last head that was parsed. */
  #known: KnownHead<Head> | null = null;

  constructor(limits: Http1Limits, noHead: Head) {
    this.limits = limits;
    this.head = noHead;
  }

  /** The head at `start`, null when it does not end before `end`; where it ends says `parsedUntil`. */
  protected abstract parse(bytes: Buffer, start: number, end: number): Head | null;
  /** Size of the body behind `head`, or one of BODY_*. */
  protected abstract begin(head: Head): number;

  /** Shows the reader `length` new bytes at the start of `input`, valid until the next push. Read with `next` until NEED_MORE. */
  push(input: Buffer, length: number): void {
    this.bytes = input;
    this.#at = 0;
    this.#inputEnd = length;
  }

  /** Moves on. After an HttpError there is nothing more to read: it is thrown again. */
  next(): Found {
    try {
      return this.#advance();
    } catch (error) {
      this.#state = BROKEN;
      this.#gather = null;
      throw error;
    }
  }

  /** True between messages, when nothing of the next one has come. */
  get isIdle(): boolean {
    if (this.#state !== BETWEEN || this.#at < this.#inputEnd) return false;
    // The line end that some clients send behind a body begins no message.
    return this.#gather === null || (this.#gathered <= 2 && this.#gather[0] === CR);
  }

  /** Bytes of the input that have not been read. */
  get unreadBytes(): number {
    return this.#inputEnd - this.#at;
  }

  /**
   * Takes out the unread input, as a copy: for a tunnel after the HEAD of its request, or to be pushed again by an owner that stops reading
   * for a while.
   */
  takeRest(): Buffer {
    const rest = Buffer.from(this.bytes.subarray(this.#at, this.#inputEnd));
    this.#at = this.#inputEnd;
    return rest;
  }

  /** The peer sends no more. True when no message is cut short by it. */
  protected endInput(): boolean {
    if (this.#state === UNTIL_CLOSE) this.#state = BETWEEN;
    return this.#state === COMPLETE || this.isIdle;
  }

  #advance(): Found {
    switch (this.#state) {
      case BETWEEN:
        return this.#readHead();
      case LENGTH:
        return this.#readLength();
      case CHUNKED:
        return this.#readChunked();
      case UNTIL_CLOSE:
        return this.#takeBody(this.#inputEnd - this.#at);
      case COMPLETE:
        this.#state = BETWEEN;
        return END;
      default:
        throw new HttpError(400, 'more bytes behind what was not HTTP');
    }
  }

  #readHead(): Found {
    for (;;) {
      const at = this.#at;
      if (at === this.#inputEnd) return NEED_MORE;
      const head = this.#gather === null ? this.#headInPlace(at) : this.#gatherHead();
      if (head === null) return NEED_MORE;
      const bodyBytes = this.begin(head);
      if (bodyBytes === BODY_SKIP_HEAD) continue;
      this.head = head;
      this.#remaining = bodyBytes;
      if (bodyBytes > 0) {
        this.#state = LENGTH;
      } else if (bodyBytes === 0) {
        this.#state = COMPLETE;
      } else if (bodyBytes === BODY_UNTIL_CLOSE) {
        this.#state = UNTIL_CLOSE;
      } else {
        this.#state = CHUNKED;
        this.#chunks ??= new ChunkReader(this.limits);
        this.#chunks.begin();
      }
      return HEAD;
    }
  }

  #headInPlace(at: number): Head | null {
    const input = this.bytes;
    const known = this.#known;
    if (known?.begins(input, at, this.#inputEnd)) {
      this.#at = at + known.length;
      return known.head;
    }
    const { headBytesMax } = this.limits;
    const end = Math.min(this.#inputEnd, at + headBytesMax);
    const head = this.parse(input, at, end);
    if (head !== null) {
      this.#at = parsedUntil();
      this.#remember(head, input, at, this.#at);
      return head;
    }
    this.#gather = Buffer.allocUnsafeSlow(Math.min(GATHER_BYTES_MIN, headBytesMax));
    this.#gathered = 0;
    this.#endMatched = 0;
    return this.#gatherHead();
  }

  /** Takes input up to the end of the head; null when that has not come. */
  #gatherHead(): Head | null {
    const { headBytesMax } = this.limits;
    const start = this.#at;
    const end = Math.min(this.#inputEnd, start + headBytesMax - this.#gathered);
    const stop = this.#scanHeadEnd(this.bytes, start, end);
    this.#growGather(this.#gathered + stop - start);
    const gather = this.#gather!;
    this.bytes.copy(gather, this.#gathered, start, stop);
    this.#gathered += stop - start;
    this.#at = stop;
    if (this.#endMatched < 4) {
      if (this.#gathered === headBytesMax) throw this.#tooLarge(gather, 0, headBytesMax);
      return null;
    }
    const head = this.parse(gather, 0, this.#gathered);
    if (head === null || parsedUntil() !== this.#gathered) throw new HttpError(400, 'an empty head');
    this.#remember(head, gather, 0, this.#gathered);
    this.#gather = null;
    this.#gathered = 0;
    return head;
  }

  /** Reads line ends, and refuses what can stand in no head: garbage is not gathered. Returns where the head or the input ends. */
  #scanHeadEnd(input: Buffer, from: number, end: number): number {
    let matched = this.#endMatched;
    let at = from;
    while (at < end && matched < 4) {
      const byte = input[at]!;
      const isOdd = (matched & 1) === 1;
      if (byte === LF) {
        if (!isOdd) throw new HttpError(400, 'a line that does not end in CR LF');
        matched += 1;
      } else if (isOdd) {
        throw new HttpError(400, 'a line that does not end in CR LF');
      } else if (byte === CR) {
        matched += 1;
      } else if ((CHARACTERS[byte]! & VALUE) === 0) {
        throw new HttpError(400, 'a control character in a head');
      } else {
        matched = 0;
      }
      at += 1;
    }
    this.#endMatched = matched;
    return at;
  }

  #growGather(bytes: number): void {
    const gather = this.#gather!;
    if (bytes <= gather.length) return;
    const larger = Buffer.allocUnsafeSlow(
      Math.min(Math.max(bytes, gather.length * 2), this.limits.headBytesMax),
    );
    gather.copy(larger, 0, 0, this.#gathered);
    this.#gather = larger;
  }

  #remember(head: Head, bytes: Buffer, start: number, end: number): void {
    this.#known ??= new KnownHead(head);
    this.#known.set(head, bytes, start, end);
  }

  #tooLarge(bytes: Buffer, start: number, end: number): HttpError {
    const lineEnd = bytes.indexOf(LF, start);
    const hasLine = lineEnd >= 0 && lineEnd < end;
    const what = hasLine ? 'head' : 'request line';
    return new HttpError(hasLine ? 431 : 414, `a ${what} of over ${this.limits.headBytesMax} bytes`);
  }

  #readLength(): Found {
    const bytes = Math.min(this.#remaining, this.#inputEnd - this.#at);
    this.#remaining -= bytes;
    if (this.#remaining === 0) this.#state = COMPLETE;
    return this.#takeBody(bytes);
  }

  #readChunked(): Found {
    const chunks = this.#chunks!;
    const found = chunks.next(this.bytes, this.#at, this.#inputEnd);
    this.#at = chunks.at;
    this.bodyStart = chunks.bodyStart;
    this.bodyEnd = chunks.bodyEnd;
    if (found === END) this.#state = BETWEEN;
    return found;
  }

  #takeBody(bytes: number): Found {
    if (bytes === 0) return NEED_MORE;
    this.bodyStart = this.#at;
    this.#at += bytes;
    this.bodyEnd = this.#at;
    return BODY;
  }
}
