/** Which byte may stand where (RFC 9110 5.5, 5.6.2; RFC 9112 3.2), as one table that scanners look bytes up in. */

/** Letters, digits and the marks of a method or field name. */
export const TOKEN = 1;
/** Inside a field value or reason phrase: all but control characters; TAB may. */
export const VALUE = 2;
/** Inside a request target: no blanks, no control characters, no fragment. Bytes from 0x80 on are passed as they came. */
export const TARGET = 4;
/** Inside a host: a registered name or IPv4 address (RFC 3986 3.2.2). */
export const HOST = 8;

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;

export const CHARACTERS = new Uint8Array(256);

for (let code = 0; code < 256; code += 1) {
  const character = String.fromCharCode(code);
  let classes = 0;
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character)) classes |= TOKEN;
  if (code === TAB || (code >= SPACE && code !== 0x7f)) classes |= VALUE;
  if (code > SPACE && code !== 0x7f && character !== '#') classes |= TARGET;
  if (/[-._~!$&'()*+,;=%0-9A-Za-z]/.test(character)) classes |= HOST;
  CHARACTERS[code] = classes;
}

/** Whether all of `text` are bytes of that class. */
export function hasOnly(text: string, kind: number): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    // Beyond latin1 a character would be cut to its low byte when it is written, and that may be a line end.
    if (code > 0xff || (CHARACTERS[code]! & kind) === 0) return false;
  }
  return true;
}

/** Whether `text` is `lower` but for the case of ASCII letters. */
export function equalsLower(text: string, lower: string): boolean {
  if (text.length !== lower.length) return false;
  for (let index = 0; index < lower.length; index += 1) {
    const code = text.charCodeAt(index);
    const folded = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
    if (folded !== lower.charCodeAt(index)) return false;
  }
  return true;
}
