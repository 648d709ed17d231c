/**
 * Arguments and values of calls that a script serves, in the serializations that PHP, Go and Java send.
 *
 * Everything stays bytes: texts that are not UTF-8 come from old pages and go to old pages.
 */
import { type Call, latin1Text, ProtocolError } from '../../../core/index.js';
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

type Argument = SimpleValue | BreezeValue;

/** The arguments, none for an empty body; or why they cannot be read. Buffers in them are views into the call's body. */
export function readArguments(call: Call): readonly Argument[] | string {
  if (call.bodyBytes === 0) return [];
  const body = call.bytes.subarray(call.bodyStart, call.bodyEnd);
  try {
    switch (numberOf(call)) {
      case SIMPLE:
        return decodeSimpleArguments(body);
      case BREEZE:
        return decodeBreezeArguments(body);
      default:
        return `arguments in ${serializationName(numberOf(call))} cannot be given to a script`;
    }
  } catch (error) {
    if (error instanceof ProtocolError) return `the arguments cannot be read: ${error.message}`;
    throw error;
  }
}

/** Texts and bytes as latin1; null for a value of another type. */
export function textOf(value: Argument): string | null {
  return value.type === 'string' || value.type === 'bytes' ? latin1Of(value.value) : null;
}

/** The pairs of a map of texts, as latin1; null for anything else. */
export function pairsOf(value: Argument): [string, string][] | null {
  if (value.type === 'stringMap') return value.entries.map(([key, item]) => [latin1Of(key), latin1Of(item)]);
  if (value.type !== 'map') return null;
  const pairs: [string, string][] = [];
  for (const [key, item] of value.entries) {
    if (key.type !== 'string' || item.type !== 'string') return null;
    pairs.push([latin1Of(key.value), latin1Of(item.value)]);
  }
  return pairs;
}

/** The two byte arrays of a transparent HTTP call (spec traffic 2.6); null when they are something else. */
export function transparentParts(values: readonly Argument[]): [head: Buffer, body: Buffer] | null {
  if (values.length > 2) return null;
  const head = bytesOf(values[0]);
  const body = bytesOf(values[1]);
  return head === null || body === null || head.length === 0 ? null : [head, body];
}

const NO_BYTES = Buffer.alloc(0);

function bytesOf(value: Argument | undefined): Buffer | null {
  if (value === undefined || value.type === 'null') return NO_BYTES;
  if (value.type !== 'bytes' && value.type !== 'string') return null;
  return typeof value.value === 'string' ? Buffer.from(value.value, 'utf8') : value.value;
}

function latin1Of(text: WireText): string {
  return typeof text === 'string' ? latin1Text(text) : text.toString('latin1');
}

function numberOf(call: Call): number {
  return call.serialization >> 3;
}

/** The output of a script as a string value, as motan-go types it (spec traffic 4), whatever its bytes are. */
export function encodeText(call: Call, pieces: readonly Buffer[], bytes: number): Buffer {
  const front = numberOf(call) === BREEZE ? breezeTextFront(bytes) : sizedFront(1, bytes);
  return Buffer.concat([front, ...pieces], front.length + bytes);
}

/** The answer of a transparent call: an array of header block and body (spec traffic 2.7). */
export function encodeHttp(call: Call, head: Buffer, pieces: readonly Buffer[], bytes: number): Buffer {
  const isBreeze = numberOf(call) === BREEZE;
  const tag = isBreeze ? BREEZE_BYTES : SIMPLE_BYTES;
  const fronts = [sizedFront(tag, head.length), sizedFront(tag, bytes)] as const;
  const size = fronts[0].length + head.length + fronts[1].length + bytes;
  const front = isBreeze ? Buffer.from([BREEZE_ARRAY, 2]) : sizedFront(SIMPLE_ARRAY, size);
  return Buffer.concat([front, fronts[0], head, fronts[1], ...pieces], front.length + size);
}

const SIMPLE_BYTES = 3;
const SIMPLE_ARRAY = 21;
const BREEZE_BYTES = 0x9d;
const BREEZE_ARRAY = 0xda;
const BREEZE_TEXT = 0x3f;

function sizedFront(tag: number, size: number): Buffer {
  const front = Buffer.allocUnsafe(5);
  front[0] = tag;
  front.writeUInt32BE(size, 1);
  return front;
}

/** Short texts have their size in the tag, others in a varint behind it. */
function breezeTextFront(size: number): Buffer {
  if (size < BREEZE_TEXT) return Buffer.from([size]);
  const front = [BREEZE_TEXT];
  let rest = size;
  for (; rest > 0x7f; rest >>>= 7) front.push((rest & 0x7f) | 0x80);
  front.push(rest);
  return Buffer.from(front);
}
