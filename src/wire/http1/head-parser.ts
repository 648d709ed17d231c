/**
 * The bytes of a head to its object, in one pass that keeps nothing: offsets first, strings when the whole head is there.
 *
 *   request    method SP target SP HTTP/1.x CRLF   name: value CRLF   ...   CRLF
 *   response   HTTP/1.x SP status [SP reason] CRLF   name: value CRLF   ...   CRLF
 *
 * Only CRLF ends a line, no line is folded, no blank stands before a colon: what parsers read in two ways is refused.
 */
import { CHARACTERS, COLON, CR, equalsLower, LF, SPACE, TAB, TARGET, TOKEN, VALUE } from './characters.js';
import { isHostAndPort, RequestHead, ResponseHead } from './head.js';
import { HttpError } from './http-error.js';
import type { Http1Limits } from './limits.js';

const VERSION_BYTES = 'HTTP/1.1'.length;
/** Marks of a field: where its name begins and ends, and its value. */
const MARKS = 4;

/** Shared by all connections: a head is parsed in one go. Grows to the largest head that a limit lets through. */
let marks = new Int32Array(64 * MARKS);
let fieldCount = 0;
/** Behind the head that was parsed last; -1 when its end was not there. */
let headEnd = -1;

/** Where the head ends whose object the last call gave. */
export function parsedUntil(): number {
  return headEnd;
}

/** The request at `start`; null when its head does not end before `end`. */
export function parseRequest(
  bytes: Buffer,
  start: number,
  end: number,
  limits: Http1Limits,
  isBlock: boolean,
): RequestHead | null {
  const from = bytes[start] === CR && !isBlock ? skipBlankLine(bytes, start, end) : start;
  const methodEnd = skip(bytes, from, end, TOKEN);
  if (methodEnd === end) return null;
  if (bytes[methodEnd] !== SPACE || methodEnd === from)
    throw bad('a malformed request line', methodEnd - start);
  const targetEnd = skip(bytes, methodEnd + 1, end, TARGET);
  if (targetEnd === end) return null;
  if (bytes[targetEnd] !== SPACE) throw bad('a malformed request line', targetEnd - start);
  const versionEnd = targetEnd + 1 + VERSION_BYTES;
  if (versionEnd + 2 > end) {
    checkVersionBegins(bytes, targetEnd + 1, end, start);
    return null;
  }
  const minorVersion = parseVersion(bytes, targetEnd + 1, start);
  checkLineEnd(bytes, versionEnd, start);
  headEnd = scanFields(bytes, versionEnd + 2, end, start, limits.fieldsMax);
  if (headEnd < 0) return null;

  const text = bytes.toString('latin1', from, headEnd);
  const method = text.slice(0, methodEnd - from);
  const target = text.slice(methodEnd + 1 - from, targetEnd - from);
  const head = new RequestHead(method, target, minorVersion, sliceFields(text, from));
  checkTarget(head);
  if (head.host === '' && minorVersion === 1 && !isBlock) throw new HttpError(400, 'no Host');
  return head;
}

/** The response at `start`; null when its head does not end before `end`. */
export function parseResponse(
  bytes: Buffer,
  start: number,
  end: number,
  limits: Http1Limits,
  isBlock: boolean,
): ResponseHead | null {
  const versionEnd = start + VERSION_BYTES;
  if (versionEnd + 4 > end) {
    checkVersionBegins(bytes, start, end, start);
    return null;
  }
  const minorVersion = parseVersion(bytes, start, start);
  const statusEnd = versionEnd + 4;
  const status = parseStatus(bytes, versionEnd, start);
  const lineEnd = skip(bytes, statusEnd, end, VALUE);
  if (lineEnd + 2 > end) return null;
  // The blank behind the status belongs to the grammar even where no reason follows, but many servers leave out both.
  if (lineEnd > statusEnd && bytes[statusEnd] !== SPACE)
    throw bad('a malformed status line', statusEnd - start);
  checkLineEnd(bytes, lineEnd, start);
  headEnd = scanFields(bytes, lineEnd + 2, end, start, limits.fieldsMax);
  if (headEnd < 0) return null;

  const text = bytes.toString('latin1', start, headEnd);
  const reason = text.slice(statusEnd + 1 - start, lineEnd - start);
  const fields = sliceFields(text, start);
  return new ResponseHead(status, reason, minorVersion, isBlock ? withoutIdentity(fields) : fields);
}

/**
 * Marks the fields from `at` on.
 * @returns the offset behind the blank line; -1 when that is not there before `end`
 */
function scanFields(bytes: Buffer, from: number, end: number, start: number, fieldsMax: number): number {
  let at = from;
  let count = 0;
  for (;;) {
    const nameStart = at;
    while (at < end && (CHARACTERS[bytes[at]!]! & TOKEN) !== 0) at += 1;
    if (at === end) return -1;
    if (bytes[at] !== COLON || at === nameStart) {
      if (at === nameStart && bytes[at] === CR) return endOfFields(bytes, at, end, start, count);
      throw badName(bytes, at, nameStart, start);
    }
    const nameEnd = at;
    at += 1;
    while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at += 1;
    const valueStart = at;
    while (at < end && (CHARACTERS[bytes[at]!]! & VALUE) !== 0) at += 1;
    if (at + 1 >= end) {
      if (at < end && bytes[at] !== CR) throw badValue(bytes, at, start);
      return -1;
    }
    if (bytes[at] !== CR || bytes[at + 1] !== LF) throw badValue(bytes, at, start);
    let valueEnd = at;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB))
      valueEnd -= 1;
    at += 2;
    if (count === fieldsMax) throw new HttpError(431, `more than ${fieldsMax} fields`, nameStart - start);
    mark(count, nameStart, nameEnd, valueStart, valueEnd);
    count += 1;
  }
}

function mark(field: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
  const at = field * MARKS;
  if (at === marks.length) {
    const larger = new Int32Array(at * 2);
    larger.set(marks);
    marks = larger;
  }
  marks[at] = nameStart;
  marks[at + 1] = nameEnd;
  marks[at + 2] = valueStart;
  marks[at + 3] = valueEnd;
}

function endOfFields(bytes: Buffer, at: number, end: number, start: number, count: number): number {
  if (at + 2 > end) return -1;
  checkLineEnd(bytes, at, start);
  fieldCount = count;
  return at + 2;
}

/** Names and values as slices of the text of the head, which begins at `base`. */
function sliceFields(text: string, base: number): string[] {
  const fields: string[] = [];
  for (let at = 0; at < fieldCount * MARKS; at += MARKS) {
    fields.push(
      text.slice(marks[at]! - base, marks[at + 1]! - base),
      text.slice(marks[at + 2]! - base, marks[at + 3]! - base),
    );
  }
  return fields;
}

/** Offset of the first byte that is not of that class; `end` when all are. */
function skip(bytes: Buffer, from: number, end: number, kind: number): number {
  let at = from;
  while (at < end && (CHARACTERS[bytes[at]!]! & kind) !== 0) at += 1;
  return at;
}

/** One empty line before a request is passed over: RFC 9112 2.2 asks for it, since clients send one behind a body. */
function skipBlankLine(bytes: Buffer, at: number, end: number): number {
  if (at + 1 < end) checkLineEnd(bytes, at, at);
  return Math.min(at + 2, end);
}

function checkLineEnd(bytes: Buffer, at: number, start: number): void {
  if (bytes[at] !== CR || bytes[at + 1] !== LF) throw bad('a line that does not end in CR LF', at - start);
}

function parseVersion(bytes: Buffer, at: number, start: number): 0 | 1 {
  checkVersionBegins(bytes, at, at + VERSION_BYTES, start);
  const major = bytes[at + 5]!;
  const minor = bytes[at + 7]!;
  if (major === 0x31 && minor === 0x31) return 1;
  if (major === 0x31 && minor === 0x30) return 0;
  throw new HttpError(505, 'a version other than HTTP/1.0 and HTTP/1.1', at - start);
}

const VERSION_PATTERN = Buffer.from('HTTP/0.0');

/** What there is of a version begins like one: garbage is not waited for. */
function checkVersionBegins(bytes: Buffer, at: number, end: number, start: number): void {
  for (let index = 0; index < VERSION_BYTES && at + index < end; index += 1) {
    const byte = bytes[at + index]!;
    const expected = VERSION_PATTERN[index]!;
    if (byte !== expected && !(expected === 0x30 && isDigit(byte))) throw bad('not HTTP', at + index - start);
  }
}

function parseStatus(bytes: Buffer, at: number, start: number): number {
  let status = 0;
  for (let index = 1; index <= 3; index += 1) {
    if (!isDigit(bytes[at + index]!)) throw bad('a malformed status line', at + index - start);
    status = status * 10 + bytes[at + index]! - 0x30;
  }
  if (bytes[at] !== SPACE || status < 100) throw bad('a malformed status line', at - start);
  return status;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

const ABSOLUTE = /^https?:\/\/([^/?]*)(?:$|[/?])/i;

/** The form of the target fits the method (RFC 9112 3.2), and what is an authority is one. */
function checkTarget(head: RequestHead): void {
  const { method, target } = head;
  if (method === 'CONNECT') {
    if (!target.includes(':', target.lastIndexOf(']') + 1) || !isHostAndPort(target))
      throw new HttpError(400, 'a CONNECT without host and port');
    // A CONNECT has no body; one that says so means two things to two readers.
    if (head.isChunked || head.contentLength > 0) throw new HttpError(400, 'a CONNECT with a body');
    return;
  }
  if (target.charCodeAt(0) === 0x2f || (target === '*' && method === 'OPTIONS')) return;
  const authority = ABSOLUTE.exec(target)?.[1];
  if (authority === undefined || !isHostAndPort(authority))
    throw new HttpError(400, 'a target that is neither a path nor a URL');
}

/**
 * motan-go 1.2.0 (fasthttp 1.2.0) writes `Transfer-Encoding: identity` into the block of an answer without known length, answers to HEAD
 * among them. In a block it says nothing: the body has come.
 */
function withoutIdentity(fields: string[]): string[] {
  return fields.filter((_, index) => {
    const at = index & ~1;
    return !(equalsLower(fields[at]!, 'transfer-encoding') && equalsLower(fields[at + 1]!, 'identity'));
  });
}

function badName(bytes: Buffer, at: number, nameStart: number, start: number): HttpError {
  const isBlank = bytes[at] === SPACE || bytes[at] === TAB;
  if (isBlank && at === nameStart) return bad('a folded line', at - start);
  return bad(isBlank ? 'a blank before the colon of a field' : 'a malformed field name', at - start);
}

function badValue(bytes: Buffer, at: number, start: number): HttpError {
  const isLineEnd = bytes[at] === CR || bytes[at] === LF;
  return bad(isLineEnd ? 'a line that does not end in CR LF' : 'a control character in a field', at - start);
}

function bad(message: string, offset: number): HttpError {
  return new HttpError(400, message, offset);
}
