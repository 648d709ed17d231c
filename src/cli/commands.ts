/** `peony commands`: what registries tell a running agent to do to calls. */
import type { Command } from 'commander';
import type { CommandReport, Command as TrafficOrder } from '../core/index.js';
import { ask, asking, type ManagementOptions, takeManagementOptions, targetOf } from './management-client.js';
import { ageText, type Cell, type CliIo, processIo, table } from './output.js';

export interface CommandsAnswer {
  /** False in this version. */
  readonly applied: boolean;
  readonly note: string;
  readonly scopes: readonly CommandReport[];
}

export function addCommandsCommand(program: Command, io: CliIo = processIo): void {
  takeManagementOptions(
    program.command('commands').description('show the traffic commands that the registries tell the agent'),
  )
    .addHelpText('after', EXAMPLES)
    .action((options: ManagementOptions) =>
      asking(io, async () => {
        const answer = await ask(targetOf(options), '/v1/commands');
        io.out(
          options.json
            ? `${JSON.stringify(answer, null, 2)}\n`
            : commandsText(answer as CommandsAnswer, Date.now()),
        );
      }),
    );
}

export function commandsText({ note, scopes }: CommandsAnswer, nowMs: number): string {
  const rows: Cell[][] = scopes.flatMap((report) => rowsOf(report, nowMs));
  const headline = ['registry', 'scope', 'from', 'received', 'type', 'index', 'pattern', 'what'];
  const places = scopes.map((report) => [
    report.registry,
    scopeText(report),
    report.place,
    stateText(report),
  ]);
  const odd = scopes.flatMap(oddRows);
  const sections = [
    `${note}\n`,
    `Commands\n${table(headline, rows, 'none')}`,
    `Watched\n${table(['registry', 'scope', 'place', 'state'], places, NONE_WATCHED)}`,
  ];
  if (odd.length > 0)
    sections.push(
      `Makes no sense\n${table(['registry', 'place', 'command', 'field', 'what'], odd, 'nothing')}`,
    );
  return sections.join('\n');
}

const NONE_WATCHED = 'none: no refer and no motan-agent.registry names a registry that holds commands';

function rowsOf(report: CommandReport, nowMs: number): Cell[][] {
  const received = ageText(report.receivedAtMs, nowMs);
  return report.commands.map((command) => [
    report.registry,
    scopeText(report),
    report.source,
    received,
    command.kind,
    command.index,
    command.kind === 'switcher' ? '' : command.pattern,
    whatText(command),
  ]);
}

function scopeText({ scope }: CommandReport): string {
  return scope.kind === 'service' ? `group ${scope.group}` : `agents of ${scope.application}`;
}

function whatText(command: TrafficOrder): string {
  const remark = command.remark === '' ? '' : ` (${command.remark})`;
  return doneText(command) + remark;
}

function doneText(command: TrafficOrder): string {
  if (command.kind === 'degrade') return 'refuse calls';
  if (command.kind === 'switcher')
    return `set ${command.switches.map(({ name, value }) => `${name}:${value}`).join(', ') || 'nothing'}`;
  const groups = command.mergeGroups.map(({ group, weight }) =>
    weight === null ? group : `${group}:${weight}`,
  );
  const rules = command.routeRules.map(({ from, to }) => `${from} to ${to}`);
  const to = groups.length === 0 ? 'call the own group' : `call ${groups.join(', ')}`;
  return rules.length === 0 ? to : `${to}; ${rules.join('; ')}`;
}

function stateText({ source, text, commands, trouble }: CommandReport): string {
  const state =
    source === 'none' ? 'no answer yet' : text === null ? 'no command' : countOf(commands.length, source);
  return trouble === null ? state : `${state}; IN TROUBLE: ${trouble}`;
}

function countOf(count: number, source: CommandReport['source']): string {
  const commands = `${count} ${count === 1 ? 'command' : 'commands'}`;
  return source === 'saved' ? `${commands}, saved by an earlier run` : commands;
}

function oddRows({ registry, place, odd }: CommandReport): Cell[][] {
  return odd.map(({ position, field, message }) => [
    registry,
    place,
    position === null ? null : `${position} of the list`,
    field === '' ? null : field,
    message,
  ]);
}

const EXAMPLES = `
"from" is "registry", or "saved" while the registry has not answered since the agent started.

Exit code: 0; 3 when no agent answers there.

Examples:
  $ peony commands
  $ peony commands --json | jq -r '.scopes[] | select(.text != null) | .place'
`;
