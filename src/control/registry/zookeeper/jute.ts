/**
 * Jute, the encoding of ZooKeeper: big-endian numbers, byte arrays and texts with a 4-byte length (-1: null), lists with a 4-byte count.
 * Bytes only; what a message consists of is in `messages.ts`.
 */
import { ProtocolError } from '../../../core/index.js';

const BYTES_FIRST = 256;

export class JuteWriter {
  #bytes = Buffer.allocUnsafe(BYTES_FIRST);
  #size = 0;

  int(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  long(value: bigint): this {
    const at = this.#room(8);
    this.#bytes.writeBigInt64BE(value, at);
    return this;
  }

  bool(value: boolean): this {
    const at = this.#room(1);
    this.#bytes[at] = value ? 1 : 0;
    return this;
  }

  buffer(value: Uint8Array): this {
    this.int(value.length);
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  text(value: string): this {
    return this.buffer(Buffer.from(value, 'utf8'));
  }

  texts(values: readonly string[]): this {
    this.int(values.length);
    for (const value of values) this.text(value);
    return this;
  }

  /** What was written, with its length in front. The writer is not to be used after that. */
  toFrame(): Buffer {
    const frame = Buffer.allocUnsafe(4 + this.#size);
    frame.writeInt32BE(this.#size, 0);
    this.#bytes.copy(frame, 4, 0, this.#size);
    return frame;
  }

  /** Makes room for so many bytes and gives the offset at which they go. */
  #room(bytes: number): number {
    const at = this.#size;
    this.#size += bytes;
    if (this.#size > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#size, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}

/** Reads one frame. What is not there is a ProtocolError; no length is believed beyond the end of the frame. */
export class JuteReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  int(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  long(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  bool(): boolean {
    return this.#bytes[this.#take(1)] !== 0;
  }

  /** A view into the frame; empty for null. */
  buffer(): Buffer {
    const length = this.int();
    if (length < -1) throw new ProtocolError(`length ${length}`, this.#at);
    if (length <= 0) return this.#bytes.subarray(0, 0);
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  text(): string {
    return this.buffer().toString('utf8');
  }

  texts(): string[] {
    const count = this.int();
    // Each takes 4 bytes at least.
    if (count < -1 || count > (this.#bytes.length - this.#at) / 4)
      throw new ProtocolError(`list of ${count}`, this.#at);
    const values: string[] = [];
    for (let index = 0; index < count; index += 1) values.push(this.text());
    return values;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) throw new ProtocolError(`${bytes} bytes wanted at the end`, at);
    this.#at = at + bytes;
    return at;
  }
}
