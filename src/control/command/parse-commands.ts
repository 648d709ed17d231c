/**
 * From a command text to commands (spec agent 8.1, traffic 10.2).
 *
 *   { "clientCommandList": [ { "index": 1, "version": "1.0", "commandType": 0, "dc": "yf", "pattern": "*",
 *       "mergeGroups": ["g1:3", "g2:1"], "routeRules": ["10.1.* to 10.2.*"], "remark": "text" }, ... ] }
 *
 * As motan-go reads it, so that all agents of a mesh do the same: names of fields in any case, what is missing or null is 0 or empty, and one
 * value of a wrong type makes the whole text no command at all. Unlike there an entry that is null is left out: motan-go takes it for a
 * traffic command for everything. All that makes no sense is named.
 */
import type { Command, MergeGroup, OddCommand, RouteRule, SwitcherCommand } from '../../core/index.js';

export interface ParsedCommands {
  /** In the order of their index; equal ones as they were written. */
  readonly commands: readonly Command[];
  readonly odd: readonly OddCommand[];
}

/** More than anybody writes; the rest is left out and told. */
export const COMMANDS_MAX = 1_000;
/** Named; the rest is counted. */
export const ODD_MAX = 50;
/** Unknown fields that are nested deeper are told, not kept: whoever prints them goes as deep. */
const DEPTH_MAX = 8;
const SHOWN_CHARS_MAX = 100;

const LIST = 'clientcommandlist';
const KNOWN = ['index', 'version', 'commandType', 'dc', 'pattern', 'mergeGroups', 'routeRules', 'remark'];
const KNOWN_LOWER: ReadonlySet<string> = new Set(KNOWN.map((name) => name.toLowerCase()));

/** As Go's strconv.ParseBool. */
const SWITCH_VALUES: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

/** `text` has at most `COMMAND_BYTES_MAX` bytes. Never throws. */
export function parseCommands(text: string): ParsedCommands {
  const odd = new OddList();
  try {
    const list = listOf(text);
    if (list.length > COMMANDS_MAX)
      odd.add(null, '', `more than ${COMMANDS_MAX} commands, ${list.length - COMMANDS_MAX} left out`);
    const commands: Command[] = [];
    for (const [position, value] of list.slice(0, COMMANDS_MAX).entries()) {
      const command = value === null ? null : new EntryReader(value, position, odd).read();
      if (value === null) odd.add(position, '', 'null, left out');
      if (command !== null) commands.push(command);
    }
    return { commands: commands.sort((one, other) => one.index - other.index), odd: odd.all };
  } catch (error) {
    if (!(error instanceof WholeTextError)) throw error;
    const { position, field, message } = error;
    return { commands: [], odd: [{ position, field, message: `${message}: the whole text is no command` }] };
  }
}

function listOf(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new WholeTextError(null, '', `not JSON (${error instanceof Error ? error.message : 'unknown'})`);
  }
  if (value === null) return [];
  if (!isFields(value)) throw new WholeTextError(null, '', `${shown(value)}, expected an object`);
  let list: unknown = null;
  // The last one counts, however it is written.
  for (const [name, found] of Object.entries(value)) if (name.toLowerCase() === LIST) list = found;
  if (list === null) return [];
  if (!Array.isArray(list))
    throw new WholeTextError(null, 'clientCommandList', `${shown(list)}, expected a list`);
  return list;
}

class EntryReader {
  readonly #position: number;
  readonly #odd: OddList;
  readonly #fields = new Map<string, unknown>();
  readonly #more: [string, unknown][] = [];

  constructor(value: unknown, position: number, odd: OddList) {
    this.#position = position;
    this.#odd = odd;
    if (!isFields(value)) throw new WholeTextError(position, '', `${shown(value)}, expected an object`);
    for (const [name, field] of Object.entries(value)) {
      const lower = name.toLowerCase();
      if (KNOWN_LOWER.has(lower)) this.#fields.set(lower, field);
      else if (isShallow(field, DEPTH_MAX)) this.#more.push([name, field]);
      else this.#add(name, 'nested too deeply, not kept');
    }
  }

  /** Null for an entry that is no command. Throws WholeTextError. */
  read(): Command | null {
    const type = this.#int('commandType');
    const common = {
      index: this.#int('index'),
      position: this.#position,
      pattern: this.#text('pattern'),
      version: this.#text('version'),
      dc: this.#text('dc'),
      remark: this.#text('remark'),
      more: Object.fromEntries(this.#more),
    };
    // Their types count, whatever the kind of the command.
    const groups = this.#texts('mergeGroups');
    const rules = this.#texts('routeRules');
    if (type === 2) return { kind: 'switcher', ...common, switches: this.#switches(common.pattern) };
    if (type !== 0 && type !== 1) {
      this.#add('commandType', `${type}, expected 0 (traffic), 1 (degrade) or 2 (switcher); left out`);
      return null;
    }
    if (common.pattern === '') this.#add('pattern', 'empty, so it is for every service');
    if (type === 1) return { kind: 'degrade', ...common };
    return { kind: 'traffic', ...common, mergeGroups: this.#groups(groups), routeRules: this.#rules(rules) };
  }

  #groups(texts: readonly string[]): readonly MergeGroup[] {
    if (texts.length === 0) this.#add('mergeGroups', 'empty, so only the own group is used');
    const groups: MergeGroup[] = [];
    for (const text of texts) {
      const [group = '', weightText = null, ...rest] = text.split(':');
      if (group === '') this.#add('mergeGroups', `${shown(text)} names no group, left out`);
      else groups.push({ group, weight: weightText === null ? null : this.#weight(text, weightText) });
      if (rest.length > 0) this.#add('mergeGroups', `${shown(text)} has more than one ":"`);
    }
    return groups;
  }

  #weight(text: string, weightText: string): number {
    const weight = /^\d{1,3}$/.test(weightText) ? Number(weightText) : 0;
    if (weight >= 1 && weight <= 100) return weight;
    this.#add('mergeGroups', `${shown(text)} has no weight from 1 to 100, 1 is taken`);
    return 1;
  }

  #rules(texts: readonly string[]): readonly RouteRule[] {
    const rules: RouteRule[] = [];
    for (const text of texts) {
      const [from = '', to = '', ...rest] = text.split('to').map((part) => part.trim());
      if (from !== '' && to !== '' && rest.length === 0) rules.push({ from, to });
      else this.#add('routeRules', `${shown(text)}, expected "A to B", left out`);
    }
    return rules;
  }

  #switches(pattern: string): SwitcherCommand['switches'] {
    const switches: { name: string; value: boolean }[] = [];
    for (const text of pattern.split(',')) {
      const [name = '', valueText = ''] = text.split(':');
      const value = SWITCH_VALUES.get(valueText);
      if (value !== undefined && name !== '') switches.push({ name, value });
      else this.#add('pattern', `${shown(text)}, expected "name:true" or "name:false", left out`);
    }
    return switches;
  }

  #int(name: string): number {
    const value = this.#valueOf(name) ?? 0;
    if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
    throw new WholeTextError(this.#position, name, `${shown(value)}, expected a whole number`);
  }

  #text(name: string): string {
    const value = this.#valueOf(name) ?? '';
    if (typeof value === 'string') return value;
    throw new WholeTextError(this.#position, name, `${shown(value)}, expected text`);
  }

  #texts(name: string): readonly string[] {
    const value = this.#valueOf(name) ?? [];
    if (!Array.isArray(value))
      throw new WholeTextError(this.#position, name, `${shown(value)}, expected a list`);
    return value.map((item: unknown) => {
      if (typeof item === 'string') return item;
      if (item === null) return '';
      throw new WholeTextError(this.#position, name, `has ${shown(item)}, expected text`);
    });
  }

  #valueOf(name: string): unknown {
    return this.#fields.get(name.toLowerCase());
  }

  #add(field: string, message: string): void {
    this.#odd.add(this.#position, field, message);
  }
}

class OddList {
  readonly #odd: OddCommand[] = [];
  #more = 0;

  get all(): readonly OddCommand[] {
    if (this.#more === 0) return this.#odd;
    return [...this.#odd, { position: null, field: '', message: `and ${this.#more} more` }];
  }

  add(position: number | null, field: string, message: string): void {
    const cut = field.length > SHOWN_CHARS_MAX ? `${field.slice(0, SHOWN_CHARS_MAX)}...` : field;
    if (this.#odd.length < ODD_MAX) this.#odd.push({ position, field: cut, message });
    else this.#more += 1;
  }
}

/** One place spoils all, as with the peers. */
class WholeTextError extends Error {
  readonly position: number | null;
  readonly field: string;

  constructor(position: number | null, field: string, message: string) {
    super(message);
    this.name = 'WholeTextError';
    this.position = position;
    this.field = field;
  }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isShallow(value: unknown, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depthMax > 0 && Object.values(value).every((item) => isShallow(item, depthMax - 1));
}

/** Short, whatever it is. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isFields(value)) return 'an object';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}...` : text;
}
