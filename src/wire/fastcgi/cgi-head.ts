/**
 * The head that a CGI script puts in front of its output: `Name: value` lines and an empty one.
 *
 *   Status: 404 Not Found CRLF            line ends are CRLF (PHP) or LF alone (scripts), mixed at will
 *   Content-type: text/html LF
 *   LF
 *   body ...
 *
 * Scripts are written by hand, so a line that is no header is left out and counted instead of costing the answer; what is
 * kept is a valid header and can be sent on as it is.
 */
import { ProtocolError } from '../../core/index.js';

export interface CgiHeadLimits {
  readonly headBytesMax: number;
  readonly fieldsMax: number;
}

/** PHP has no bound of its own. Servers in front of it take 4 to 64 KiB by default. */
export const CGI_HEAD_LIMITS: CgiHeadLimits = { headBytesMax: 128 * 1024, fieldsMax: 512 };

export interface CgiHead {
  /** From `Status:`, or a status line in its place; else 302 with a `Location`, else 200. */
  readonly status: number;
  /** name, value, name, value ... latin1, as sent; `Status` is not among them. */
  readonly fields: readonly string[];
  /** Lines that are no header. */
  readonly dropped: number;
}

const LF = 0x0a;
const CR = 0x0d;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in a value
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const STATUS_LINE = /^HTTP\/1\.[01] +(\d{3})(?: |$)/;
const STATUS_VALUE = /^(\d{3})(?: |$)/;
/** 1xx is no final answer. */
const STATUS_MIN = 200;
const FIRST_BYTES = 1024;

export class CgiHeadReader {
  readonly #limits: CgiHeadLimits;
  #head: CgiHead | null = null;
  /** The head as far as it has come, when it does not come in one piece. */
  #gathered: Buffer | null = null;
  #gatheredBytes = 0;
  /** Where the line begins whose end has not been seen. */
  #lineAt = 0;
  /** No line end is before this, from `#lineAt` on. */
  #scannedTo = 0;

  constructor(limits: CgiHeadLimits) {
    this.#limits = limits;
  }

  /** Null until `push` has found its end. */
  get head(): CgiHead | null {
    return this.#head;
  }

  /**
   * Reads on in `bytes[start, end)`. Returns where the body begins in it, or -1 when the head goes on.
   * Throws ProtocolError when it is over a limit or its status is none.
   */
  push(bytes: Buffer, start: number, end: number): number {
    const before = this.#gatheredBytes;
    if (before === 0) {
      const bodyAt = this.#findEnd(bytes.subarray(start, end));
      if (bodyAt < 0) {
        this.#gather(bytes, start, end);
        this.#checkBytes(this.#gatheredBytes);
        return -1;
      }
      this.#parse(bytes.toString('latin1', start, start + bodyAt), bodyAt);
      return start + bodyAt;
    }
    const gathered = this.#gather(bytes, start, end);
    const bodyAt = this.#findEnd(gathered.subarray(0, this.#gatheredBytes));
    if (bodyAt < 0) {
      this.#checkBytes(this.#gatheredBytes);
      return -1;
    }
    this.#parse(gathered.toString('latin1', 0, bodyAt), bodyAt);
    this.#gathered = null;
    return start + bodyAt - before;
  }

  /** Behind the empty line, or -1. What was looked at before is not looked at again. */
  #findEnd(bytes: Buffer): number {
    for (;;) {
      const lineAt = this.#lineAt;
      const lineEnd = bytes.indexOf(LF, this.#scannedTo);
      if (lineEnd < 0) {
        this.#scannedTo = bytes.length;
        return -1;
      }
      this.#lineAt = lineEnd + 1;
      this.#scannedTo = lineEnd + 1;
      if (lineEnd === lineAt || (lineEnd === lineAt + 1 && bytes[lineAt] === CR)) return lineEnd + 1;
    }
  }

  /** Keeps no more than it takes to know that the head is too large. */
  #gather(bytes: Buffer, start: number, end: number): Buffer {
    const until = Math.min(end, start + this.#limits.headBytesMax + 1 - this.#gatheredBytes);
    const needed = this.#gatheredBytes + until - start;
    let gathered = this.#gathered ?? Buffer.allocUnsafe(Math.max(FIRST_BYTES, needed));
    if (needed > gathered.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, gathered.length * 2));
      gathered.copy(grown, 0, 0, this.#gatheredBytes);
      gathered = grown;
    }
    bytes.copy(gathered, this.#gatheredBytes, start, until);
    this.#gathered = gathered;
    this.#gatheredBytes = needed;
    return gathered;
  }

  #checkBytes(bytes: number): void {
    const { headBytesMax } = this.#limits;
    if (bytes > headBytesMax) throw new ProtocolError(`the CGI head is larger than ${headBytesMax} bytes`);
  }

  #parse(text: string, bytes: number): void {
    this.#checkBytes(bytes);
    const fields: string[] = [];
    let status = 0;
    let dropped = 0;
    let hasLocation = false;
    for (let at = 0; at < text.length; ) {
      const lineEnd = text.indexOf('\n', at);
      const line = text.slice(
        at,
        text.charCodeAt(lineEnd - 1) === CR && lineEnd > at ? lineEnd - 1 : lineEnd,
      );
      const statusLine = at === 0 ? STATUS_LINE.exec(line) : null;
      at = lineEnd + 1;
      if (line === '') break;
      if (statusLine !== null) {
        status = statusOf(statusLine[1]!);
        continue;
      }
      const colonAt = line.indexOf(':');
      const name = line.slice(0, Math.max(0, colonAt));
      const value = withoutBlanks(line, colonAt + 1);
      if (!TOKEN.test(name) || CONTROL.test(value)) {
        dropped += 1;
      } else if (name.toLowerCase() === 'status') {
        status = statusOf(STATUS_VALUE.exec(value)?.[1] ?? '');
      } else {
        if (fields.length >= 2 * this.#limits.fieldsMax)
          throw new ProtocolError(`the CGI head has more than ${this.#limits.fieldsMax} fields`);
        fields.push(name, value);
        hasLocation ||= name.toLowerCase() === 'location';
      }
    }
    if (status === 0) status = hasLocation ? 302 : 200;
    this.#head = { status, fields, dropped };
  }
}

function statusOf(digits: string): number {
  const status = Number(digits);
  if (!(status >= STATUS_MIN)) throw new ProtocolError('the CGI head has no usable status');
  return status;
}

/** Only SP and TAB: bytes of UTF-8 text look like other blanks in latin1. */
function withoutBlanks(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start += 1;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end -= 1;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
