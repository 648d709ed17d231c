/**
 * What `simple` and `breeze` bodies hold, as plain objects that lose nothing of the wire: each number keeps its width,
 * a map of strings is not a generic map, pairs keep their order and their duplicates.
 */

/** Text of the wire: a string when the bytes are valid UTF-8, the bytes themselves otherwise. */
export type WireText = string | Buffer;

export type ScalarValue =
  | { readonly type: 'null' }
  | { readonly type: 'string'; readonly value: WireText }
  | { readonly type: 'bool'; readonly value: boolean }
  /** 0 to 255; Java reads the same bits as signed. */
  | { readonly type: 'byte'; readonly value: number }
  | { readonly type: 'int16'; readonly value: number }
  | { readonly type: 'int32'; readonly value: number }
  | { readonly type: 'int64'; readonly value: bigint }
  /** `nan` holds the four or eight bytes of a NaN, whose payload a JS number cannot be trusted to keep. */
  | { readonly type: 'float32'; readonly value: number; readonly nan?: Buffer }
  | { readonly type: 'float64'; readonly value: number; readonly nan?: Buffer }
  | { readonly type: 'bytes'; readonly value: Buffer };

export type SimpleValue =
  | ScalarValue
  | { readonly type: 'stringMap'; readonly entries: readonly (readonly [WireText, WireText])[] }
  | { readonly type: 'stringArray'; readonly elements: readonly WireText[] }
  | { readonly type: 'map'; readonly entries: readonly (readonly [SimpleValue, SimpleValue])[] }
  | { readonly type: 'array'; readonly elements: readonly SimpleValue[] };

export type BreezeValue =
  | ScalarValue
  | { readonly type: 'map'; readonly entries: readonly (readonly [BreezeValue, BreezeValue])[] }
  | { readonly type: 'array'; readonly elements: readonly BreezeValue[] }
  /** A message of a schema that is not known here: fields by their index, in the order of the wire. */
  | {
      readonly type: 'message';
      readonly name: WireText;
      readonly fields: readonly (readonly [number, BreezeValue])[];
    };

/** Bounds of one body. A body that is over one of them is a ProtocolError. */
export interface ValueLimits {
  /** Containers inside containers; the outermost counts as 1. */
  readonly depthMax: number;
  /** Values of the whole body, containers, keys and elements included. */
  readonly valuesMax: number;
}

/** Deeper than any real value; far from what recursion can bear. A million values cost about 100 MB. */
export const VALUE_LIMITS: ValueLimits = { depthMax: 64, valuesMax: 1_000_000 };
