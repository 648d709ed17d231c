/** Grows one buffer while values are written into it. Throws AgentError `E_VALUE` for what the wire cannot hold. */
import { AgentError } from '../../core/index.js';
import type { WireText } from './value.js';

const FIRST_BYTES = 256;

export class ByteWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  at = 0;

  byte(value: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  int16(value: number): void {
    const at = this.#grow(2);
    this.#bytes.writeInt16BE(value, at);
  }

  uint32(value: number): void {
    const at = this.#grow(4);
    this.#bytes.writeUInt32BE(value, at);
  }

  /** Fills in a length that was left open at `at`. */
  uint32At(at: number, value: number): void {
    this.#bytes.writeUInt32BE(value, at);
  }

  float32(value: number, nan: Buffer | undefined): void {
    if (nan !== undefined && Number.isNaN(value)) {
      this.raw(nan);
      return;
    }
    const at = this.#grow(4);
    this.#bytes.writeFloatBE(value, at);
  }

  float64(value: number, nan: Buffer | undefined): void {
    if (nan !== undefined && Number.isNaN(value)) {
      this.raw(nan);
      return;
    }
    const at = this.#grow(8);
    this.#bytes.writeDoubleBE(value, at);
  }

  raw(bytes: Buffer): void {
    const at = this.#grow(bytes.length);
    bytes.copy(this.#bytes, at);
  }

  /** Unsigned varint of up to 64 bits, low group first. */
  varint(value: bigint): void {
    let rest = value;
    while (rest > 0x7fn) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  /** Five bytes at most, as Go writes it; every peer reads that (spec wire 8.3). */
  zigzag32(value: number): void {
    this.varint(BigInt(((value << 1) ^ (value >> 31)) >>> 0));
  }

  zigzag64(value: bigint): void {
    this.varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
  }

  /** Four-byte size and bytes. */
  sized(text: WireText): void {
    const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
    this.uint32(bytes.length);
    this.raw(bytes);
  }

  /** The bytes written so far; the writer is not used afterwards. */
  done(): Buffer {
    return this.#bytes.subarray(0, this.at);
  }

  /** Room for `count` bytes; returns where. May replace `#bytes`, so it is called before that is touched. */
  #grow(count: number): number {
    const start = this.at;
    this.at = start + count;
    if (this.at > 0x7fffffff)
      throw new AgentError('E_VALUE', `a value of ${this.at} bytes does not fit into a body`);
    if (this.at > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.at, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, start);
      this.#bytes = grown;
    }
    return start;
  }
}
