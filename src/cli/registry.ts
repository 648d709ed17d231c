/**
 * `peony registry`: what a running agent wants to be in its registries and what is there, what it finds in them, and which lost nodes it
 * holds. `peony registry accept` tells it to believe them.
 */
import type { Command } from 'commander';
import type { DiscoveryReport, ReferReport, RegistryReport } from '../core/index.js';
import {
  ask,
  asking,
  type ManagementOptions,
  order,
  takeManagementOptions,
  targetOf,
} from './management-client.js';
import { ageText, type Cell, type CliIo, countText, printable, processIo, table } from './output.js';

export interface RegistryAnswer {
  readonly registries: readonly RegistryReport[];
  readonly refers: DiscoveryReport['refers'];
}

interface AcceptOptions {
  readonly group?: string;
  readonly service?: string;
  readonly all?: boolean;
}

export interface Accepted {
  readonly accepted: readonly { readonly refer: string; readonly nodes: number }[];
}

export function addRegistryCommand(program: Command, io: CliIo = processIo): void {
  const command = takeManagementOptions(
    program
      .command('registry')
      .description('show registries: what is announced and seen there, what is found, what is held'),
  )
    .addHelpText('after', EXAMPLES)
    .action((options: ManagementOptions) =>
      asking(io, async () => {
        const target = targetOf(options);
        const { registries } = (await ask(target, '/v1/status')) as RegistryAnswer;
        const { refers } = (await ask(target, '/v1/discovery')) as DiscoveryReport;
        const answer: RegistryAnswer = { registries, refers };
        io.out(options.json ? `${JSON.stringify(answer, null, 2)}\n` : registryText(answer, Date.now()));
      }),
    );
  command
    .command('accept')
    .description('believe the registries: nodes that they lost, and that are held, go')
    .option('--group <group>', 'only refers of this group')
    .option('--service <service>', 'only refers of this service')
    .option('--all', 'every refer')
    .addHelpText('after', ACCEPT_EXAMPLES)
    .action((own: AcceptOptions, accept: Command) =>
      asking(io, async () => {
        const options = accept.optsWithGlobals<ManagementOptions>();
        const answer = (await order(targetOf(options), '/v1/discovery/accept', formOf(own))) as Accepted;
        io.out(options.json ? `${JSON.stringify(answer, null, 2)}\n` : acceptedText(answer));
      }),
    );
}

function formOf({ group, service, all }: AcceptOptions): URLSearchParams {
  const form = new URLSearchParams();
  if (group !== undefined) form.set('group', group);
  if (service !== undefined) form.set('service', service);
  if (all === true) form.set('all', 'true');
  return form;
}

export function registryText({ registries, refers }: RegistryAnswer, nowMs: number): string {
  const sections = [
    `Registries\n${registriesText(registries, nowMs)}`,
    `Announced\n${announcedText(registries)}`,
    `Found\n${foundText(refers, nowMs)}`,
  ];
  const held = heldText(refers, nowMs);
  if (held !== null) sections.push(held);
  return sections.join('\n');
}

function registriesText(registries: readonly RegistryReport[], nowMs: number): string {
  const rows = registries.map((one) => [
    one.id,
    one.protocol,
    one.address,
    ageText(one.lastContactMs, nowMs),
    `${one.announced.filter(({ desired, seen }) => desired === seen).length} of ${one.announced.length}`,
    one.subscribed.length,
    one.lastError ?? 'none',
  ]);
  const headline = ['id', 'protocol', 'address', 'last contact', 'announced', 'watched', 'last error'];
  return table(headline, rows, 'none is configured');
}

function announcedText(registries: readonly RegistryReport[]): string {
  const rows = registries.flatMap(({ id, announced, lastError }) =>
    announced.map(({ node, desired, seen }): Cell[] => {
      const state = desired === seen ? 'true' : `NOT TRUE: ${lastError ?? 'not yet done'}`;
      return [id, node.split('&')[0]!, desired, seen, state];
    }),
  );
  return table(['registry', 'node', 'desired', 'seen', 'state'], rows, 'nothing');
}

function foundText(refers: readonly ReferReport[], nowMs: number): string {
  const rows = refers.map((refer): Cell[] => [
    refer.service,
    refer.group,
    sourceText(refer, nowMs),
    refer.endpoints,
    refer.registries.map(askedText).join('; ') || 'no registry is asked',
  ]);
  return table(['service', 'group', 'nodes from', 'in use', 'registries'], rows, 'there are no refers');
}

function sourceText({ source, snapshotSavedAtMs }: ReferReport, nowMs: number): string {
  if (source === 'none') return 'NOWHERE';
  return source === 'snapshot' ? `snapshot of ${ageText(snapshotSavedAtMs, nowMs)}` : source;
}

function askedText({ id, nodes, held, isHeard, trouble }: ReferReport['registries'][number]): string {
  const some = held.length === 0 ? '' : `, ${held.length} of them held`;
  const silent = isHeard ? '' : ', has not answered yet';
  return `${id}: ${countText(nodes, 'node')}${some}${silent}${trouble === null ? '' : `, ${trouble}`}`;
}

/** Null when nothing is held. */
function heldText(refers: readonly ReferReport[], nowMs: number): string | null {
  const rows = refers.flatMap(({ service, group, registries }) =>
    registries.flatMap(({ id, held }) =>
      held.map(({ node, sinceMs, why, probe }): Cell[] => [
        service,
        group,
        id,
        node.split('?')[0]!,
        ageText(sinceMs, nowMs),
        why === 'last' ? 'nobody else is left' : 'too many lost at once',
        probe,
      ]),
    ),
  );
  if (rows.length === 0) return null;
  const headline = ['service', 'group', 'registry', 'node', 'lost', 'held because', 'probe'];
  return `Held: lost by a registry, and in use while they answer\n${table(headline, rows, 'none')}`;
}

export function acceptedText({ accepted }: Accepted): string {
  if (accepted.length === 0) return 'nothing was held there\n';
  const lines = accepted.map(
    ({ refer, nodes }) => `refer ${printable(refer)}: ${countText(nodes, 'node')} let go\n`,
  );
  return lines.join('');
}

const EXAMPLES = `
"Announced" is what the agent wants to be listed, "seen" what the registry had at the last look. "Found" is what refers use.
Nodes that a registry loses suddenly are held: they stay in use while they answer. If the registry is right, let them go with
"peony registry accept".

Exit code: 0; 2 when the agent refuses; 3 when no agent answers there.

Examples:
  $ peony registry
  $ peony registry --json | jq '.registries[].announced[] | select(.desired != .seen)'
  $ peony registry accept --service com.weibo.Echo
`;

const ACCEPT_EXAMPLES = `
Where the agent is, is said as with "peony registry": --host, --mport, --unix, --json. Over the network the agent refuses: run it on
the same machine. The last nodes of a service go as well, and its calls fail then.

Examples:
  $ peony registry accept --service com.weibo.Echo --group g1
  $ peony registry accept --all
`;
