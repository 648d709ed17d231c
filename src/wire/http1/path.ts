/** Paths of targets. All text is latin1: a path is bytes, and PHP pages are not always UTF-8. */

const ESCAPE = /%([0-9A-Fa-f]{2})/g;

/** The parts of a target; what it does not have is empty. */
export interface TargetParts {
  /** Of an absolute-form target, in lower case. */
  readonly scheme: string;
  /** Of an absolute-form target, or the whole of an authority-form one. */
  readonly authority: string;
  /** As sent; `/` when an absolute-form target has none, `*` for OPTIONS. */
  readonly path: string;
  /** As sent, without `?`. */
  readonly query: string;
  readonly hasQuery: boolean;
}

/** Takes the target of a head apart. */
export function splitTarget(target: string): TargetParts {
  if (target.startsWith('/')) return withPath('', '', target);
  const schemeEnd = target.indexOf('://');
  if (schemeEnd < 0) {
    const isAuthority = target !== '*';
    return {
      scheme: '',
      authority: isAuthority ? target : '',
      path: isAuthority ? '' : target,
      query: '',
      hasQuery: false,
    };
  }
  const from = schemeEnd + 3;
  const authorityBytes = target.slice(from).search(/[/?]/);
  const pathStart = authorityBytes < 0 ? target.length : from + authorityBytes;
  const scheme = target.slice(0, schemeEnd).toLowerCase();
  return withPath(scheme, target.slice(from, pathStart), target.slice(pathStart));
}

function withPath(scheme: string, authority: string, rest: string): TargetParts {
  const mark = rest.indexOf('?');
  const path = mark < 0 ? rest : rest.slice(0, mark);
  return {
    scheme,
    authority,
    path: path === '' ? '/' : path,
    query: mark < 0 ? '' : rest.slice(mark + 1),
    hasQuery: mark >= 0,
  };
}

/** The bytes that a raw path names; null when an escape is broken or makes a NUL, which ends a name for C programs. */
export function decodePath(raw: string): string | null {
  if (!raw.includes('%')) return raw.includes('\0') ? null : raw;
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) return null;
  const decoded = raw.replace(ESCAPE, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return decoded.includes('\0') ? null : decoded;
}

/** Without `//`, `.` and `..`; never above `/`, and always beginning with it. A path that ends in a folder keeps its last `/`. */
export function normalizePath(decoded: string): string {
  if (decoded.startsWith('/') && !decoded.includes('//') && !decoded.includes('/.')) return decoded;
  const kept: string[] = [];
  let isFolder = false;
  for (const segment of decoded.split('/')) {
    isFolder = segment === '' || segment === '.' || segment === '..';
    if (segment === '..') kept.pop();
    else if (!isFolder) kept.push(segment);
  }
  if (kept.length === 0) return '/';
  return `/${kept.join('/')}${isFolder ? '/' : ''}`;
}

/** All but what RFC 3986 lets stand in a path, as fasthttp has it. */
const PATH_ESCAPED = /[^-_.~!$&'()*+,/:;=@0-9A-Za-z]/g;
const QUERY_ESCAPED = /[^-_.~0-9A-Za-z]/g;

/** A decoded path as a target has it: a blank is %20, `?` %3F, `%` %25. Latin1 in, ASCII out. */
export function encodePath(path: string): string {
  return path.replace(PATH_ESCAPED, escapeByte);
}

/** Whether each byte stands for itself in a form or query. A search in the text takes twice as long. */
export function isQueryPlain(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  for (const last = end - 3; at < last; at += 4) {
    const isPlain =
      QUERY_PLAIN[bytes[at]!]! &
      QUERY_PLAIN[bytes[at + 1]!]! &
      QUERY_PLAIN[bytes[at + 2]!]! &
      QUERY_PLAIN[bytes[at + 3]!]!;
    if (isPlain === 0) return false;
  }
  while (at < end && QUERY_PLAIN[bytes[at]!] === 1) at += 1;
  return at >= end;
}

/** A key or value of a form or query, as Go's url.QueryEscape: a blank is `+`. */
export function queryEscape(text: string): string {
  return text.replace(QUERY_ESCAPED, escapeFormByte);
}

/** The same with %20 for a blank. */
export function queryEscapePercent(text: string): string {
  return text.replace(QUERY_ESCAPED, escapeByte);
}

/** 1 for bytes that are not escaped. */
const QUERY_PLAIN = Uint8Array.from({ length: 256 }, (_, code) =>
  String.fromCharCode(code).search(QUERY_ESCAPED) < 0 ? 1 : 0,
);

const ESCAPES = Array.from(
  { length: 256 },
  (_, code) => `%${code.toString(16).toUpperCase().padStart(2, '0')}`,
);

/** Only latin1 text has bytes; of any other the low byte is what it would be written as. */
function escapeByte(character: string): string {
  return ESCAPES[character.charCodeAt(0) & 0xff]!;
}

function escapeFormByte(character: string): string {
  return character === ' ' ? '+' : escapeByte(character);
}
