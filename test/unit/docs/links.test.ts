import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Command } from 'commander';
import { addBridgeCommand } from '../../../src/cli/bridge.js';
import { addCallCommand } from '../../../src/cli/call.js';
import { addCheckCommand } from '../../../src/cli/check.js';
import { addCommandsCommand } from '../../../src/cli/commands.js';
import { addConfigCommand } from '../../../src/cli/config.js';
import { addDecodeCommand } from '../../../src/cli/decode.js';
import { addRegistrationsCommand } from '../../../src/cli/registrations.js';
import { addRegistryCommand } from '../../../src/cli/registry.js';
import { addServicesCommand } from '../../../src/cli/services.js';
import { addStateCommand } from '../../../src/cli/state.js';
import { addStatusCommand } from '../../../src/cli/status.js';
import { addVersionCommand } from '../../../src/cli/version.js';
import { loadConfig, parseGoFlags } from '../../../src/control/config/index.js';
import * as keys from '../../../src/control/config/keys.js';
import {
  allPages,
  anchors,
  codeBlocks,
  localLinks,
  type Page,
  peonyCommands,
  REPOSITORY,
  readPage,
  tableRows,
} from './pages.js';

const PAGES = allPages();
const COMMANDS = commands();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'peony-docs-'));
after(() => fs.rmSync(folder, { recursive: true }));

for (const page of PAGES) {
  test(`${page.name}: every link leads to a file and a heading that are there`, () => {
    const broken = localLinks(page).filter((target) => !leadsSomewhere(page, target));

    assert.deepEqual(broken, []);
  });

  test(`${page.name}: every peony command is one that the program takes`, () => {
    const refused = peonyCommands(page).flatMap((words) => refusalOf(words) ?? []);

    assert.deepEqual(refused, []);
  });

  test(`${page.name}: every YAML example loads without an error`, () => {
    const problems = codeBlocks(page)
      .filter(({ language }) => language === 'yaml')
      .flatMap(({ lines }) => problemsOf(lines.join('\n')));

    assert.deepEqual(problems, []);
  });
}

test('docs/config.md names no key that the agent does not read', () => {
  const page = readPage('docs/config.md');
  const known = new Set(
    [keys.AGENT_KEYS, keys.REGISTRY_KEYS, keys.REFER_KEYS, keys.SERVICE_KEYS, keys.HTTP_CLIENT_KEYS]
      .concat(keys.LOCATION_KEYS, keys.METRICS_KEYS, keys.SCHEMA_KEYS)
      .flatMap((table) => Object.keys(table)),
  );
  // Key tables have five columns: key, type, unit, default, meaning.
  const named = tableRows(page)
    .filter((cells) => cells.length === 5 && cells[0] !== '')
    .map(([key]) => key!.replaceAll('`', ''));

  assert.ok(named.length > 100);
  assert.deepEqual(
    named.filter((key) => !known.has(key)),
    [],
  );
});

test('docs/registries.md names no key of a registry that the agent does not read', () => {
  const text = readPage('docs/registries.md').text;
  const tables = [...text.matchAll(/^\| key +\|.*\n\| --.*\n((?:\|.*\n)+)/gm)].map(([, rows]) => rows!);
  const named = tables.flatMap((rows) => [...rows.matchAll(/^\|([^|]+)\|/gm)].map(([, cell]) => cell!));
  const found = named.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, key]) => key!));

  assert.ok(found.length >= 4);
  assert.deepEqual(
    found.filter((key) => !Object.hasOwn(keys.REGISTRY_KEYS, key)),
    [],
  );
});

test('the migration page lists every difference that the other pages tell', () => {
  const listed = tableRows(readPage('docs/migrating-from-motan-go.md')).map((cells) => cells.join('|'));
  const config = tableRows(section(readPage('docs/config.md'), 'Differences from motan-go'));
  const wire = tableRows(section(readPage('docs/wire-differences.md'), 'Other cases'));
  const isListed = (cells: readonly string[]): boolean => listed.some((row) => row.includes(cells.join('|')));

  assert.ok(config.length > 5 && wire.length > 5);
  assert.deepEqual(
    [...config, ...wire].filter((cells) => !isListed(cells)),
    [],
  );
});

function leadsSomewhere(page: Page, target: string): boolean {
  const [file, anchor] = target.split('#') as [string, string?];
  const name = file === '' ? page.name : path.join(path.dirname(page.name), file);
  if (!fs.existsSync(path.join(REPOSITORY, name))) return false;
  return anchor === undefined || anchors(readPage(name)).has(anchor);
}

function commands(): ReadonlyMap<string, Command> {
  const program = new Command('peony').exitOverride().configureOutput({ writeErr: () => undefined });
  const io = { out: () => undefined, error: () => undefined, setExitCode: () => undefined };
  addCheckCommand(program);
  addConfigCommand(program);
  addDecodeCommand(program);
  addCallCommand(program, io);
  addServicesCommand(program, io);
  addStateCommand(program, io);
  addStatusCommand(program, io);
  addRegistryCommand(program, io);
  addCommandsCommand(program, io);
  addRegistrationsCommand(program, io);
  addBridgeCommand(program, io);
  addVersionCommand(program, io);
  return new Map(program.commands.map((command) => [command.name(), command]));
}

/** What the program would say against the words; null when it would begin to work. Nothing is run. */
function refusalOf(words: readonly string[]): string | null {
  const [name = '', ...rest] = words;
  const inner = COMMANDS.get(name)?.commands.find((one) => one.name() === rest[0]);
  if (inner !== undefined) return refusalOfCommand(inner, words, rest.slice(1));
  if (name === 'run') return goRefusal(words, rest);
  if (name.startsWith('-')) return goRefusal(words, words);
  const command = COMMANDS.get(name);
  if (command === undefined) return `${words.join(' ')}: there is no such command`;
  return refusalOfCommand(command, words, rest);
}

function refusalOfCommand(
  command: Command,
  words: readonly string[],
  rest: readonly string[],
): string | null {
  const name = command.name();
  try {
    const { operands, unknown } = command.parseOptions(rest.filter((word) => word !== '--help'));
    if (name === 'check' || name === 'config') return goRefusal(words, [...operands, ...unknown]);
    if (unknown.length > 0) return `${words.join(' ')}: unknown option ${unknown[0]}`;
    // The bare name of a command stands for the command, not for a use of it.
    const least =
      rest.length === 0 ? 0 : command.registeredArguments.filter(({ required }) => required).length;
    return operands.length < least ? `${words.join(' ')}: an argument is missing` : null;
  } catch (error) {
    return `${words.join(' ')}: ${String(error)}`;
  }
}

function goRefusal(words: readonly string[], flags: readonly string[]): string | null {
  const { rest, exit } = parseGoFlags(flags);
  if (exit !== null && exit.code !== 0) return `${words.join(' ')}: ${exit.text.split('\n')[0]}`;
  return rest.length > 0 ? `${words.join(' ')}: ${rest[0]} is no flag` : null;
}

function problemsOf(yaml: string): string[] {
  const file = path.join(folder, 'example.yaml');
  fs.writeFileSync(file, yaml);
  const { flags } = parseGoFlags(['-c', file]);
  const { config } = loadConfig({ flags, env: {}, cwd: folder, localIp: '127.0.0.1' });
  return config.problems
    .filter(({ severity }) => severity !== 'warning')
    .map(({ key, message }) => `${key}: ${message}`);
}

function section({ name, text }: Page, heading: string): Page {
  const start = text.indexOf(`\n## ${heading}\n`);
  assert.ok(start >= 0, `${name} has no section "${heading}"`);
  const end = text.indexOf('\n## ', start + 4);
  return { name, text: text.slice(start, end < 0 ? undefined : end) };
}
