/** `peony config`: the effective configuration, and for each value who set it and whom it overrode. */
import type { Command } from 'commander';
import {
  type AgentFlags,
  ConfigError,
  type Explanation,
  loadConfig,
  type Origin,
  printable,
  problemText,
} from '../control/config/index.js';
import { placeText } from '../core/index.js';
import { type CommandIo, type LoadFrom, loadOptions, readFlags, takeAgentFlags } from './config-options.js';

export interface ConfigOptions {
  readonly flags: AgentFlags;
  /** A key, or the start of keys, for example `motan-refer.echo`; null for all. */
  readonly explain: string | null;
  /** One JSON array on stdout instead of lines. */
  readonly json: boolean;
  readonly from?: LoadFrom;
}

/** Exit code: 0, 1 when `explain` names nothing, 2 when the configuration cannot be loaded. */
export async function runConfig(options: ConfigOptions, io: CommandIo): Promise<number> {
  try {
    const { provenance } = loadConfig(loadOptions(options.flags, options.from ?? {}));
    const { explain } = options;
    const found = explain === null ? provenance.all() : provenance.explain(explain);
    if (found.length === 0 && explain !== null) {
      const near = provenance.nearestKey(explain);
      io.stderr.write(
        `nothing sets ${JSON.stringify(explain)}${near === null ? '' : `; did you mean ${JSON.stringify(near)}?`}\n`,
      );
      return 1;
    }
    if (options.json) io.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    else for (const one of found) io.stdout.write(explain === null ? lineOf(one) : paragraphOf(one));
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) io.stderr.write(`${problemText(problem)}\n`);
    return 2;
  }
}

function lineOf(one: Explanation): string {
  const more = one.overrode.length === 0 ? '' : `, overrides ${one.overrode.length}`;
  return `${printable(one.key)} = ${shown(one.value)}  # ${whereOf(one.origin)}${more}\n`;
}

function paragraphOf(one: Explanation): string {
  const lines = [`${printable(one.key)} = ${shown(one.value)}`, `  set by    ${originText(one.origin)}`];
  for (const loser of [...one.overrode].reverse()) lines.push(`  overrides ${originText(loser)}`);
  return `${lines.join('\n')}\n`;
}

function originText(origin: Origin): string {
  return `${whereOf(origin)}: ${shown(origin.value)}`;
}

function whereOf(origin: Origin): string {
  const note = origin.note === null ? '' : printable(origin.note);
  if (origin.kind === 'file') return placeText(origin.place) + (note === '' ? '' : ` (${note})`);
  return note === '' ? origin.kind : `${origin.kind} (${note})`;
}

/** Quoted where a reader could not see the ends of the text. */
function shown(text: string): string {
  return /^[\w.,:/@-]+$/.test(text) ? text : JSON.stringify(text);
}

export function addConfigCommand(program: Command): void {
  const command = program
    .command('config')
    .description('print the effective configuration and where each value comes from')
    .option('--explain <key>', 'only this key or the keys below it, with everything that was overridden')
    .option('--json', 'print one JSON array');
  takeAgentFlags(command)
    .addHelpText('after', EXAMPLES)
    .action(async (words: string[], options: { explain?: string; json?: boolean }) => {
      const io = { stdout: process.stdout, stderr: process.stderr };
      const read = readFlags(words, io);
      process.exitCode =
        'exitCode' in read
          ? read.exitCode
          : await runConfig(
              { flags: read.flags, explain: options.explain ?? null, json: options.json === true },
              io,
            );
    });
}

const EXAMPLES = `
Examples:
  $ peony config -c /etc/peony/motan.yaml
  $ peony config -c /etc/peony -pool shop-idc1-core --explain motan-refer.echo.requestTimeout
  $ peony config -c /etc/peony -pool shop-idc1-core --explain motan-agent --json
`;
