/**
 * How a node stands in Consul: as Motan Java writes it (spec agent 6.6), so that each finds the other's.
 *
 *   name   motanrpc_<group>, for an agent itself motanagent_<application>
 *   id     <host>:<port>-<path>@<protocol>:<group>, for a copy ~c<its mark> behind it
 *   tags   protocol_<protocol>
 *          URL_<the url in Java's form, escaped as a whole>
 *
 * and commands in the key-value store, those for agents under a name that no group has:
 *
 *   motan/command/motanrpc_<group>
 *   motan/command/agent/<application>
 *
 * Java's id ends behind the path, so one process that serves a path in two groups on one port has one entry for both. Java reads an id
 * only where the tag with the url is missing, and then takes what follows the first `-`; ours always have the tag.
 */
import {
  AgentError,
  COPY_MARK,
  type CommandScope,
  isCopy,
  MeshUrl,
  type ServiceName,
} from '../../../core/index.js';

const SERVICE_PREFIX = 'motanrpc_';
const AGENT_PREFIX = 'motanagent_';
const COMMAND_PREFIX = 'motan/command/';
const PROTOCOL_TAG = 'protocol_';
const URL_TAG = 'URL_';
/** More than any url. */
const TAG_CHARS_MAX = 64 * 1024;

export function serviceNameOf({ group }: Pick<MeshUrl, 'group'>): string {
  return SERVICE_PREFIX + group;
}

/** Registered under a name of its own: whoever reads the services of a group finds no agents among them. */
export function registeredNameOf(node: MeshUrl): string {
  return node.text('nodeType') === 'agent' ? AGENT_PREFIX + node.group : serviceNameOf(node);
}

/** Throws AgentError `E_REGISTRY` for a name that the API does not take in a path. */
export function commandKeyOf(scope: CommandScope): string {
  const name = scope.kind === 'service' ? serviceNameOf(scope) : `agent/${scope.application}`;
  // A `%` would be undone twice by newer versions.
  if (/[%\p{C}]/u.test(name) || name.split('/').some((part) => part === '' || part === '.' || part === '..'))
    throw new AgentError('E_REGISTRY', `${JSON.stringify(name)} cannot be a key of Consul`);
  return COMMAND_PREFIX + name;
}

/** No `%`: newer versions of Consul undo escapes of an id in a path twice. */
export function idOf(node: MeshUrl): string {
  // The last @ is the one before the protocol, because the group has none: so no two nodes share an id.
  const group = node.group.replaceAll('~', '~0').replaceAll('@', '~1');
  // A copy stands beside the entry of the node itself, so that neither is taken for the other.
  const copy = isCopy(node) ? `~c${node.text(COPY_MARK)}` : '';
  return `${node.address}-${node.path}@${node.protocol}:${group}${copy}`;
}

export function checkIdOf(id: string): string {
  return `service:${id}`;
}

export function tagsOf(node: MeshUrl): readonly string[] {
  return [PROTOCOL_TAG + node.protocol, URL_TAG + encodeURIComponent(toJavaText(node))];
}

/** An entry of `/v1/health/service`, as far as it counts here. */
export interface HealthEntry {
  readonly id: string;
  readonly tags: readonly string[];
  readonly address: string;
  readonly port: number;
}

/** Throws with the reason when it is none: whatever may be written there by others. */
export function toHealthEntry(value: unknown): HealthEntry {
  const { Service, Node } = fields(value);
  const service = fields(Service);
  const { ID, Tags, Address, Port } = service;
  const address = text(Address) || text(fields(Node).Address);
  return {
    id: text(ID),
    tags: Array.isArray(Tags) ? Tags.filter((tag) => typeof tag === 'string') : [],
    address,
    port: typeof Port === 'number' ? Port : 0,
  };
}

/** The tag with the url; null when there is none. Nodes with the same tag are the same. */
export function urlTagOf(entry: HealthEntry): string | null {
  return entry.tags.find((tag) => tag.startsWith(URL_TAG)) ?? null;
}

/** The node that an entry stands for. Throws with the reason when it stands for none. */
export function nodeOf(entry: HealthEntry, group: string): MeshUrl {
  const tag = urlTagOf(entry);
  const node = tag === null ? nodeOfFields(entry, group) : nodeOfTag(tag);
  if (node.host === '') throw new Error('no host');
  if (!node.host.startsWith('unix://') && (node.port < 1 || node.port > 65_535)) throw new Error('no port');
  if (node.path === '') throw new Error('no service');
  return node;
}

/** The group of a name in the catalog; null for what is no service of Motan. */
export function groupOfName(name: string): string | null {
  return name.startsWith(SERVICE_PREFIX) ? name.slice(SERVICE_PREFIX.length) : null;
}

/** The services of a group that the tags of all its entries name; null when some entry may have none. */
export function servicesOfTags(group: string, tags: readonly string[]): readonly ServiceName[] | null {
  const urlTags = tags.filter((tag) => tag.startsWith(URL_TAG));
  if (urlTags.length === 0) return null;
  const paths = new Set<string>();
  for (const tag of urlTags) {
    try {
      paths.add(nodeOfTag(tag).path);
    } catch {
      // left out; whoever watches the group is told
    }
  }
  return [...paths].map((path) => ({ group, path }));
}

/** For people: which entry, without what would break a line of a log. */
export function nameOf(entry: HealthEntry): string {
  return JSON.stringify(entry.id.length > 200 ? `${entry.id.slice(0, 200)}...` : entry.id);
}

function nodeOfTag(tag: string): MeshUrl {
  if (tag.length > TAG_CHARS_MAX)
    throw new Error(`a url of ${tag.length} characters, expected at most ${TAG_CHARS_MAX}`);
  const escaped = tag.slice(URL_TAG.length);
  // Not escaped as a whole: written by hand.
  if (escaped.includes('://')) return MeshUrl.parse(escaped);
  let url: string;
  try {
    url = decodeURIComponent(escaped.replaceAll('+', '%20'));
  } catch {
    throw new Error(`the tag ${JSON.stringify(tag.slice(0, 200))} is not validly escaped`);
  }
  // What is left of a plus is a blank in a parameter; a plus itself is escaped there.
  const questionAt = url.indexOf('?');
  if (questionAt < 0) return MeshUrl.parse(url);
  return MeshUrl.parse(url.slice(0, questionAt) + url.slice(questionAt).replaceAll('+', '%20'));
}

function nodeOfFields({ id, tags, address, port }: HealthEntry, group: string): MeshUrl {
  const dashAt = id.indexOf('-');
  const protocol = tags.find((tag) => tag.startsWith(PROTOCOL_TAG))?.slice(PROTOCOL_TAG.length) ?? '';
  if (dashAt < 0 || protocol === '') throw new Error('neither a tag URL_ nor an id and a tag protocol_');
  return new MeshUrl({
    protocol,
    host: address,
    port,
    path: id.slice(dashAt + 1),
    group,
    parameters: new Map([['nodeType', 'service']]),
  });
}

/** Escaped, and with a `&` behind each parameter, the group among them. */
function toJavaText(node: MeshUrl): string {
  let out = `${node.protocol}://${node.host}:${node.port}/${node.path}?group=${encodeURIComponent(node.group)}&`;
  for (const name of [...node.parameters.keys()].sort())
    out += `${encodeURIComponent(name)}=${encodeURIComponent(node.text(name))}&`;
  return out;
}

function fields(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('no entry of a service');
  return value as Record<string, unknown>;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
