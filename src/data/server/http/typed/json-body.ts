/**
 * Arguments of a typed call from its JSON body, and the value of an answer as JSON.
 *
 * Where the configuration has the types, arguments are plain JSON; else types are inferred, and the typed forms of
 * wire/serialization/from-json.ts name others: `[{"$int32": 5}]`.
 */
import { isUtf8 } from 'node:buffer';
import {
  AgentError,
  type Failure,
  failure,
  type MethodSchema,
  messageOf,
  ProtocolError,
  type Reply,
  type ValueType,
} from '../../../../core/index.js';
import {
  BREEZE,
  breezeToJson,
  decodeBreezeArguments,
  decodeSimpleValue,
  encodeSimpleArguments,
  jsonTextToArguments,
  SIMPLE,
  type SimpleType,
  type SimpleValue,
  serializationName,
  simpleToJson,
  VALUE_LIMITS,
} from '../../../../wire/serialization/index.js';

/** Both sides of a call are built in memory. */
export const JSON_BYTES_MAX = 64 * 1024 * 1024;
const JSON_TEXT = 2;
const NO_BYTES = Buffer.alloc(0);
const COMMA = 0x2c;
const COLON = 0x3a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The names that core has for configurations are those of the wire. */
const _isOneSet: [ValueType, SimpleType] extends [SimpleType, ValueType] ? true : false = true;

/** The body of a Motan2 call in serialization `simple`, or why there is none. An empty body has no arguments. */
export function encodeArguments(json: Buffer, schema: MethodSchema | null): Buffer | Failure {
  const types = schema?.args ?? null;
  if (json.length === 0) {
    if (types === null || types.length === 0) return NO_BYTES;
  } else if (!isUtf8(json)) {
    return failure('E_BAD_REQUEST', 'the body is not UTF-8');
  } else if (hasTooManyValues(json)) {
    return failure('E_TOO_LARGE', `the arguments hold more than ${VALUE_LIMITS.valuesMax} values`);
  }
  try {
    const text = json.length === 0 ? '[]' : json.toString('utf8');
    return encodeSimpleArguments(jsonTextToArguments(text, { types, typedForms: types === null }));
  } catch (error) {
    if (error instanceof AgentError) return failure('E_BAD_ARGUMENTS', error.message);
    throw error;
  }
}

/** A value is at least one byte, and a comma or colon stands between two: only long bodies can hold too many, and are looked at. */
function hasTooManyValues(json: Buffer): boolean {
  const { valuesMax } = VALUE_LIMITS;
  if (json.length < 2 * valuesMax) return false;
  let separators = 0;
  let isString = false;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at]!;
    if (isString) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) isString = false;
    } else if (byte === QUOTE) isString = true;
    else if (byte === COMMA || byte === COLON) separators += 1;
  }
  return separators >= valuesMax;
}

/** The value of an answer as JSON text, or why there is none. */
export function answerToJson(reply: Reply, schema: MethodSchema | null): Buffer | Failure {
  if (reply.bodyBytes > JSON_BYTES_MAX) {
    return failure('E_ANSWER_TOO_LARGE', `the answer has more than ${JSON_BYTES_MAX} bytes`);
  }
  if ((reply.versionStatus & 7) !== 0) {
    return failure('E_BAD_EXCEPTION', `the answer has status ${reply.versionStatus & 7} and no exception`);
  }
  try {
    const value = toJson(reply, schema);
    return typeof value === 'string' ? Buffer.from(value) : value;
  } catch (error) {
    if (error instanceof ProtocolError) {
      return failure(
        'E_BAD_ANSWER',
        `the answer is not ${serializationName(reply.serialization >> 3)}: ${error.message}`,
      );
    }
    // Text may be six times as long as what it stands for; V8 has a bound of its own for strings.
    if (error instanceof RangeError) return failure('E_ANSWER_TOO_LARGE', 'the answer is too large as JSON');
    throw error;
  }
}

function toJson(reply: Reply, schema: MethodSchema | null): string | Failure {
  const body = reply.bytes.subarray(reply.bodyStart, reply.bodyEnd);
  if (body.length === 0) return 'null'; // a void answer
  const serialization = reply.serialization >> 3;
  if (serialization === SIMPLE) {
    const value = decodeSimpleValue(body);
    const json = schema?.returns === 'json' ? heldJson(value) : null;
    return json === null ? JSON.stringify(plainJson(value, schema)) : promisedJson(json);
  }
  if (serialization === BREEZE) {
    const [value, another] = decodeBreezeArguments(body);
    if (another !== undefined) throw new ProtocolError('more than one value');
    return JSON.stringify(breezeToJson(value!));
  }
  if (serialization === JSON_TEXT) return checkedJson(body);
  const name = serializationName(serialization);
  return failure('E_BAD_ANSWER', `the answer is in ${name}, which typed calls do not read`);
}

/** Without a schema bytes must be told from text; with one a plain text is what its reader expects. */
function plainJson(value: SimpleValue, schema: MethodSchema | null): unknown {
  if (value.type === 'bytes' && schema?.returns === 'bytes') return value.value.toString('base64');
  return simpleToJson(value);
}

/** The bytes of a value that is to be JSON itself; null for a value that is none of text and bytes, which stays as it is. */
function heldJson(value: SimpleValue): Buffer | null {
  if (value.type === 'bytes') return value.value;
  if (value.type !== 'string') return null;
  return Buffer.isBuffer(value.value) ? value.value : Buffer.from(value.value);
}

function promisedJson(body: Buffer): string | Failure {
  try {
    return checkedJson(body);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return failure('E_BAD_ANSWER', `the answer is not the JSON that its schema promises: ${error.message}`);
  }
}

function checkedJson(body: Buffer): string {
  if (!isUtf8(body)) throw new ProtocolError('it is not UTF-8');
  const text = body.toString('utf8');
  try {
    JSON.parse(text);
  } catch (error) {
    throw new ProtocolError(messageOf(error)); // JSON.parse says nothing but SyntaxError
  }
  return text;
}
