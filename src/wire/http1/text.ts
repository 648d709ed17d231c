/** Small parts of heads as text, for those who write them. */
import { hasOnly, TARGET, TOKEN, VALUE } from './characters.js';

/** Reason phrases of RFC 9110 and the few that others registered. */
export const STATUS_TEXT: ReadonlyMap<number, string> = new Map([
  [100, 'Continue'],
  [101, 'Switching Protocols'],
  [102, 'Processing'],
  [103, 'Early Hints'],
  [200, 'OK'],
  [201, 'Created'],
  [202, 'Accepted'],
  [203, 'Non-Authoritative Information'],
  [204, 'No Content'],
  [205, 'Reset Content'],
  [206, 'Partial Content'],
  [207, 'Multi-Status'],
  [208, 'Already Reported'],
  [226, 'IM Used'],
  [300, 'Multiple Choices'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [303, 'See Other'],
  [304, 'Not Modified'],
  [305, 'Use Proxy'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [402, 'Payment Required'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [406, 'Not Acceptable'],
  [407, 'Proxy Authentication Required'],
  [408, 'Request Timeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [411, 'Length Required'],
  [412, 'Precondition Failed'],
  [413, 'Content Too Large'],
  [414, 'URI Too Long'],
  [415, 'Unsupported Media Type'],
  [416, 'Range Not Satisfiable'],
  [417, 'Expectation Failed'],
  [418, "I'm a teapot"],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Content'],
  [423, 'Locked'],
  [424, 'Failed Dependency'],
  [425, 'Too Early'],
  [426, 'Upgrade Required'],
  [428, 'Precondition Required'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [451, 'Unavailable For Legal Reasons'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [505, 'HTTP Version Not Supported'],
  [506, 'Variant Also Negotiates'],
  [507, 'Insufficient Storage'],
  [508, 'Loop Detected'],
  [510, 'Not Extended'],
  [511, 'Network Authentication Required'],
]);

/** The standard phrase; never empty. */
export function reasonOf(status: number): string {
  return STATUS_TEXT.get(status) ?? 'Unknown';
}

/** For one connection alone; never passed on (RFC 9110 7.6.1, and what RFC 2616 and old proxies add). Lower case. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** A method or field name. */
export function isToken(text: string): boolean {
  return text !== '' && hasOnly(text, TOKEN);
}

/** Latin1 without CR, LF, NUL and other control characters but TAB: can stand behind a name and end nothing. */
export function isFieldValue(text: string): boolean {
  return hasOnly(text, VALUE);
}

/** Can stand as a request target or a part of one: neither a blank nor a control character ends it early, and no `#` cuts it. */
export function isTarget(text: string): boolean {
  return text !== '' && hasOnly(text, TARGET);
}

/** As Go and fasthttp write names: the first letter and letters behind `-` upper case, all others lower. */
export function canonicalName(name: string): string {
  let canonical = '';
  let copied = 0;
  let isFirst = true;
  for (let index = 0; index < name.length; index += 1) {
    const code = name.charCodeAt(index);
    const isWrong = isFirst ? code >= 0x61 && code <= 0x7a : code >= 0x41 && code <= 0x5a;
    if (isWrong) {
      canonical += name.slice(copied, index) + String.fromCharCode(code ^ 0x20);
      copied = index + 1;
    }
    isFirst = code === 0x2d;
  }
  return copied === 0 ? name : canonical + name.slice(copied);
}

let dateSecond = Number.NaN;
let dateText = '';

/** The time as a Date field has it. Made once a second. */
export function httpDate(wallMs: number): string {
  const second = Math.floor(wallMs / 1000);
  if (second !== dateSecond) {
    dateText = new Date(second * 1000).toUTCString();
    dateSecond = second;
  }
  return dateText;
}

/** The line before a chunk of so many bytes (not 0: that would end the body); CR LF follow the chunk. */
export function chunkHead(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}
