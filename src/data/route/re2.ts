/**
 * RE2 expressions on byte strings: what every peer means by a regular expression (spec traffic 1.4). The library is loaded when
 * the first one is met, because most configurations have none and it costs 5 MB.
 *
 * Paths are latin1 text, one character a byte. Expressions are about characters, so a path that is valid UTF-8 is matched as such.
 */
import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

export type Expression = RE2JS;

let engine: { RE2JS: typeof RE2JS } | null = null;

/** Null when RE2 does not take the expression: the configuration has told. */
export function compile(text: string): Expression | null {
  engine ??= createRequire(import.meta.url)('re2js') as { RE2JS: typeof RE2JS };
  try {
    return engine.RE2JS.compile(text);
  } catch {
    return null; // the only thing that compiling says
  }
}

/** Text as an expression sees it: characters where the bytes are UTF-8, else the bytes. */
export function toCharacters(latin1: string): string {
  if (isAscii(latin1)) return latin1;
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : latin1;
}

/** The bytes of what `toCharacters` gave, or of a text of the configuration, as latin1. */
export function toBytes(text: string, wasUtf8: boolean): string {
  return isAscii(text) || !wasUtf8 ? text : Buffer.from(text, 'utf8').toString('latin1');
}

export function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
