/**
 * What all streams of a process share: the read buffer, the pool of write chunks, the flush at the end of a loop turn, the
 * deadlines.
 *
 * One read buffer is enough for all: bytes are consumed inside the read callback. One flush per loop turn is the
 * largest lever on speed, because most of the CPU of a proxy is in the write system call: every frame that the turn made for
 * a peer leaves in one write.
 */
import { BufferPool, TimerWheel } from '../../base/index.js';
import type { Clock } from '../../core/index.js';
import { Gzip } from './gzip.js';

/** Large enough for a batch of 16 KiB messages; small enough to stay in the cache. */
export const READ_BUFFER_BYTES = 256 * 1024;
/** Header and metadata of nearly every message. */
const HEAD_BYTES = 4096;
export const CHUNK_BYTES = 64 * 1024;
/** 16 MiB. Untouched pages of a chunk cost nothing, so short writes keep little memory. */
const CHUNKS_KEPT_MAX = 256;

/** A piece of memory that frames are written into, one behind the other. */
export class Chunk {
  readonly bytes: Buffer;
  readonly view: DataView;
  used = 0;

  constructor() {
    this.bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, CHUNK_BYTES);
  }
}

export interface Flushable {
  /** Called once at the end of the turn in which `flushLater` was called. */
  flush(): void;
}

export class IoLoop {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  readonly readView: DataView;
  /** The front of the read buffer: for a short read that is to show only the sizes of a large message. */
  readonly headBuffer: Buffer;
  readonly buffers = new BufferPool();
  readonly gzip = new Gzip();
  /** Monotonic ms, read once per batch of bytes: everything one batch causes happens at the same time. */
  nowMs: number;
  /** Batches of bytes read in this turn of the loop. */
  reads = 0;
  readonly #free: Chunk[] = [];
  #dirty: Flushable[] = [];
  #spare: Flushable[] = [];
  #isScheduled = false;
  readonly #onTurnEnd = (): void => this.#flushAll();

  constructor(clock: Clock) {
    this.clock = clock;
    this.nowMs = clock.nowMs();
    this.readView = new DataView(this.readBuffer.buffer, this.readBuffer.byteOffset, READ_BUFFER_BYTES);
    this.headBuffer = this.readBuffer.subarray(0, HEAD_BYTES);
    this.timers = new TimerWheel(() => this.tick());
  }

  /** Reads the clock for the batch that begins now. */
  tick(): number {
    this.reads += 1;
    this.nowMs = this.clock.nowMs();
    return this.nowMs;
  }

  takeChunk(): Chunk {
    return this.#free.pop() ?? new Chunk();
  }

  giveChunk(chunk: Chunk): void {
    chunk.used = 0;
    if (this.#free.length < CHUNKS_KEPT_MAX) this.#free.push(chunk);
  }

  /** The caller asks at most once per turn. */
  flushLater(target: Flushable): void {
    this.#dirty.push(target);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#onTurnEnd);
  }

  close(): void {
    this.timers.close();
  }

  #flushAll(): void {
    this.#isScheduled = false;
    this.reads = 0;
    const dirty = this.#dirty;
    this.#dirty = this.#spare;
    for (let index = 0; index < dirty.length; index += 1) dirty[index]!.flush();
    dirty.length = 0;
    this.#spare = dirty;
  }
}
