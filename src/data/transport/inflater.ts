/**
 * Unpacks gzip bodies: small ones at once, large ones off the loop, a few at a time.
 *
 * What a body may become is bounded twice: by the message limit, and by how many times its size it may grow beyond a
 * megabyte. Real text grows 5 to 50 times, a bomb 1,000 times.
 */
import { constants, gunzip, gunzipSync, gzipSync } from 'node:zlib';

/** Up to this many zipped bytes the loop is held for at most about 2 ms. */
const AT_ONCE_BYTES_MAX = 4096;
const GROWTH_MAX = 200;
const GROWTH_FREE_BYTES = 1024 * 1024;
/** Of libuv's four threads two stay free for files and names. */
const RUNNING_MAX = 2;
/** Zipped bytes that wait or are being unpacked, from which whoever reads more of them should pause. */
const LOADED_BYTES = 32 * 1024 * 1024;

/**
 * The plain body, which is the receiver's own. What is not gzip comes back as it was, as the peers take it (spec wire 9);
 * `too-large` when it would pass a bound.
 */
export type Inflated = Buffer | 'too-large';

export class Inflater {
  #running = 0;
  #pendingBytes = 0;
  readonly #waiting: (() => void)[] = [];

  /** True while more zipped bytes should not be read: they come faster than they are unpacked. */
  get isLoaded(): boolean {
    return this.#pendingBytes > LOADED_BYTES;
  }

  /**
   * Calls `done` once: before this returns for small bodies, later for large ones. `zipped` is copied if it has to wait.
   * @param bytesMax limit of the plain body
   */
  inflate(zipped: Buffer, bytesMax: number, done: (plain: Inflated) => void): void {
    const maxOutputLength = Math.min(bytesMax, Math.max(GROWTH_FREE_BYTES, zipped.length * GROWTH_MAX));
    if (zipped.length <= AT_ONCE_BYTES_MAX) {
      done(inflateNow(zipped, maxOutputLength));
      return;
    }
    const own = Buffer.from(zipped);
    this.#pendingBytes += own.length;
    const run = (): void => {
      this.#running += 1;
      gunzip(own, { maxOutputLength }, (error, plain) => {
        this.#running -= 1;
        this.#pendingBytes -= own.length;
        this.#waiting.shift()?.();
        done(error === null ? plain : withoutPlain(error, own));
      });
    };
    if (this.#running < RUNNING_MAX) run();
    else this.#waiting.push(run);
  }
}

/** Fastest level, as the peers use; the result counts even if it is larger. */
export function zipBody(body: Buffer): Buffer {
  return gzipSync(body, { level: constants.Z_BEST_SPEED });
}

function inflateNow(zipped: Buffer, maxOutputLength: number): Inflated {
  try {
    return gunzipSync(zipped, { maxOutputLength });
  } catch (error) {
    return withoutPlain(error as NodeJS.ErrnoException, Buffer.from(zipped));
  }
}

function withoutPlain(error: NodeJS.ErrnoException, body: Buffer): Inflated {
  return error.code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : body;
}
