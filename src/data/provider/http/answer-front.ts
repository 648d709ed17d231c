/**
 * What stands in front of a body that becomes a value: written backwards from the body's first byte, so that the body stays
 * where it is.
 *
 *   simple   01 string | 03 bytes, size 4           breeze   3f string, size varint | 9d bytes, size 4
 *   transparent, simple only:   15 array, size 4   03 bytes, size 4, header block   03 bytes, size 4   body
 */
import { SIMPLE } from '../../../wire/serialization/index.js';

/** Most bytes of `writeValueFront`. */
export const VALUE_FRONT_BYTES_MAX = 6;

/** Returns where the value begins. `start` is where its `bytes` bytes of content do. */
export function writeValueFront(
  into: Buffer,
  start: number,
  bytes: number,
  isText: boolean,
  serialization: number,
): number {
  if (serialization === SIMPLE) return writeSized(into, start, bytes, isText ? 0x01 : 0x03);
  if (!isText) return writeSized(into, start, bytes, 0x9d);
  let groups = 1;
  for (let rest = bytes; rest > 0x7f; rest = Math.floor(rest / 128)) groups += 1;
  let at = start - groups;
  let rest = bytes;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) {
    into[at] = (rest & 0x7f) | 0x80;
    at += 1;
  }
  into[at] = rest;
  into[start - groups - 1] = 0x3f;
  return start - groups - 1;
}

/** Bytes in front of the body of a transparent answer. */
export function pairFrontBytes(blockBytes: number): number {
  return 15 + blockBytes;
}

/** The same for a transparent answer: an array of the header block and the body. */
export function writePairFront(into: Buffer, start: number, bytes: number, block: Buffer): number {
  const blockStart = writeSized(into, start, bytes, 0x03) - block.length;
  into.set(block, blockStart);
  const contentStart = writeSized(into, blockStart, block.length, 0x03);
  return writeSized(into, contentStart, start + bytes - contentStart, 0x15);
}

function writeSized(into: Buffer, start: number, bytes: number, tag: number): number {
  into.writeUInt32BE(bytes, start - 4);
  into[start - 5] = tag;
  return start - 5;
}
