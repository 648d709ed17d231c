/** What `check` and `config` share: the agent's own flags in Go's spelling behind a commander command. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type AgentFlags, type LoadOptions, parseGoFlags } from '../control/config/index.js';

/** Where a command writes; process.stdout and process.stderr outside of tests. */
export interface CommandIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Where a command loads from; environment and directory of the process by default. */
export type LoadFrom = Partial<Pick<LoadOptions, 'env' | 'cwd' | 'localIp' | 'names' | 'built'>>;

export function loadOptions(flags: AgentFlags, from: LoadFrom): LoadOptions {
  return { ...from, flags, env: from.env ?? process.env, cwd: resolve(from.cwd ?? '.') };
}

/** Lets a command take `-c PATH`, `-pool NAME` and all other flags of the agent, which commander would read as bundles of letters. */
export function takeAgentFlags(command: Command): Command {
  return command
    .argument('[flags...]', 'flags of the agent in its own spelling, for example -c PATH -pool NAME')
    .allowUnknownOption()
    .allowExcessArguments();
}

/** The flags, or null after explaining on `io` what is wrong; then `exitCode` is what the program should end with. */
export function readFlags(
  words: readonly string[],
  io: CommandIo,
): { flags: AgentFlags } | { exitCode: number } {
  const { flags, rest, exit } = parseGoFlags(words);
  if (exit !== null) {
    io.stderr.write(exit.text);
    return { exitCode: exit.code };
  }
  if (rest.length > 0) {
    io.stderr.write(`unexpected argument: ${JSON.stringify(rest[0])}\n`);
    return { exitCode: 2 };
  }
  return { flags };
}
