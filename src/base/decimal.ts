/**
 * 64-bit integers as decimal digits, written straight into a buffer.
 *
 * Request ids are eight opaque bytes with values near 1.8e18, beyond what a JS number holds. BigInt would allocate on every
 * call; long division by 1e9 over 16-bit limbs stays exact in doubles and allocates nothing.
 */
const BILLION = 1e9;

/** Longest text: a minus and 19 digits, or 20 digits. */
export const DECIMAL_BYTES_MAX = 20;

/** Writes the value as *signed* 64-bit decimal at `at`, as peers print ids (spec wire 3.2); returns the end position. */
export function writeSigned64(into: Uint8Array, at: number, high: number, low: number): number {
  if (high >>> 31 === 0) return writeUnsigned64(into, at, high >>> 0, low >>> 0);
  into[at] = 0x2d;
  // Two's complement of the pair: invert both, add one with carry.
  const negatedLow = (~low + 1) >>> 0;
  const negatedHigh = (~high + (negatedLow === 0 ? 1 : 0)) >>> 0;
  return writeUnsigned64(into, at + 1, negatedHigh, negatedLow);
}

function writeUnsigned64(into: Uint8Array, at: number, high: number, low: number): number {
  if (high === 0) return writeInteger(into, at, low);
  let rest = high >>> 16;
  rest = rest * 65536 + (high & 0xffff);
  const top = Math.floor(rest / BILLION);
  rest = (rest - top * BILLION) * 65536 + (low >>> 16);
  const middle = Math.floor(rest / BILLION);
  rest = (rest - middle * BILLION) * 65536 + (low & 0xffff);
  const bottom = Math.floor(rest / BILLION);
  const quotient = (top * 65536 + middle) * 65536 + bottom;
  return writeNineDigits(into, writeInteger(into, at, quotient), rest - bottom * BILLION);
}

/** Writes a non-negative integer below 2^53; returns the end position. */
export function writeInteger(into: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    into[at] = 0x30 + value;
    return at + 1;
  }
  if (value >= BILLION) {
    const billions = Math.floor(value / BILLION);
    return writeNineDigits(into, writeInteger(into, at, billions), value - billions * BILLION);
  }
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits += 1;
  let rest = value | 0;
  for (let index = at + digits - 1; index >= at; index -= 1) {
    const next = (rest / 10) | 0;
    into[index] = 0x30 + rest - next * 10;
    rest = next;
  }
  return at + digits;
}

function writeNineDigits(into: Uint8Array, at: number, value: number): number {
  let rest = value | 0;
  for (let index = at + 8; index >= at; index -= 1) {
    const next = (rest / 10) | 0;
    into[index] = 0x30 + rest - next * 10;
    rest = next;
  }
  return at + 9;
}

/** What `parseSigned64` found: valid until its next call. */
export const parsed64 = { high: 0, low: 0 };

/**
 * Reads `bytes[start, end)` as signed 64-bit decimal into `parsed64`. Only the text that `writeSigned64` makes of a value is taken: false for
 * leading zeros, a plus, `-0`, blanks, and values out of range.
 */
export function parseSigned64(bytes: Uint8Array, start: number, end: number): boolean {
  const isNegative = bytes[start] === 0x2d;
  const first = isNegative ? start + 1 : start;
  const digits = end - first;
  if (digits < 1 || digits > 19) return false;
  if (bytes[first] === 0x30 && (digits > 1 || isNegative)) return false;
  let high = 0;
  let low = 0;
  for (let at = first; at < end; at += 1) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return false;
    const next = low * 10 + digit;
    const carry = Math.floor(next / 4294967296);
    low = next - carry * 4294967296;
    high = high * 10 + carry;
  }
  // 2^63 has one text only: with the minus.
  if (high > 0x80000000 || (high === 0x80000000 && (low > 0 || !isNegative))) return false;
  parsed64.low = isNegative ? (~low + 1) >>> 0 : low >>> 0;
  parsed64.high = isNegative ? (~high + (parsed64.low === 0 ? 1 : 0)) >>> 0 : high >>> 0;
  return true;
}

const scratch = Buffer.allocUnsafe(DECIMAL_BYTES_MAX);

/** The same text as a string: for messages, not for the hot path. */
export function signed64Text(high: number, low: number): string {
  return scratch.toString('latin1', 0, writeSigned64(scratch, 0, high, low));
}
