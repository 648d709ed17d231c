/**
 * RE2 expressions: what every peer means by a regular expression (spec traffic 1.4). The library is loaded when the first one is
 * met, because most configurations have none and it costs 5 MB.
 */
import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

let engine: { RE2JS: typeof RE2JS } | null = null;

/** Throws the library's error when RE2 does not take the expression. */
export function compileExpression(text: string): RE2JS {
  engine ??= createRequire(import.meta.url)('re2js') as { RE2JS: typeof RE2JS };
  return engine.RE2JS.compile(text);
}
