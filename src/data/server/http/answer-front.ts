/**
 * Status line and fields of an answer as bytes, made once and written many times. Framing is not in here: length, `Connection` and, where
 * the fields have none, `Date` are written with each answer.
 */
import { httpDate, isFieldValue, isToken, reasonOf } from '../../../wire/http1/index.js';

/** What the listener writes itself, or what means the hop before it. */
const NOT_FORWARDED = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export class AnswerFront {
  readonly status: number;
  /** Status line and fields, each with CRLF. */
  readonly bytes: Buffer;
  readonly hasDate: boolean;
  /** Length of the body that a HEAD or a 304 answer speaks of but does not have; -1 for unknown. */
  readonly contentLength: number;

  /**
   * @param fields name, value, name, value ...; latin1. Fields of framing and those that no HTTP message can hold are left out, so
   *   that no value becomes a second field or a second answer
   */
  constructor(status: number, fields: readonly string[]) {
    let text = `HTTP/1.1 ${status} ${reasonOf(status)}\r\n`;
    let hasDate = false;
    let contentLength = -1;
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const name = fields[index]!;
      const value = fields[index + 1]!;
      const lowerName = name.toLowerCase();
      if (lowerName === 'content-length' && /^[0-9]{1,15}$/.test(value)) contentLength = Number(value);
      if (NOT_FORWARDED.has(lowerName) || !isToken(name) || !isFieldValue(value)) continue;
      if (lowerName === 'date') hasDate = true;
      text += `${name}: ${value}\r\n`;
    }
    this.status = status;
    this.bytes = Buffer.from(text, 'latin1');
    this.hasDate = hasDate;
    this.contentLength = contentLength;
  }

  /** True when the status never has a body (RFC 9110 6.4.1). */
  get isBodiless(): boolean {
    return this.status === 204 || this.status === 304 || this.status < 200;
  }
}

const TEXT_PLAIN = ['Content-Type', 'text/plain; charset=utf-8'];

/** The front of a short text in words, with more fields where given. */
export function textFront(status: number, fields: readonly string[] = []): AnswerFront {
  return new AnswerFront(status, [...TEXT_PLAIN, ...fields]);
}

let dateText = '';
let dateBytes = Buffer.alloc(0);

/** The field `Date`, as bytes that are made once a second. */
export function dateField(wallMs: number): Buffer {
  const text = httpDate(wallMs);
  if (text === dateText) return dateBytes;
  dateText = text;
  dateBytes = Buffer.from(`Date: ${text}\r\n`, 'latin1');
  return dateBytes;
}
