/** `peony services`: what can be called through a running agent, and what it offers to others. */
import type { Command } from 'commander';
import { ask, asking, type ManagementOptions, takeManagementOptions, targetOf } from './management-client.js';
import { type CliIo, processIo, table } from './output.js';
import type { AgentStatus } from './status.js';

interface ExportedService {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly group: string;
}

/** Answers of the agent, put together. Lists are never null here. */
export interface ServicesAnswer {
  /** `name` is group, version, protocol and service; `status` is false only under a degrade command. */
  readonly refers: readonly {
    readonly name: string;
    readonly status: boolean;
    readonly service: string;
    readonly group: string;
    readonly nodes: number;
    readonly nodesAvailable: number;
  }[];
  readonly services: readonly ExportedService[];
  readonly dynamicServices: readonly ExportedService[];
}

export function addServicesCommand(program: Command, io: CliIo = processIo): void {
  takeManagementOptions(
    program
      .command('services')
      .description('list the services that can be called through the agent, and its own'),
  )
    .addHelpText('after', EXAMPLES)
    .action((options: ManagementOptions) =>
      asking(io, async () => {
        const target = targetOf(options);
        const answers = await Promise.all(
          ['/getReferService', '/v1/status', '/getAllService'].map((path) => ask(target, path)),
        );
        const services = join(
          answers[0] as ReferAnswer,
          answers[1] as AgentStatus,
          answers[2] as ExportAnswer,
        );
        io.out(options.json ? `${JSON.stringify(services, null, 2)}\n` : servicesText(services));
      }),
    );
}

interface ReferAnswer {
  readonly body: { readonly service: readonly { readonly name: string; readonly status: boolean }[] };
}

interface ExportAnswer {
  readonly services: readonly ExportedService[] | null;
  readonly dynamic_services: readonly ExportedService[] | null;
}

function join(refers: ReferAnswer, status: AgentStatus, exported: ExportAnswer): ServicesAnswer {
  const clusters = new Map(status.clusters.map((cluster) => [cluster.key, cluster]));
  return {
    refers: refers.body.service.map((refer) => {
      const cluster = clusters.get(refer.name);
      return {
        ...refer,
        service: cluster?.service ?? '',
        group: cluster?.group ?? '',
        nodes: cluster?.endpoints.length ?? 0,
        nodesAvailable: cluster?.endpointsAvailable ?? 0,
      };
    }),
    services: exported.services ?? [],
    dynamicServices: exported.dynamic_services ?? [],
  };
}

export function servicesText(answer: ServicesAnswer): string {
  const refers = answer.refers.map((each) => [
    each.service,
    each.group,
    each.nodes,
    each.nodesAvailable,
    each.status ? 'on' : 'switched off',
    each.name,
  ]);
  const own = [
    ...answer.services.map((each) => [...exportRow(each), 'configuration']),
    ...answer.dynamicServices.map((each) => [...exportRow(each), 'registered at run time']),
  ];
  const headline = ['service', 'group', 'nodes', 'available', 'state', 'cluster'];
  return (
    `Called through the agent\n${table(headline, refers, 'none: the configuration has no refers')}\n` +
    `Offered by the agent\n${table(['service', 'group', 'address', 'from'], own, 'none')}`
  );
}

function exportRow({ protocol, host, port, path, group }: ExportedService): string[] {
  return [path, group, `${protocol}://${host}:${port}`];
}

const EXAMPLES = `
Exit code: 0; 3 when no agent answers there.

Examples:
  $ peony services
  $ peony services --json | jq -r '.refers[].service'
`;
