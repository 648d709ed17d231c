/** The types of `simple` as JSON Schema: what `from-json.ts` takes for an argument, and what `to-json.ts` makes of a value. */
import type { AnswerType, ValueType } from '../../../../core/index.js';

type JsonSchema = Readonly<Record<string, unknown>>;

const INT64_TEXT = { type: 'string', pattern: '^-?[0-9]{1,19}$' };
const BASE64 = { type: 'string', contentEncoding: 'base64' };
const PAIRS = { type: 'array', items: { type: 'array', minItems: 2, maxItems: 2 } };
const STRING = { type: 'string' };

const PLAIN: Readonly<Record<'null' | 'string' | 'bool' | 'byte' | 'int16' | 'int32', JsonSchema>> = {
  null: { type: 'null' },
  string: STRING,
  bool: { type: 'boolean' },
  byte: { type: 'integer', minimum: 0, maximum: 255 },
  int16: { type: 'integer', minimum: -32_768, maximum: 32_767 },
  int32: { type: 'integer', format: 'int32', minimum: -2_147_483_648, maximum: 2_147_483_647 },
};

const FLOAT_NAMES = { enum: ['NaN', 'Infinity', '-Infinity', '-0'] };

export const ARGUMENT_SCHEMAS: Readonly<Record<ValueType, JsonSchema>> = {
  ...PLAIN,
  int64: { anyOf: [{ type: 'integer', format: 'int64' }, INT64_TEXT] },
  float32: { anyOf: [{ type: 'number', format: 'float' }, FLOAT_NAMES] },
  float64: { anyOf: [{ type: 'number', format: 'double' }, FLOAT_NAMES] },
  bytes: BASE64,
  stringMap: { type: 'object', additionalProperties: STRING },
  stringArray: { type: 'array', items: STRING },
  map: { anyOf: [{ type: 'object' }, PAIRS] },
  array: { type: 'array' },
};

const TEXT_OR_BYTES = { anyOf: [STRING, only('$text', BASE64)] };

export const ANSWER_SCHEMAS: Readonly<Record<AnswerType, JsonSchema>> = {
  ...PLAIN,
  json: {},
  string: TEXT_OR_BYTES,
  int64: {
    description: 'Beyond 2^53 the digits as a string.',
    anyOf: [{ type: 'integer', format: 'int64' }, INT64_TEXT],
  },
  float32: { anyOf: [{ type: 'number', format: 'float' }, only('$float32', FLOAT_NAMES)] },
  float64: { anyOf: [{ type: 'number', format: 'double' }, only('$float64', FLOAT_NAMES)] },
  bytes: BASE64,
  stringMap: {
    description: 'Repeated keys, and keys that are not UTF-8, make pairs.',
    anyOf: [{ type: 'object', additionalProperties: TEXT_OR_BYTES }, only('$stringMap', PAIRS)],
  },
  stringArray: { type: 'array', items: TEXT_OR_BYTES },
  map: {
    description: 'Keys that are not all different strings make pairs.',
    anyOf: [{ type: 'object' }, only('$map', PAIRS)],
  },
  array: { type: 'array' },
};

function only(name: string, schema: JsonSchema): JsonSchema {
  return { type: 'object', properties: { [name]: schema }, required: [name], additionalProperties: false };
}
