/** `peony check`: reads a configuration as the agent would and prints everything that is wrong with it. Nothing is started. */
import type { Command } from 'commander';
import { type AgentFlags, ConfigError, loadConfig, problemText } from '../control/config/index.js';
import type { AgentConfig, Problem } from '../core/index.js';
import { type CommandIo, type LoadFrom, loadOptions, readFlags, takeAgentFlags } from './config-options.js';

export interface CheckOptions {
  readonly flags: AgentFlags;
  /** One JSON object on stdout instead of lines. */
  readonly json: boolean;
  /** Warnings make the exit code 1. */
  readonly strict: boolean;
  readonly from?: LoadFrom;
}

/** Exit code: 0, 1 for warnings with `strict`, 2 for errors. */
export async function runCheck(options: CheckOptions, io: CommandIo): Promise<number> {
  const { config, problems } = load(options);
  const count = (severity: Problem['severity']) =>
    problems.filter((problem) => problem.severity === severity).length;
  const counts = { fatal: count('fatal'), errors: count('error'), warnings: count('warning') };
  const exitCode = counts.fatal + counts.errors > 0 ? 2 : options.strict && counts.warnings > 0 ? 1 : 0;
  const loaded = config === null ? null : sizesOf(config);
  const leftOut = [...new Set(problems.map((problem) => problem.entry).filter((entry) => entry !== null))];
  if (options.json) {
    io.stdout.write(`${JSON.stringify({ exitCode, ...counts, loaded, leftOut, problems }, null, 2)}\n`);
    return exitCode;
  }
  for (const problem of problems) io.stdout.write(`${problemText(problem)}\n`);
  const numbers = `${counts.fatal} fatal, ${counts.errors} errors, ${counts.warnings} warnings`;
  const what =
    loaded === null
      ? 'the agent would not start'
      : `${loaded.refers} refers, ${loaded.services} services, ${loaded.httpClients} http-clients, ${loaded.registries} registries load`;
  io.stdout.write(`${numbers}; ${what}\n`);
  return exitCode;
}

function load(options: CheckOptions): { config: AgentConfig | null; problems: readonly Problem[] } {
  try {
    const { config } = loadConfig(loadOptions(options.flags, options.from ?? {}));
    return { config, problems: config.problems };
  } catch (error) {
    if (error instanceof ConfigError) return { config: null, problems: error.problems };
    throw error;
  }
}

function sizesOf(config: AgentConfig): {
  refers: number;
  services: number;
  httpClients: number;
  registries: number;
} {
  return {
    refers: config.refers.length,
    services: config.services.length,
    httpClients: config.httpClients.length,
    registries: config.registries.size,
  };
}

export function addCheckCommand(program: Command): void {
  const command = program
    .command('check')
    .description('print every problem of a configuration: file:line:column, value, what was expected')
    .option('--json', 'print one JSON object')
    .option('--strict', 'exit with 1 when there are warnings');
  takeAgentFlags(command)
    .addHelpText('after', EXAMPLES)
    .action(async (words: string[], options: { json?: boolean; strict?: boolean }) => {
      const io = { stdout: process.stdout, stderr: process.stderr };
      const read = readFlags(words, io);
      process.exitCode =
        'exitCode' in read
          ? read.exitCode
          : await runCheck(
              { flags: read.flags, json: options.json === true, strict: options.strict === true },
              io,
            );
    });
}

const EXAMPLES = `
Exit code: 0 when the agent can use everything, 1 for warnings with --strict, 2 for errors.

Examples:
  $ peony check
  $ peony check -c /etc/peony/motan.yaml --strict
  $ peony check -c /etc/peony -pool shop-idc1-core --json
`;
