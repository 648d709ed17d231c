/**
 * The value tree of a configuration: maps, lists and scalars that remember where they were written. It is what merging,
 * placeholders and checks work on. Nodes are immutable and may be shared (YAML aliases); lines and columns are
 * computed only when somebody asks.
 */
import { LineCounter } from 'yaml';
import type { Place } from '../../core/index.js';
import { redactTree } from '../../core/index.js';

export class SourceFile {
  readonly name: string;
  readonly lines = new LineCounter();

  constructor(name: string) {
    this.name = name;
  }

  placeAt(offset: number): Place {
    const { line, col } = this.lines.linePos(offset);
    return { file: this.name, line: Math.max(line, 1), column: Math.max(col, 1) };
  }
}

/** An offset in a file; becomes a Place on demand. */
export interface Spot {
  readonly file: SourceFile;
  readonly offset: number;
}

export type ScalarType = 'null' | 'boolean' | 'integer' | 'float' | 'string';
export type ScalarValue = null | boolean | number | bigint | string;

/** The placeholder through which a value came: its name and where it was used. */
export interface Placeholder {
  readonly name: string;
  readonly usedAt: Spot;
}

export class ScalarNode implements Spot {
  readonly kind = 'scalar';
  readonly file: SourceFile;
  readonly offset: number;
  readonly type: ScalarType;
  readonly value: ScalarValue;
  /** As written, without quotes. */
  readonly source: string;
  readonly through: Placeholder | null;

  constructor(
    spot: Spot,
    type: ScalarType,
    value: ScalarValue,
    source: string,
    through: Placeholder | null = null,
  ) {
    this.file = spot.file;
    this.offset = spot.offset;
    this.type = type;
    this.value = value;
    this.source = source;
    this.through = through;
  }
}

export class MapNode implements Spot {
  readonly kind = 'map';
  readonly file: SourceFile;
  readonly offset: number;
  readonly entries: ReadonlyMap<string, MapEntry>;

  constructor(spot: Spot, entries: ReadonlyMap<string, MapEntry>) {
    this.file = spot.file;
    this.offset = spot.offset;
    this.entries = entries;
  }

  get(key: string): ConfigNode | undefined {
    return this.entries.get(key)?.node;
  }
}

export class ListNode implements Spot {
  readonly kind = 'list';
  readonly file: SourceFile;
  readonly offset: number;
  readonly items: readonly ConfigNode[];

  constructor(spot: Spot, items: readonly ConfigNode[]) {
    this.file = spot.file;
    this.offset = spot.offset;
    this.items = items;
  }
}

export type ConfigNode = ScalarNode | MapNode | ListNode;

export interface MapEntry {
  readonly key: string;
  readonly keyAt: Spot;
  /** False for keys such as `1` or `yes`, which YAML 1.1 reads as a number or a boolean. */
  readonly keyIsText: boolean;
  readonly node: ConfigNode;
  /** Values that this one replaced, the oldest first. */
  readonly overrode: readonly ConfigNode[];
}

export function placeOf(spot: Spot): Place {
  return spot.file.placeAt(spot.offset);
}

/** A node as plain data. Integers beyond 2^53 become text, so that JSON can carry them. */
export function toPlain(node: ConfigNode): unknown {
  if (node.kind === 'scalar') return typeof node.value === 'bigint' ? String(node.value) : node.value;
  if (node.kind === 'list') return node.items.map(toPlain);
  // fromEntries defines own properties, so a key `__proto__` is data like any other.
  return Object.fromEntries([...node.entries.values()].map((entry) => [entry.key, toPlain(entry.node)]));
}

const SHOWN_CHARACTERS_MAX = 120;

/** A value for people: scalars as written, the rest abridged JSON. */
export function shownText(node: ConfigNode): string {
  const text = node.kind === 'scalar' ? node.source : JSON.stringify(redactTree(toPlain(node)));
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}...` : text;
}

const INT64_MAX = 2n ** 63n - 1n;

/**
 * What a value becomes as a url parameter (spec agent 2.2): integers decimal, floats shortest decimal without exponent, booleans
 * `true` or `false`; null, lists, maps and integers above int64 become empty.
 */
export function parameterText(node: ConfigNode): string {
  if (node.kind !== 'scalar' || node.value === null) return '';
  if (typeof node.value === 'bigint') return node.value > INT64_MAX ? '' : String(node.value);
  return node.type === 'float' ? decimalText(node.value as number) : String(node.value);
}

/** Go's FormatFloat(f, 'f', -1, 64). */
export function decimalText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const match = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(String(value));
  if (match === null) return String(value);
  const [, sign, whole, fraction = '', exponentText] = match as unknown as [
    string,
    string,
    string,
    string?,
    string?,
  ];
  const digits = whole + fraction;
  const pointAt = whole.length + Number(exponentText);
  if (pointAt <= 0) return `${sign}0.${'0'.repeat(-pointAt)}${digits}`;
  return sign + digits.padEnd(pointAt, '0');
}
