/** The agent as a process: configuration, signals, exit codes (spec agent 1.7, put right). */
import {
  type AgentFlags,
  ConfigError,
  type EnvironmentVariables,
  loadConfig,
  problemText,
} from '../control/config/index.js';
import { AgentError, messageOf } from '../core/index.js';
import { Agent } from './agent.js';

export interface RunOptions {
  readonly flags: AgentFlags;
  readonly env: EnvironmentVariables;
  readonly cwd: string;
  /** Base name of the executable. */
  readonly program: string;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Called when the forward port is open. */
  readonly onStarted?: () => void;
}

export const EXIT_OK = 0;
/** A port is busy, or something else that the operating system refuses. */
export const EXIT_CANNOT_START = 1;
/** The configuration cannot be read or parsed. */
export const EXIT_CONFIG = 2;
/** What is still open after a stop may hold up the end of the process this long. */
const LEAVE_MS = 200;

/** Runs until SIGTERM or SIGINT; resolves with the exit code. A second signal does not wait for calls in flight. */
export async function runAgent(options: RunOptions): Promise<number> {
  const { stdout, stderr } = options;
  let agent: Agent;
  try {
    const { config } = loadConfig(options);
    for (const problem of config.problems) stderr.write(`${problemText(problem)}\n`);
    agent = new Agent({ config, program: options.program, clock: systemClock });
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const problems = error instanceof ConfigError ? error.problems : [];
    for (const problem of problems) stderr.write(`${problemText(problem)}\n`);
    if (problems.length === 0) stderr.write(`${error.message}\n`);
    return EXIT_CONFIG;
  }
  const stopped = stopOnSignal(agent);
  process.on('uncaughtExceptionMonitor', (error) => {
    agent.logger.error({ error: error.message, stack: error.stack }, 'the agent ends by a fault of its own');
    agent.flushLogsSync();
  });
  let isStarted: boolean;
  try {
    isStarted = await agent.start();
  } catch (error) {
    stderr.write(`peony cannot start: ${messageOf(error)}\n`);
    return EXIT_CANNOT_START;
  }
  if (isStarted) {
    const httpPort = agent.port('http');
    stdout.write(
      `peony agent started, forward port ${agent.port('forward')}, management ${agent.managementAddress}` +
        `${httpPort === 0 ? '' : `, http port ${httpPort}`}\n`,
    );
    options.onStarted?.();
  }
  await stopped;
  // All is closed. Unreferenced, so it fires only when something is not: a connect under way to a node that does not answer.
  setTimeout(() => process.exit(EXIT_OK), LEAVE_MS).unref();
  return EXIT_OK;
}

export const systemClock = { nowMs: () => performance.now(), wallMs: () => Date.now() };

function stopOnSignal(agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    let signals = 0;
    const onSignal = (): void => {
      signals += 1;
      if (signals > 1) {
        agent.flushLogsSync();
        process.exit(EXIT_OK);
      }
      agent.stop().then(() => resolve(), reject);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    // motan-go dies of a lost terminal; a service without one must not.
    process.on('SIGHUP', () => agent.logger.info({}, 'SIGHUP ignored'));
  });
}
