/**
 * A chunked body (RFC 9112 7.1): data comes out as views, extensions and trailers are checked and dropped, nothing is kept.
 *
 *   size[;extension] CR LF data CR LF   ...   0[;extension] CR LF   trailer: value CR LF   ...   CR LF
 *
 * Trailers never reach a head, whatever they are called: fields that frame a message or grant access must not come after it.
 */
import { CHARACTERS, COLON, CR, LF, SPACE, TAB, TOKEN, VALUE } from './characters.js';
import { BODY, END, type Found, NEED_MORE } from './found.js';
import { HttpError } from './http-error.js';
import type { Http1Limits } from './limits.js';

const SIZE_START = 0;
const SIZE = 1;
const EXTENSION = 2;
const SIZE_LF = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const TRAILER_START = 7;
const TRAILER_NAME = 8;
const TRAILER_VALUE = 9;
const TRAILER_LF = 10;
const LAST_LF = 11;

const SEMICOLON = 0x3b;
/** Digits of a size; more could not be counted exactly. */
const SIZE_DIGITS_MAX = 15;
/**
 * What the lines of a body may have beyond a plain size for each chunk, and beyond the data itself: without it a byte of
 * data could be made to cost a line of extensions, for ever.
 */
const OVERHEAD_BYTES_MAX = 16 * 1024;
const PLAIN_LINE_BYTES = 16;

/** Value of a hex digit; -1 for all other bytes. */
const HEX = new Int8Array(256).fill(-1);
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  HEX[digit.charCodeAt(0)] = value;
  HEX[digit.toUpperCase().charCodeAt(0)] = value;
}

export class ChunkReader {
  readonly #limits: Http1Limits;
  /** First byte of the input that has not been read. */
  at = 0;
  bodyStart = 0;
  bodyEnd = 0;
  #state = SIZE_START;
  /** Of the current chunk: its size while the line is read, then what has not come. */
  #remaining = 0;
  #digits = 0;
  #lineBytes = 0;
  #trailerBytes = 0;
  #overhead = 0;

  constructor(limits: Http1Limits) {
    this.#limits = limits;
  }

  begin(): void {
    this.#state = SIZE_START;
    this.#remaining = 0;
    this.#digits = 0;
    this.#lineBytes = 0;
    this.#trailerBytes = 0;
    this.#overhead = 0;
  }

  /** Reads `input[at, end)` up to the next piece of data, the end of the body, or the end of the input. */
  next(input: Buffer, from: number, end: number): Found {
    let at = from;
    while (at < end) {
      if (this.#state === DATA) return this.#takeData(at, end);
      if (this.#step(input[at]!)) {
        this.at = at + 1;
        return END;
      }
      at += 1;
    }
    this.at = at;
    return NEED_MORE;
  }

  #takeData(at: number, end: number): Found {
    const bytes = Math.min(this.#remaining, end - at);
    this.bodyStart = at;
    this.bodyEnd = at + bytes;
    this.at = this.bodyEnd;
    this.#remaining -= bytes;
    if (this.#remaining === 0) this.#state = DATA_CR;
    return BODY;
  }

  /** One byte that is not data; true when it was the last of the body. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case SIZE_START:
      case SIZE:
        this.#stepSize(byte);
        return false;
      case EXTENSION:
        this.#countLine();
        if (byte === CR) this.#state = SIZE_LF;
        else if ((CHARACTERS[byte]! & VALUE) === 0) throw bad('a control character in a chunk extension');
        return false;
      case SIZE_LF:
        if (byte !== LF) throw bad('a chunk size line that does not end in CR LF');
        this.#endSizeLine();
        return false;
      case DATA_CR:
        if (byte !== CR) throw bad('a chunk of another size than it says');
        this.#state = DATA_LF;
        return false;
      case DATA_LF:
        if (byte !== LF) throw bad('a chunk of another size than it says');
        this.#state = SIZE_START;
        return false;
      default:
        return this.#stepTrailer(byte);
    }
  }

  #stepSize(byte: number): void {
    this.#countLine();
    const digit = HEX[byte]!;
    if (digit >= 0) {
      this.#digits += 1;
      if (this.#digits > SIZE_DIGITS_MAX) throw bad('a chunk size of too many digits');
      this.#remaining = this.#remaining * 16 + digit;
      this.#state = SIZE;
      return;
    }
    if (this.#state === SIZE_START || (byte !== CR && byte !== SEMICOLON))
      throw bad('a malformed chunk size');
    this.#state = byte === CR ? SIZE_LF : EXTENSION;
  }

  #countLine(): void {
    this.#lineBytes += 1;
    // The line feed is not counted here, but it belongs to the line.
    if (this.#lineBytes >= this.#limits.chunkLineBytesMax)
      throw bad(`a chunk size line of over ${this.#limits.chunkLineBytesMax} bytes`);
  }

  #endSizeLine(): void {
    const bytes = this.#remaining;
    this.#overhead = Math.max(0, this.#overhead + this.#lineBytes - PLAIN_LINE_BYTES - bytes);
    if (this.#overhead > OVERHEAD_BYTES_MAX) throw bad('more chunk extensions than data');
    this.#lineBytes = 0;
    this.#digits = 0;
    this.#state = bytes === 0 ? TRAILER_START : DATA;
  }

  #stepTrailer(byte: number): boolean {
    this.#trailerBytes += 1;
    if (this.#trailerBytes > this.#limits.trailerBytesMax)
      throw new HttpError(431, `trailers of over ${this.#limits.trailerBytesMax} bytes`);
    switch (this.#state) {
      case TRAILER_START:
        if (byte === CR) this.#state = LAST_LF;
        else if (byte === SPACE || byte === TAB) throw bad('a folded line');
        else if ((CHARACTERS[byte]! & TOKEN) !== 0) this.#state = TRAILER_NAME;
        else throw bad('a malformed trailer');
        return false;
      case TRAILER_NAME:
        if (byte === COLON) this.#state = TRAILER_VALUE;
        else if ((CHARACTERS[byte]! & TOKEN) === 0) throw bad('a malformed trailer');
        return false;
      case TRAILER_VALUE:
        if (byte === CR) this.#state = TRAILER_LF;
        else if ((CHARACTERS[byte]! & VALUE) === 0) throw bad('a control character in a trailer');
        return false;
      case TRAILER_LF:
        if (byte !== LF) throw bad('a line that does not end in CR LF');
        this.#state = TRAILER_START;
        return false;
      default:
        if (byte !== LF) throw bad('a line that does not end in CR LF');
        return true;
    }
  }
}

function bad(message: string): HttpError {
  return new HttpError(400, message);
}
