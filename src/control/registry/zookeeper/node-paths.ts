/**
 * Where things stand in the tree, below the chroot (spec agent 6.5):
 *
 *   /motan/<group>/<path>/server/<host>:<port>                 serves
 *   /motan/<group>/<path>/unavailableServer/<host>:<port>      registered, does not serve
 *   /motan/<group>/<path>/client/<host>:<port>                 refers to it
 *   /motan/agent/<application>/node/<host>:<port>              an agent itself
 *   /motan/<group>/command                                     commands for all who refer to the group
 *   /motan/agent/<application>/command                         commands for the agents of an application
 */
import { AgentError, type CommandScope, type MeshUrl } from '../../../core/index.js';

const ROOT = '/motan';

export type Role = 'server' | 'unavailableServer' | 'client';

export function isAgent(node: MeshUrl): boolean {
  return node.text('nodeType') === 'agent';
}

/** The parent of the nodes in that role. Group and path may hold slashes, which make more levels, as with the peers. */
export function rolePath(chroot: string, { group, path }: MeshUrl, role: Role): string {
  return checked(`${chroot}${ROOT}/${group}/${path}/${role}`);
}

export function nodePath(chroot: string, node: MeshUrl, role: Role): string {
  return checked(`${rolePath(chroot, node, role)}/${nameOf(node)}`);
}

export function agentPath(chroot: string, agent: MeshUrl): string {
  return checked(`${chroot}${ROOT}/agent/${agent.text('application')}/node/${nameOf(agent)}`);
}

export function commandPath(chroot: string, scope: CommandScope): string {
  const name = scope.kind === 'service' ? scope.group : `agent/${scope.application}`;
  return checked(`${chroot}${ROOT}/${name}/command`);
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** The chroot as a prefix: empty, or `/a/b`. Throws AgentError `E_REGISTRY`. */
export function toChroot(text: string): string {
  const trimmed = text.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : checked(`/${trimmed}`);
}

function nameOf(node: MeshUrl): string {
  const name = node.address;
  if (!name.includes('/')) return name;
  throw new AgentError('E_REGISTRY', `${name} cannot be listed in ZooKeeper: a name there holds no "/"`);
}

/** Throws for what ZooKeeper refuses, in words that say what it is about. */
function checked(path: string): string {
  for (const part of path.slice(1).split('/')) {
    const trouble = part === '' ? 'is empty' : part === '.' || part === '..' ? `is "${part}"` : null;
    if (trouble !== null)
      throw new AgentError('E_REGISTRY', `${path} is no path of ZooKeeper: a part ${trouble}`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are refused by the server
  if (/[\u0000-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff]/.test(path))
    throw new AgentError(
      'E_REGISTRY',
      `${JSON.stringify(path)} is no path of ZooKeeper: it holds a character that is refused`,
    );
  return path;
}
