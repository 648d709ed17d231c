/** `peony bridge`: copies what one registry lists into another one, and keeps it so, until it is told to end. */
import { type Command, InvalidArgumentError } from 'commander';
import type { BridgeEvent, BridgeStatus } from '../agent/index.js';
import { ConfigError, parseGoFlags, problemText } from '../control/config/index.js';
import { AgentError } from '../core/index.js';
import { type CliIo, countText, EXIT_FAILURE, printable, processIo } from './output.js';

interface BridgeWords {
  readonly config: string;
  readonly pool?: string;
  readonly from: string;
  readonly to: string;
  readonly both?: boolean;
  readonly group: string[];
  readonly service: string[];
  readonly hold: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const HOLD_S = 60;
const HOLD_S_MAX = 86_400;

export function addBridgeCommand(program: Command, io: CliIo = processIo): void {
  program
    .command('bridge')
    .description('copy the services of one registry into another one, for a migration')
    .requiredOption('-c, --config <path>', 'configuration with both registries in motan-registry')
    .option('--pool <name>', 'pool of the configuration, where that is a directory')
    .requiredOption('--from <id>', 'registry whose services are copied')
    .requiredOption('--to <id>', 'registry that gets the copies')
    .option('--both', 'copy the other way as well')
    .option('--group <glob>', 'only groups like this; may be given more than once', collect, [])
    .option('--service <glob>', 'only services like this; may be given more than once', collect, [])
    .option(
      '--hold <seconds>',
      'how long nodes stay that vanish suddenly, more than half at once',
      parseHold,
      HOLD_S,
    )
    .option('--dry-run', 'say what would be copied, write nothing, and end')
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', EXAMPLES)
    .action((words: BridgeWords) => bridge(words, io));
}

async function bridge(words: BridgeWords, io: CliIo): Promise<void> {
  const { runBridge } = await import('../agent/index.js');
  const pool = words.pool === undefined ? [] : ['-pool', words.pool];
  const { flags } = parseGoFlags(['-c', words.config, ...pool]);
  const isJson = words.json === true;
  const print = (fields: object, text: string): void =>
    io.out(isJson ? `${JSON.stringify({ time: new Date().toISOString(), ...fields })}\n` : `${text}\n`);
  try {
    const code = await runBridge({
      flags,
      env: process.env,
      cwd: process.cwd(),
      from: words.from,
      to: words.to,
      isBothWays: words.both === true,
      groups: words.group,
      services: words.service,
      holdMs: words.hold * 1000,
      isDry: words.dryRun === true,
      onEvent: ({ kind, ...about }) => print({ event: kind, ...about }, eventText({ kind, ...about })),
      onStatus: ({ isSettled, lanes }) =>
        print({ event: 'status', settled: isSettled, lanes }, statusText({ isSettled, lanes })),
      onWarning: (message) => print({ event: 'warning', detail: message }, `warning: ${printable(message)}`),
    });
    io.setExitCode(code);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    for (const problem of error instanceof ConfigError ? error.problems : [])
      io.error(`${problemText(problem)}\n`);
    io.error(`peony: ${printable(error.message)}\n`);
    io.setExitCode(EXIT_FAILURE);
  }
}

export function eventText({ kind, from, to, group, service, node, detail }: BridgeEvent): string {
  const place = service === null ? [] : [`${group}/${service}`];
  const parts = [`${from} -> ${to}`, kind, ...place, node ?? '', detail === null ? '' : `(${detail})`];
  return printable(parts.filter((part) => part !== '').join(' '));
}

export function statusText({ isSettled, lanes }: BridgeStatus): string {
  const lines = lanes.map(({ from, to, services, copied, held, skipped, trouble }) => {
    const suffix = held === 0 ? '' : `, ${held} of them held`;
    const numbers = `${countText(services, 'service')}, ${countText(copied, 'node')} copied${suffix}, ${skipped} skipped`;
    return printable(`${from} -> ${to}: ${numbers}${trouble === null ? '' : `; ${trouble}`}`);
  });
  return `${isSettled ? 'status' : 'status, not all is known yet'}\n  ${lines.join('\n  ')}`;
}

function collect(word: string, before: string[]): string[] {
  return [...before, word];
}

function parseHold(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,5}$/.test(text) || seconds > HOLD_S_MAX)
    throw new InvalidArgumentError(`Expected seconds from 0 to ${HOLD_S_MAX}.`);
  return seconds;
}

const EXAMPLES = `
Runs until SIGTERM or SIGINT, then takes its copies out of the registry. A copy carries the parameter bridgedFrom and is never copied
again, so bridges may run each way, side by side and in circles. A node that is in the target itself is never touched: its copy goes.
While a registry does not answer nothing is changed. Registries of protocol zookeeper, consul, redis and file can be bridged.

Exit code: 0 after a signal, when the copies are withdrawn, or after a dry run; 1 when they could not be (they end by themselves, as those
of a process that died), or when a dry run got no answer within 30 s; 2 when a word or the configuration is wrong.

Examples:
  $ peony bridge -c /etc/peony/motan.yaml --from zk --to consul --dry-run
  $ peony bridge -c /etc/peony/motan.yaml --from zk --to consul --both --group 'shop-*'
  $ peony bridge -c /etc/peony/motan.yaml --from zk --to redis --hold 300 --json
`;
