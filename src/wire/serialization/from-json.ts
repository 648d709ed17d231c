/**
 * Values of the wire as JSON and back: for people (`peony call`, `peony decode`) and for callers that speak HTTP.
 *
 * JSON has fewer types than the wire. What a JSON value becomes when nothing says otherwise:
 *
 *   null, true, "text"            null, bool, string
 *   5    1.5    3.0    1e3        int64, float64, float64, float64 (the last two only when read from text)
 *   ["a"]   [1, "a"]   []         string array; array; array
 *   {"a":"b"}   {"a":1}   {}      string map; map; null, because PHP 8 loops on an empty string map
 *
 * Everything else has a typed form, an object with one key:
 *
 *   {"$int32": 5}  {"$int64": "9007199254740993"}  {"$int16": 1}  {"$byte": 255}  {"$float32": 1.5}  {"$float64": "NaN"}
 *   {"$bytes": "base64"}  {"$text": "base64"} (a string that is not UTF-8)  {"$array": [...]}  {"$stringArray": [...]}
 *   {"$map": {...} or [[key, value], ...]}  {"$stringMap": {...} or [[key, value], ...]}
 */
import { AgentError } from '../../core/index.js';
import { type SimpleValue, VALUE_LIMITS, type WireText } from './value.js';

export type SimpleType = SimpleValue['type'];

export interface FromJsonOptions {
  /** Type that the outermost value shall have; without it the type is inferred. */
  readonly type?: SimpleType;
  /** False: an object with a key like `$int32` is a map like any other. For JSON of strangers. Default true. */
  readonly typedForms?: boolean;
}

/** A parsed JSON value; `bigint` is taken as int64. Throws AgentError `E_VALUE` naming the place in the value. */
export function jsonToSimple(json: unknown, options: FromJsonOptions = {}): SimpleValue {
  const reader = new JsonReader(options.typedForms ?? true);
  return options.type === undefined ? reader.infer(json, '$', 0) : reader.as(options.type, json, '$', 0);
}

/**
 * As `jsonToSimple`, from text: integers beyond 2^53 stay exact and `3.0` is a float64.
 * Throws AgentError `E_VALUE`, also for text that is not JSON.
 */
export function jsonTextToSimple(text: string, options: FromJsonOptions = {}): SimpleValue {
  return jsonToSimple(parseExact(text), options);
}

export interface ArgumentOptions {
  /** One type for each argument; without it types are inferred and any number of arguments is taken. */
  readonly types?: readonly SimpleType[] | null;
  /** As in FromJsonOptions. */
  readonly typedForms?: boolean;
}

/**
 * The arguments of a call from the text of a JSON array, exact as in `jsonTextToSimple`.
 * Throws AgentError `E_VALUE` naming the argument, counted from 1, and the place in it.
 */
export function jsonTextToArguments(text: string, options: ArgumentOptions = {}): SimpleValue[] {
  const json = parseExact(text);
  if (!Array.isArray(json)) {
    throw new AgentError('E_VALUE', `the arguments must be a JSON array, got ${shown(json)}`);
  }
  const { types = null } = options;
  if (types !== null && types.length !== json.length) {
    const wanted = `${types.length} ${types.length === 1 ? 'argument' : 'arguments'}`;
    throw new AgentError('E_VALUE', `the method takes ${wanted} (${types.join(', ')}), got ${json.length}`);
  }
  const reader = new JsonReader(options.typedForms ?? true);
  return json.map((item, index) => {
    const path = `argument ${index + 1}: $`;
    const type = types?.[index];
    return type === undefined ? reader.infer(item, path, 0) : reader.as(type, item, path, 0);
  });
}

/** Stands for a number whose text says more than a JS number holds. */
class ExactNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Without any of these all numbers are integers of up to 15 digits, which JSON.parse does not change. In strings they do no harm. */
const INEXACT = /\d[.eE]|\d{16}|-0/;

function parseExact(text: string): unknown {
  try {
    if (!INEXACT.test(text)) return JSON.parse(text);
    // Once as it is, to be told of errors in their own place and to find a mark that no string begins with.
    let longest = 0;
    JSON.parse(text, (_key, value: unknown) => {
      if (typeof value === 'string') longest = Math.max(longest, /^#*/.exec(value)![0].length);
      return null;
    });
    return parseMarked(text, '#'.repeat(longest + 1));
  } catch (error) {
    if (error instanceof RangeError)
      throw new AgentError('E_VALUE', 'JSON is nested too deep', { cause: error });
    if (error instanceof SyntaxError) {
      throw new AgentError('E_VALUE', `not JSON: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** The text is valid, so each number stands alone; those that JSON.parse would change travel as marked strings. */
function parseMarked(text: string, mark: string): unknown {
  const numbers: ExactNumber[] = [];
  const marked = text.replace(STRING_OR_NUMBER, (token) => {
    if (token.startsWith('"') || (/^-?\d{1,15}$/.test(token) && token !== '-0')) return token;
    numbers.push(new ExactNumber(token));
    return `"${mark}${numbers.length - 1}"`;
  });
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? numbers[Number(value.slice(mark.length))] : value,
  );
}

class JsonReader {
  readonly #typedForms: boolean;

  constructor(typedForms: boolean) {
    this.#typedForms = typedForms;
  }

  infer(json: unknown, path: string, depth: number): SimpleValue {
    if (depth > VALUE_LIMITS.depthMax) throw refusal(path, `is nested deeper than ${VALUE_LIMITS.depthMax}`);
    if (json === null) return { type: 'null' };
    switch (typeof json) {
      case 'string':
        return this.as('string', json, path, depth);
      case 'boolean':
        return { type: 'bool', value: json };
      case 'bigint':
        return this.as('int64', json, path, depth);
      case 'number':
        return this.as(Number.isInteger(json) ? 'int64' : 'float64', json, path, depth);
      case 'object':
        break;
      default:
        throw refusal(path, `is no JSON value but a ${typeof json}`);
    }
    if (json instanceof ExactNumber) {
      return this.as(/^-?\d+$/.test(json.text) ? 'int64' : 'float64', json, path, depth);
    }
    if (Array.isArray(json)) {
      const isStrings = json.length > 0 && json.every((item) => typeof item === 'string');
      return this.as(isStrings ? 'stringArray' : 'array', json, path, depth);
    }
    return this.#inferObject(json as Record<string, unknown>, path, depth);
  }

  #inferObject(json: Record<string, unknown>, path: string, depth: number): SimpleValue {
    const keys = Object.keys(json);
    if (keys.length === 0) return { type: 'null' };
    const only = keys[0]!;
    if (this.#typedForms && keys.length === 1 && only.startsWith('$'))
      return this.#typedForm(only, json[only], path, depth);
    const isStrings = keys.every((key) => typeof json[key] === 'string');
    return this.as(isStrings ? 'stringMap' : 'map', json, path, depth);
  }

  #typedForm(name: string, json: unknown, path: string, depth: number): SimpleValue {
    const inner = `${path}.${name}`;
    if (name === '$text') return { type: 'string', value: base64(json, inner) };
    const type = TYPED_FORMS.get(name);
    if (type !== undefined) return this.as(type, json, inner, depth);
    const known = [...TYPED_FORMS.keys(), '$text'].join(', ');
    throw refusal(
      path,
      `has the unknown type ${name}; known are ${known}; a map with this key is {"$map": {"${name}": ...}}`,
    );
  }

  as(type: SimpleType, json: unknown, path: string, depth: number): SimpleValue {
    if (depth > VALUE_LIMITS.depthMax) throw refusal(path, `is nested deeper than ${VALUE_LIMITS.depthMax}`);
    switch (type) {
      case 'null':
        if (json !== null) throw refusal(path, 'must be null');
        return { type };
      case 'string':
        return { type, value: string(json, path) };
      case 'bool':
        if (typeof json !== 'boolean') throw refusal(path, 'must be true or false');
        return { type, value: json };
      case 'byte':
        return { type, value: integer(json, path, 0n, 255n) };
      case 'int16':
        return { type, value: integer(json, path, -0x8000n, 0x7fffn) };
      case 'int32':
        return { type, value: integer(json, path, -0x80000000n, 0x7fffffffn) };
      case 'int64':
        return { type, value: bigInteger(json, path, -(1n << 63n), (1n << 63n) - 1n) };
      case 'float32':
      case 'float64':
        return { type, value: float(json, path, type) };
      case 'bytes':
        return { type, value: base64(json, path) };
      case 'stringMap':
        return {
          type,
          entries: pairs(json, path).map(([key, value]) => [text(key, path), text(value, path)]),
        };
      case 'stringArray':
        return { type, elements: list(json, path).map((item, index) => text(item, `${path}[${index}]`)) };
      case 'array':
        return {
          type,
          elements: list(json, path).map((item, index) => this.infer(item, `${path}[${index}]`, depth + 1)),
        };
      case 'map':
        return { type, entries: pairs(json, path).map((pair) => this.#mapEntry(pair, path, depth)) };
    }
  }

  #mapEntry(
    [key, value]: readonly [unknown, unknown],
    path: string,
    depth: number,
  ): [SimpleValue, SimpleValue] {
    const inner = typeof key === 'string' ? `${path}.${key}` : `${path}[...]`;
    return [this.infer(key, inner, depth + 1), this.infer(value, inner, depth + 1)];
  }
}

const TYPED_FORMS: ReadonlyMap<string, SimpleType> = new Map(
  (
    [
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
    ] as SimpleType[]
  )
    .concat('stringMap', 'stringArray', 'map', 'array')
    .map((type) => [`$${type}`, type]),
);

function refusal(path: string, what: string): AgentError {
  return new AgentError('E_VALUE', `${path} ${what}`);
}

function string(json: unknown, path: string): string {
  if (typeof json !== 'string') throw refusal(path, `must be a string, got ${shown(json)}`);
  // Half a character, which an escape can make: no UTF-8 holds it.
  if (/\p{Surrogate}/u.test(json)) throw refusal(path, 'has half of a surrogate pair');
  return json;
}

/** A string, or the typed form of bytes that are not UTF-8. */
function text(json: unknown, path: string): WireText {
  if (typeof json === 'object' && json !== null && Object.keys(json).length === 1 && '$text' in json) {
    return base64(json.$text, `${path}.$text`);
  }
  return string(json, path);
}

function list(json: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(json)) throw refusal(path, `must be an array, got ${shown(json)}`);
  return json;
}

function pairs(json: unknown, path: string): readonly (readonly [unknown, unknown])[] {
  if (Array.isArray(json)) {
    return json.map((pair: unknown, index) => {
      if (!Array.isArray(pair) || pair.length !== 2)
        throw refusal(`${path}[${index}]`, 'must be a pair [key, value]');
      return [pair[0] as unknown, pair[1] as unknown];
    });
  }
  if (typeof json !== 'object' || json === null || json instanceof ExactNumber) {
    throw refusal(path, `must be an object or an array of pairs, got ${shown(json)}`);
  }
  return Object.entries(json);
}

function integer(json: unknown, path: string, min: bigint, max: bigint): number {
  return Number(bigInteger(json, path, min, max));
}

function bigInteger(json: unknown, path: string, min: bigint, max: bigint): bigint {
  const given = json instanceof ExactNumber ? json.text : json;
  const isDigits = typeof given === 'string' && /^-?\d{1,40}$/.test(given);
  if (!isDigits && typeof given !== 'bigint' && !Number.isInteger(given)) {
    throw refusal(path, `must be an integer, got ${shown(json)}`);
  }
  const value = BigInt(given as string | bigint | number);
  if (value < min || value > max) throw refusal(path, `must be from ${min} to ${max}, got ${shown(json)}`);
  return value;
}

function float(json: unknown, path: string, type: 'float32' | 'float64'): number {
  if (typeof json === 'number' || json instanceof ExactNumber) {
    const value = typeof json === 'number' ? json : Number(json.text);
    const isOver = !Number.isFinite(type === 'float32' ? Math.fround(value) : value);
    if (isOver && (typeof json !== 'number' || Number.isFinite(json)))
      throw refusal(path, `is beyond what a ${type} holds: ${shown(json)}`);
    return value;
  }
  if (json === 'NaN' || json === 'Infinity' || json === '-Infinity' || json === '-0') return Number(json);
  throw refusal(path, `must be a number, "NaN", "Infinity", "-Infinity" or "-0", got ${shown(json)}`);
}

function base64(json: unknown, path: string): Buffer {
  const given = string(json, path);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(given) || given.length % 4 === 1) throw refusal(path, 'must be base64');
  return Buffer.from(given, 'base64');
}

function shown(json: unknown): string {
  if (json instanceof ExactNumber) return json.text.slice(0, 60);
  if (typeof json === 'bigint' || json === undefined) return String(json);
  if (typeof json === 'object' && json !== null) return Array.isArray(json) ? 'an array' : 'an object';
  return JSON.stringify(json).slice(0, 60);
}
