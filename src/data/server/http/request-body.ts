/**
 * The whole body of a request: a view when it came in one piece, else gathered.
 *
 * Memory grows with the bytes that have really come, because an announced length costs its sender nothing, and is counted for all
 * connections together.
 */
const NO_BYTES = Buffer.alloc(0);
/** First memory; then it doubles. */
const FIRST_BYTES = 16 * 1024;

/** Who counts the memory. */
export interface BodyMemory {
  /** Asks for so many bytes more; below 0 gives them back, which is always granted. */
  mayGather(bytes: number): boolean;
}

export class RequestBody {
  bytes: Buffer = NO_BYTES;
  start = 0;
  end = 0;
  /** Over the memory of `bytes`, when there is one at hand. */
  view: DataView | null = null;
  /** False for a view into a read buffer. */
  isOwned = true;
  readonly #memory: BodyMemory;
  #countedBytes = 0;

  constructor(memory: BodyMemory) {
    this.#memory = memory;
  }

  lookAt(bytes: Buffer, start: number, end: number, view: DataView | null): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.view = view;
    this.isOwned = false;
  }

  /**
   * Copies a piece behind those before it. False when there is no memory.
   * @param headroomBytes to leave free in front of the first piece
   * @param announcedBytes length of the whole body; -1 when it is not known
   */
  gather(piece: Buffer, from: number, to: number, headroomBytes: number, announcedBytes: number): boolean {
    const filled = this.end === 0 ? headroomBytes : this.end;
    const needed = filled + to - from;
    if (this.bytes.length < needed) {
      const most = announcedBytes < 0 ? Number.MAX_SAFE_INTEGER : headroomBytes + announcedBytes;
      const size = Math.max(needed, Math.min(most, Math.max(FIRST_BYTES, filled * 2)));
      if (!this.#count(size)) return false;
      const larger = Buffer.allocUnsafe(size);
      if (filled > headroomBytes) this.bytes.copy(larger, headroomBytes, headroomBytes, filled);
      this.bytes = larger;
      this.start = headroomBytes;
    }
    piece.copy(this.bytes, filled, from, to);
    this.end = needed;
    return true;
  }

  /** Takes `copy`, in which the body begins at `start`, for the body. False when there is no memory. */
  replace(copy: Buffer, start: number): boolean {
    if (!this.#count(copy.length)) return false;
    this.end = start + this.end - this.start;
    this.bytes = copy;
    this.start = start;
    this.view = null;
    this.isOwned = true;
    return true;
  }

  release(): void {
    this.bytes = NO_BYTES;
    this.start = 0;
    this.end = 0;
    this.view = null;
    this.isOwned = true;
    if (this.#countedBytes > 0) this.#count(0);
  }

  #count(bytes: number): boolean {
    if (!this.#memory.mayGather(bytes - this.#countedBytes)) return false;
    this.#countedBytes = bytes;
    return true;
  }
}
