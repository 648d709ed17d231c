/**
 * The `simple` serialization, number 6 (spec wire 8.3): what PHP, Lua and Go send by default.
 *
 *   value = tag (1 byte) + data; size = 4 bytes, unsigned
 *
 *    0 null          1 string: size, bytes          5 bool: 1 byte        9 int64: zigzag varint
 *    2 string map    3 bytes: size, bytes           6 byte: 1 byte       10 float32: 4 bytes
 *    4 string array 20 map  21 array                7 int16: 2 bytes     11 float64: 8 bytes
 *                                                   8 int32: zigzag varint
 *   2, 4, 20, 21: size of all that follows, then the elements; those of 2 and 4 have no tags of their own
 *
 * Arguments follow each other without a count. Elements must end exactly where their container does.
 */
import { AgentError, ProtocolError } from '../../core/index.js';
import { ByteReader } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { type SimpleValue, VALUE_LIMITS, type ValueLimits, type WireText } from './value.js';

/** Number of `simple` in the serialization byte of a frame. */
export const SIMPLE = 6;

const TAG = {
  null: 0,
  string: 1,
  stringMap: 2,
  bytes: 3,
  stringArray: 4,
  bool: 5,
  byte: 6,
  int16: 7,
  int32: 8,
  int64: 9,
  float32: 10,
  float64: 11,
  map: 20,
  array: 21,
} as const;

const NULL: SimpleValue = { type: 'null' };

/**
 * All values of a body; an empty body has none. Buffers inside the result are views into `bytes`.
 * Throws ProtocolError with the offset in `bytes` when they make no sense or are over `limits`.
 */
export function decodeSimpleArguments(bytes: Buffer, limits: ValueLimits = VALUE_LIMITS): SimpleValue[] {
  const reader = new ByteReader(bytes, limits);
  const values: SimpleValue[] = [];
  while (reader.at < reader.end) values.push(readValue(reader));
  return values;
}

/** The one value of an answer; an empty body is null, as Go sends a void answer. Bytes after the value are an error. */
export function decodeSimpleValue(bytes: Buffer, limits: ValueLimits = VALUE_LIMITS): SimpleValue {
  if (bytes.length === 0) return NULL;
  const reader = new ByteReader(bytes, limits);
  const value = readValue(reader);
  if (reader.at !== reader.end) {
    throw new ProtocolError(`${reader.end - reader.at} bytes follow the value`, reader.at);
  }
  return value;
}

function readValue(reader: ByteReader): SimpleValue {
  reader.countValue();
  const start = reader.at;
  const tag = reader.byte('tag');
  switch (tag) {
    case TAG.null:
      return NULL;
    case TAG.string:
      return { type: 'string', value: readText(reader) };
    case TAG.stringMap:
      return readStringMap(reader);
    case TAG.bytes:
      return { type: 'bytes', value: reader.view(reader.uint32('size of bytes'), 'bytes') };
    case TAG.stringArray:
      return readStringArray(reader);
    case TAG.bool:
      // Whatever is not 1 is false: so do Go and Java.
      return { type: 'bool', value: reader.byte('bool') === 1 };
    case TAG.byte:
      return { type: 'byte', value: reader.byte('byte') };
    case TAG.int16:
      return { type: 'int16', value: reader.int16() };
    case TAG.int32:
      return { type: 'int32', value: reader.zigzag32() };
    case TAG.int64:
      return { type: 'int64', value: reader.zigzag64() };
    case TAG.float32:
      return reader.float32();
    case TAG.float64:
      return reader.float64();
    case TAG.map:
      return readMap(reader);
    case TAG.array:
      return readArray(reader);
    default:
      throw new ProtocolError(`unknown simple tag ${tag}`, start);
  }
}

function readText(reader: ByteReader): WireText {
  return reader.text(reader.uint32('size of string'), 'string');
}

function readStringMap(reader: ByteReader): SimpleValue {
  const outerEnd = openContainer(reader);
  const entries: [WireText, WireText][] = [];
  while (reader.at < reader.end) {
    reader.countValue();
    const key = readText(reader);
    reader.countValue();
    entries.push([key, readText(reader)]);
  }
  closeContainer(reader, outerEnd);
  return { type: 'stringMap', entries };
}

function readStringArray(reader: ByteReader): SimpleValue {
  const outerEnd = openContainer(reader);
  const elements: WireText[] = [];
  while (reader.at < reader.end) {
    reader.countValue();
    elements.push(readText(reader));
  }
  closeContainer(reader, outerEnd);
  return { type: 'stringArray', elements };
}

function readMap(reader: ByteReader): SimpleValue {
  const outerEnd = openContainer(reader);
  const entries: [SimpleValue, SimpleValue][] = [];
  while (reader.at < reader.end) {
    const key = readValue(reader);
    entries.push([key, readValue(reader)]);
  }
  closeContainer(reader, outerEnd);
  return { type: 'map', entries };
}

function readArray(reader: ByteReader): SimpleValue {
  const outerEnd = openContainer(reader);
  const elements: SimpleValue[] = [];
  while (reader.at < reader.end) elements.push(readValue(reader));
  closeContainer(reader, outerEnd);
  return { type: 'array', elements };
}

/** Narrows the reader to the container, so that no element can reach beyond it; returns the end to go back to. */
function openContainer(reader: ByteReader): number {
  reader.enter();
  const size = reader.uint32('size of container');
  const start = reader.at;
  if (size > reader.end - start) {
    throw new ProtocolError(`container of ${size} bytes, ${reader.end - start} are left`, start - 4);
  }
  const outerEnd = reader.end;
  reader.end = start + size;
  return outerEnd;
}

function closeContainer(reader: ByteReader, outerEnd: number): void {
  reader.end = outerEnd;
  reader.leave();
}

/**
 * One value as bytes. Integers are checked against their width: AgentError `E_VALUE`.
 *
 * An empty `stringMap` is written as such. PHP 8 loops for ever on it (motan-php 6bdd10d), so values made by the agent
 * use `null` in its place, as `jsonToSimple` does.
 */
export function encodeSimple(value: SimpleValue): Buffer {
  return encodeSimpleArguments([value]);
}

/** Values one after the other: the body of a request. No values: an empty body. */
export function encodeSimpleArguments(values: readonly SimpleValue[]): Buffer {
  const writer = new ByteWriter();
  for (const value of values) writeValue(writer, value, 0);
  return writer.done();
}

function writeValue(writer: ByteWriter, value: SimpleValue, depth: number): void {
  writer.byte(TAG[value.type]);
  switch (value.type) {
    case 'null':
      break;
    case 'string':
    case 'bytes':
      writer.sized(value.value);
      break;
    case 'bool':
      writer.byte(value.value ? 1 : 0);
      break;
    case 'byte':
      writer.byte(checked(value.type, value.value, 0, 255));
      break;
    case 'int16':
      writer.int16(checked(value.type, value.value, -0x8000, 0x7fff));
      break;
    case 'int32':
      writer.zigzag32(checked(value.type, value.value, -0x80000000, 0x7fffffff));
      break;
    case 'int64':
      if (BigInt.asIntN(64, value.value) !== value.value) {
        throw new AgentError('E_VALUE', `${value.value} is not an int64`);
      }
      writer.zigzag64(value.value);
      break;
    case 'float32':
      writer.float32(value.value, value.nan);
      break;
    case 'float64':
      writer.float64(value.value, value.nan);
      break;
    default:
      writeContainer(writer, value, depth);
  }
}

type Container = Extract<SimpleValue, { type: 'stringMap' | 'stringArray' | 'map' | 'array' }>;

function writeContainer(writer: ByteWriter, value: Container, depth: number): void {
  if (depth >= VALUE_LIMITS.depthMax) {
    throw new AgentError('E_VALUE', `value is nested deeper than ${VALUE_LIMITS.depthMax}`);
  }
  const sizeAt = writer.at;
  writer.uint32(0);
  switch (value.type) {
    case 'stringMap':
      for (const [key, text] of value.entries) {
        writer.sized(key);
        writer.sized(text);
      }
      break;
    case 'stringArray':
      for (const text of value.elements) writer.sized(text);
      break;
    case 'map':
      for (const [key, item] of value.entries) {
        writeValue(writer, key, depth + 1);
        writeValue(writer, item, depth + 1);
      }
      break;
    case 'array':
      for (const item of value.elements) writeValue(writer, item, depth + 1);
      break;
  }
  writer.uint32At(sizeAt, writer.at - sizeAt - 4);
}

function checked(type: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new AgentError(
      'E_VALUE',
      `${value} is not ${type === 'byte' ? 'a' : 'an'} ${type} (${min} to ${max})`,
    );
  }
  return value;
}
