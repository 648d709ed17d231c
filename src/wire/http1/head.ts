/**
 * Heads of requests and responses: start line, fields, and what they say about the body and the connection.
 *
 * Whoever makes a head has checked the characters; the constructors check what fields mean for the framing, because two
 * readers who disagree there are how requests are smuggled. So nothing is chosen here: what is said twice, or in two ways, is refused.
 */
import { equalsLower } from './characters.js';
import { HttpError } from './http-error.js';

/** Up to here a sum of sizes is exact. */
const LENGTH_DIGITS_MAX = 15;

export abstract class MessageHead {
  readonly minorVersion: 0 | 1;
  /** name, value, name, value ...: names as sent, values without blanks around them; latin1. */
  readonly fields: readonly string[];
  /** -1 when there is none. */
  readonly contentLength: number;
  readonly isChunked: boolean;
  /** By version and `Connection`. */
  readonly keepAlive: boolean;
  /** Of the owner: equal heads on a connection are one object, so what was derived once stays. */
  memo: unknown = null;

  constructor(minorVersion: 0 | 1, fields: readonly string[]) {
    let contentLength = -1;
    let isChunked = false;
    let isClose = false;
    let isKeepAlive = false;
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index]!;
      switch (name.length) {
        case 10:
          if (!equalsLower(name, 'connection')) break;
          isClose ||= hasOption(fields[index + 1]!, 'close');
          isKeepAlive ||= hasOption(fields[index + 1]!, 'keep-alive');
          break;
        case 14:
          if (!equalsLower(name, 'content-length')) break;
          if (contentLength >= 0) throw new HttpError(400, 'more than one Content-Length');
          contentLength = parseLength(fields[index + 1]!);
          break;
        case 17:
          if (!equalsLower(name, 'transfer-encoding')) break;
          if (isChunked) throw new HttpError(400, 'more than one Transfer-Encoding');
          if (!equalsLower(fields[index + 1]!, 'chunked'))
            throw new HttpError(501, 'a Transfer-Encoding other than chunked');
          isChunked = true;
          break;
      }
    }
    if (isChunked && contentLength >= 0)
      throw new HttpError(400, 'both Content-Length and Transfer-Encoding');
    if (isChunked && minorVersion === 0) throw new HttpError(400, 'Transfer-Encoding in HTTP/1.0');
    this.minorVersion = minorVersion;
    this.fields = fields;
    this.contentLength = contentLength;
    this.isChunked = isChunked;
    this.keepAlive = !isClose && (minorVersion === 1 || isKeepAlive);
  }

  /** Value of the first field of that lower-case name. */
  get(lowerName: string): string | undefined {
    const { fields } = this;
    for (let index = 0; index < fields.length; index += 2) {
      if (equalsLower(fields[index]!, lowerName)) return fields[index + 1];
    }
    return undefined;
  }

  /** Values of all fields of that lower-case name, in order. */
  getAll(lowerName: string): string[] {
    const values: string[] = [];
    const { fields } = this;
    for (let index = 0; index < fields.length; index += 2) {
      if (equalsLower(fields[index]!, lowerName)) values.push(fields[index + 1]!);
    }
    return values;
  }
}

export class RequestHead extends MessageHead {
  /** A token; its case is kept, because it matters. */
  readonly method: string;
  /** As sent: origin-form, absolute-form, authority-form (of CONNECT alone) or `*` (of OPTIONS alone). */
  readonly target: string;
  /** The Host field; empty when there is none, which HTTP/1.0 and header blocks allow. */
  readonly host: string;
  /** The client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean;

  constructor(method: string, target: string, minorVersion: 0 | 1, fields: readonly string[]) {
    super(minorVersion, fields);
    let host = '';
    let expectsContinue = false;
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index]!;
      if (name.length === 4 && equalsLower(name, 'host')) {
        if (host !== '') throw new HttpError(400, 'more than one Host');
        host = fields[index + 1]!;
        if (!isHostAndPort(host)) throw new HttpError(400, 'an invalid Host');
      } else if (name.length === 6 && equalsLower(name, 'expect')) {
        expectsContinue ||= equalsLower(fields[index + 1]!, '100-continue');
      }
    }
    this.method = method;
    this.target = target;
    this.host = host;
    // A client of HTTP/1.0 does not know what 100 means: RFC 9110 10.1.1.
    this.expectsContinue = expectsContinue && minorVersion === 1;
  }
}

export class ResponseHead extends MessageHead {
  readonly status: number;
  /** As sent; may be empty. */
  readonly reason: string;

  constructor(status: number, reason: string, minorVersion: 0 | 1, fields: readonly string[]) {
    super(minorVersion, fields);
    this.status = status;
    this.reason = reason;
  }
}

const HOST_AND_PORT =
  /^(?:(?:[-._~!$&'()*+,;=0-9A-Za-z]|%[0-9A-Fa-f]{2}){1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?$/;

/** Whether `text` is `host` or `host:port`, without user, path or blanks. An IPv6 address stands in brackets. */
export function isHostAndPort(text: string): boolean {
  const match = HOST_AND_PORT.exec(text);
  return match !== null && (match[1] === undefined || Number(match[1]) <= 0xffff);
}

/** The lower-case options of all Connection fields: names of fields that are for this connection alone, `close`, `keep-alive`. */
export function connectionOptions(head: MessageHead): string[] {
  const options: string[] = [];
  for (const value of head.getAll('connection')) {
    for (const option of value.split(',')) {
      const trimmed = trimBlanks(option).toLowerCase();
      if (trimmed !== '') options.push(trimmed);
    }
  }
  return options;
}

function hasOption(value: string, option: string): boolean {
  if (equalsLower(value, option)) return true;
  return value.includes(',') && value.split(',').some((each) => equalsLower(trimBlanks(each), option));
}

function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

function parseLength(text: string): number {
  let length = 0;
  for (let index = 0; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) throw new HttpError(400, 'a Content-Length that is not digits alone');
    length = length * 10 + digit;
  }
  if (text === '' || text.length > LENGTH_DIGITS_MAX)
    throw new HttpError(400, `a Content-Length of ${text.length} digits`);
  return length;
}
