/**
 * A long JSON list, read one element at a time: a service with ten thousand nodes is an answer of twenty megabytes, and calls must not wait
 * while it is parsed. After each slice whatever else there is to do comes first.
 */
import { setImmediate as othersFirst } from 'node:timers/promises';

/** About a millisecond of work. */
const SLICE_BYTES = 64 * 1024;

/** Parsed at once, so none may be long. A node is one of two kilobytes. */
const ELEMENT_BYTES_MAX = 1024 * 1024;

const BETWEEN = new Set([0x20, 0x09, 0x0a, 0x0d, 0x2c]);
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LIST_BEGIN = 0x5b;
const LIST_END = 0x5d;
const OBJECT_BEGIN = 0x7b;
const OBJECT_END = 0x7d;

/** Tells every object of the list in its order. Rejects when the text is no list of objects; what came before was told. */
export async function readJsonList(text: Buffer, onElement: (element: unknown) => void): Promise<void> {
  let at = skipBetween(text, 0);
  if (text[at] !== LIST_BEGIN) throw new Error('no JSON list');
  at = skipBetween(text, at + 1);
  let sliceEnd = at + SLICE_BYTES;
  while (text[at] !== LIST_END) {
    if (text[at] !== OBJECT_BEGIN) throw new Error('no JSON list of objects');
    const endAt = endOfObject(text, at);
    onElement(JSON.parse(text.toString('utf8', at, endAt)));
    at = skipBetween(text, endAt);
    if (at < sliceEnd) continue;
    await othersFirst();
    sliceEnd = at + SLICE_BYTES;
  }
}

/** Blanks, ends of lines and commas. */
function skipBetween(text: Buffer, from: number): number {
  let at = from;
  while (BETWEEN.has(text[at] ?? -1)) at += 1;
  return at;
}

/** Behind the bracket that closes the object. */
function endOfObject(text: Buffer, beginAt: number): number {
  let depth = 0;
  for (let at = beginAt; at < text.length; at += 1) {
    const byte = text[at]!;
    if (byte === QUOTE) at = endOfString(text, at);
    else if (byte === OBJECT_BEGIN || byte === LIST_BEGIN) depth += 1;
    else if (byte === OBJECT_END || byte === LIST_END) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
    if (at - beginAt > ELEMENT_BYTES_MAX) throw new Error(`a JSON object of over ${ELEMENT_BYTES_MAX} bytes`);
  }
  throw new Error('a JSON object without an end');
}

/** The quote that closes the string. */
function endOfString(text: Buffer, quoteAt: number): number {
  for (let at = quoteAt + 1; ; at += 1) {
    at = text.indexOf(QUOTE, at);
    if (at < 0) throw new Error('a JSON string without an end');
    let backslashes = 0;
    while (text[at - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
}
