/**
 * One connection as a stream of bytes, with its outgoing side gathered in chunks.
 *
 *   open --end of peer--> half-closed --> closed        `close(error)` leads to closed from anywhere
 *
 * Writing: `reserve(n)` gives a chunk with room for n bytes behind `chunk.used`; the writer fills it and moves `used`. Large
 * bodies go by reference with `appendBuffer`. All of it leaves at the end of the loop turn in one system call. What the kernel does
 * not take waits in `pendingBytes`; the owner stops making more when it is over its bound.
 *
 * Subclasses know how bytes really move: `raw-stream.ts` (handles) and `socket-stream.ts` (public API).
 */
import type { WheelTimer } from '../../base/index.js';
import { CHUNK_BYTES, type Chunk, type Flushable, type IoLoop } from './io-loop.js';

export interface StreamOwner {
  /**
   * `length` new bytes at the start of `input`, valid until this returns. Returns where the next read should go (memory of its own, or the loop's
   * `headBuffer`), or null for the shared buffer.
   */
  onBytes(input: Buffer, view: DataView, length: number): Buffer | null;
  /** `length` bytes have been read into the buffer that the last `onBytes` returned. */
  onDirectBytes(length: number): Buffer | null;
  /** The peer sends no more. Answers may still be written. */
  onEnd(): void;
  /** Everything written has been taken by the kernel; said once for each `notifyWhenDrained`. */
  onDrained(): void;
  /** Called exactly once; null when nobody was at fault. */
  onClosed(error: string | null): void;
}

/** A peer that takes no bytes for this long is given up: spec wire 6.1, write timeout. */
export const WRITE_STALL_MS = 5000;
/**
 * While only one peer has been read in a turn, its frames leave in pieces of this size: the next process begins its work while
 * we do the rest of ours. With many peers there is work for everybody, and fewer writes are better.
 */
const EARLY_FLUSH_BYTES = 4096;
/** A slice of this size is written when it is appended. */
const AT_ONCE_BYTES_MIN = 256 * 1024;
/** Bytes handed to the kernel at once, so that a slow peer shows progress well within WRITE_STALL_MS. */
const WRITE_BYTES_MAX = 4 * 1024 * 1024;

export abstract class ByteStream implements Flushable, WheelTimer {
  readonly loop: IoLoop;
  owner: StreamOwner | null = null;
  bytesOut = 0;
  /** Time that the peer has for taking what is being written, which is all or up to WRITE_BYTES_MAX of it. */
  writeStallMs = WRITE_STALL_MS;
  #isClosed = false;

  // Outgoing: whole slices first, then what is in the open chunk behind `#chunkStart`.
  #slices: Uint8Array[] = [];
  #chunk: Chunk | null = null;
  #chunkStart = 0;
  /** Chunks whose slices wait or are being written. */
  #usedChunks: Chunk[] = [];
  /** Pooled buffers likewise. */
  #usedBuffers: Buffer[] = [];
  #isDirty = false;
  #waitingBytes = 0;
  #writingBytes = 0;
  #writingChunks: Chunk[] = [];
  #writingBuffers: Buffer[] = [];
  /** What follows once everything is written. */
  #atEnd: 'stay' | 'shutdown' | 'close' = 'stay';
  #isDrainAwaited = false;

  deadlineMs = 0;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(loop: IoLoop) {
    this.loop = loop;
  }

  abstract readonly remoteHost: string;
  abstract pauseReading(): void;
  abstract resumeReading(): void;
  /** Hands slices to the kernel. True when it took all; false when `writeDone` will be called. */
  protected abstract writeSlices(slices: Uint8Array[]): boolean;
  protected abstract shutdown(): void;
  protected abstract destroyHandle(): void;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Bytes that the kernel has not taken. */
  get pendingBytes(): number {
    return this.#waitingBytes + this.#writingBytes;
  }

  /** A chunk with at least `bytes` (at most CHUNK_BYTES) free behind `used`. The caller moves `used` by what it wrote. */
  reserve(bytes: number): Chunk {
    if (!this.#isDirty) this.#becomeDirty();
    let chunk = this.#chunk;
    if (chunk !== null && this.loop.reads === 1 && chunk.used - this.#chunkStart >= EARLY_FLUSH_BYTES) {
      if (this.#slices.length === 0 && this.#writingBytes === 0 && !this.#isClosed) this.#flushChunk(chunk);
      chunk = this.#chunk;
    }
    if (chunk === null || chunk.used + bytes > CHUNK_BYTES) {
      if (chunk !== null) this.#sealChunk(chunk);
      chunk = this.loop.takeChunk();
      this.#chunk = chunk;
      this.#chunkStart = 0;
    }
    return chunk;
  }

  /**
   * Appends bytes by reference: they must not change any more.
   * @param pooled memory behind them that goes back to the pool once they are written; null for none
   */
  appendBuffer(bytes: Uint8Array, pooled: Buffer | null = null): void {
    if (pooled !== null) this.#usedBuffers.push(pooled);
    if (!this.#isDirty) this.#becomeDirty();
    const chunk = this.#chunk;
    if (chunk !== null && chunk.used > this.#chunkStart) {
      this.#pushSlice(chunk.bytes.subarray(this.#chunkStart, chunk.used));
      this.#chunkStart = chunk.used;
    }
    this.#pushSlice(bytes);
    // While it is still in the cache; with a large body the system call is not what costs.
    if (bytes.length >= AT_ONCE_BYTES_MIN && this.#writingBytes === 0 && !this.#isClosed)
      this.#writeWaiting();
  }

  /** Asks for one `onDrained`, which comes at the end of this turn or later. Only while bytes are pending. */
  notifyWhenDrained(): void {
    this.#isDrainAwaited = true;
  }

  flush(): void {
    this.#isDirty = false;
    if (this.#isClosed) return;
    const chunk = this.#chunk;
    if (this.#slices.length === 0 && this.#writingBytes === 0 && chunk !== null) {
      this.#flushChunk(chunk);
    } else {
      if (chunk !== null) this.#sealChunk(chunk);
      if (this.#writingBytes === 0) this.#writeWaiting();
    }
    if (this.pendingBytes === 0) this.#onAllWritten();
  }

  /** Sends what is pending, then says that no more follows; the peer may still send. */
  end(): void {
    if (this.#atEnd === 'stay') this.#atEnd = 'shutdown';
    if (!this.#isDirty && this.pendingBytes === 0) this.#finish();
  }

  /** Sends what is pending, then closes. For a peer that sends no more: unread bytes would turn the end into a reset. */
  closeWhenWritten(): void {
    this.#atEnd = 'close';
    if (!this.#isDirty && this.pendingBytes === 0) this.#finish();
  }

  /** Ends the connection now. What is pending is lost. */
  close(error: string | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.loop.timers.remove(this);
    this.destroyHandle();
    if (this.#chunk !== null) this.#usedChunks.push(this.#chunk);
    this.#chunk = null;
    // Chunks that the kernel may still read from are left to the garbage collector.
    if (this.#writingBytes === 0) this.#giveBack(this.#usedChunks, this.#usedBuffers);
    this.#slices = [];
    const owner = this.owner;
    this.owner = null;
    owner?.onClosed(error);
  }

  onDeadline(): void {
    this.close('the peer takes no bytes');
  }

  /** Subclass: a write that was not taken at once has ended. */
  protected writeDone(error: string | null): void {
    if (this.#isClosed) return;
    this.loop.timers.remove(this);
    if (error !== null) {
      this.close(error);
      return;
    }
    this.bytesOut += this.#writingBytes;
    this.#writingBytes = 0;
    this.#giveBack(this.#writingChunks, this.#writingBuffers);
    if (this.#slices.length > 0) this.#writeWaiting();
    if (this.pendingBytes > 0 || this.#isClosed) return;
    this.#onAllWritten();
  }

  #onAllWritten(): void {
    if (!this.#isDirty) this.#finish();
    if (!this.#isDrainAwaited || this.#isClosed) return;
    this.#isDrainAwaited = false;
    this.owner?.onDrained();
  }

  #finish(): void {
    if (this.#isClosed || this.#atEnd === 'stay') return;
    if (this.#atEnd === 'close') this.close(null);
    else this.shutdown();
  }

  #becomeDirty(): void {
    this.#isDirty = true;
    this.loop.flushLater(this);
  }

  /** The common case: one chunk, nothing waiting, and the kernel takes it. */
  #flushChunk(chunk: Chunk): void {
    const bytes = chunk.used - this.#chunkStart;
    this.#chunk = null;
    if (bytes === 0) {
      this.loop.giveChunk(chunk);
      return;
    }
    const slice = new Uint8Array(chunk.bytes.buffer, chunk.bytes.byteOffset + this.#chunkStart, bytes);
    const isTaken = this.writeSlices([slice]);
    if (this.#isClosed) return;
    if (isTaken) {
      this.bytesOut += bytes;
      this.loop.giveChunk(chunk);
    } else {
      this.#writingChunks.push(chunk);
      this.#beginWaiting(bytes);
    }
  }

  #sealChunk(chunk: Chunk): void {
    if (chunk.used > this.#chunkStart) this.#pushSlice(chunk.bytes.subarray(this.#chunkStart, chunk.used));
    this.#usedChunks.push(chunk);
    this.#chunk = null;
  }

  #pushSlice(slice: Uint8Array): void {
    this.#slices.push(slice);
    this.#waitingBytes += slice.length;
  }

  #writeWaiting(): void {
    while (this.#slices.length > 0) {
      let bytes = 0;
      let count = 0;
      while (count < this.#slices.length && bytes < WRITE_BYTES_MAX) {
        bytes += this.#slices[count]!.length;
        count += 1;
      }
      const isAll = count === this.#slices.length;
      const slices = isAll ? this.#slices : this.#slices.splice(0, count);
      if (isAll) this.#slices = [];
      this.#waitingBytes -= bytes;
      const isTaken = this.writeSlices(slices);
      if (this.#isClosed) return;
      if (!isTaken) {
        if (isAll) {
          this.#writingChunks = this.#usedChunks;
          this.#writingBuffers = this.#usedBuffers;
          this.#usedChunks = [];
          this.#usedBuffers = [];
        }
        this.#beginWaiting(bytes);
        return;
      }
      this.bytesOut += bytes;
      if (isAll) this.#giveBack(this.#usedChunks, this.#usedBuffers);
    }
  }

  #beginWaiting(bytes: number): void {
    this.#writingBytes = bytes;
    this.deadlineMs = this.loop.clock.nowMs() + this.writeStallMs;
    this.loop.timers.add(this);
  }

  #giveBack(chunks: Chunk[], buffers: Buffer[]): void {
    for (const chunk of chunks) this.loop.giveChunk(chunk);
    for (const buffer of buffers) this.loop.buffers.give(buffer);
    chunks.length = 0;
    buffers.length = 0;
  }
}
