/** What the configuration tells of the methods of services: typed calls are checked by it, and `/v1/openapi.json` is made from it. */

/** Names of the types of serialization `simple`, as schemas use them. */
export const VALUE_TYPES = [
  'null',
  'string',
  'bool',
  'byte',
  'int16',
  'int32',
  'int64',
  'float32',
  'float64',
  'bytes',
  'stringMap',
  'stringArray',
  'map',
  'array',
] as const;

export type ValueType = (typeof VALUE_TYPES)[number];

/** What an answer may be besides: text or bytes that hold JSON, as PHP pages and HTTP services answer it. */
export type AnswerType = ValueType | 'json';

export interface MethodSchema {
  /** One type for each argument; null when arguments are taken as they come. */
  readonly args: readonly ValueType[] | null;
  /** Null when nothing is known of the answer. */
  readonly returns: AnswerType | null;
  /** Method description `M_md`, which Java needs to tell overloads apart; empty for none. */
  readonly desc: string;
  /** For people; empty for none. */
  readonly description: string;
}

/** Service path to method to what is known of it. */
export type ServiceSchemas = ReadonlyMap<string, ReadonlyMap<string, MethodSchema>>;
