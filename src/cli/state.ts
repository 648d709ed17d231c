/** `peony state`: the numbered state that the control plane of a running agent published last. */
import type { Command } from 'commander';
import type { Problem } from '../core/index.js';
import { ask, asking, type ManagementOptions, takeManagementOptions, targetOf } from './management-client.js';
import { ageText, type CliIo, printable, processIo, table } from './output.js';

interface ShownUrl {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly group: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The part of `/v1/state` that is shown: a MeshState with its urls as JSON. */
export interface ShownState {
  readonly number: number;
  readonly createdAtMs: number;
  readonly cause: string;
  readonly application: string;
  readonly localIp: string;
  readonly listeners: readonly { name: string; host: string; port: number; unixSock: string | null }[];
  readonly clusters: readonly {
    readonly key: string;
    readonly referId: string;
    readonly url: ShownUrl;
    readonly source: string;
    readonly endpoints: readonly { readonly id: string; readonly node: ShownUrl }[];
  }[];
  readonly quarantined: readonly Problem[];
}

export function addStateCommand(program: Command, io: CliIo = processIo): void {
  takeManagementOptions(
    program
      .command('state')
      .description('print the state that the agent works by: listeners, clusters, nodes'),
  )
    .addHelpText('after', EXAMPLES)
    .action((options: ManagementOptions) =>
      asking(io, async () => {
        const answer = await ask(targetOf(options), '/v1/state');
        io.out(
          options.json ? `${JSON.stringify(answer, null, 2)}\n` : stateText(answer as ShownState, Date.now()),
        );
      }),
    );
}

export function stateText(state: ShownState, nowMs: number): string {
  const lines = [
    `state ${state.number}, ${ageText(state.createdAtMs, nowMs)}: ${printable(state.cause)}`,
    `application ${printable(state.application)}, local address ${printable(state.localIp)}`,
    '',
    'Listeners',
    ...state.listeners.map(
      (each) => `  ${each.name}  ${each.unixSock ?? `${each.host || '*'}:${each.port}`}`,
    ),
    '',
    'Clusters',
  ];
  if (state.clusters.length === 0) lines.push('  none');
  for (const cluster of state.clusters) {
    lines.push(
      `  ${printable(cluster.key)}  refer ${printable(cluster.referId)}, nodes from ${cluster.source}`,
      `    ${printable(parametersText(cluster.url))}`,
      ...cluster.endpoints.map(({ node }) => `    ${printable(nodeText(node))}`),
    );
  }
  const rows = state.quarantined.map((problem) => [problem.entry ?? problem.key, problem.message]);
  return `${lines.join('\n')}\n${rows.length === 0 ? '' : `\nQuarantined\n${table(['entry', 'reason'], rows, '')}`}`;
}

function nodeText({ protocol, host, port, group, parameters }: ShownUrl): string {
  const weight = parameters.weight === undefined ? '' : `, weight ${parameters.weight}`;
  return `node ${protocol}://${host}:${port}, group ${group}${weight}`;
}

function parametersText({ parameters }: ShownUrl): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

const EXAMPLES = `
A state is what the control plane hands to the data plane, each with a number and the reason why it was made. What the data plane
does with it is shown by "peony status". Secrets are replaced by [redacted].

Exit code: 0; 3 when no agent answers there.

Examples:
  $ peony state
  $ peony state --json | jq '.clusters[] | {key, nodes: [.endpoints[].id]}'
`;
