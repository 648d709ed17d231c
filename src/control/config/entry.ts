/**
 * One entry of a section on its way to a url: fields and parameters after inheritance (spec agent 2.5, 2.6), and where each
 * came from.
 *
 *   basic entry --overridden by--> own entry --then--> derived values (filters, groups, defaults)
 */
import { MeshUrl } from '../../core/index.js';
import { checkKeys } from './check-keys.js';
import type { KeyTable } from './keys.js';
import { nearestName } from './near.js';
import { type ConfigNode, type MapEntry, type MapNode, parameterText, type Spot } from './node.js';
import type { Problems } from './problems.js';

const TEXT_FIELDS = ['protocol', 'host', 'path', 'group'] as const;
type TextField = (typeof TEXT_FIELDS)[number];
export const URL_FIELDS: ReadonlySet<string> = new Set([...TEXT_FIELDS, 'port']);

export class EntryDraft {
  readonly section: string;
  readonly id: string;
  readonly own: MapNode;
  readonly basic: MapNode | null;
  /** Place of the entry's id. */
  readonly at: Spot;
  readonly fields: Record<TextField, string> = { protocol: '', host: '', path: '', group: '' };
  port = 0;
  readonly parameters = new Map<string, string>();
  /** Keys whose value was not written by anybody in this form, with the reason. */
  readonly derived = new Map<string, string>();

  constructor(section: string, id: string, own: MapNode, basic: MapNode | null, at: Spot) {
    this.section = section;
    this.id = id;
    this.own = own;
    this.basic = basic;
    this.at = at;
    if (basic !== null) this.#lay(basic);
    this.#lay(own);
    this.parameters.set('conf-id', id);
    this.derived.set('conf-id', 'id of the entry');
  }

  get key(): string {
    return `${this.section}.${this.id}`;
  }

  text(name: string): string {
    return this.parameters.get(name) ?? '';
  }

  /** The node that gave a value, for places; undefined when nobody wrote it. */
  nodeOf(name: string): ConfigNode | undefined {
    return this.own.get(name) ?? this.basic?.get(name);
  }

  derive(name: string, value: string, reason: string): void {
    if (URL_FIELDS.has(name)) this.fields[name as TextField] = value;
    else this.parameters.set(name, value);
    this.derived.set(name, reason);
  }

  /** The url takes the parameters over: nothing may be derived afterwards. */
  toUrl(): MeshUrl {
    return new MeshUrl({ ...this.fields, port: this.port, parameters: this.parameters });
  }

  #lay(map: MapNode): void {
    for (const [name, entry] of map.entries) {
      const text = parameterText(entry.node);
      if (!URL_FIELDS.has(name)) this.parameters.set(name, text);
      else if (name === 'port') this.port = Number(text) || this.port;
      else if (text !== '') this.fields[name as TextField] = text;
    }
  }
}

/** The map of a section; null when it is missing, null or something else. */
export function sectionOf(tree: MapNode, name: string, problems: Problems): MapNode | null {
  const node = tree.get(name);
  if (node === undefined || (node.kind === 'scalar' && node.type === 'null')) return null;
  if (node.kind === 'map') return node;
  problems.error({
    code: 'type',
    key: name,
    node,
    message: 'the section is ignored',
    expected: 'a map of entries by id',
    entry: name,
  });
  return null;
}

/** Basic entries by id; null for one that is quarantined. */
export type Basics = ReadonlyMap<string, MapNode | null>;

export function readBasics(
  tree: MapNode,
  section: string,
  ownKey: string,
  table: KeyTable,
  problems: Problems,
): Basics {
  const basics = new Map<string, MapNode | null>();
  for (const [id, entry] of sectionOf(tree, section, problems)?.entries ?? []) {
    const map = entryMap(section, entry, table, problems);
    basics.set(id, map);
    const inherits = map?.entries.get(ownKey);
    if (inherits !== undefined) {
      problems.warning({
        code: 'no-effect',
        key: `${section}.${id}.${ownKey}`,
        node: inherits.node,
        at: inherits.keyAt,
        message: 'inheritance has one level: a basic entry does not inherit',
      });
    }
  }
  return basics;
}

export interface EntrySection {
  readonly section: string;
  readonly table: KeyTable;
  /** `basicRefer` or `basicService`. */
  readonly basicKey: string;
  readonly basics: Basics;
}

/** Reads all entries of a section with inheritance; what is broken is reported and left out. */
export function readEntries(tree: MapNode, kind: EntrySection, problems: Problems): EntryDraft[] {
  const drafts: EntryDraft[] = [];
  for (const [id, entry] of sectionOf(tree, kind.section, problems)?.entries ?? []) {
    const own = entryMap(kind.section, entry, kind.table, problems);
    if (own === null) continue;
    const basic = basicOf(own, id, kind, problems);
    if (basic !== 'quarantined') drafts.push(new EntryDraft(kind.section, id, own, basic, entry.keyAt));
  }
  return drafts;
}

/** The map of an entry with sound url fields, or null after reporting: these are what makes motan-go panic (spec agent 1.7). */
export function entryMap(
  section: string,
  entry: MapEntry,
  table: KeyTable,
  problems: Problems,
): MapNode | null {
  const key = `${section}.${entry.key}`;
  const { node } = entry;
  if (!entry.keyIsText) {
    problems.error({
      code: 'key-type',
      key,
      value: entry.key,
      at: entry.keyAt,
      message: 'the entry is left out',
      expected: 'a text as id; quote it',
      entry: key,
    });
    return null;
  }
  if (node.kind !== 'map') {
    const isNull = node.kind === 'scalar' && node.type === 'null';
    problems.error({
      code: isNull ? 'null-entry' : 'type',
      key,
      node,
      at: isNull ? entry.keyAt : node,
      message: isNull ? 'the entry is empty and left out' : 'the entry is left out',
      expected: 'a map of keys',
      entry: key,
    });
    return null;
  }
  checkKeys(node, key, table, problems);
  let isSound = true;
  for (const field of URL_FIELDS) {
    const value = node.get(field);
    if (value !== undefined) isSound = checkField(field, value, key, problems) && isSound;
  }
  return isSound ? node : null;
}

function checkField(field: string, node: ConfigNode, key: string, problems: Problems): boolean {
  const refuse = (expected: string, didYouMean: string | null = null): false => {
    problems.error({
      code: 'type',
      key: `${key}.${field}`,
      node,
      message: 'the entry is left out',
      expected,
      didYouMean,
      entry: key,
    });
    return false;
  };
  if (field === 'port') {
    if (node.kind === 'scalar' && node.type === 'integer') {
      const isInRange = typeof node.value === 'number' && node.value >= 0 && node.value <= 65_535;
      return isInRange || refuse('a port from 0 to 65535');
    }
    const digits = node.kind === 'scalar' && /^\d{1,5}$/.test(node.source) ? node.source : null;
    return refuse('an integer, without quotes', digits);
  }
  if (node.kind === 'scalar' && (node.type === 'string' || node.type === 'null')) return true;
  return refuse('text', node.kind === 'scalar' ? JSON.stringify(node.source) : null);
}

function basicOf(
  own: MapNode,
  id: string,
  kind: EntrySection,
  problems: Problems,
): MapNode | null | 'quarantined' {
  const node = own.get(kind.basicKey);
  const name = node === undefined ? '' : parameterText(node);
  if (name === '') return null;
  const key = `${kind.section}.${id}`;
  const basic = kind.basics.get(name);
  if (basic === null) {
    problems.error({
      code: 'bad-basic',
      key: `${key}.${kind.basicKey}`,
      ...(node === undefined ? {} : { node }),
      message: 'the entry is left out, because the one that it inherits from is',
      entry: key,
    });
    return 'quarantined';
  }
  if (basic !== undefined) return basic;
  problems.warning({
    code: 'unknown-basic',
    key: `${key}.${kind.basicKey}`,
    ...(node === undefined ? {} : { node }),
    message: 'nothing is inherited: there is no such basic entry',
    didYouMean: nearestName(name, kind.basics.keys()),
  });
  return null;
}
