/**
 * The argument of a call as an HTTP backend can be given it: text, bytes or a map of strings. One string or byte array, which is nearly
 * every call, is found in place; everything else goes through the decoders.
 */
import { type Call, ProtocolError } from '../../../core/index.js';
import {
  BREEZE,
  type BreezeValue,
  decodeBreezeArguments,
  decodeSimpleArguments,
  SIMPLE,
  type SimpleValue,
  serializationName,
  type WireText,
} from '../../../wire/serialization/index.js';

export type Pairs = readonly (readonly [string, string])[];

export class Argument {
  /** `none`: no argument, or null. `unreadable`: `type` says why. `other`: a value that HTTP has no form for. */
  kind: 'none' | 'string' | 'bytes' | 'map' | 'other' | 'unreadable' = 'none';
  /** Of `string` and `bytes`: where it is in the body's memory. */
  bytes: Buffer = NO_BYTES;
  start = 0;
  end = 0;
  /** Of `map`, latin1. */
  pairs: Pairs = [];
  /** Of `other`: the type as Go calls it. */
  type = '';
  /** Whether more arguments follow. */
  hasMore = false;

  get size(): number {
    return this.end - this.start;
  }

  /** Reads the first argument of `call`. What is found is valid until the next call of `read`, and as long as the body. */
  read(call: Call): void {
    this.kind = 'none';
    this.pairs = [];
    this.hasMore = false;
    const { bytes, bodyStart, bodyEnd } = call;
    this.start = this.end = bodyStart;
    this.bytes = bytes;
    if (bodyEnd === bodyStart) return;
    const number = serializationOf(call);
    if (number === SIMPLE && this.#readInPlace(bytes, bodyStart, bodyEnd)) return;
    if (number !== SIMPLE && number !== BREEZE) {
      this.#set(
        'unreadable',
        `serialization ${serializationName(number)} is not supported by http providers`,
      );
      return;
    }
    const body = bytes.subarray(bodyStart, bodyEnd);
    try {
      const values = number === SIMPLE ? decodeSimpleArguments(body) : decodeBreezeArguments(body);
      this.hasMore = values.length > 1;
      this.#take(values[0]!);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#set('unreadable', error.message);
    }
  }

  /** A null, or one string or byte array that fills the body. */
  #readInPlace(bytes: Buffer, start: number, end: number): boolean {
    const tag = bytes[start]!;
    if (tag === 0) return end - start === 1;
    if ((tag !== 1 && tag !== 3) || end - start < 5) return false;
    if (bytes.readUInt32BE(start + 1) !== end - start - 5) return false;
    this.kind = tag === 1 ? 'string' : 'bytes';
    this.start = start + 5;
    this.end = end;
    return true;
  }

  #take(value: SimpleValue | BreezeValue): void {
    switch (value.type) {
      case 'null':
        return;
      case 'string':
      case 'bytes':
        this.kind = value.type;
        // A copy: whoever sends it must not need to know whose memory it was.
        this.bytes = typeof value.value === 'string' ? Buffer.from(value.value) : Buffer.from(value.value);
        this.start = 0;
        this.end = this.bytes.length;
        return;
      case 'stringMap':
        this.kind = 'map';
        this.pairs = value.entries.map(([key, text]) => [latin1(key), latin1(text)] as const);
        return;
      case 'map': {
        // Breeze has no map of strings of its own.
        const pairs = pairsOf(value.entries);
        if (pairs === null) this.#set('other', GO_TYPES.map);
        else {
          this.kind = 'map';
          this.pairs = pairs;
        }
        return;
      }
      default:
        this.#set('other', GO_TYPES[value.type]);
    }
  }

  #set(kind: 'other' | 'unreadable', type: string): void {
    this.kind = kind;
    this.type = type;
  }
}

const NO_BYTES = Buffer.alloc(0);

const GO_TYPES: Readonly<Record<Exclude<SimpleValue['type'] | BreezeValue['type'], 'null'>, string>> = {
  string: 'string',
  bytes: '[]uint8',
  bool: 'bool',
  byte: 'uint8',
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  float32: 'float32',
  float64: 'float64',
  stringMap: 'map[string]string',
  stringArray: '[]string',
  map: 'map[interface {}]interface {}',
  array: '[]interface {}',
  message: 'breeze message',
};

/** Number of the serialization that the body of a call is in. */
export function serializationOf(call: Call): number {
  return call.serialization >>> 3;
}

function pairsOf(
  entries: readonly (readonly [SimpleValue | BreezeValue, SimpleValue | BreezeValue])[],
): Pairs | null {
  const pairs: [string, string][] = [];
  for (const [key, value] of entries) {
    if (key.type !== 'string' || value.type !== 'string') return null;
    pairs.push([latin1(key.value), latin1(value.value)]);
  }
  return pairs;
}

function latin1(text: WireText): string {
  return typeof text === 'string' ? Buffer.from(text, 'utf8').toString('latin1') : text.toString('latin1');
}
