/**
 * The metadata block: `key LF value LF key LF value`, no quoting, no trailing LF (spec wire 2.6).
 *
 * Reading follows the agent, which is the strictest peer: an empty token in key position is skipped, a repeated key takes
 * the last value, and a key without a value is a broken frame. Writing pleases every peer: no empty keys or values, no LF inside.
 */
import { Metadata, ProtocolError } from '../../core/index.js';

/** Keys one message may have. Real ones have about ten; the bound keeps a 10 MiB block from costing seconds. */
export const PAIRS_MAX = 16_384;

export function parseMetadata(bytes: Buffer, start: number, end: number): Metadata {
  const metadata = new Metadata();
  if (end <= start) return metadata;
  const block = bytes.toString('latin1', start, end);
  let at = 0;
  let pairs = 0;
  while (at < block.length) {
    let lineEnd = block.indexOf('\n', at);
    if (lineEnd === at) {
      at += 1;
      continue;
    }
    if (lineEnd < 0) throw new ProtocolError('metadata ends after a key', start + at);
    const key = block.slice(at, lineEnd);
    at = lineEnd + 1;
    lineEnd = block.indexOf('\n', at);
    if (lineEnd < 0) lineEnd = block.length;
    pairs += 1;
    if (pairs > PAIRS_MAX) throw new ProtocolError(`metadata has more than ${PAIRS_MAX} keys`, start + at);
    metadata.set(key, block.slice(at, lineEnd));
    at = lineEnd + 1;
    // A block that ends right behind "key LF" has an empty last value; one that ends behind "value LF" is complete.
  }
  return metadata;
}

/** The block as sent. Pairs that no peer could read (empty, or with LF inside) are left out, as the agent does. */
export function encodeMetadata(metadata: Metadata): Buffer {
  let block = '';
  for (const [key, value] of metadata.entries()) {
    if (key === '' || value === '' || key.includes('\n') || value.includes('\n')) continue;
    block += block === '' ? `${key}\n${value}` : `\n${key}\n${value}`;
  }
  return Buffer.from(block, 'latin1');
}
