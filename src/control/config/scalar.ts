/**
 * What a plain (unquoted) scalar means to go-yaml v2, the reader of the peers: YAML 1.1 with Go's number syntax
 * (spec agent 2.2). Timestamps stay strings there, so they need no rule.
 */
import type { ScalarType, ScalarValue } from './node.js';

const TRUE = new Set(['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON']);
const FALSE = new Set(['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF']);
const NULL = new Set(['', '~', 'null', 'Null', 'NULL']);
const SPECIAL_FLOATS = new Map<string, number>([
  ...['.nan', '.NaN', '.NAN'].map((text) => [text, Number.NaN] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map(
    (text) => [text, Number.POSITIVE_INFINITY] as const,
  ),
  ...['-.inf', '-.Inf', '-.INF'].map((text) => [text, Number.NEGATIVE_INFINITY] as const),
]);
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;
/** Longer digits cannot fit 64 bits; without the bound a long number would cost time to convert. */
const NUMBER_CHARACTERS_MAX = 70;

export function resolveScalar(text: string): { type: ScalarType; value: ScalarValue } {
  if (NULL.has(text)) return { type: 'null', value: null };
  const first = text.charCodeAt(0);
  const isNumberLike = (first >= 0x30 && first <= 0x39) || first === 0x2b || first === 0x2d || first === 0x2e;
  if (isNumberLike) return resolveNumber(text) ?? { type: 'string', value: text };
  if (TRUE.has(text)) return { type: 'boolean', value: true };
  if (FALSE.has(text)) return { type: 'boolean', value: false };
  return { type: 'string', value: text };
}

function resolveNumber(text: string): { type: ScalarType; value: ScalarValue } | null {
  const special = SPECIAL_FLOATS.get(text);
  if (special !== undefined) return { type: 'float', value: special };
  // Go removes underscores before it parses, but not from a number that starts with a point.
  const digits = text.startsWith('.') ? text : text.replaceAll('_', '');
  const integer = parseInteger(digits);
  if (integer !== null) {
    const isSafe = integer >= Number.MIN_SAFE_INTEGER && integer <= Number.MAX_SAFE_INTEGER;
    return { type: 'integer', value: isSafe ? Number(integer) : integer };
  }
  if (!FLOAT.test(digits)) return null;
  const float = Number(digits);
  return Number.isFinite(float) ? { type: 'float', value: float } : null;
}

/** Go's ParseInt and ParseUint with base 0: sign, `0x`, `0b`, `0o`, and octal after a leading zero. */
export function parseInteger(text: string): bigint | null {
  if (text.length > NUMBER_CHARACTERS_MAX) return null;
  const match = /^([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]+|0|[1-9]\d*)$/.exec(text);
  if (match === null) return null;
  const digits = match[2]!;
  const magnitude = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const value = match[1] === '-' ? -magnitude : magnitude;
  // ParseUint takes no sign, so `+` reaches only int64.
  if (value < INT64_MIN || value > (match[1] === '+' ? 2n ** 63n - 1n : UINT64_MAX)) return null;
  return value;
}
