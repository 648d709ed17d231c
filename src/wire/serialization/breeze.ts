/**
 * The `breeze` serialization, number 8 (spec wire 8.4): read without schemas, so that a message is its name and numbered
 * fields. Written is only what the agent itself answers with: a map of strings (the meta service).
 *
 *   00-3e string of that size      3f string       40-7e int32 + 0x50    7f int32       80-97 int64 + 0x88   98 int64
 *   99 null   9a true   9b false   9c byte         9d bytes              9e int16       9f float32           a0 float64
 *   d9 map    da array  db packed map  dc packed array     de message, named   df message, reference   e0-ff reference 1..32
 *
 * Inside packed containers the types stand once and the data has the long form. Names of messages are numbered from 1
 * in order of first appearance, over all arguments of a body.
 */
import { ProtocolError } from '../../core/index.js';
import { ByteReader } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { type BreezeValue, VALUE_LIMITS, type ValueLimits, type WireText } from './value.js';

/** Number of `breeze` in the serialization byte of a frame. */
export const BREEZE = 8;

/** What Go and Java accept in one container when reading. */
const ELEMENTS_MAX = 100_000;

const STRING = 0x3f;
const INT32 = 0x7f;
const INT64 = 0x98;
const NULL = 0x99;
const TRUE = 0x9a;
const FALSE = 0x9b;
const BYTE = 0x9c;
const BYTES = 0x9d;
const INT16 = 0x9e;
const FLOAT32 = 0x9f;
const FLOAT64 = 0xa0;
const MAP = 0xd9;
const ARRAY = 0xda;
const PACKED_MAP = 0xdb;
const PACKED_ARRAY = 0xdc;
const MESSAGE = 0xde;
const REFERENCE = 0xdf;

/** Types with data of their own, without the message types. */
const PLAIN_TYPES: ReadonlySet<number> = new Set([
  STRING,
  INT32,
  INT64,
  TRUE,
  FALSE,
  BYTE,
  BYTES,
  INT16,
  FLOAT32,
  FLOAT64,
  MAP,
  ARRAY,
  PACKED_MAP,
  PACKED_ARRAY,
]);

/** What the data after a type is: the plain tag, and for messages the name. */
interface DataType {
  readonly tag: number;
  readonly name: WireText;
}

interface Context {
  readonly reader: ByteReader;
  /** Index 0 is reference 1. */
  readonly names: WireText[];
}

/**
 * All values of a body; an empty body has none. Buffers inside the result are views into `bytes`.
 * Throws ProtocolError with the offset in `bytes` when they make no sense or are over `limits`.
 */
export function decodeBreezeArguments(bytes: Buffer, limits: ValueLimits = VALUE_LIMITS): BreezeValue[] {
  const context: Context = { reader: new ByteReader(bytes, limits), names: [] };
  const values: BreezeValue[] = [];
  while (context.reader.at < context.reader.end) values.push(readValue(context));
  return values;
}

/** A map of strings; pairs with other keys or values are refused with a ProtocolError. Null and an empty body are empty. */
export function decodeBreezeStringMap(bytes: Buffer): Map<string, string> {
  const value = decodeBreezeArguments(bytes)[0];
  const result = new Map<string, string>();
  if (value === undefined || value.type === 'null') return result;
  if (value.type !== 'map') throw new ProtocolError(`expected a breeze map, got ${value.type}`, 0);
  for (const [key, item] of value.entries) {
    if (key.type !== 'string' || item.type !== 'string')
      throw new ProtocolError('expected a breeze map of strings', 0);
    result.set(String(key.value), String(item.value));
  }
  return result;
}

/** A packed map of strings, in the order given; empty: `DB 00`, as the peers write it. */
export function encodeBreezeStringMap(entries: Iterable<readonly [string, string]>): Buffer {
  const pairs = [...entries];
  const writer = new ByteWriter();
  writer.byte(PACKED_MAP);
  writer.varint(BigInt(pairs.length));
  if (pairs.length > 0) {
    writer.byte(STRING);
    writer.byte(STRING);
  }
  for (const pair of pairs) {
    for (const text of pair) {
      const bytes = Buffer.from(text, 'utf8');
      writer.varint(BigInt(bytes.length));
      writer.raw(bytes);
    }
  }
  return writer.done();
}

function readValue(context: Context): BreezeValue {
  const { reader } = context;
  const start = reader.at;
  const tag = reader.byte('tag');
  if (tag < STRING) {
    reader.countValue();
    return { type: 'string', value: reader.text(tag, 'string') };
  }
  if (tag >= 0x40 && tag < INT32) {
    reader.countValue();
    return { type: 'int32', value: tag - 0x50 };
  }
  if (tag >= 0x80 && tag < INT64) {
    reader.countValue();
    return { type: 'int64', value: BigInt(tag - 0x88) };
  }
  if (tag === NULL) {
    reader.countValue();
    return { type: 'null' };
  }
  if (tag === TRUE || tag === FALSE) {
    reader.countValue();
    return { type: 'bool', value: tag === TRUE };
  }
  return readData(context, readType(context, tag, start));
}

/** Completes a type whose first byte was read at `start`. */
function readType({ reader, names }: Context, tag: number, start: number): DataType {
  if (tag === MESSAGE) {
    const name = reader.text(reader.varint('size of name'), 'message name');
    // Every name costs at least one byte of input, and the count of values bounds the rest.
    reader.countValue();
    names.push(name);
    return { tag: MESSAGE, name };
  }
  if (tag >= REFERENCE) {
    const index = tag === REFERENCE ? reader.varint('message reference') : tag - REFERENCE;
    const name = names[index - 1];
    if (name === undefined) throw new ProtocolError(`message reference ${index} names nothing`, start);
    return { tag: MESSAGE, name };
  }
  if (!PLAIN_TYPES.has(tag)) throw new ProtocolError(`unknown breeze type 0x${tag.toString(16)}`, start);
  return { tag, name: '' };
}

/** The data of a value whose type is known, in the long form. */
function readData(context: Context, type: DataType): BreezeValue {
  const { reader } = context;
  reader.countValue();
  switch (type.tag) {
    case STRING:
      return { type: 'string', value: reader.text(reader.varint('size of string'), 'string') };
    case INT32:
      return { type: 'int32', value: reader.zigzag32() };
    case INT64:
      return { type: 'int64', value: reader.zigzag64() };
    case TRUE:
    case FALSE:
      return readPackedBool(reader);
    case BYTE:
      return { type: 'byte', value: reader.byte('byte') };
    case BYTES:
      return { type: 'bytes', value: reader.view(reader.uint32('size of bytes'), 'bytes') };
    case INT16:
      return { type: 'int16', value: reader.int16() };
    case FLOAT32:
      return reader.float32();
    case FLOAT64:
      return reader.float64();
    case MAP:
    case PACKED_MAP:
      return readMap(context, type.tag === PACKED_MAP);
    case ARRAY:
    case PACKED_ARRAY:
      return readArray(context, type.tag === PACKED_ARRAY);
    case MESSAGE:
      return readMessage(context, type.name);
    default:
      throw new Error(`breeze type 0x${type.tag.toString(16)} got past readType`);
  }
}

/** A bool keeps its own byte inside a packed container. */
function readPackedBool(reader: ByteReader): BreezeValue {
  const byte = reader.byte('bool');
  if (byte !== TRUE && byte !== FALSE)
    throw new ProtocolError(`0x${byte.toString(16)} is not a bool`, reader.at - 1);
  return { type: 'bool', value: byte === TRUE };
}

function readMap(context: Context, isPacked: boolean): BreezeValue {
  const { reader } = context;
  reader.enter();
  const count = readCount(reader);
  const entries: [BreezeValue, BreezeValue][] = [];
  const keyType = isPacked && count > 0 ? readElementType(context) : null;
  const valueType = isPacked && count > 0 ? readElementType(context) : null;
  for (let index = 0; index < count; index += 1) {
    const key = keyType === null ? readValue(context) : readData(context, keyType);
    entries.push([key, valueType === null ? readValue(context) : readData(context, valueType)]);
  }
  reader.leave();
  return { type: 'map', entries };
}

function readArray(context: Context, isPacked: boolean): BreezeValue {
  const { reader } = context;
  reader.enter();
  const count = readCount(reader);
  const elements: BreezeValue[] = [];
  const type = isPacked && count > 0 ? readElementType(context) : null;
  for (let index = 0; index < count; index += 1) {
    elements.push(type === null ? readValue(context) : readData(context, type));
  }
  reader.leave();
  return { type: 'array', elements };
}

function readElementType(context: Context): DataType {
  const start = context.reader.at;
  return readType(context, context.reader.byte('element type'), start);
}

function readCount(reader: ByteReader): number {
  const start = reader.at;
  const count = reader.varint('count');
  if (count > ELEMENTS_MAX)
    throw new ProtocolError(`container of ${count} elements is over ${ELEMENTS_MAX}`, start);
  // No element takes less than a byte.
  if (count > reader.end - reader.at) {
    throw new ProtocolError(
      `container of ${count} elements, ${reader.end - reader.at} bytes are left`,
      start,
    );
  }
  return count;
}

function readMessage(context: Context, name: WireText): BreezeValue {
  const { reader } = context;
  reader.enter();
  const size = reader.uint32('size of message');
  const start = reader.at;
  if (size > reader.end - start) {
    throw new ProtocolError(`message of ${size} bytes, ${reader.end - start} are left`, start - 4);
  }
  const outerEnd = reader.end;
  reader.end = start + size;
  const fields: [number, BreezeValue][] = [];
  while (reader.at < reader.end) {
    const index = reader.varint('field index');
    fields.push([index, readValue(context)]);
  }
  reader.end = outerEnd;
  reader.leave();
  return { type: 'message', name, fields };
}
