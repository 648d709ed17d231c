/** Sections `metrics`, `switchers`, `switcher`, and the top-level meta settings (spec agent 2.4, 9.1, 10). */
import type { MetricsConfig } from '../../core/index.js';
import type { LoadContext } from './context.js';
import { sectionOf } from './entry.js';
import { type EnvironmentVariables, isPort } from './environment.js';
import { SECTIONS } from './keys.js';
import { nearestName } from './near.js';
import type { ConfigNode, MapNode } from './node.js';

const DEFAULT_PERIOD_SECONDS = 5;
const DEFAULT_META_PREFIX = 'META_';
const DEFAULT_META_CACHE_SECONDS = 3;

type Graphite = MetricsConfig['graphite'][number];

export function readMetrics(context: LoadContext): MetricsConfig {
  const section = sectionOf(context.tree, 'metrics', context.problems);
  let periodSeconds = DEFAULT_PERIOD_SECONDS;
  let graphite: Graphite[] = [];
  for (const { key, keyAt, node } of section?.entries.values() ?? []) {
    // The peers match these names without case.
    const name = key.toLowerCase();
    if (name === 'period')
      periodSeconds = positiveInteger(node, 'metrics.period', DEFAULT_PERIOD_SECONDS, context);
    else if (name === 'processor') positiveInteger(node, 'metrics.processor', 1, context);
    else if (name === 'graphite') graphite = readGraphite(node, context);
    else {
      const near = nearestName(name, ['period', 'processor', 'graphite']);
      if (near !== null)
        context.problems.warning({
          code: 'unknown-key',
          key: `metrics.${key}`,
          node,
          at: keyAt,
          message: 'unknown key, ignored',
          didYouMean: near,
        });
    }
  }
  return Object.freeze({ periodSeconds, graphite });
}

function positiveInteger(
  node: ConfigNode,
  key: string,
  otherwise: number,
  { problems }: LoadContext,
): number {
  if (node.kind === 'scalar' && node.type === 'null') return otherwise;
  if (node.kind === 'scalar' && node.type === 'integer' && typeof node.value === 'number' && node.value >= 1)
    return node.value;
  problems.error({
    code: 'type',
    key,
    node,
    message: `the default ${otherwise} is used`,
    expected: 'an integer of at least 1',
    entry: key,
  });
  return otherwise;
}

function readGraphite(node: ConfigNode, { problems }: LoadContext): Graphite[] {
  if (node.kind === 'scalar' && node.type === 'null') return [];
  if (node.kind !== 'list') {
    problems.error({
      code: 'type',
      key: 'metrics.graphite',
      node,
      message: 'left out',
      expected: 'a list of {name, host, port}',
      entry: 'metrics.graphite',
    });
    return [];
  }
  const targets: Graphite[] = [];
  for (const [index, item] of node.items.entries()) {
    const target = item.kind === 'map' ? graphiteOf(item) : null;
    if (target !== null) targets.push(target);
    else {
      const key = `metrics.graphite[${index}]`;
      problems.error({
        code: 'type',
        key,
        node: item,
        message: 'the target is left out',
        expected: '{name: text, host: text, port: 1 to 65535}',
        entry: key,
      });
    }
  }
  return targets;
}

function graphiteOf(map: MapNode): Graphite | null {
  const fields = new Map([...map.entries.values()].map((entry) => [entry.key.toLowerCase(), entry.node]));
  const scalarOf = (name: string): unknown => {
    const node = fields.get(name);
    return node?.kind === 'scalar' ? node.value : undefined;
  };
  const [name, host, port] = [scalarOf('name') ?? '', scalarOf('host'), scalarOf('port')];
  if (
    typeof name !== 'string' ||
    typeof host !== 'string' ||
    host === '' ||
    typeof port !== 'number' ||
    !isPort(port)
  )
    return null;
  return Object.freeze({ name, host, port });
}

/** `switchers` first; there one wrong value voids the section, as in motan-go. In `switcher` only the wrong one is left out. */
export function readSwitchers(context: LoadContext): ReadonlyMap<string, boolean> {
  const switchers = new Map<string, boolean>();
  const tolerant = sectionOf(context.tree, 'switchers', context.problems);
  const wrong = [...(tolerant?.entries.values() ?? [])].find((entry) => switchOf(entry.node) === null);
  if (wrong !== undefined) {
    context.problems.warning({
      code: 'type',
      key: `switchers.${wrong.key}`,
      node: wrong.node,
      message: 'the whole section is ignored',
      expected: 'true or false',
    });
  } else {
    for (const entry of tolerant?.entries.values() ?? []) switchers.set(entry.key, switchOf(entry.node)!);
  }
  for (const entry of sectionOf(context.tree, 'switcher', context.problems)?.entries.values() ?? []) {
    const key = `switcher.${entry.key}`;
    const value = switchOf(entry.node);
    if (value !== null) switchers.set(entry.key, value);
    else
      context.problems.error({
        code: 'type',
        key,
        node: entry.node,
        message: 'the switcher is left out',
        expected: 'true or false',
        entry: key,
      });
  }
  return switchers;
}

function switchOf(node: ConfigNode): boolean | null {
  return node.kind === 'scalar' && typeof node.value === 'boolean' ? node.value : null;
}

export function readMetaPrefix({ tree, problems }: LoadContext): string {
  const node = tree.get('envMetaPrefix');
  if (node === undefined || (node.kind === 'scalar' && (node.type === 'null' || node.value === '')))
    return DEFAULT_META_PREFIX;
  if (node.kind === 'scalar' && node.type === 'string') return String(node.value);
  problems.error({
    code: 'type',
    key: 'envMetaPrefix',
    node,
    message: `${DEFAULT_META_PREFIX} is used`,
    expected: 'text',
    entry: 'envMetaPrefix',
  });
  return DEFAULT_META_PREFIX;
}

/** motan-go reads a quoted text only and ignores a number; who writes a number means it, so it counts here. */
export function readMetaCacheSeconds({ tree, problems }: LoadContext): number {
  const key = 'metaCacheExpireSecond';
  const node = tree.get(key);
  if (node === undefined || (node.kind === 'scalar' && node.type === 'null'))
    return DEFAULT_META_CACHE_SECONDS;
  const seconds = node.kind === 'scalar' && /^\d{1,9}$/.test(node.source) ? Number(node.source) : 0;
  if (seconds < 1) {
    problems.error({
      code: 'type',
      key,
      node,
      message: `${DEFAULT_META_CACHE_SECONDS} is used`,
      expected: 'seconds, at least 1',
      entry: key,
    });
    return DEFAULT_META_CACHE_SECONDS;
  }
  if (node.kind === 'scalar' && node.type !== 'string') {
    problems.warning({
      code: 'type',
      key,
      node,
      message: 'used, but motan-go ignores it without quotes',
      expected: `"${seconds}"`,
    });
  }
  return seconds;
}

/** Static meta of this node. Unlike motan-go the whole value counts, also behind a second `=`. */
export function staticMetaOf(variables: EnvironmentVariables, prefix: string): ReadonlyMap<string, string> {
  const meta = new Map<string, string>();
  for (const [name, value] of Object.entries(variables)) {
    if (name.startsWith(prefix) && value !== undefined) meta.set(name, value);
  }
  return meta;
}

export function warnOfUnknownSections({ tree, problems }: LoadContext): void {
  for (const entry of tree.entries.values()) {
    if (Object.hasOwn(SECTIONS, entry.key)) continue;
    const near = nearestName(entry.key, Object.keys(SECTIONS));
    if (near === null) continue;
    problems.warning({
      code: 'unknown-key',
      key: entry.key,
      at: entry.keyAt,
      value: entry.key,
      message: 'unknown section, kept without meaning to the agent',
      didYouMean: near,
    });
  }
}
