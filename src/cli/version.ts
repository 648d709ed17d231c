/** `peony version`. Reads the manifest alone, so that it answers at once and in every state of an installation. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type CliIo, processIo } from './output.js';

export function packageVersion(): string {
  const manifest = new URL('../../package.json', import.meta.url);
  return String((JSON.parse(readFileSync(manifest, 'utf8')) as { version: unknown }).version);
}

/** `io` is replaced in tests. */
export function addVersionCommand(program: Command, io: CliIo = processIo): void {
  program
    .command('version')
    .description('print the version of Peony and of Node')
    .option('--json', 'print one JSON object')
    .addHelpText('after', EXAMPLES)
    .action((options: { json?: boolean }) => {
      const version = packageVersion();
      const { version: node, platform, arch } = process;
      if (options.json) io.out(`${JSON.stringify({ version, node, platform, arch })}\n`);
      else io.out(`peony ${version} (Node ${node.slice(1)}, ${platform} ${arch})\n`);
    });
}

const EXAMPLES = `
Examples:
  $ peony version
  $ peony version --json | jq -r .version
`;
