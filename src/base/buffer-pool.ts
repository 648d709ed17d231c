/**
 * Large buffers that are used again: a fresh megabyte costs some 200 us of page faults, more than sending it, and thousands of smaller ones
 * a second make the collector stop everything again and again.
 *
 * `take` rounds up to a power of two. `give` is for who knows that nobody looks at the bytes any more; a buffer that is never given
 * back is simply collected, so forgetting is safe and giving twice is not.
 */
const CLASS_BYTES_MIN = 8 * 1024;
const CLASS_BYTES_MAX = 16 * 1024 * 1024;
const KEPT_BYTES_MAX = 32 * 1024 * 1024;

export class BufferPool {
  readonly #free = new Map<number, Buffer[]>();
  #keptBytes = 0;

  /** A buffer of at least `bytes`, with any content. Beyond the largest class it is not from the pool. */
  take(bytes: number): Buffer {
    if (bytes > CLASS_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes);
    let size = CLASS_BYTES_MIN;
    while (size < bytes) size *= 2;
    const found = this.#free.get(size)?.pop();
    if (found === undefined) return Buffer.allocUnsafeSlow(size);
    this.#keptBytes -= size;
    return found;
  }

  give(buffer: Buffer): void {
    const size = buffer.length;
    if (size > CLASS_BYTES_MAX || this.#keptBytes + size > KEPT_BYTES_MAX) return;
    this.#keptBytes += size;
    const kept = this.#free.get(size);
    if (kept === undefined) this.#free.set(size, [buffer]);
    else kept.push(buffer);
  }
}
