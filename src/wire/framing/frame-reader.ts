/**
 * Cuts a byte stream into Motan frames. Both protocols share the magic, so one reader serves a connection that mixes them.
 *
 *   0       2      3        4        5            13          17       17+m        21+m
 *   | f1 f1 | type | ver/st | serial | request id | meta size | meta m | body size | body b |     Motan2, ver/st >> 3 == 1
 *
 *   0       2      4            12           16
 *   | f1 f1 | type | request id | rest size n | rest n |                                          Motan v1, byte 3 < 8
 *
 * Whole frames are shown in place, without a copy: the fields of this object describe the current frame and are valid until
 * the next `next()`. A frame that arrives in pieces is gathered in a buffer of its own; once its size is known the
 * transport can read straight into that buffer (`readTarget`), which saves a copy of large bodies.
 *
 * Sizes come from the peer: each is checked against the limit before a byte is kept for it, and memory for a frame grows with the
 * bytes that have really arrived. A message over the limit is shown without its content (`oversize`) and skipped, so
 * that it fails only its own caller.
 */
import type { BufferPool } from '../../base/index.js';
import { ProtocolError } from '../../core/index.js';

const MAGIC = 0xf1;
const HEADER_BYTES = 17;
const V1_HEADER_BYTES = 16;
/** First allocation for a frame in pieces, bytes; the most that a peer gets for nothing. */
const GATHER_BYTES_MIN = 512;
/** A size this many times over the limit is not skipped but ends the connection: it is garbage, not a message. */
const SKIP_FACTOR_MAX = 64;
/** Frames in pieces from this size on use pooled memory. */
const POOLED_BYTES_MIN = 64 * 1024;
/** Below this much missing, reading into the shared buffer and copying is cheaper than a read of its own. */
const DIRECT_READ_BYTES_MIN = 32 * 1024;
/** A peer that has sent a large message gets memory for the next one up to that size at once, but no more than this. */
const TRUSTED_BYTES_MAX = 2 * 1024 * 1024;

const NO_BYTES = Buffer.alloc(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

export class FrameReader {
  readonly #bytesMax: number;
  readonly #pool: BufferPool;

  /** 1 for Motan v1, 2 for Motan2. */
  version: 1 | 2 = 2;
  /** True when the content was over the limit: the id is valid, metadata and body are empty. */
  oversize = false;
  bytes: Buffer = NO_BYTES;
  /** Over the same memory as `bytes`, from its first byte on. */
  view: DataView = NO_VIEW;
  start = 0;
  end = 0;
  type = 0;
  versionStatus = 0;
  serialization = 0;
  idHigh = 0;
  idLow = 0;
  metaStart = 0;
  metaEnd = 0;
  bodyStart = 0;
  bodyEnd = 0;
  /** True when `bytes` holds this frame alone and nobody else keeps it: its memory may be taken over. */
  isOwnBuffer = false;
  /** Pooled memory behind `bytes`, for whoever takes it over to give back; null when it is not from the pool. */
  pooled: Buffer | null = null;

  #input: Buffer = NO_BYTES;
  #inputView: DataView = NO_VIEW;
  #at = 0;
  #inputEnd = 0;
  /** Frame in pieces: its first `#gathered` bytes. Null when the last read ended on a frame boundary. */
  #gather: Buffer | null = null;
  #gathered = 0;
  /** Whole size of the frame in pieces; 0 while its sizes have not come. */
  #gatherSize = 0;
  #isGatherPooled = false;
  /** Size of the last frame if it was large; 0 otherwise. */
  #lastLargeBytes = 0;
  /** Bytes to drop of an oversize frame. */
  #skip = 0;
  /** An oversize metadata block was dropped and its body size, four bytes, comes next. */
  #skipBodyNext = false;

  /** @param bytesMax limit of metadata and of body, each, and of a v1 frame (`maxContentLength`, spec wire 2.8) */
  constructor(bytesMax: number, pool: BufferPool) {
    this.#bytesMax = bytesMax;
    this.#pool = pool;
  }

  /** Bytes kept for a frame that is not complete. */
  get pendingBytes(): number {
    return this.#gathered;
  }

  /** Shows the reader `length` new bytes at the start of `input`; read with `next` until it says false. */
  push(input: Buffer, view: DataView, length: number): void {
    this.#input = input;
    this.#inputView = view;
    this.#at = 0;
    this.#inputEnd = length;
  }

  /** After a read that went into `readTarget()`: `length` bytes more of the frame in pieces. */
  pushDirect(length: number): void {
    this.#gathered += length;
    this.#input = NO_BYTES;
    this.#at = 0;
    this.#inputEnd = 0;
  }

  /** Where the transport may read the rest of the current large frame; null when the shared buffer is better. */
  readTarget(): Buffer | null {
    const gather = this.#gather;
    if (gather === null || this.#gatherSize === 0) return null;
    // Never past the end of the frame: what follows belongs to the next one.
    const end = Math.min(gather.length, this.#gatherSize);
    return end - this.#gathered < DIRECT_READ_BYTES_MIN ? null : gather.subarray(this.#gathered, end);
  }

  /**
   * True between large frames: a short read then shows the sizes of the next one, whose rest is read in place, so that hardly
   * anything is copied.
   */
  get expectsLarge(): boolean {
    return this.#gather === null && this.#lastLargeBytes > 0;
  }

  /** Moves to the next whole frame. False when more bytes are needed; what is left of the input is then kept. */
  next(): boolean {
    if (this.#skip > 0 || this.#skipBodyNext) {
      if (!this.#dropOversize()) return false;
    }
    if (this.#gather !== null) return this.#completeGathered();
    const at = this.#at;
    const have = this.#inputEnd - at;
    if (have === 0) return false;
    const size = this.#frameSize(this.#input, this.#inputView, at, have);
    if (size < 0) return this.#showOversize(this.#inputView, at, false);
    if (size === 0 || size > have) {
      this.#startGathering(size);
      return false;
    }
    this.#at = at + size;
    this.#lastLargeBytes = 0;
    this.#show(this.#input, this.#inputView, at, size);
    this.isOwnBuffer = false;
    this.pooled = null;
    return true;
  }

  /**
   * Size of the frame at `at`; 0 when `have` bytes do not tell it yet; negative when it is over the limit (its size
   * then stands in `#skip`).
   */
  #frameSize(bytes: Buffer, view: DataView, at: number, have: number): number {
    if (bytes[at] !== MAGIC || (have > 1 && bytes[at + 1] !== MAGIC))
      throw new ProtocolError('not a Motan frame', 0);
    if (have < 4) return 0;
    const version = bytes[at + 3]! >> 3;
    if (version === 1) {
      if (have < HEADER_BYTES) return 0;
      const metaBytes = view.getUint32(at + 13);
      if (metaBytes > this.#bytesMax)
        return this.#overLimit('metadata', metaBytes, metaBytes + HEADER_BYTES, true);
      if (have < HEADER_BYTES + 4 + metaBytes) return 0;
      const bodyBytes = view.getUint32(at + HEADER_BYTES + metaBytes);
      const size = HEADER_BYTES + 4 + metaBytes + bodyBytes;
      if (bodyBytes > this.#bytesMax) return this.#overLimit('body', bodyBytes, size, false);
      return size;
    }
    if (version === 0) {
      if (have < V1_HEADER_BYTES) return 0;
      const restBytes = view.getUint32(at + 12);
      if (restBytes < 16) throw new ProtocolError(`Motan v1 frame of ${restBytes} bytes is too short`, 12);
      const size = V1_HEADER_BYTES + restBytes;
      if (restBytes > this.#bytesMax) return this.#overLimit('frame', restBytes, size, false);
      return size;
    }
    throw new ProtocolError(`unknown protocol version ${version}`, 3);
  }

  #overLimit(what: string, bytes: number, frameBytes: number, isMetadata: boolean): number {
    if (bytes > this.#bytesMax * SKIP_FACTOR_MAX) {
      throw new ProtocolError(`${what} of ${bytes} bytes is over ${this.#bytesMax}`, 13);
    }
    this.#skip = frameBytes;
    this.#skipBodyNext = isMetadata;
    return -1;
  }

  #showOversize(view: DataView, at: number, isGathered: boolean): boolean {
    this.#readHeader(view, at);
    this.oversize = true;
    this.metaStart = this.metaEnd = this.bodyStart = this.bodyEnd = 0;
    this.isOwnBuffer = false;
    if (isGathered) {
      this.#skip -= this.#gathered;
      this.#gather = null;
      this.#gathered = 0;
    }
    return true;
  }

  /** Drops what has arrived of an oversize frame; true when all of it is gone. */
  #dropOversize(): boolean {
    for (;;) {
      const dropped = Math.min(this.#skip, this.#inputEnd - this.#at);
      this.#skip -= dropped;
      this.#at += dropped;
      if (this.#skip > 0) return false;
      if (!this.#skipBodyNext) return true;
      // The four bytes of the body size may be cut as well: they gather like a frame.
      const gather = this.#gather ?? Buffer.allocUnsafeSlow(4);
      this.#gather = gather;
      while (this.#gathered < 4 && this.#at < this.#inputEnd) {
        gather[this.#gathered++] = this.#input[this.#at++]!;
      }
      if (this.#gathered < 4) return false;
      this.#skipBodyNext = false;
      this.#skip = gather.readUInt32BE(0);
      this.#gather = null;
      this.#gathered = 0;
      if (this.#skip > this.#bytesMax * SKIP_FACTOR_MAX)
        throw new ProtocolError(`body of ${this.#skip} bytes`, 13);
    }
  }

  #startGathering(size: number): void {
    const have = this.#inputEnd - this.#at;
    this.#gather = this.#allocate(gatherCapacity(size, have, this.#lastLargeBytes));
    this.#gathered = 0;
    this.#gatherSize = size;
    this.#takeInput(have);
  }

  /** Moves up to `count` bytes of input behind the gathered ones. */
  #takeInput(count: number): void {
    const taken = Math.min(count, this.#inputEnd - this.#at, this.#gather!.length - this.#gathered);
    this.#input.copy(this.#gather!, this.#gathered, this.#at, this.#at + taken);
    this.#gathered += taken;
    this.#at += taken;
  }

  #completeGathered(): boolean {
    for (;;) {
      const gather = this.#gather!;
      const view = new DataView(gather.buffer, gather.byteOffset, gather.length);
      const size = this.#frameSize(gather, view, 0, this.#gathered);
      if (size < 0) return this.#showOversize(view, 0, true);
      if (size > 0 && this.#gathered >= size) {
        this.#show(gather, view, 0, size);
        this.isOwnBuffer = true;
        this.pooled = this.#isGatherPooled ? gather : null;
        this.#lastLargeBytes = size >= POOLED_BYTES_MIN ? Math.min(size, TRUSTED_BYTES_MAX) : 0;
        this.#gather = null;
        this.#gathered = 0;
        return true;
      }
      this.#gatherSize = size;
      if (this.#at === this.#inputEnd) return false;
      const wanted = this.#wantedBytes(gather, view, size);
      if (gather.length < wanted) {
        const have = this.#gathered + this.#inputEnd - this.#at;
        this.#growTo(gatherCapacity(wanted, have, this.#lastLargeBytes));
      }
      this.#takeInput(wanted - this.#gathered);
    }
  }

  /** How many bytes of the frame in pieces are needed for the next step: its sizes, or all of it. */
  #wantedBytes(gather: Buffer, view: DataView, size: number): number {
    if (size > 0) return size;
    if (this.#gathered < 4) return 4;
    if (gather[3]! >> 3 === 0) return V1_HEADER_BYTES;
    if (this.#gathered < HEADER_BYTES) return HEADER_BYTES;
    return HEADER_BYTES + 4 + view.getUint32(13);
  }

  #growTo(capacity: number): void {
    const before = this.#gather!;
    const wasPooled = this.#isGatherPooled;
    const grown = this.#allocate(capacity);
    before.copy(grown, 0, 0, this.#gathered);
    this.#gather = grown;
    if (wasPooled) this.#pool.give(before);
  }

  #allocate(bytes: number): Buffer {
    this.#isGatherPooled = bytes >= POOLED_BYTES_MIN;
    return this.#isGatherPooled ? this.#pool.take(bytes) : Buffer.allocUnsafeSlow(bytes);
  }

  #readHeader(view: DataView, at: number): void {
    const versionStatus = view.getUint8(at + 3);
    this.versionStatus = versionStatus;
    this.type = view.getUint8(at + 2);
    if (versionStatus >> 3 === 1) {
      this.version = 2;
      this.serialization = view.getUint8(at + 4);
      this.idHigh = view.getUint32(at + 5);
      this.idLow = view.getUint32(at + 9);
    } else {
      this.version = 1;
      this.serialization = 0;
      this.idHigh = view.getUint32(at + 4);
      this.idLow = view.getUint32(at + 8);
    }
  }

  #show(bytes: Buffer, view: DataView, at: number, size: number): void {
    this.#readHeader(view, at);
    this.oversize = false;
    this.bytes = bytes;
    this.view = view;
    this.start = at;
    this.end = at + size;
    if (this.version === 2) {
      this.metaStart = at + HEADER_BYTES;
      this.metaEnd = this.metaStart + view.getUint32(at + 13);
      this.bodyStart = this.metaEnd + 4;
    } else {
      this.metaStart = this.metaEnd = 0;
      this.bodyStart = at;
    }
    this.bodyEnd = this.end;
  }
}

/**
 * Memory for a frame of `size` bytes (0 if not known) of which `have` are here: all of it when a quarter has come, when it is
 * small, or when the peer has sent as much before; otherwise four times what is here, so that a size alone costs nothing.
 */
function gatherCapacity(size: number, have: number, trusted: number): number {
  const generous = Math.max(GATHER_BYTES_MIN, have * 4);
  return size === 0 ? generous : Math.min(size, Math.max(generous, trusted, 4096));
}
