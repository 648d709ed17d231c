/**
 * What stands where in Redis, and what is in it.
 *
 *   peony:{g1/com.x.Echo}:nodes                           set of the names of nodes; ends a day after its last renewal
 *   peony:{g1/com.x.Echo}:node:motan2://10.0.0.5:9982     text, JSON: the node, while its lease lasts
 *   peony:{g1/com.x.Echo}:changed                         channel; a message is the name of the node that changed
 *   peony:{g1}:command                                    text: commands for all who refer to the group
 *   peony:{agent/shop}:command                            text: commands for the agents of an application
 *   peony:{g1}:command:changed                            channel; a message of any text says that the command changed
 *
 * What is in braces decides the slot in a cluster: all of one service is in one, so that it can be changed and read at once.
 */
import {
  AgentError,
  type Availability,
  type CommandScope,
  isCopy,
  type MeshUrl,
  type ServiceName,
} from '../../../core/index.js';
import { parseExactUrl, toExactUrl } from '../exact-url.js';

/** More than any url; a value may hold half a gigabyte. */
export const VALUE_BYTES_MAX = 16 * 1024;
const NAME_CHARACTERS_MAX = 512;

/** Where everything of one service is. */
export class ServicePlace {
  readonly group: string;
  readonly path: string;
  /** Two places with the same tag are the same service. */
  readonly tag: string;
  readonly nodesKey: string;
  readonly channel: string;
  readonly #nodePrefix: string;

  constructor(prefix: string, service: MeshUrl) {
    this.group = service.group;
    this.path = service.path;
    this.tag = `{${escaped(service.group)}/${escaped(service.path)}}`;
    this.nodesKey = `${prefix}:${this.tag}:nodes`;
    this.channel = `${prefix}:${this.tag}:changed`;
    this.#nodePrefix = `${prefix}:${this.tag}:node:`;
  }

  nodeKey(name: string): string {
    return this.#nodePrefix + name;
  }
}

/** Matches the `nodesKey` of every service. */
export function nodesKeyPattern(prefix: string): string {
  return `${prefix}:{*}:nodes`;
}

/** The service whose `nodesKey` it is; null for a key of something else. */
export function serviceOfNodesKey(prefix: string, key: string): ServiceName | null {
  const tagged = key.slice(prefix.length + 1, -':nodes'.length);
  const [, group, path] = /^\{([^/]*)\/([^/]*)\}$/.exec(tagged) ?? [];
  if (group === undefined || path === undefined) return null;
  try {
    return { group: decodeURIComponent(group), path: decodeURIComponent(path) };
  } catch {
    return null; // not written by us
  }
}

/** Where the commands of a scope are. */
export class CommandPlace {
  readonly key: string;
  readonly channel: string;

  constructor(prefix: string, scope: CommandScope) {
    const tag =
      scope.kind === 'service' ? `{${escaped(scope.group)}}` : `{agent/${escaped(scope.application)}}`;
    this.key = `${prefix}:${tag}:command`;
    this.channel = `${this.key}:changed`;
  }
}

/** What is listed of a node. */
export interface Entry {
  readonly node: MeshUrl;
  readonly availability: Availability;
  /** The process whose lease it is; null when an operator wrote it. */
  readonly owner: string | null;
}

/** Throws AgentError `E_REGISTRY` for a node that cannot be listed. */
export function nameOf(node: MeshUrl): string {
  const name = `${node.protocol}://${node.address}`;
  if (isName(name)) return name;
  throw new AgentError('E_REGISTRY', `a node with an address of ${name.length} characters cannot be listed`);
}

export function isName(text: string): boolean {
  return text !== '' && text.length <= NAME_CHARACTERS_MAX;
}

/** Throws AgentError `E_REGISTRY` for a node that cannot be listed. */
export function textOfEntry({ node, availability, owner }: Entry): string {
  const text = JSON.stringify({ url: toExactUrl(node), availability, owner });
  const bytes = Buffer.byteLength(text);
  if (bytes <= VALUE_BYTES_MAX) return text;
  throw new AgentError('E_REGISTRY', `${bytes} bytes cannot be listed, at most ${VALUE_BYTES_MAX} can`);
}

/** Throws with the reason when the text is no entry, or that of another node. */
export function entryOfText(text: string, name: string, place: ServicePlace): Entry {
  if (Buffer.byteLength(text) > VALUE_BYTES_MAX)
    throw new Error(`over ${VALUE_BYTES_MAX} bytes, which no node has`);
  const value = fieldsOf(text);
  const { url, availability = 'available', owner = null } = value;
  if (availability !== 'available' && availability !== 'unavailable')
    throw new Error(`availability is ${printable(availability)}, expected "available" or "unavailable"`);
  if (owner !== null && typeof owner !== 'string') throw new Error('owner is no text');
  const node = parseExactUrl(url);
  if (node.group !== place.group || node.path !== place.path)
    throw new Error(`its url is of ${printable(`${node.group}/${node.path}`)}`);
  if (`${node.protocol}://${node.address}` !== name)
    throw new Error(`its url is that of ${printable(`${node.protocol}://${node.address}`)}`);
  const isUnix = node.host.startsWith('unix://');
  if (node.host === '' || (!isUnix && (node.port < 1 || node.port > 65_535)))
    throw new Error('its url has no host or no port');
  return { node, availability, owner };
}

/** Whose entry the text is; null for nobody's, which is also what makes no sense. */
export function ownerOfText(text: string): string | null {
  try {
    const { owner } = fieldsOf(text);
    return typeof owner === 'string' ? owner : null;
  } catch {
    return null; // no entry: nobody keeps it alive
  }
}

/** Whether what stands there is the copy of a node of another registry. What makes no sense is not. */
export function isCopyText(text: string): boolean {
  try {
    return isCopy(parseExactUrl(fieldsOf(text).url));
  } catch {
    return false; // no entry: somebody's own
  }
}

/** Short, and without what would break a line of a log. */
export function printable(value: unknown): string {
  const text = String(value);
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}

function fieldsOf(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error('no JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('no JSON object, as an entry is');
  return value as Record<string, unknown>;
}

/** Without what ends a tag, separates group and path, or breaks a line. */
function escaped(text: string): string {
  return text.replace(/[%{}/\s\p{C}]/gu, (character) => {
    let out = '';
    for (const byte of Buffer.from(character)) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    return out;
  });
}
