/**
 * The subset of Java's serialization stream that Motan v1 uses (spec wire 10.3): block data, byte arrays, null.
 *
 *   ac ed 00 05                                        start of the stream
 *   77 | size, 1 byte | data                           block data
 *   7a | size, 4 bytes | data                          block data, long
 *   70                                                 null
 *   75 72 0002 5b42 acf317f8060854e0 02 0000 78 70 | size, 4 bytes | bytes        first byte array
 *   75 71 007e0000 | size, 4 bytes | bytes                                        later ones
 *
 * A writer fills blocks up to 1024 bytes; to a reader adjacent blocks are one run, as in Java. Nothing else is understood.
 */
import { gunzipSync } from 'node:zlib';
import { type Metadata, ProtocolError } from '../../core/index.js';
import { V1_COMPRESSED, V1_HEADER_BYTES, type V1Header } from './frame.js';

const BLOCK = 0x77;
const BLOCK_LONG = 0x7a;
const NULL = 0x70;
const ARRAY = 0x75;
const BLOCK_BYTES_MAX = 1024;
const SHORT_BLOCK_BYTES_MAX = 255;

const STREAM_START = Buffer.from('aced0005', 'hex');
const FIRST_ARRAY = Buffer.from('757200025b42acf317f8060854e00200007870', 'hex');
const LATER_ARRAY = Buffer.from('7571007e0000', 'hex');

/** Attachments one frame may have; real ones have about ten. */
const ATTACHMENTS_MAX = 16_384;
/** What the stream of a zipped frame may grow to, bytes: the default of `maxContentLength`. */
export const UNZIPPED_BYTES_MAX = 10 * 1024 * 1024;

export class ObjectStreamReader {
  /** The stream, unzipped. */
  readonly bytes: Buffer;
  at: number;
  /** Offset in the frame at which `bytes` begin; null when they were unzipped and have no place of their own. */
  readonly #offset: number | null;

  /** Opens the stream of a checked frame and reads its start. */
  constructor(frame: Buffer, header: V1Header, unzippedBytesMax: number) {
    const stream = frame.subarray(V1_HEADER_BYTES);
    const isZipped = header.innerVersion === V1_COMPRESSED && stream[0] === 0x1f && stream[1] === 0x8b;
    this.#offset = isZipped ? null : V1_HEADER_BYTES;
    this.bytes = isZipped ? unzip(stream, unzippedBytesMax) : stream;
    this.at = 0;
    if (!this.#startsWith(STREAM_START)) throw this.error('no Java object stream');
    this.at = STREAM_START.length;
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  error(message: string): ProtocolError {
    if (this.#offset !== null) return new ProtocolError(message, this.#offset + this.at);
    return new ProtocolError(`${message} (byte ${this.at} of the unzipped stream)`, V1_HEADER_BYTES);
  }

  isAtBlock(): boolean {
    const type = this.bytes[this.at];
    return type === BLOCK || type === BLOCK_LONG;
  }

  isAtArray(): boolean {
    return this.bytes[this.at] === ARRAY;
  }

  /** The data of all blocks up to something else; a view when it is one block. */
  blocks(what: string): BlockReader {
    if (!this.isAtBlock()) throw this.error(`${what} is missing`);
    const start = this.at;
    const first = this.#block();
    if (!this.isAtBlock()) return new BlockReader(first, this, start);
    const pieces = [first];
    while (this.isAtBlock()) pieces.push(this.#block());
    return new BlockReader(Buffer.concat(pieces), this, start);
  }

  /** The content of a byte array as a view, or null. */
  argument(): Buffer | null {
    if (this.bytes[this.at] === NULL) {
      this.at += 1;
      return null;
    }
    if (!this.isAtArray()) throw this.error('unsupported object in the stream');
    if (this.#startsWith(FIRST_ARRAY)) this.at += FIRST_ARRAY.length;
    else if (this.#startsWith(LATER_ARRAY)) this.at += LATER_ARRAY.length;
    else throw this.error('unsupported array in the stream');
    return this.#view(this.#uint32('size of array'), 'array');
  }

  #block(): Buffer {
    const isLong = this.bytes[this.at] === BLOCK_LONG;
    this.at += 1;
    const size = isLong ? this.#uint32('size of block') : this.#view(1, 'size of block')[0]!;
    return this.#view(size, 'block');
  }

  #uint32(what: string): number {
    return this.#view(4, what).readUInt32BE(0);
  }

  #view(count: number, what: string): Buffer {
    const left = this.bytes.length - this.at;
    if (count > left) throw this.error(`${what} needs ${count} bytes, ${left} are left`);
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  #startsWith(expected: Buffer): boolean {
    return this.bytes.subarray(this.at, this.at + expected.length).equals(expected);
  }
}

/** Reads primitives out of a run of blocks. Errors point at the start of the run: blocks may cut values anywhere. */
export class BlockReader {
  readonly data: Buffer;
  at = 0;
  readonly #stream: ObjectStreamReader;
  readonly #start: number;

  constructor(data: Buffer, stream: ObjectStreamReader, start: number) {
    this.data = data;
    this.#stream = stream;
    this.#start = start;
  }

  get isAtEnd(): boolean {
    return this.at === this.data.length;
  }

  /** Text as latin1: the bytes are (modified) UTF-8 and pass unchanged. */
  text(what: string): string {
    const size = this.data.readUInt16BE(this.#skip(2, `size of ${what}`));
    const start = this.#skip(size, what);
    return this.data.toString('latin1', start, start + size);
  }

  int64(what: string): bigint {
    return this.data.readBigInt64BE(this.#skip(8, what));
  }

  /** Count and pairs; a repeated key takes the last value. */
  attachments(innerVersion: number, into: Metadata): void {
    const isShort = innerVersion === V1_COMPRESSED;
    const countAt = this.#skip(isShort ? 2 : 4, 'count of attachments');
    const count = isShort ? this.data.readUInt16BE(countAt) : this.data.readUInt32BE(countAt);
    if (count > ATTACHMENTS_MAX) throw this.#error(`${count} attachments are over ${ATTACHMENTS_MAX}`);
    for (let index = 0; index < count; index += 1) {
      const key = this.text('attachment key');
      into.set(key, this.text('attachment value'));
    }
  }

  #skip(count: number, what: string): number {
    const start = this.at;
    if (count > this.data.length - start) {
      throw this.#error(
        `${what} needs ${count} bytes, ${this.data.length - start} are left in the block data`,
      );
    }
    this.at = start + count;
    return start;
  }

  #error(message: string): ProtocolError {
    this.#stream.at = this.#start;
    return this.#stream.error(message);
  }
}

export class ObjectStreamWriter {
  readonly #pieces: Buffer[] = [STREAM_START];
  #arrays = 0;

  /** `pieces` as one run of blocks. */
  blocks(...pieces: readonly Buffer[]): this {
    const data = Buffer.concat(pieces);
    for (let at = 0; at < data.length; at += BLOCK_BYTES_MAX) {
      const block = data.subarray(at, at + BLOCK_BYTES_MAX);
      this.#pieces.push(blockHeader(block.length), block);
    }
    return this;
  }

  /** Bytes of a stream as they are. */
  raw(bytes: Buffer): this {
    this.#pieces.push(bytes);
    return this;
  }

  array(bytes: Buffer): this {
    const size = Buffer.allocUnsafe(4);
    size.writeUInt32BE(bytes.length, 0);
    this.#pieces.push(this.#arrays === 0 ? FIRST_ARRAY : LATER_ARRAY, size, bytes);
    this.#arrays += 1;
    return this;
  }

  done(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

/** Size and bytes of latin1 texts, as Java's writeUTF lays them out. Throws ProtocolError for one over 65535 bytes. */
export function encodeTexts(texts: readonly string[]): Buffer {
  const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + 2 + text.length, 0));
  let at = 0;
  for (const text of texts) {
    if (text.length > 0xffff)
      throw new ProtocolError(`text of ${text.length} bytes does not fit into a Motan v1 frame`);
    at = bytes.writeUInt16BE(text.length, at);
    at += bytes.write(text, at, 'latin1');
  }
  return bytes;
}

export function encodeAttachments(
  entries: Iterable<readonly [string, string]>,
  innerVersion: number,
): Buffer {
  const pairs = [...entries];
  if (pairs.length > ATTACHMENTS_MAX)
    throw new ProtocolError(`${pairs.length} attachments are over ${ATTACHMENTS_MAX}`);
  const count = Buffer.alloc(innerVersion === V1_COMPRESSED ? 2 : 4);
  count.writeUIntBE(pairs.length, 0, count.length);
  return Buffer.concat([count, encodeTexts(pairs.flat())]);
}

function blockHeader(size: number): Buffer {
  if (size <= SHORT_BLOCK_BYTES_MAX) return Buffer.from([BLOCK, size]);
  const header = Buffer.from([BLOCK_LONG, 0, 0, 0, 0]);
  header.writeUInt32BE(size, 1);
  return header;
}

function unzip(stream: Buffer, bytesMax: number): Buffer {
  try {
    return gunzipSync(stream, { maxOutputLength: bytesMax });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProtocolError(`zipped object stream cannot be read: ${reason}`, V1_HEADER_BYTES);
  }
}
