/**
 * Packs and unpacks gzip bodies: small ones at once, large ones off the loop, a few at a time.
 *
 * What a body may become is bounded twice: by the message limit, and by how many times its size it may grow beyond a
 * megabyte. Real text grows 5 to 50 times, a bomb 1,000 times.
 */
import { constants, gunzip, gunzipSync, gzip, gzipSync } from 'node:zlib';

/** Up to this many zipped bytes the loop is held for at most about 2 ms. */
const AT_ONCE_BYTES_MAX = 4096;
const GROWTH_MAX = 200;
const GROWTH_FREE_BYTES = 1024 * 1024;
/** Of libuv's four threads two stay free for files and names. */
const RUNNING_MAX = 2;
/** Packing at the fastest level takes about 1 ms for this. */
const DEFLATED_AT_ONCE_BYTES_MAX = 64 * 1024;
/** As the peers use it: spec wire 9. */
const FASTEST = { level: constants.Z_BEST_SPEED };
/** Zipped bytes that wait or are being worked on, from which whoever reads more of them should pause. */
const LOADED_BYTES = 32 * 1024 * 1024;

/**
 * The plain body, which is the receiver's own. What is not gzip comes back as it was, as the peers take it (spec wire 9);
 * `too-large` when it would pass a bound.
 */
export type Inflated = Buffer | 'too-large';

export class Gzip {
  #running = 0;
  #pendingBytes = 0;
  readonly #waiting: (() => void)[] = [];

  /** True while more zipped bytes should not be read: they come faster than they are worked on. */
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
    this.#later(own.length, (ended) => {
      gunzip(own, { maxOutputLength }, (error, plain) => {
        ended();
        done(error === null ? plain : withoutPlain(error, own));
      });
    });
  }

  /**
   * Calls `done` once with the zipped body, even if that is larger, as the peers do: before this returns for small bodies, later
   * for large ones, whose bytes must not change until then.
   */
  deflate(plain: Buffer, done: (zipped: Buffer) => void): void {
    if (plain.length <= DEFLATED_AT_ONCE_BYTES_MAX) {
      done(gzipSync(plain, FASTEST));
      return;
    }
    this.#later(plain.length, (ended) => {
      gzip(plain, FASTEST, (error, zipped) => {
        ended();
        // Only memory can be missing here: a fault that must not pass as an answer.
        if (error !== null) throw error;
        done(zipped);
      });
    });
  }

  #later(bytes: number, work: (ended: () => void) => void): void {
    this.#pendingBytes += bytes;
    const ended = (): void => {
      this.#running -= 1;
      this.#pendingBytes -= bytes;
      this.#waiting.shift()?.();
    };
    const run = (): void => {
      this.#running += 1;
      work(ended);
    };
    if (this.#running < RUNNING_MAX) run();
    else this.#waiting.push(run);
  }
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
