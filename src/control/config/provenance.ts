/**
 * Where every effective value came from, and which values it overrode: what `peony config --explain` shows. Kept beside the
 * configuration, not in it; texts and places are made when somebody asks.
 */
import type { MeshUrl, Place } from '../../core/index.js';
import { type EntryDraft, URL_FIELDS } from './entry.js';
import { HTTP_CLIENT_KEYS, type KeyTable, REFER_KEYS, REGISTRY_KEYS, SERVICE_KEYS } from './keys.js';
import { nearestName } from './near.js';
import { type ConfigNode, type MapEntry, type MapNode, parameterText, placeOf, shownText } from './node.js';
import { shownValue } from './problems.js';

export interface Origin {
  readonly kind: 'file' | 'flag' | 'environment' | 'default' | 'derived';
  readonly value: string;
  /** Set for `file`. */
  readonly place: Place | null;
  /** The flag or variable, the reason, or the placeholder; null when there is nothing to add. */
  readonly note: string | null;
}

export interface Explanation {
  readonly key: string;
  /** The effective value. */
  readonly value: string;
  readonly origin: Origin;
  /** What it won over, the nearest loser last. */
  readonly overrode: readonly Origin[];
}

interface EntryTrace {
  readonly key: string;
  readonly draft: EntryDraft;
  readonly url: MeshUrl;
  /** Why this entry exists although nobody wrote it; null for written ones. */
  readonly copied: string | null;
}

const ENTRY_SECTIONS: Readonly<Record<string, KeyTable>> = {
  'motan-registry': REGISTRY_KEYS,
  'motan-refer': REFER_KEYS,
  'motan-service': SERVICE_KEYS,
  'http-client': HTTP_CLIENT_KEYS,
};

export class Provenance {
  readonly #tree: MapNode;
  readonly #settings: Explanation[] = [];
  readonly #entries = new Map<string, EntryTrace>();

  constructor(tree: MapNode) {
    this.#tree = tree;
  }

  addSetting(explanation: Explanation): void {
    this.#settings.push(explanation);
  }

  /** `id` is the final id, which differs from the draft's for a service of several groups. */
  addEntry(draft: EntryDraft, id: string, url: MeshUrl): void {
    const key = `${draft.section}.${id}`;
    this.#entries.set(key, { key, draft, url, copied: null });
  }

  addCopy(key: string, from: string, url: MeshUrl, reason: string): void {
    const trace = this.#entries.get(from);
    if (trace !== undefined) this.#entries.set(key, { ...trace, key, url, copied: reason });
  }

  /** Every key that has an effective value: agent settings, entries, then the other sections as written. */
  all(): Explanation[] {
    const all = [...this.#settings];
    for (const trace of this.#entries.values()) all.push(...explainEntry(trace));
    for (const entry of this.#tree.entries.values()) {
      if (entry.key !== 'motan-agent' && !Object.hasOwn(ENTRY_SECTIONS, entry.key))
        explainTree(entry.key, entry, all);
    }
    return all.map(withoutSecrets);
  }

  /** A key, or all keys below it. A known key that nobody set is explained by its default. Empty when there is nothing. */
  explain(key: string): Explanation[] {
    const found = this.all().filter(
      (one) => one.key === key || one.key.startsWith(`${key}.`) || one.key.startsWith(`${key}[`),
    );
    return found.length > 0 ? found : this.#defaultOf(key);
  }

  nearestKey(key: string): string | null {
    return nearestName(key, new Set(this.all().map((one) => one.key)));
  }

  #defaultOf(key: string): Explanation[] {
    for (const trace of this.#entries.values()) {
      if (!key.startsWith(`${trace.key}.`)) continue;
      const spec = ENTRY_SECTIONS[trace.draft.section]?.[key.slice(trace.key.length + 1)];
      if (spec?.initial == null) return [];
      return [
        {
          key,
          value: spec.initial,
          origin: { kind: 'default', value: spec.initial, place: null, note: null },
          overrode: [],
        },
      ];
    }
    return [];
  }
}

export function fileOrigin(node: ConfigNode, note: string | null = null): Origin {
  const through = node.kind === 'scalar' ? node.through : null;
  const used = through === null ? null : placeOf(through.usedAt);
  const via =
    used === null ? null : `through \${${through!.name}} at ${used.file}:${used.line}:${used.column}`;
  const notes = [note, via].filter((text) => text !== null);
  return {
    kind: 'file',
    value: shownText(node),
    place: placeOf(node),
    note: notes.length === 0 ? null : notes.join(', '),
  };
}

function withoutSecrets(one: Explanation): Explanation {
  const hide = (origin: Origin): Origin => ({ ...origin, value: shownValue(one.key, origin.value) });
  return {
    key: one.key,
    value: shownValue(one.key, one.value),
    origin: hide(one.origin),
    overrode: one.overrode.map(hide),
  };
}

function explainEntry(trace: EntryTrace): Explanation[] {
  const { draft, url } = trace;
  const values = new Map<string, string>(
    [...url.parameters].sort(([one], [other]) => (one < other ? -1 : 1)),
  );
  for (const field of ['group', 'path', 'port', 'host', 'protocol'] as const) {
    const text = String(url[field]);
    if (text !== '' && text !== '0') values.set(field, text);
  }
  return [...values].map(([name, value]) => explainParameter(trace, draft, name, value));
}

function explainParameter(trace: EntryTrace, draft: EntryDraft, name: string, value: string): Explanation {
  const written = writtenOrigins(draft, name);
  const key = `${trace.key}.${name}`;
  const derived =
    draft.derived.get(name) ?? (trace.copied !== null && name === 'group' ? trace.copied : undefined);
  const last = written.at(-1);
  if (derived === undefined && last !== undefined)
    return { key, value, origin: last, overrode: written.slice(0, -1) };
  return {
    key,
    value,
    origin: { kind: 'derived', value, place: null, note: derived ?? 'made by the agent' },
    overrode: written,
  };
}

/** What files say about a key of an entry, the weakest first. */
function writtenOrigins(draft: EntryDraft, name: string): Origin[] {
  const origins: Origin[] = [];
  const inherited = draft.basic?.entries.get(name);
  if (inherited !== undefined) origins.push(...entryOrigins(inherited, 'inherited'));
  const own = draft.own.entries.get(name);
  // An empty url field does not override the inherited one.
  const isEmptyField =
    own !== undefined && URL_FIELDS.has(name) && ['', '0'].includes(parameterText(own.node));
  if (own !== undefined) origins[isEmptyField ? 'unshift' : 'push'](...entryOrigins(own, null));
  return origins;
}

export function entryOrigins(entry: MapEntry, note: string | null): Origin[] {
  return [...entry.overrode, entry.node].map((node) => fileOrigin(node, note));
}

function explainTree(key: string, entry: MapEntry, into: Explanation[]): void {
  const overrode = entry.overrode.map((node) => fileOrigin(node));
  explainNode(key, entry.node, overrode, into);
}

function explainNode(key: string, node: ConfigNode, overrode: readonly Origin[], into: Explanation[]): void {
  if (node.kind === 'map') {
    for (const entry of node.entries.values()) explainTree(`${key}.${entry.key}`, entry, into);
  } else if (node.kind === 'list') {
    for (const [index, item] of node.items.entries()) explainNode(`${key}[${index}]`, item, [], into);
  } else {
    into.push({ key, value: parameterText(node), origin: fileOrigin(node), overrode });
  }
}
