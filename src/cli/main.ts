/**
 * From the words of the command line to one command.
 *
 * A start script of motan-go names no command (`agent -c FILE -port 9981`): without words, or when the first is a flag, the
 * agent runs. Only the module of the command that was asked for is loaded, so that small commands answer at once.
 */
import { Command, CommanderError } from 'commander';
import { AgentError } from '../core/index.js';
import { type CliIo, EXIT_FAILURE, processIo } from './output.js';

const LOADERS: Readonly<Record<string, (program: Command, io: CliIo) => Promise<void>>> = {
  run: async (program) => (await import('./run.js')).addRunCommand(program),
  check: async (program) => (await import('./check.js')).addCheckCommand(program),
  config: async (program) => (await import('./config.js')).addConfigCommand(program),
  state: async (program, io) => (await import('./state.js')).addStateCommand(program, io),
  status: async (program, io) => (await import('./status.js')).addStatusCommand(program, io),
  registrations: async (program, io) =>
    (await import('./registrations.js')).addRegistrationsCommand(program, io),
  services: async (program, io) => (await import('./services.js')).addServicesCommand(program, io),
  commands: async (program, io) => (await import('./commands.js')).addCommandsCommand(program, io),
  registry: async (program, io) => (await import('./registry.js')).addRegistryCommand(program, io),
  bridge: async (program, io) => (await import('./bridge.js')).addBridgeCommand(program, io),
  call: async (program, io) => (await import('./call.js')).addCallCommand(program, io),
  decode: async (program) => (await import('./decode.js')).addDecodeCommand(program),
  version: async (program, io) => (await import('./version.js')).addVersionCommand(program, io),
};

/**
 * Sets the exit code of the process.
 * @param argv words behind the name of the program
 * @param program name under which it was started: log files carry it
 */
export async function main(argv: readonly string[], program: string, io: CliIo = processIo): Promise<void> {
  const words = commandWords(argv);
  try {
    if (words[0] === 'run') {
      const { runCommand } = await import('./run.js');
      io.setExitCode(await runCommand(words.slice(1), program, io));
      return;
    }
    if (io === processIo) endQuietlyWithoutReader();
    const commander = await buildProgram(words, io);
    await commander.parseAsync([...words], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has printed the help, or what is wrong.
      io.setExitCode(error.exitCode === 0 ? 0 : EXIT_FAILURE);
    } else if (error instanceof AgentError) {
      io.error(`peony: ${error.message}\n`);
      io.setExitCode(EXIT_FAILURE);
    } else {
      throw error;
    }
  }
}

/** True when no command is named, which in motan-go's way means: run. */
export function isRun(argv: readonly string[]): boolean {
  const first = argv[0];
  return first === undefined || (first.startsWith('-') && !['-h', '--help', '--version'].includes(first));
}

function commandWords(argv: readonly string[]): readonly string[] {
  if (isRun(argv)) return ['run', ...argv];
  if (argv[0] === '--version') return ['version'];
  return argv[0] === 'help' && argv[1] === 'run' ? ['run', '-h'] : argv;
}

/** `peony status | head`: a reader that has seen enough is no error. */
function endQuietlyWithoutReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

async function buildProgram(words: readonly string[], io: CliIo): Promise<Command> {
  const program = new Command('peony')
    .description('Mesh agent: carries the calls of local programs to the right node, and tells about it.')
    .usage('<command> [options]\n       peony [flags of run]')
    .helpCommand('help [command]', 'explain a command')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.error(text) })
    .showHelpAfterError('(--help tells more)')
    .addHelpText('after', EXAMPLES);
  const asked = words[0] ?? '';
  const names = Object.hasOwn(LOADERS, asked) ? [asked] : Object.keys(LOADERS);
  for (const name of names) await LOADERS[name]!(program, io);
  return program;
}

const EXAMPLES = `
Without a command the agent runs, so that it takes the place of a motan-go agent in start scripts.

Examples:
  $ peony check -c /etc/peony/motan.yaml
  $ peony run -c /etc/peony/motan.yaml
  $ peony status
  $ peony call com.weibo.HelloService hello '"world"'
  $ peony help call
`;
