/**
 * The command line of the agent in Go's flag syntax, so that start scripts of motan-go work unchanged (spec agent 1.1):
 * `-name value`, `-name=value`, `--name` is `-name`, booleans take a value only after `=`, `--` and the first word that is no flag
 * end the flags.
 */
import { nearestName } from './near.js';
import { parseInteger } from './scalar.js';

export interface AgentFlags {
  /** Configuration file or directory; empty for the default. */
  readonly c: string;
  readonly pool: string;
  readonly application: string;
  /** Ports: 0 means not given. */
  readonly port: number;
  readonly mport: number;
  readonly eport: number;
  readonly hport: number;
  readonly pidfile: string;
  readonly localIP: string;
  readonly idc: string;
  readonly recover: boolean;
  readonly log_dir: string;
  readonly log_level: string;
  readonly log_async: boolean;
  readonly log_buffer_size: number;
  readonly log_structured: boolean;
  readonly rotate_per_hour: boolean;
  readonly log_filter_caller: boolean;
  /** Names of the flags that stood on the command line. */
  readonly given: ReadonlySet<string>;
}

export interface GoFlagsResult {
  readonly flags: AgentFlags;
  /** What stands behind the flags; motan-go ignores it. */
  readonly rest: readonly string[];
  /** Set when the program must end instead of run: help was asked for (0), or the flags are wrong (2). Text is for stderr. */
  readonly exit: { readonly code: 0 | 2; readonly text: string } | null;
}

type FlagName = Exclude<keyof AgentFlags, 'given'>;

interface FlagSpec {
  readonly type: 'string' | 'int' | 'bool';
  readonly initial: string | number | boolean;
  readonly usage: string;
}

export const FLAGS: Readonly<Record<FlagName, FlagSpec>> = {
  c: { type: 'string', initial: '', usage: 'configuration file, or directory (pool mode)' },
  pool: {
    type: 'string',
    initial: '',
    usage: 'pool name, parts joined by "-": selects files and placeholder values',
  },
  application: { type: 'string', initial: '', usage: 'names the application file in pool mode' },
  port: { type: 'int', initial: 0, usage: 'forward port (default 9981)' },
  mport: { type: 'int', initial: 0, usage: 'management port (default 8002)' },
  eport: { type: 'int', initial: 0, usage: 'export port of dynamic registrations (default 9982)' },
  hport: { type: 'int', initial: 0, usage: 'HTTP proxy port (default 9983)' },
  pidfile: { type: 'string', initial: '', usage: 'pid file (default ./agent.pid)' },
  localIP: { type: 'string', initial: '', usage: 'address to publish in registries' },
  idc: {
    type: 'string',
    initial: '',
    usage: 'data centre, fills in the idc placeholder in groups of refers',
  },
  recover: { type: 'bool', initial: false, usage: 'restore saved status and dynamic registrations' },
  log_dir: { type: 'string', initial: '.', usage: 'log directory, or stdout' },
  log_level: {
    type: 'string',
    initial: 'info',
    usage: 'trace, debug, info, warn, error, dpanic, panic or fatal',
  },
  log_async: { type: 'bool', initial: true, usage: 'accepted for compatibility' },
  log_buffer_size: { type: 'int', initial: 5000, usage: 'accepted for compatibility' },
  log_structured: { type: 'bool', initial: false, usage: 'access log as JSON' },
  rotate_per_hour: { type: 'bool', initial: true, usage: 'rotate logs every hour' },
  log_filter_caller: { type: 'bool', initial: false, usage: 'accepted for compatibility' },
};

const GO_BOOLEANS = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
]);

/** Reads flags without the program name. Never throws: what is wrong is in `exit`. */
export function parseGoFlags(argv: readonly string[]): GoFlagsResult {
  const values: Record<string, string | number | boolean> = {};
  for (const [name, spec] of Object.entries(FLAGS)) values[name] = spec.initial;
  const given = new Set<string>();
  const result = (rest: readonly string[], exit: GoFlagsResult['exit']): GoFlagsResult => ({
    flags: Object.freeze({ ...values, given }) as unknown as AgentFlags,
    rest,
    exit,
  });
  const refuse = (at: number, message: string) =>
    result(argv.slice(at), { code: 2, text: `${message}\n${flagsUsage()}` });

  let at = 0;
  while (at < argv.length) {
    const word = argv[at]!;
    if (word.length < 2 || !word.startsWith('-')) break;
    if (word === '--') {
      at += 1;
      break;
    }
    const body = word.slice(word.startsWith('--') ? 2 : 1);
    if (body === '' || body.startsWith('-') || body.startsWith('='))
      return refuse(at, `bad flag syntax: ${word}`);
    const equalsAt = body.indexOf('=');
    const name = equalsAt < 0 ? body : body.slice(0, equalsAt);
    const spec = Object.hasOwn(FLAGS, name) ? FLAGS[name as FlagName] : undefined;
    if (spec === undefined) {
      if (name === 'h' || name === 'help') return result(argv.slice(at), { code: 0, text: flagsUsage() });
      const near = nearestName(name, Object.keys(FLAGS));
      return refuse(
        at,
        `flag provided but not defined: -${name}${near === null ? '' : ` (did you mean -${near}?)`}`,
      );
    }
    at += 1;
    let text = equalsAt < 0 ? null : body.slice(equalsAt + 1);
    if (text === null && spec.type !== 'bool') {
      if (at >= argv.length) return refuse(at, `flag needs an argument: -${name}`);
      text = argv[at]!;
      at += 1;
    }
    const value = parseFlagValue(spec.type, text ?? 'true');
    if (value === null) return refuse(at, `invalid value "${text}" for flag -${name}: expected ${spec.type}`);
    values[name] = value;
    given.add(name);
  }
  return result(argv.slice(at), null);
}

function parseFlagValue(type: FlagSpec['type'], text: string): string | number | boolean | null {
  if (type === 'string') return text;
  if (type === 'bool') return GO_BOOLEANS.get(text) ?? null;
  const value = parseInteger(text.replace(/(?<=\d)_(?=\d)/g, ''));
  return value === null || value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER
    ? null
    : Number(value);
}

export function flagsUsage(): string {
  const lines = ['Usage of peony:'];
  for (const [name, spec] of Object.entries(FLAGS)) {
    lines.push(`  -${name}${spec.type === 'bool' ? '' : ` ${spec.type}`}`);
    const initial =
      spec.initial === '' || spec.initial === 0 || spec.initial === false ? '' : ` (default ${spec.initial})`;
    lines.push(`    \t${spec.usage}${initial}`);
  }
  return `${lines.join('\n')}\n`;
}
