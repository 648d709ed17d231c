/** Sections `http-locations` and `http-service` (spec agent 2.13, 2.14; traffic 2.4, 2.5): each broken part is left out alone. */
import type { HttpClientConfig, HttpLocationConfig, HttpServiceMethod } from '../../core/index.js';
import { messageOf } from '../../core/index.js';
import type { LoadContext } from './context.js';
import { sectionOf } from './entry.js';
import { commaList } from './environment.js';
import { LOCATION_KEYS } from './keys.js';
import { nearestName } from './near.js';
import type { ConfigNode, MapNode, Spot } from './node.js';
import type { Problems } from './problems.js';
import { compileExpression } from './regular-expression.js';

const LOCATION_TYPES = ['start', 'exact', 'regexp', 'iregexp'] as const;
const CONDITIONS = ['exact', 'start', 'regexp', 'iregexp', 'regexpVar'];
type LocationType = (typeof LOCATION_TYPES)[number];

export function readHttpLocations(
  context: LoadContext,
  clients: readonly HttpClientConfig[],
): ReadonlyMap<string, readonly HttpLocationConfig[]> {
  const byDomain = new Map<string, readonly HttpLocationConfig[]>();
  for (const [domain, entry] of sectionOf(context.tree, 'http-locations', context.problems)?.entries ?? []) {
    const key = `http-locations.${domain}`;
    const { node } = entry;
    if (node.kind === 'scalar' && node.type === 'null') continue;
    if (node.kind !== 'list') {
      context.problems.error({
        code: 'type',
        key,
        node,
        message: 'the domain is left out',
        expected: 'a list of locations',
        entry: key,
      });
      continue;
    }
    const preloads = clients.filter((client) => client.domain === domain).map((client) => client.preload);
    const reader = new LocationReader(context.problems, preloads.length === 0 ? null : preloads.flat());
    byDomain.set(
      domain,
      node.items.map((item, index) => reader.read(item, `${key}[${index}]`)).filter((one) => one !== null),
    );
  }
  return byDomain;
}

class LocationReader {
  readonly #problems: Problems;
  /** Services that the domain's http-clients call over RPC; null when the domain has no client. */
  readonly #preload: readonly string[] | null;

  constructor(problems: Problems, preload: readonly string[] | null) {
    this.#problems = problems;
    this.#preload = preload;
  }

  read(node: ConfigNode, key: string): HttpLocationConfig | null {
    if (node.kind !== 'map')
      return this.#refuse(
        key,
        key,
        node,
        'type',
        'the location is left out',
        'a map with match and upstream',
      );
    this.#warnOfUnknownKeys(node, key);
    const match = this.#text(node, 'match', key);
    const upstream = this.#text(node, 'upstream', key);
    const type = this.#type(node, key);
    if (match === null || upstream === null || type === null) return null;
    if (type === 'regexp' || type === 'iregexp') {
      const trouble = expressionTrouble(match);
      if (trouble !== null) {
        return this.#refuse(
          key,
          `${key}.match`,
          node.get('match')!,
          'regexp',
          `${trouble}; the location is left out`,
          'an expression in RE2 syntax',
        );
      }
    }
    if (this.#preload !== null && !this.#preload.includes(upstream)) {
      this.#problems.warning({
        code: 'not-preloaded',
        key: `${key}.upstream`,
        node: node.get('upstream') ?? node,
        message: 'not in `preload` of the http-client of this domain: such requests are not called over RPC',
        didYouMean: nearestName(upstream, this.#preload),
      });
    }
    return Object.freeze({ match, type, upstream, rewriteRules: this.#rules(node, key) });
  }

  #refuse(
    entry: string,
    key: string,
    at: ConfigNode,
    code: string,
    message: string,
    expected: string,
    didYouMean: string | null = null,
  ): null {
    this.#problems.error({ code, key, node: at, message, expected, didYouMean, entry });
    return null;
  }

  #warnOfUnknownKeys(node: MapNode, key: string): void {
    for (const entry of node.entries.values()) {
      const near = Object.hasOwn(LOCATION_KEYS, entry.key)
        ? null
        : nearestName(entry.key, Object.keys(LOCATION_KEYS));
      if (near === null) continue;
      this.#problems.warning({
        code: 'unknown-key',
        key: `${key}.${entry.key}`,
        node: entry.node,
        at: entry.keyAt,
        message: 'unknown key, ignored',
        didYouMean: near,
      });
    }
  }

  #text(node: MapNode, name: string, key: string): string | null {
    const value = node.get(name);
    if (value?.kind === 'scalar' && value.type === 'string') return String(value.value);
    const message = value === undefined ? 'missing; the location is left out' : 'the location is left out';
    return this.#refuse(
      key,
      `${key}.${name}`,
      value ?? node,
      value === undefined ? 'missing' : 'type',
      message,
      'text',
    );
  }

  #type(node: MapNode, key: string): LocationType | null {
    const value = node.get('type');
    if (value === undefined || (value.kind === 'scalar' && (value.type === 'null' || value.value === '')))
      return 'start';
    const text = value.kind === 'scalar' ? String(value.value) : '';
    const type = LOCATION_TYPES.find((one) => one === text);
    if (type !== undefined) return type;
    const near = text === 'prefix' ? 'start' : nearestName(text, LOCATION_TYPES);
    return this.#refuse(
      key,
      `${key}.type`,
      value,
      'unknown-name',
      'unknown type; the location is left out',
      `one of ${LOCATION_TYPES.join(', ')}`,
      near,
    );
  }

  #rules(node: MapNode, key: string): string[] {
    const value = node.get('rewriteRules');
    if (value === undefined || (value.kind === 'scalar' && value.type === 'null')) return [];
    if (value.kind !== 'list') {
      this.#refuse(
        `${key}.rewriteRules`,
        `${key}.rewriteRules`,
        value,
        'type',
        'the rules are left out',
        'a list of rules',
      );
      return [];
    }
    const rules: string[] = [];
    for (const [index, item] of value.items.entries()) {
      const rule = item.kind === 'scalar' && item.type === 'string' ? String(item.value) : null;
      if (rule === '') continue;
      const trouble = rule === null ? 'not a text' : rewriteTrouble(rule);
      if (rule !== null && trouble === null) rules.push(rule);
      else {
        const ruleKey = `${key}.rewriteRules[${index}]`;
        this.#refuse(
          ruleKey,
          ruleKey,
          item,
          'rewrite-rule',
          `${trouble}; the rule is left out`,
          '`condition value pattern replacement` with single or more blanks between',
        );
      }
    }
    return rules;
  }
}

/** What is illegal about a rewrite rule, or null. Blanks at the ends make an empty word, as in the peers. */
export function rewriteTrouble(rule: string): string | null {
  const words = rule.split(/[\t\n\f\r ]+/);
  if (words.length !== 4) return `${words.length} words instead of 4`;
  const [condition, value, pattern] = words as [string, string, string, string];
  const name = condition.startsWith('!') ? condition.slice(1) : condition;
  if (!CONDITIONS.includes(name)) return `condition "${name}" is not one of ${CONDITIONS.join(', ')}`;
  if (words.includes('')) return 'blanks at the start or end';
  const trouble = name === 'exact' || name === 'start' ? null : expressionTrouble(value);
  return trouble ?? expressionTrouble(pattern);
}

/** Why a text is no RE2 expression, or null. */
export function expressionTrouble(text: string): string | null {
  try {
    compileExpression(text);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** Service conf id to method to target; a key may list several methods. Broken values leave out that method alone. */
export function readHttpServices(
  context: LoadContext,
  confIds: ReadonlySet<string>,
): ReadonlyMap<string, ReadonlyMap<string, HttpServiceMethod>> {
  const { problems } = context;
  const services = new Map<string, ReadonlyMap<string, HttpServiceMethod>>();
  for (const [confId, entry] of sectionOf(context.tree, 'http-service', problems)?.entries ?? []) {
    const key = `http-service.${confId}`;
    const map = requireMap(entry.node, key, entry.keyAt, problems);
    if (map === null) continue;
    if (!confIds.has(confId)) {
      problems.warning({
        code: 'no-effect',
        key,
        at: entry.keyAt,
        value: confId,
        message: 'there is no such service',
        didYouMean: nearestName(confId, confIds),
      });
    }
    const methods = new Map<string, HttpServiceMethod>();
    for (const [names, target] of map.entries) {
      const targetKey = `${key}.${names}`;
      const values = requireMap(target.node, targetKey, target.keyAt, problems);
      const method = values === null ? null : readMethod(values, targetKey, problems);
      if (method !== null) for (const name of commaList(names)) methods.set(name, method);
    }
    services.set(confId, methods);
  }
  return services;
}

function requireMap(node: ConfigNode, key: string, at: Spot, problems: Problems): MapNode | null {
  if (node.kind === 'map') return node;
  const isNull = node.kind === 'scalar' && node.type === 'null';
  problems.error({
    code: isNull ? 'null-entry' : 'type',
    key,
    node,
    at: isNull ? at : node,
    message: 'left out',
    expected: 'a map',
    entry: key,
  });
  return null;
}

function readMethod(values: MapNode, key: string, problems: Problems): HttpServiceMethod | null {
  for (const [name, entry] of values.entries) {
    if (entry.node.kind === 'scalar' && (entry.node.type === 'string' || entry.node.type === 'null'))
      continue;
    problems.error({
      code: 'type',
      key: `${key}.${name}`,
      node: entry.node,
      message: 'the method is left out',
      expected: 'text',
      entry: key,
    });
    return null;
  }
  const text = (name: string): string => {
    const node = values.get(name);
    return node?.kind === 'scalar' && node.value !== null ? String(node.value) : '';
  };
  return Object.freeze({ urlFormat: text('URL_FORMAT'), httpMethod: text('HTTP_REQUEST_METHOD') || 'GET' });
}
