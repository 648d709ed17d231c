/**
 * One announced node as a file.
 *
 *   <directory>/<group>/<service>/<protocol>~<host>~<port>.json     each name as `toFileName` writes it
 *   { "url": "motan2://10.0.0.5:9982/com.x.Echo?group=g1&...", "availability": "available",
 *     "owner": { "pid", "startTicks", "boot", "pidNamespace" }, "writtenAtMs": 1700000000000 }
 *
 * `url` may also be the JSON form of a url, which is written when the text form would lose something (a value with `&`).
 * Without `availability` a node is available; without `owner` it stands until somebody removes the file, so that an
 * operator can list by hand a service that does not know us.
 */
import path from 'node:path';
import { AgentError, type Availability, type MeshUrl } from '../../core/index.js';
import { parseExactUrl, toExactUrl } from './exact-url.js';
import { toFileName } from './file-names.js';
import { type ProcessIdentity, parseIdentity } from './process-identity.js';

export const NODE_FILE_BYTES_MAX = 65_536;
export const NODE_FILE_SUFFIX = '.json';

export interface NodeFile {
  readonly node: MeshUrl;
  readonly availability: Availability;
  readonly owner: ProcessIdentity | null;
}

export function serviceDirectory(root: string, group: string, service: string): string {
  return path.join(root, toFileName(group), toFileName(service));
}

export function nodeFilePath(root: string, node: MeshUrl): string {
  const name = `${toFileName(node.protocol)}~${toFileName(node.host)}~${node.port}${NODE_FILE_SUFFIX}`;
  return path.join(serviceDirectory(root, node.group, node.path), name);
}

/** Throws AgentError `E_REGISTRY` when the node is too big to be announced. */
export function toNodeFileText(
  node: MeshUrl,
  availability: Availability,
  owner: ProcessIdentity,
  writtenAtMs: number,
): string {
  const content = { url: toExactUrl(node), availability, owner, writtenAtMs };
  const out = `${JSON.stringify(content, null, 1)}\n`;
  if (Buffer.byteLength(out) > NODE_FILE_BYTES_MAX) {
    throw new AgentError(
      'E_REGISTRY',
      `node ${node.identity} is over ${NODE_FILE_BYTES_MAX} bytes as a file`,
    );
  }
  return out;
}

/** Throws AgentError `E_REGISTRY_FILE` or `E_URL` that says what is wrong with the content. */
export function parseNodeFile(text: string): NodeFile {
  const content = Object(parseJson(text)) as Record<string, unknown>;
  const { url, availability = 'available', owner = null } = content;
  const node = parseExactUrl(url);
  if (node.protocol === '' || node.host === '' || (node.port < 1 && !node.host.startsWith('unix://'))) {
    throw new AgentError('E_REGISTRY_FILE', `"url" needs protocol, host and port: ${node.identity}`);
  }
  if (availability !== 'available' && availability !== 'unavailable') {
    throw new AgentError('E_REGISTRY_FILE', '"availability" must be "available" or "unavailable"');
  }
  return { node, availability, owner: owner === null ? null : parseIdentity(owner) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AgentError('E_REGISTRY_FILE', 'not JSON', { cause: error });
  }
}
