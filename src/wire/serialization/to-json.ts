/** Values of the wire as JSON: the table and the typed forms stand in from-json.ts, which reads them back. */
import type { BreezeValue, SimpleValue, WireText } from './value.js';

export interface ToJsonOptions {
  /** Typed forms wherever plain JSON would be read back as another type. Default false: readable, some types are lost. */
  readonly exact?: boolean;
  /** `text`: byte arrays that are valid UTF-8 become strings. Default `base64`: `{"$bytes": ...}`. */
  readonly bytesAs?: 'base64' | 'text';
}

/**
 * A value as JSON. Integers beyond 2^53 are strings of digits, maps with other keys than strings (or with repeated ones) are
 * `{"$map": [[key, value], ...]}`, NaN and infinities are typed forms.
 */
export function simpleToJson(value: SimpleValue, options: ToJsonOptions = {}): unknown {
  return toJson(value, {
    exact: options.exact ?? false,
    bytesAs: options.bytesAs ?? 'base64',
    isBreeze: false,
  });
}

/** As `simpleToJson`; a message is `{"$message": name, "fields": {index: value}}`. */
export function breezeToJson(value: BreezeValue, options: ToJsonOptions = {}): unknown {
  return toJson(value, {
    exact: options.exact ?? false,
    bytesAs: options.bytesAs ?? 'base64',
    isBreeze: true,
  });
}

interface Style {
  readonly exact: boolean;
  readonly bytesAs: 'base64' | 'text';
  /** Breeze has no string containers, so plain JSON stands for its generic ones. */
  readonly isBreeze: boolean;
}

function toJson(value: SimpleValue | BreezeValue, style: Style): unknown {
  switch (value.type) {
    case 'null':
      return null;
    case 'bool':
      return value.value;
    case 'string':
      return textToJson(value.value);
    case 'bytes':
      return bytesToJson(value.value, style);
    case 'byte':
    case 'int16':
    case 'int32':
      return style.exact ? { [`$${value.type}`]: value.value } : value.value;
    case 'int64':
      return int64ToJson(value.value, style);
    case 'float32':
    case 'float64':
      return floatToJson(value.type, value.value, style);
    case 'stringMap':
      return stringMapToJson(value.entries, style);
    case 'stringArray': {
      const elements = value.elements.map(textToJson);
      const isPlain =
        !style.exact || (elements.length > 0 && elements.every((item) => typeof item === 'string'));
      return isPlain ? elements : { $stringArray: elements };
    }
    case 'map':
      return mapToJson(value.entries, style);
    case 'array': {
      const elements = value.elements.map((item) => toJson(item, style));
      const wouldBeStrings = elements.length > 0 && elements.every((item) => typeof item === 'string');
      return style.exact && !style.isBreeze && wouldBeStrings ? { $array: elements } : elements;
    }
    case 'message':
      return {
        $message: textToJson(value.name),
        fields: fieldsToJson(value.fields, style),
      };
  }
}

function fieldsToJson(fields: readonly (readonly [number, BreezeValue])[], style: Style): unknown {
  const pairsJson = fields.map(([index, field]) => [String(index), toJson(field, style)] as const);
  return toObject(pairsJson, false) ?? pairsJson;
}

function textToJson(value: WireText): unknown {
  return typeof value === 'string' ? value : { $text: value.toString('base64') };
}

function bytesToJson(value: Buffer, style: Style): unknown {
  if (style.bytesAs === 'text' && !style.exact) {
    const read = value.toString('utf8');
    if (Buffer.from(read, 'utf8').equals(value)) return read;
  }
  return { $bytes: value.toString('base64') };
}

function int64ToJson(value: bigint, style: Style): unknown {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  return style.exact ? { $int64: String(value) } : String(value);
}

function floatToJson(type: 'float32' | 'float64', value: number, style: Style): unknown {
  if (Object.is(value, -0)) return style.exact ? { [`$${type}`]: '-0' } : 0;
  if (!Number.isFinite(value)) return { [`$${type}`]: String(value) };
  const isPlain = !style.exact || (type === 'float64' && !Number.isInteger(value));
  return isPlain ? value : { [`$${type}`]: value };
}

function stringMapToJson(entries: readonly (readonly [WireText, WireText])[], style: Style): unknown {
  const pairsJson = entries.map(([key, value]) => [textToJson(key), textToJson(value)] as const);
  const object = toObject(pairsJson, style.exact);
  if (object === null) return { $stringMap: pairsJson };
  if (!style.exact) return object;
  const isPlain =
    entries.length > 0 && pairsJson.every(([, value]) => typeof value === 'string') && !looksTyped(object);
  return isPlain ? object : { $stringMap: object };
}

function mapToJson(
  entries: readonly (readonly [SimpleValue | BreezeValue, SimpleValue | BreezeValue])[],
  style: Style,
): unknown {
  const pairsJson = entries.map(([key, value]) => [toJson(key, style), toJson(value, style)] as const);
  const hasTextKeys = entries.every(([key]) => key.type === 'string' && typeof key.value === 'string');
  const object = hasTextKeys ? toObject(pairsJson, style.exact) : null;
  if (object === null) return { $map: pairsJson };
  if (!style.exact) return object;
  if (style.isBreeze) return looksTyped(object) ? { $map: object } : object;
  const wouldBeStrings = pairsJson.every(([, value]) => typeof value === 'string');
  return wouldBeStrings || looksTyped(object) ? { $map: object } : object;
}

/** Null when the keys are not all strings or not all different, or with `keepOrder` when properties would reorder them. */
function toObject(
  pairsJson: readonly (readonly [unknown, unknown])[],
  keepOrder: boolean,
): Record<string, unknown> | null {
  if (!pairsJson.every(([key]) => typeof key === 'string')) return null;
  const object = Object.fromEntries(pairsJson as readonly (readonly [string, unknown])[]);
  const keys = Object.keys(object);
  if (keys.length !== pairsJson.length) return null;
  if (keepOrder && keys.some((key, index) => key !== pairsJson[index]![0])) return null;
  return object;
}

function looksTyped(object: Record<string, unknown>): boolean {
  const keys = Object.keys(object);
  return keys.length === 1 && keys[0]!.startsWith('$');
}
