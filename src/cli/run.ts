/**
 * `peony run`: the agent itself, in the foreground. Its flags are those of motan-go in Go's spelling, which a parser of POSIX
 * options would take for bundles of letters: so the words come here as they were typed.
 */
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { type CliIo, processIo } from './output.js';

/** Resolves with the exit code when the agent has stopped. */
export async function runCommand(
  words: readonly string[],
  program: string,
  io: CliIo = processIo,
): Promise<number> {
  const { flagsUsage, parseGoFlags } = await import('../control/config/index.js');
  const { flags, rest, exit } = parseGoFlags(words);
  if (exit !== null && exit.code === 0) {
    io.out(runHelp(flagsUsage()));
    return 0;
  }
  if (exit !== null) {
    io.error(exit.text);
    return exit.code;
  }
  if (rest.length > 0) {
    // As Go does: a start script that lived with it must go on, but its owner shall see what was never read.
    io.error(`peony: ignored, because flags end at the first word that is none: ${rest.join(' ')}\n`);
  }
  // Operators look for the program by name; without this every tool shows `node`.
  process.title = [program, ...words].join(' ');
  // Loading the program fills V8's young generation once and would leave it at 16 MB for ever: it may grow again under load.
  setFlagsFromString('--semi-space-growth-factor=1');
  const { runAgent } = await import('../agent/index.js');
  return await runAgent({
    flags,
    env: process.env,
    cwd: process.cwd(),
    program,
    stdout: process.stdout,
    stderr: process.stderr,
    onStarted: () => setFlagsFromString('--semi-space-growth-factor=2'),
  });
}

/** For the list of commands only: `main` sees to it before commander reads a word. */
export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('run the agent in the foreground; takes the flags of motan-go')
    .usage('[flags]')
    .allowUnknownOption()
    .allowExcessArguments()
    .argument('[flags...]')
    .helpOption(false);
}

function runHelp(flags: string): string {
  return `Usage: peony run [flags]
       peony [flags]          the same, as start scripts of motan-go say it

Runs the agent in the foreground until SIGTERM or SIGINT. It then leaves the registries, stops accepting, finishes the calls in
flight (at most 15 s; a second signal does not wait) and ends with 0.

A flag is written -name value or -name=value, with one dash or two; booleans only as -name or -name=false.

${flags.replace(/^Usage of .*\n/, 'Flags:\n')}
Exit code: 0 after a stop, 1 when a port is busy or the system refuses something else, 2 when a flag is wrong or the
configuration cannot be read or parsed.

Examples:
  $ peony run -c /etc/peony/motan.yaml
  $ peony -c /etc/peony/motan.yaml -port 9981 -mport 8002 -log_dir /var/log/peony
  $ peony run -c /etc/peony -pool shop-idc1-core -log_dir stdout
`;
}
