/**
 * The three shapes of `simple` values (spec wire 8.3) that HTTP is carried in, read and written where they lie: a string or byte array, and the
 * array of two byte arrays that a transparent answer is.
 */
import { ProtocolError } from '../../../core/index.js';

export const TAG_STRING = 1;
export const TAG_BYTES = 3;
const TAG_NULL = 0;
const TAG_ARRAY = 21;
/** Tag and size. */
export const VALUE_HEAD_BYTES = 5;
/** Serialization byte of a frame for `simple`: its number in the upper five bits. */
export const SIMPLE_BYTE = 6 << 3;

/** Bytes [start, end) of a value inside a body. */
export interface Span {
  start: number;
  end: number;
}

export function writeValueHead(into: Buffer, at: number, tag: number, bytes: number): void {
  into[at] = tag;
  into.writeUInt32BE(bytes, at + 1);
}

/**
 * Finds the text of the only value in `bytes[start, end)`; nothing and null are empty. Throws ProtocolError when it is no string or byte array.
 * @param found is filled
 */
export function readText(bytes: Buffer, start: number, end: number, found: Span): void {
  if (end === start) {
    found.start = start;
    found.end = start;
    return;
  }
  if (readElement(bytes, start, end, found) !== end)
    throw new ProtocolError('bytes follow the value', found.end);
}

/** Finds header block and body of a transparent answer. Throws ProtocolError for any other shape. */
export function readTwo(bytes: Buffer, start: number, end: number, first: Span, second: Span): void {
  if (end - start < VALUE_HEAD_BYTES || bytes[start] !== TAG_ARRAY)
    throw new ProtocolError('the answer is no array', start);
  if (bytes.readUInt32BE(start + 1) !== end - start - VALUE_HEAD_BYTES)
    throw new ProtocolError('the array has another size than it says', start);
  const secondAt = readElement(bytes, start + VALUE_HEAD_BYTES, end, first);
  if (readElement(bytes, secondAt, end, second) !== end)
    throw new ProtocolError('the array has more than two elements', secondAt);
}

/** One string, byte array or null; returns where it ends. */
function readElement(bytes: Buffer, at: number, end: number, found: Span): number {
  const tag = at < end ? bytes[at]! : -1;
  if (tag === TAG_NULL) {
    found.start = at + 1;
    found.end = at + 1;
    return at + 1;
  }
  if ((tag !== TAG_STRING && tag !== TAG_BYTES) || end - at < VALUE_HEAD_BYTES)
    throw new ProtocolError('the value is neither a string nor a byte array', at);
  found.start = at + VALUE_HEAD_BYTES;
  found.end = found.start + bytes.readUInt32BE(at + 1);
  if (found.end > end) throw new ProtocolError('the value is shorter than it says', at);
  return found.end;
}
