/**
 * Reads the parts of a value out of one buffer, never beyond its end, and counts values and depth against the limits.
 * Every refusal is a ProtocolError with the offset in that buffer.
 */
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from '../../core/index.js';
import type { ScalarValue, ValueLimits, WireText } from './value.js';

/** 64 bits in groups of seven. */
const VARINT_BYTES_MAX = 10;

export class ByteReader {
  readonly bytes: Buffer;
  at = 0;
  /** End of what may be read: the buffer's, or the container's that is being read. */
  end: number;
  readonly #limits: ValueLimits;
  #depth = 0;
  #values = 0;

  constructor(bytes: Buffer, limits: ValueLimits) {
    this.bytes = bytes;
    this.end = bytes.length;
    this.#limits = limits;
  }

  /** Counts one value; called before anything is kept for it. */
  countValue(): void {
    this.#values += 1;
    if (this.#values > this.#limits.valuesMax) {
      throw new ProtocolError(`body has more than ${this.#limits.valuesMax} values`, this.at);
    }
  }

  enter(): void {
    this.#depth += 1;
    if (this.#depth > this.#limits.depthMax) {
      throw new ProtocolError(`value is nested deeper than ${this.#limits.depthMax}`, this.at);
    }
  }

  leave(): void {
    this.#depth -= 1;
  }

  /** Moves behind the next `count` bytes; returns where they start. */
  skip(count: number, what: string): number {
    const start = this.at;
    if (count > this.end - start) {
      throw new ProtocolError(`${what} needs ${count} bytes, ${this.end - start} are left`, start);
    }
    this.at = start + count;
    return start;
  }

  byte(what: string): number {
    return this.bytes[this.skip(1, what)]!;
  }

  uint32(what: string): number {
    return this.bytes.readUInt32BE(this.skip(4, what));
  }

  int16(): number {
    return this.bytes.readInt16BE(this.skip(2, 'int16'));
  }

  float32(): ScalarValue {
    const at = this.skip(4, 'float32');
    const value = this.bytes.readFloatBE(at);
    return Number.isNaN(value)
      ? { type: 'float32', value, nan: this.#copy(at, 4) }
      : { type: 'float32', value };
  }

  float64(): ScalarValue {
    const at = this.skip(8, 'float64');
    const value = this.bytes.readDoubleBE(at);
    return Number.isNaN(value)
      ? { type: 'float64', value, nan: this.#copy(at, 8) }
      : { type: 'float64', value };
  }

  /** A view of `count` bytes. */
  view(count: number, what: string): Buffer {
    const start = this.skip(count, what);
    return this.bytes.subarray(start, start + count);
  }

  text(count: number, what: string): WireText {
    const view = this.view(count, what);
    return isUtf8(view) ? view.toString('utf8') : view;
  }

  /** Keeps the low 32 bits: Java sign-extends an int32 to ten bytes (motan-core 1.2.2, spec wire 8.3). */
  zigzag32(): number {
    const start = this.at;
    let low = 0;
    for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
      const byte = this.byte('varint');
      if (index < 5) low |= (byte & 0x7f) << (index * 7);
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
    }
    throw new ProtocolError('varint is longer than 10 bytes', start);
  }

  zigzag64(): bigint {
    const raw = this.#varint64();
    return (raw >> 1n) ^ -(raw & 1n);
  }

  /** A count or index: at most 2^32 - 1. */
  varint(what: string): number {
    const start = this.at;
    const value = this.#varint64();
    if (value > 0xffffffffn) throw new ProtocolError(`${what} ${value} is too large`, start);
    return Number(value);
  }

  #varint64(): bigint {
    const start = this.at;
    // Seven groups fit into an exact double; the rest is rare.
    let low = 0;
    let factor = 1;
    let high = 0n;
    for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
      const byte = this.byte('varint');
      if (index < 7) {
        low += (byte & 0x7f) * factor;
        factor *= 128;
      } else {
        high |= BigInt(byte & 0x7f) << BigInt(index * 7);
      }
      if (byte < 0x80) return BigInt.asUintN(64, BigInt(low) | high);
    }
    throw new ProtocolError('varint is longer than 10 bytes', start);
  }

  #copy(at: number, count: number): Buffer {
    return Buffer.from(this.bytes.subarray(at, at + count));
  }
}
