/** The environment variables that configure the agent (spec agent 1.3, 6.8), checked and parsed. */
import type { DirectRpcRule } from '../../core/index.js';
import type { Problems } from './problems.js';

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

export interface Environment {
  /** `mport` as text; null when the variable does not exist. */
  readonly managementPort: string | null;
  readonly additionalGroups: readonly string[];
  readonly filters: readonly string[];
  readonly serviceGroupSuffix: string;
  readonly referGroupSuffix: string;
  readonly directRpc: readonly DirectRpcRule[];
  readonly variables: EnvironmentVariables;
}

export function readEnvironment(variables: EnvironmentVariables, problems: Problems): Environment {
  return {
    managementPort: variables.mport ?? null,
    additionalGroups: commaList(variables.MESH_SERVICE_ADDITIONAL_GROUP ?? ''),
    filters: commaList(variables.MESH_FILTERS ?? ''),
    serviceGroupSuffix: (variables.RPC_REG_GROUP_SUFFIX ?? '').trim(),
    referGroupSuffix: (variables.MESH_MULTI_SUB_GROUP_SUFFIX ?? '').trim(),
    directRpc: parseDirectRpc(variables.MESH_DIRECT_RPC ?? '', problems),
    variables,
  };
}

/** Trimmed pieces without empty ones and repetitions, in their order. */
export function commaList(text: string): string[] {
  const pieces = text.split(',').map((piece) => piece.trim());
  return [...new Set(pieces.filter((piece) => piece !== ''))];
}

/** `host:port`, or `unix://path`. */
export function isAddress(text: string): boolean {
  if (text.startsWith('unix://')) return text.length > 'unix://'.length;
  const match = /^[^\s:/]+:(\d{1,5})$|^\[[0-9a-fA-F:.]+\]:(\d{1,5})$/.exec(text);
  return match !== null && isPort(Number(match[1] ?? match[2]));
}

export function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** `service>[group@]address[,address...]` joined by `;`. Of several rules that match, users take the first; motan-go takes any. */
function parseDirectRpc(text: string, problems: Problems): DirectRpcRule[] {
  const rules: DirectRpcRule[] = [];
  for (const piece of text.split(';').map((part) => part.trim())) {
    if (piece === '') continue;
    const rule = parseDirectRule(piece);
    if (rule !== null) rules.push(rule);
    else {
      problems.error({
        code: 'direct-rpc',
        key: 'MESH_DIRECT_RPC',
        value: piece,
        message: 'the rule is ignored',
        expected: 'service>[group@]host:port[,host:port...]',
        entry: 'MESH_DIRECT_RPC',
      });
    }
  }
  return rules;
}

function parseDirectRule(piece: string): DirectRpcRule | null {
  const arrowAt = piece.indexOf('>');
  if (arrowAt < 0) return null;
  const name = piece.slice(0, arrowAt).trim();
  const target = piece.slice(arrowAt + 1).trim();
  const atAt = target.indexOf('@');
  const group = atAt < 0 ? null : target.slice(0, atAt).trim();
  const addresses = commaList(target.slice(atAt + 1));
  const isPrefix = name.endsWith('*');
  const service = isPrefix ? name.slice(0, -1) : name;
  // A bare `*` would send every refer to one place; motan-go takes it as the empty prefix, which is what it says.
  if ((service === '' && !isPrefix) || addresses.length === 0 || !addresses.every(isAddress)) return null;
  return Object.freeze({
    service,
    match: isPrefix ? 'prefix' : 'suffix',
    group: group === '' ? null : group,
    addresses,
  });
}

export function directRuleFor(path: string, rules: readonly DirectRpcRule[]): DirectRpcRule | null {
  for (const rule of rules) {
    if (rule.match === 'prefix' ? path.startsWith(rule.service) : path.endsWith(rule.service)) return rule;
  }
  return null;
}
