import { HttpError } from './http-error.js';

/** What PHP allows by default (`max_input_vars`). */
const PAIRS_MAX = 1000;

/**
 * The pairs of `application/x-www-form-urlencoded` text, in order; latin1 in and out. A broken escape stays as it is written, a key
 * without `=` has an empty value, and what is empty between two `&` is no pair.
 */
export function parseForm(text: string, pairsMax = PAIRS_MAX): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at <= text.length; ) {
    const found = text.indexOf('&', at);
    const end = found < 0 ? text.length : found;
    if (end > at) {
      if (pairs.length === pairsMax) throw new HttpError(400, `a form of more than ${pairsMax} pairs`);
      pairs.push(parsePair(text.slice(at, end)));
    }
    at = end + 1;
  }
  return pairs;
}

function parsePair(text: string): [string, string] {
  const mark = text.indexOf('=');
  return mark < 0 ? [unescaped(text), ''] : [unescaped(text.slice(0, mark)), unescaped(text.slice(mark + 1))];
}

function unescaped(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  return spaced.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}
