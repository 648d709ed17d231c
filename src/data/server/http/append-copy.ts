import { type ByteStream, CHUNK_BYTES } from '../../transport/index.js';

/** Appends `bytes[start, end)`, which may change afterwards. */
export function appendCopy(stream: ByteStream, bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at += CHUNK_BYTES) {
    const stop = Math.min(end, at + CHUNK_BYTES);
    const chunk = stream.reserve(stop - at);
    chunk.bytes.set(bytes.subarray(at, stop), chunk.used);
    chunk.used += stop - at;
  }
}
