/** Checks the keys of one map against a table: unknown names that are near a known one, and values that will not be read as written. */
import { toBool } from '../../core/index.js';
import type { KeySpec, KeyTable } from './keys.js';
import { METHOD_KEYS } from './keys.js';
import { nearestName } from './near.js';
import { type ConfigNode, type MapEntry, type MapNode, parameterText, type ScalarNode } from './node.js';
import { type Problems, shownValue } from './problems.js';

/** `prefix` is the key of the map. Values of free parameters are looked at for being scalars and rewritten numbers only. */
export function checkKeys(map: MapNode, prefix: string, table: KeyTable, problems: Problems): void {
  for (const entry of map.entries.values()) {
    const key = `${prefix}.${entry.key}`;
    const spec = specOf(entry.key, table);
    if (spec === null) checkUnknown(entry, key, table, problems);
    checkValue(entry, key, spec, problems);
  }
}

function specOf(name: string, table: KeyTable): KeySpec | null {
  if (Object.hasOwn(table, name)) return table[name]!;
  const methodKey = /^[^()]+\([^()]*\)\.(.+)$/.exec(name)?.[1];
  if (methodKey !== undefined && (METHOD_KEYS as readonly string[]).includes(methodKey))
    return table[methodKey] ?? null;
  if (name.startsWith('rateLimit.')) return table.rateLimit ?? null;
  return null;
}

function checkUnknown(entry: MapEntry, key: string, table: KeyTable, problems: Problems): void {
  if (!entry.keyIsText) {
    problems.warning({
      code: 'key-type',
      key,
      at: entry.keyAt,
      message: 'YAML 1.1 reads this key as a number or boolean',
      expected: 'a text key; quote it',
    });
    return;
  }
  const method = /^([^()]+\([^()]*\)\.)(.+)$/.exec(entry.key);
  const near =
    method === null ? nearestName(entry.key, Object.keys(table)) : nearestName(method[2]!, METHOD_KEYS);
  if (near === null) return;
  problems.warning({
    code: 'unknown-key',
    key,
    node: entry.node,
    at: entry.keyAt,
    message: 'unknown key, kept as a parameter without meaning to the agent',
    didYouMean: method === null ? near : method[1]! + near,
  });
}

function checkValue(entry: MapEntry, key: string, spec: KeySpec | null, problems: Problems): void {
  const node = entry.node;
  if (node.kind !== 'scalar') {
    if (spec?.type === 'list' && key.startsWith('metrics.')) return;
    problems.warning({
      code: 'not-a-scalar',
      key,
      node,
      message: 'lists and maps become an empty text here',
      expected: spec === null ? 'text, number or boolean' : expectedText(spec),
      didYouMean: joinedList(node),
    });
    return;
  }
  if (node.type === 'null') return;
  const text = parameterText(node);
  if (isRewritten(node, text, spec)) {
    problems.warning({
      code: 'rewritten-value',
      key,
      node,
      message: `without quotes YAML 1.1 reads this as ${JSON.stringify(shownValue(key, text))}`,
      expected: `quotes, if the text as written is meant: "${shownValue(key, node.source)}"`,
    });
  }
  const trouble = spec === null || text === '' ? null : troubleWith(text, spec);
  if (trouble !== null) {
    problems.warning({
      code: 'value',
      key,
      node,
      message: `${trouble}; the default${spec!.initial === null ? '' : ` (${spec!.initial})`} is used, as motan-go does`,
      expected: expectedText(spec!),
    });
  }
}

function isRewritten(node: ScalarNode, text: string, spec: KeySpec | null): boolean {
  if (text === node.source || node.type === 'string') return false;
  return !(node.type === 'boolean' && spec?.type === 'boolean');
}

function joinedList(node: ConfigNode): string | null {
  if (node.kind !== 'list' || node.items.length === 0) return null;
  return node.items.every((item) => item.kind === 'scalar') ? node.items.map(parameterText).join(',') : null;
}

function troubleWith(text: string, spec: KeySpec): string | null {
  if (spec.type === 'boolean') return toBool(text) === null ? 'not a boolean' : null;
  if (spec.type === 'number')
    return /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text) ? null : 'not a number';
  if (spec.type !== 'integer') return null;
  if (!/^[-+]?\d{1,18}$/.test(text)) return 'not an integer';
  if (spec.min !== undefined && Number(text) < spec.min) return `less than ${spec.min}`;
  return null;
}

export function expectedText(spec: KeySpec): string {
  const unit = spec.unit === undefined ? '' : ` (${spec.unit})`;
  if (spec.type === 'list') return 'a comma separated list in one text';
  if (spec.type === 'string') return 'text';
  if (spec.type === 'boolean') return 'true or false';
  const article = spec.type === 'integer' ? 'an integer' : 'a number';
  return article + unit + (spec.min === undefined ? '' : ` of at least ${spec.min}`);
}
