/**
 * What a refer is to be asked for: its group when that depends on the data centre, or fixed nodes from `MESH_DIRECT_RPC`.
 */
import { type AgentConfig, type DirectRpcRule, type MeshUrl, parseNodeAddress } from '../../core/index.js';

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is what configurations have
const IDC = '${idc}';

/**
 * The groups in which a refer may be served, the best first. More than one only for a group with `${idc}`: the data centre as
 * given, in lower and in upper case (spec agent 6.9). Without a data centre the group stays as written.
 */
export function candidateGroups(group: string, idc: string): readonly string[] {
  if (!group.includes(IDC) || idc === '') return [group];
  const groups = [idc, idc.toLowerCase(), idc.toUpperCase()].map((name) => group.replace(IDC, () => name));
  return [...new Set(groups)];
}

/**
 * The nodes that replace the registries of a refer; null when no rule matches (spec agent 6.8). Of several matching rules
 * the first as written is taken: motan-go takes any. Addresses that make no sense are left out; the list may be empty,
 * because somebody who redirects a service does not want it to reach its usual nodes by a slip of the pen.
 */
export function directNodes(
  config: Pick<AgentConfig, 'directRpc'>,
  refer: MeshUrl,
): readonly MeshUrl[] | null {
  const rule = config.directRpc.find((candidate) => matches(candidate, refer.path));
  if (rule === undefined) return null;
  const nodes: MeshUrl[] = [];
  for (const text of rule.addresses) {
    const address = parseNodeAddress(text);
    if (address !== null) nodes.push(refer.with({ ...address, group: rule.group ?? refer.group }));
  }
  return nodes;
}

function matches(rule: DirectRpcRule, path: string): boolean {
  return rule.match === 'prefix' ? path.startsWith(rule.service) : path.endsWith(rule.service);
}
