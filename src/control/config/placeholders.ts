/**
 * Section `dynamic-param`: whole values `${name}` are replaced by a value of any type (spec agent 2.3). Maps are walked at any
 * depth; lists, keys and parts of strings are not.
 */
import { messageOf } from '../../core/index.js';
import { nearestName } from './near.js';
import { type ConfigNode, type MapEntry, MapNode, ScalarNode } from './node.js';
import type { Problems } from './problems.js';
import { compileExpression } from './regular-expression.js';

const SECTION = 'dynamic-param';
const WHOLE = /^\$\{(.+)\}$/s;
const PART = /\$\{([^${}]+)\}/g;
/** Filled in by discovery, not by configuration: spec agent 6.9. */
const LATER = 'idc';

export function replacePlaceholders(tree: MapNode, pool: string, problems: Problems): MapNode {
  const replacer = new Replacer(chooseValues(tree, pool, problems), problems);
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of tree.entries) {
    entries.set(key, key === SECTION ? entry : { ...entry, node: replacer.replace(entry.node, key) });
  }
  return new MapNode(tree, entries);
}

/** The value of each name for this pool. */
function chooseValues(tree: MapNode, pool: string, problems: Problems): ReadonlyMap<string, ConfigNode> {
  const values = new Map<string, ConfigNode>();
  const section = tree.get(SECTION);
  if (section === undefined) return values;
  if (section.kind !== 'map') {
    if (section.kind !== 'scalar' || section.type !== 'null') {
      problems.error({
        code: 'type',
        key: SECTION,
        node: section,
        message: 'the section is ignored',
        expected: 'a map',
        entry: SECTION,
      });
    }
    return values;
  }
  for (const [name, entry] of section.entries) {
    const key = `${SECTION}.${name}`;
    const chosen = entry.node.kind === 'map' ? chooseForPool(key, entry.node, pool, problems) : entry.node;
    if (chosen !== null) values.set(name, chosen);
    else {
      problems.warning({
        code: 'no-value-for-pool',
        key,
        at: entry.keyAt,
        message: `no value for pool "${pool}": the placeholder stays as it is`,
        expected: `a key "${pool}", a matching "regexp:", or "default"`,
      });
    }
  }
  return values;
}

/** The pool's own key, else the first matching expression in file order (undefined in motan-go), else `default`. */
function chooseForPool(key: string, choices: MapNode, pool: string, problems: Problems): ConfigNode | null {
  const own = choices.get(pool);
  let matched: MapEntry | null = null;
  for (const [choice, entry] of choices.entries) {
    if (!choice.startsWith('regexp:') || !matches(key, choice, entry, pool, problems)) continue;
    if (matched === null) matched = entry;
    else if (own === undefined) {
      problems.warning({
        code: 'ambiguous',
        key: `${key}.${choice}`,
        at: entry.keyAt,
        message: `two expressions match pool "${pool}"; "${matched.key}" stands first and is used`,
      });
    }
  }
  return own ?? matched?.node ?? choices.get('default') ?? null;
}

function matches(key: string, choice: string, entry: MapEntry, pool: string, problems: Problems): boolean {
  try {
    return compileExpression(choice.slice('regexp:'.length)).matcher(pool).find();
  } catch (error) {
    problems.error({
      code: 'regexp',
      key: `${key}.${choice}`,
      value: choice,
      at: entry.keyAt,
      message: `the expression is ignored: ${messageOf(error)}`,
      expected: 'an expression in RE2 syntax',
    });
    return false;
  }
}

class Replacer {
  readonly #values: ReadonlyMap<string, ConfigNode>;
  readonly #problems: Problems;

  constructor(values: ReadonlyMap<string, ConfigNode>, problems: Problems) {
    this.#values = values;
    this.#problems = problems;
  }

  replace(node: ConfigNode, key: string): ConfigNode {
    if (node.kind === 'scalar') return this.#replaceScalar(node, key);
    if (node.kind === 'list') return node;
    let entries: Map<string, MapEntry> | null = null; // copied only when something changes
    for (const [name, entry] of node.entries) {
      const replaced = this.replace(entry.node, `${key}.${name}`);
      if (replaced === entry.node) continue;
      entries ??= new Map(node.entries);
      entries.set(name, { ...entry, node: replaced });
    }
    return entries === null ? node : new MapNode(node, entries);
  }

  #replaceScalar(node: ScalarNode, key: string): ConfigNode {
    if (node.type !== 'string' || !node.source.includes('${')) return node;
    const text = String(node.value);
    const name = WHOLE.exec(text)?.[1];
    const value = name === undefined ? undefined : this.#values.get(name);
    if (name !== undefined && value !== undefined) {
      if (value.kind !== 'scalar') return value;
      return new ScalarNode(value, value.type, value.value, value.source, { name, usedAt: node });
    }
    this.#warn(node, key, text);
    return node;
  }

  #warn(node: ScalarNode, key: string, text: string): void {
    for (const [part, name] of text.matchAll(PART) as Iterable<[string, string]>) {
      if (name === LATER || key.startsWith('http-locations')) continue;
      const isKnown = this.#values.has(name);
      this.#problems.warning({
        code: isKnown ? 'partial-placeholder' : 'unknown-placeholder',
        key,
        node,
        message: isKnown
          ? `${part} is not replaced: only a whole value can be a placeholder`
          : `${part} is not in ${SECTION} and stays as it is`,
        didYouMean: isKnown ? null : nearestName(name, this.#values.keys()),
      });
    }
  }
}
