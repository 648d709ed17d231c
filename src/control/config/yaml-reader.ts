/**
 * YAML text to a value tree, in the dialect of go-yaml v2 that files in the field rely on (spec agent 2.2):
 * duplicate keys (the last wins), YAML 1.1 scalars, anchors, `<<`, only the first document of a stream.
 *
 * The `yaml` package parses with its `failsafe` schema, where every scalar is text; what a scalar means is decided in scalar.ts.
 * Depth and the size that aliases expand to are bounded, so a small file cannot become a large tree.
 */
import { isAlias, isMap, isScalar, isSeq, type Node, parseAllDocuments, type YAMLMap } from 'yaml';
import { messageOf } from '../../core/index.js';
import {
  type ConfigNode,
  ListNode,
  type MapEntry,
  MapNode,
  ScalarNode,
  type ScalarType,
  SourceFile,
  type Spot,
} from './node.js';
import type { Problems } from './problems.js';
import { resolveScalar } from './scalar.js';

const DEPTH_MAX = 100;
/** Values that a file may expand to, aliases counted each time they are used. */
const NODES_MAX = 2_000_000;
const NOTHING: readonly ConfigNode[] = [];
const TAG = 'tag:yaml.org,2002:';
const TYPED_TAGS: ReadonlyMap<string, ScalarType> = new Map([
  [`${TAG}int`, 'integer'],
  [`${TAG}float`, 'float'],
  [`${TAG}bool`, 'boolean'],
  [`${TAG}null`, 'null'],
]);

/** The root of the first document, or null when the text is broken: then fatal problems were added. An empty file is an empty map. */
export function readYaml(name: string, text: string, problems: Problems): MapNode | null {
  const file = new SourceFile(name);
  const node = new YamlReader(file, problems).read(text);
  if (node === null) return null;
  if (node.kind === 'map') return node;
  if (node.kind === 'scalar' && node.type === 'null') return new MapNode(node, new Map());
  problems.fatal({
    code: 'not-a-map',
    key: '',
    node,
    message: 'a configuration file must hold a map of sections',
    expected: '`section:` at the start of a line',
  });
  return null;
}

/** Ends the conversion of a file; the problem is already reported. */
class Unreadable extends Error {}

class YamlReader {
  readonly #file: SourceFile;
  readonly #problems: Problems;
  /** Converted anchors; null while the anchored node is still being converted. */
  readonly #anchors = new Map<string, ConfigNode | null>();
  readonly #sizes = new Map<ConfigNode, number>();
  /** Keys from the root to the value that is being converted. */
  readonly #path: string[] = [];
  #nodes = 0;

  constructor(file: SourceFile, problems: Problems) {
    this.#file = file;
    this.#problems = problems;
  }

  read(text: string): ConfigNode | null {
    const document = this.#parse(text);
    if (document === null) return null;
    const before = this.#problems.list.length;
    for (const error of document.errors) this.#syntaxError(error.message, error.pos[0]);
    if (this.#problems.list.length > before) return null;
    const start = { file: this.#file, offset: 0 };
    try {
      if (document.contents === null) return new ScalarNode(start, 'null', null, '');
      return this.#convert(document.contents, start, 0);
    } catch (error) {
      if (error instanceof Unreadable) return null;
      throw error;
    }
  }

  #parse(
    text: string,
  ): { contents: Node | null; errors: readonly { message: string; pos: [number, number] }[] } | null {
    try {
      const documents = parseAllDocuments(text, {
        schema: 'failsafe',
        lineCounter: this.#file.lines,
        uniqueKeys: false,
        merge: false,
        strict: false,
        prettyErrors: false,
        logLevel: 'silent',
        keepSourceTokens: false,
        resolveKnownTags: false,
      });
      if (!Array.isArray(documents) || documents.length === 0) return { contents: null, errors: [] };
      const second = documents[1];
      if (second !== undefined) {
        this.#problems.warning({
          code: 'second-document',
          key: '',
          at: { file: this.#file, offset: second.range[0] },
          message: 'only the first document of a file is read',
        });
      }
      return documents[0]!;
    } catch (error) {
      // The parser is recursive: very deep nesting exhausts the stack.
      this.#syntaxError(error instanceof RangeError ? 'nested too deeply' : messageOf(error), 0);
      return null;
    }
  }

  #syntaxError(message: string, offset: number): void {
    this.#problems.fatal({ code: 'yaml-syntax', key: '', at: { file: this.#file, offset }, message });
  }

  #fail(message: string, at: Spot): never {
    this.#syntaxError(message, at.offset);
    throw new Unreadable(message);
  }

  /** `fallback` is the place of a value that has no text of its own, such as the null in `key:`. */
  #convert(node: Node, fallback: Spot, depth: number): ConfigNode {
    const spot = { file: this.#file, offset: node.range?.[0] ?? fallback.offset };
    if (depth > DEPTH_MAX) this.#fail(`nested more than ${DEPTH_MAX} levels`, spot);
    if (isAlias(node)) return this.#alias(node.source, spot);
    this.#count(1, spot);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, null);
    const before = this.#nodes;
    const converted = this.#convertOwn(node, spot, fallback, depth);
    if (anchor !== undefined) {
      this.#anchors.set(anchor, converted);
      this.#sizes.set(converted, this.#nodes - before + 1);
    }
    return converted;
  }

  #convertOwn(node: Node, spot: Spot, fallback: Spot, depth: number): ConfigNode {
    if (isMap(node)) return this.#map(node, spot, depth);
    if (isSeq(node)) {
      return new ListNode(
        spot,
        node.items.map((item) => this.#convert(item as Node, spot, depth + 1)),
      );
    }
    if (!isScalar(node)) return this.#fail('not a YAML 1.1 value', spot);
    const source = node.source ?? String(node.value);
    return this.#scalar(
      source,
      node.type === 'PLAIN',
      node.tag,
      source === '' && node.type === 'PLAIN' ? fallback : spot,
    );
  }

  #count(nodes: number, spot: Spot): void {
    this.#nodes += nodes;
    if (this.#nodes > NODES_MAX) this.#fail(`more than ${NODES_MAX} values, aliases expanded`, spot);
  }

  #alias(name: string, spot: Spot): ConfigNode {
    const target = this.#anchors.get(name);
    if (target === undefined) this.#fail(`unknown anchor "${name}"`, spot);
    if (target === null) this.#fail(`anchor "${name}" contains itself`, spot);
    this.#count(this.#sizes.get(target) ?? 1, spot);
    return target;
  }

  #scalar(source: string, isPlain: boolean, tag: string | undefined, spot: Spot): ScalarNode {
    const wanted = tag === undefined ? undefined : TYPED_TAGS.get(tag);
    if (wanted !== undefined || (isPlain && tag === undefined)) {
      const { type, value } = resolveScalar(source);
      if (wanted === 'float' && type === 'integer')
        return new ScalarNode(spot, 'float', Number(value), source);
      if (wanted !== undefined && wanted !== type) this.#fail(`"${source}" is not of type ${wanted}`, spot);
      return new ScalarNode(spot, type, value, source);
    }
    const value = tag === `${TAG}binary` ? Buffer.from(source, 'base64').toString('latin1') : source;
    return new ScalarNode(spot, 'string', value, source);
  }

  #map(node: YAMLMap, spot: Spot, depth: number): MapNode {
    const entries = new Map<string, MapEntry>();
    const explicit = new Set<string>(); // keys that stand here, not those that `<<` brought
    for (const pair of node.items) {
      const keyNode = pair.key as Node | null;
      const keyAt = { file: this.#file, offset: keyNode?.range?.[0] ?? spot.offset };
      const key = this.#key(keyNode, keyAt, depth);
      this.#path.push(key.text);
      const value = pair.value as Node | null;
      const converted =
        value === null ? new ScalarNode(keyAt, 'null', null, '') : this.#convert(value, keyAt, depth + 1);
      if (isMergeKey(keyNode)) {
        this.#mergeInto(entries, explicit, converted, keyAt);
      } else {
        this.#setEntry(entries, explicit, key, converted, keyAt);
        explicit.add(key.text);
      }
      this.#path.pop();
    }
    return new MapNode(spot, entries);
  }

  #key(node: Node | null, keyAt: Spot, depth: number): { text: string; isText: boolean } {
    const key =
      node === null ? new ScalarNode(keyAt, 'null', null, '') : this.#convert(node, keyAt, depth + 1);
    if (key.kind !== 'scalar') return this.#fail('a map or list cannot be a key', keyAt);
    return { text: key.type === 'string' ? String(key.value) : key.source, isText: key.type === 'string' };
  }

  #setEntry(
    entries: Map<string, MapEntry>,
    explicit: ReadonlySet<string>,
    key: { text: string; isText: boolean },
    node: ConfigNode,
    keyAt: Spot,
  ): void {
    const earlier = entries.get(key.text);
    if (earlier !== undefined && explicit.has(key.text)) {
      this.#problems.warning({
        code: 'duplicate-key',
        key: this.#path.join('.'),
        at: keyAt,
        message: `the key is set twice in one map; this one wins over line ${this.#file.lines.linePos(earlier.keyAt.offset).line}`,
      });
    }
    const overrode = earlier === undefined ? NOTHING : [...earlier.overrode, earlier.node];
    entries.set(key.text, { key: key.text, keyAt, keyIsText: key.isText, node, overrode });
  }

  /**
   * go-yaml v2 applies `<<` where it stands: keys before it are replaced, keys after it win (YAML 1.1 says that explicit keys always
   * win). Of a list of maps the earlier ones win.
   */
  #mergeInto(
    entries: Map<string, MapEntry>,
    explicit: ReadonlySet<string>,
    merged: ConfigNode,
    keyAt: Spot,
  ): void {
    const maps = merged.kind === 'list' ? [...merged.items].reverse() : [merged];
    for (const map of maps) {
      if (map.kind !== 'map') this.#fail('`<<` needs a map or a list of maps', keyAt);
      for (const [name, entry] of map.entries) {
        const earlier = entries.get(name);
        if (earlier !== undefined && explicit.has(name)) {
          this.#problems.warning({
            code: 'merge-overrides',
            key: [...this.#path.slice(0, -1), name].join('.'),
            at: keyAt,
            message:
              '`<<` replaces a key that stands before it, as go-yaml does; put `<<` first to let the key win',
          });
        }
        const overrode = earlier === undefined ? entry.overrode : [...earlier.overrode, earlier.node];
        entries.set(name, { ...entry, overrode });
      }
    }
  }
}

function isMergeKey(node: Node | null): boolean {
  return (
    isScalar(node) && node.source === '<<' && node.type !== 'QUOTE_DOUBLE' && node.type !== 'QUOTE_SINGLE'
  );
}
