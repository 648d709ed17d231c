/**
 * Section `service-schema`: service path to method to the types of its arguments and answer. New in Peony, so unknown keys are
 * errors. A method that has one is left out alone: calls of it are then taken as they come.
 */
import {
  type AnswerType,
  type MethodSchema,
  type ServiceSchemas,
  VALUE_TYPES,
  type ValueType,
} from '../../core/index.js';
import type { LoadContext } from './context.js';
import { sectionOf } from './entry.js';
import { SCHEMA_KEYS } from './keys.js';
import { nearestName } from './near.js';
import type { ConfigNode, MapEntry, MapNode } from './node.js';
import type { Problems } from './problems.js';

const SECTION = 'service-schema';

/** What the types are called elsewhere. */
const OTHER_NAMES: ReadonlyMap<string, ValueType> = new Map([
  ['boolean', 'bool'],
  ['short', 'int16'],
  ['int', 'int32'],
  ['integer', 'int32'],
  ['long', 'int64'],
  ['float', 'float32'],
  ['double', 'float64'],
  ['number', 'float64'],
  ['text', 'string'],
  ['byte[]', 'bytes'],
  ['string[]', 'stringArray'],
  ['list', 'array'],
  ['object', 'map'],
  ['void', 'null'],
]);

/** @param services paths of all refers, which typed calls can reach */
export function readServiceSchemas(context: LoadContext, services: ReadonlySet<string>): ServiceSchemas {
  const { problems } = context;
  const schemas = new Map<string, ReadonlyMap<string, MethodSchema>>();
  for (const [service, entry] of sectionOf(context.tree, SECTION, problems)?.entries ?? []) {
    const key = `${SECTION}.${service}`;
    const map = entryMap(entry, key, problems);
    if (map === null) continue;
    if (!services.has(service)) {
      problems.warning({
        code: 'no-effect',
        key,
        at: entry.keyAt,
        value: service,
        message: 'no refer has this path: typed calls cannot reach it',
        didYouMean: nearestName(service, services),
      });
    }
    const methods = new Map<string, MethodSchema>();
    for (const [method, target] of map.entries) {
      const methodKey = `${key}.${method}`;
      const values = entryMap(target, methodKey, problems);
      const schema = values === null ? null : new MethodReader(values, methodKey, problems).read();
      if (schema !== null) methods.set(method, schema);
    }
    schemas.set(service, methods);
  }
  return schemas;
}

function entryMap(entry: MapEntry, key: string, problems: Problems): MapNode | null {
  const { node, keyAt } = entry;
  if (!entry.keyIsText) {
    problems.error({
      code: 'key-type',
      key,
      value: entry.key,
      at: keyAt,
      message: 'left out',
      expected: 'a text as name; quote it',
      entry: key,
    });
    return null;
  }
  if (node.kind === 'map') return node;
  const isNull = node.kind === 'scalar' && node.type === 'null';
  problems.error({
    code: isNull ? 'null-entry' : 'type',
    key,
    node,
    at: isNull ? keyAt : node,
    message: 'left out',
    expected: 'a map',
    entry: key,
  });
  return null;
}

class MethodReader {
  readonly #node: MapNode;
  readonly #key: string;
  readonly #problems: Problems;
  #isBroken = false;

  constructor(node: MapNode, key: string, problems: Problems) {
    this.#node = node;
    this.#key = key;
    this.#problems = problems;
  }

  /** Null when something is wrong: all of it has been reported. */
  read(): MethodSchema | null {
    this.#checkKeys();
    const args = this.#args();
    const returns = this.#node.get('returns');
    const schema = {
      args,
      returns: returns === undefined || isBlank(returns) ? null : this.#answerType(returns),
      desc: this.#text('desc'),
      description: this.#text('description'),
    };
    return this.#isBroken ? null : Object.freeze(schema);
  }

  #checkKeys(): void {
    const names = Object.keys(SCHEMA_KEYS);
    for (const { key, keyAt, node } of this.#node.entries.values()) {
      if (names.includes(key)) continue;
      const near = nearestName(key, names);
      const about = { key: `${this.#key}.${key}`, node, at: keyAt, didYouMean: near };
      this.#refuse({ ...about, code: 'unknown-key', expected: `one of ${names.join(', ')}` });
    }
  }

  #args(): readonly ValueType[] | null {
    const node = this.#node.get('args');
    if (node === undefined || isBlank(node)) return null;
    const key = `${this.#key}.args`;
    if (node.kind !== 'list') {
      this.#refuse({ key, node, code: 'type', expected: 'a list of types, [] for no arguments' });
      return null;
    }
    const types = node.items.map((item, index) => this.#type(item, `${key}[${index}]`));
    return Object.freeze(types.filter((type) => type !== null));
  }

  #answerType(node: ConfigNode): AnswerType | null {
    if (node.kind === 'scalar' && node.value === 'json') return 'json';
    return this.#type(node, `${this.#key}.returns`);
  }

  #type(node: ConfigNode, key: string): ValueType | null {
    // Written without quotes, the type `null` is YAML's null.
    const isNull = node.kind === 'scalar' && node.type === 'null';
    const name = isNull ? 'null' : node.kind === 'scalar' ? String(node.value) : '';
    const type = VALUE_TYPES.find((one) => one === name);
    if (type !== undefined) return type;
    this.#refuse({
      key,
      node,
      code: 'unknown-name',
      expected: `one of ${VALUE_TYPES.join(', ')}`,
      didYouMean: OTHER_NAMES.get(name.toLowerCase()) ?? nearestName(name, VALUE_TYPES),
    });
    return null;
  }

  #text(name: string): string {
    const node = this.#node.get(name);
    if (node === undefined || isBlank(node)) return '';
    if (node.kind === 'scalar' && node.type === 'string' && !hasControls(String(node.value), name)) {
      return String(node.value);
    }
    this.#refuse({ key: `${this.#key}.${name}`, node, code: 'type', expected: SCHEMA_KEYS[name]!.meaning });
    return '';
  }

  #refuse(finding: {
    key: string;
    node: ConfigNode;
    at?: MapEntry['keyAt'];
    code: string;
    expected: string;
    didYouMean?: string | null;
  }): void {
    this.#isBroken = true;
    this.#problems.error({ ...finding, message: 'the schema of the method is left out', entry: this.#key });
  }
}

function isBlank(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.type === 'null' && node.source !== 'null';
}

/** A description `M_md` is one value of the metadata, which ends at a line break. */
function hasControls(text: string, name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is being refused
  return name === 'desc' && /[\u0000-\u001f\u007f]/.test(text);
}
