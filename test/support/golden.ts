/** The golden vectors, and one comparable form for values of vectors and of decoders. */
import { readFileSync } from 'node:fs';
import type { BreezeValue, SimpleValue, WireText } from '../../src/wire/serialization/index.js';

export interface VectorValue {
  readonly t: string;
  readonly v?: unknown;
  readonly hex?: string;
  readonly bits?: string;
}

export interface Vector {
  readonly name: string;
  readonly kind: 'value' | 'arguments' | 'motan2-frame' | 'motan1-frame';
  readonly hex: string;
  readonly fields: Readonly<Record<string, unknown>> & {
    readonly serialization?: string;
    readonly value?: VectorValue;
    readonly arguments?: readonly VectorValue[];
  };
}

export interface AgentVector {
  readonly id: string;
  readonly role: 'client-agent' | 'server-agent';
  readonly to_agent: string;
  readonly agent_to_upstream: string | null;
  readonly upstream_to_agent: string | null;
  readonly from_agent: string | null;
}

function lines(file: string): unknown[] {
  const text = readFileSync(new URL(`../golden/${file}`, import.meta.url), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

export const vectors = [...lines('go-motan.jsonl'), ...lines('java-motan.jsonl')] as readonly Vector[];
export const agentVectors = lines('agent-transformations.jsonl') as readonly AgentVector[];

export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ''), 'hex');
}

/** Nested arrays of text; equal exactly when two values are equal in type and content, maps in any order. */
export type Canonical = string | readonly Canonical[];

export function canonicalVector(value: VectorValue): Canonical {
  if (value.t === 'nil') return 'null';
  if (value.t === 'bytes') return `bytes:${value.hex}`;
  if (value.bits !== undefined) return `${value.t}:${value.bits}`;
  if (Array.isArray(value.v)) {
    const items = value.v as unknown[];
    if (!value.t.startsWith('map')) return ['list', ...items.map(canonicalItem)];
    return canonicalMap(
      (items as [unknown, unknown][]).map(([key, item]) => [canonicalItem(key), canonicalItem(item)]),
    );
  }
  if (typeof value.v === 'object' && value.v !== null) {
    return canonicalMap(
      Object.entries(value.v).map(([key, item]) => [canonicalItem(key), canonicalItem(item)]),
    );
  }
  return `${value.t}:${String(value.v)}`;
}

function canonicalItem(item: unknown): Canonical {
  return typeof item === 'string' ? `string:${item}` : canonicalVector(item as VectorValue);
}

export function canonical(value: SimpleValue | BreezeValue): Canonical {
  switch (value.type) {
    case 'null':
      return 'null';
    case 'bytes':
      return `bytes:${value.value.toString('hex')}`;
    case 'float32':
    case 'float64':
      return `${value.type}:${(value.nan ?? floatBytes(value.type, value.value)).toString('hex')}`;
    case 'stringMap':
      return canonicalMap(value.entries.map(([key, item]) => [canonicalText(key), canonicalText(item)]));
    case 'stringArray':
      return ['list', ...value.elements.map(canonicalText)];
    case 'map':
      return canonicalMap(value.entries.map(([key, item]) => [canonical(key), canonical(item)]));
    case 'array':
      return ['list', ...value.elements.map(canonical)];
    case 'message':
      return [
        'message',
        canonicalText(value.name),
        ...value.fields.map(([index, item]) => [`${index}`, canonical(item)]),
      ];
    default:
      return `${value.type}:${String(value.value)}`;
  }
}

function canonicalText(text: WireText): Canonical {
  return typeof text === 'string' ? `string:${text}` : `text:${text.toString('hex')}`;
}

function canonicalMap(pairs: readonly [Canonical, Canonical][]): Canonical {
  return ['map', ...[...pairs].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))];
}

function floatBytes(type: 'float32' | 'float64', value: number): Buffer {
  const bytes = Buffer.alloc(type === 'float32' ? 4 : 8);
  if (type === 'float32') bytes.writeFloatBE(value);
  else bytes.writeDoubleBE(value);
  return bytes;
}
