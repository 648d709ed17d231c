/** Compressed bodies: one gzip stream, marked by a bit of the type byte (spec wire 9). */
import { gunzipSync } from 'node:zlib';

/**
 * The plain body. Null when it is not gzip: peers then take it as it is. `too-large` when it would be longer than
 * `bytesMax`: nothing beyond that is ever unpacked.
 */
export function gunzipBody(body: Buffer, bytesMax: number): Buffer | null | 'too-large' {
  try {
    return gunzipSync(body, { maxOutputLength: bytesMax });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : null;
  }
}
