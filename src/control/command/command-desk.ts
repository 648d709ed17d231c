/**
 * The commands that registries tell this agent: for the groups of its refers, and for its application. Kept, checked and shown.
 *
 *   nothing known --from the disk--> saved --a registry answers--> what it says, or nothing
 *         '------------------a registry answers--------------------^
 *
 * A registry that cannot be asked takes nothing away. A text that is as before is no news. Commands change no call here.
 */
import {
  type AgentConfig,
  background,
  type Clock,
  type CommandReport,
  type CommandScope,
  type CommandStore,
  commandScopeKey,
  commandScopeText,
  type Logger,
  type Registry,
  type SavedCommand,
  type Subscription,
} from '../../core/index.js';
import { type ParsedCommands, parseCommands } from './parse-commands.js';

export interface CommandDeskDeps {
  readonly registries: ReadonlyMap<string, Registry>;
  /** Null: nothing outlives the process. */
  readonly store: CommandStore | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The groups of one refer, and the registries in which it looks. */
export interface CommandInterest {
  readonly groups: readonly string[];
  readonly registryIds: readonly string[];
}

export const HISTORY_MAX = 10;
/** Of each text in the history. */
export const HISTORY_CHARS_MAX = 4_096;

const NO_COMMANDS: ParsedCommands = { commands: [], odd: [] };

export class CommandDesk {
  readonly #deps: CommandDeskDeps;
  /** By registry and scope. */
  readonly #desks = new Map<string, ScopeDesk>();
  readonly #listeners = new Set<(report: CommandReport) => void>();
  #isClosed = false;

  constructor(deps: CommandDeskDeps) {
    this.#deps = deps;
  }

  /**
   * What is watched from now on: the commands for these groups, and those for the agent's application at the registry of the agent. What is
   * watched already goes on untouched; the rest is let go.
   */
  follow(
    agent: Pick<AgentConfig['agent'], 'application' | 'registry'>,
    interests: Iterable<CommandInterest>,
  ): void {
    if (this.#isClosed) return;
    const wanted = new Map<string, { registry: Registry; scope: CommandScope }>();
    const want = (registryId: string, scope: CommandScope): void => {
      const registry = this.#deps.registries.get(registryId);
      if (registry === undefined) return;
      // The id of the registry, not of the entry: entries that mean the same place share one.
      wanted.set(`${registry.id}\n${commandScopeKey(scope)}`, { registry, scope });
    };
    if (agent.registry !== null && agent.application !== '')
      want(agent.registry, { kind: 'agent', application: agent.application });
    for (const { groups, registryIds } of interests)
      for (const id of registryIds) for (const group of groups) want(id, { kind: 'service', group });
    for (const [key, desk] of this.#desks) {
      if (wanted.get(key)?.registry === desk.registry) continue;
      desk.close();
      this.#desks.delete(key);
    }
    for (const [key, { registry, scope }] of wanted)
      if (!this.#desks.has(key)) this.#open(key, registry, scope);
  }

  /** `listener` is told of every change. The answer ends that. */
  onChange(listener: (report: CommandReport) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The agent's commands first, then those of groups by name. */
  reports(): readonly CommandReport[] {
    return [...this.#desks.values()]
      .map((desk) => desk.report())
      .sort((one, other) => compare(sortKeyOf(one), sortKeyOf(other)));
  }

  /** Ends all watching. The registries and the store are not closed here. */
  close(): void {
    this.#isClosed = true;
    for (const desk of this.#desks.values()) desk.close();
    this.#listeners.clear();
  }

  #open(key: string, registry: Registry, scope: CommandScope): void {
    const place = registry.commandPlace(scope);
    if (place === null) return;
    const desk = new ScopeDesk(registry, scope, place, {
      ...this.#deps,
      onChange: (report) => {
        for (const listener of [...this.#listeners]) listener(report);
      },
    });
    this.#desks.set(key, desk);
  }
}

interface ScopeDeskDeps extends Pick<CommandDeskDeps, 'store' | 'clock' | 'logger'> {
  onChange(report: CommandReport): void;
}

/** The commands of one scope in one registry. */
class ScopeDesk {
  readonly registry: Registry;
  readonly #scope: CommandScope;
  readonly #place: string;
  readonly #deps: ScopeDeskDeps;
  readonly #subscription: Subscription;
  readonly #history: { atMs: number; text: string | null }[] = [];
  #source: CommandReport['source'] = 'none';
  #text: string | null = null;
  #receivedAtMs: number | null = null;
  #parsed = NO_COMMANDS;
  #trouble: string | null = null;
  #isClosed = false;

  constructor(registry: Registry, scope: CommandScope, place: string, deps: ScopeDeskDeps) {
    this.registry = registry;
    this.#scope = scope;
    this.#place = place;
    this.#deps = deps;
    this.#subscription = registry.subscribeCommand(scope, {
      onCommand: (text) => this.#onAnswer(text),
      onTrouble: (message) => {
        this.#trouble = message;
      },
    });
    const { store } = deps;
    if (store !== null)
      background('command-load', deps.logger, async () => {
        const saved = await store.load(registry.id, scope);
        if (saved !== null) this.#onSaved(saved);
      });
  }

  report(): CommandReport {
    const { id, protocol } = this.registry;
    return {
      registry: id,
      protocol,
      scope: this.#scope,
      place: this.#place,
      source: this.#source,
      text: this.#text,
      receivedAtMs: this.#receivedAtMs,
      ...this.#parsed,
      trouble: this.#trouble,
      history: [...this.#history],
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#subscription.close();
  }

  #onSaved({ text, receivedAtMs }: SavedCommand): void {
    if (this.#isClosed || this.#source !== 'none') return;
    this.#source = 'saved';
    this.#take(text, receivedAtMs);
  }

  #onAnswer(text: string | null): void {
    if (this.#isClosed) return;
    const wasHeard = this.#source === 'registry';
    this.#source = 'registry';
    this.#trouble = null;
    const isSame = text === this.#text;
    if (!isSame) this.#take(text, text === null ? null : this.#deps.clock.wallMs());
    // Also a first answer of "none": a saved text that was not read yet, or was refused, must not come back.
    if (isSame && (wasHeard || text !== null)) return;
    const saved = text === null ? null : { text, receivedAtMs: this.#receivedAtMs! };
    this.#deps.store?.save(this.registry.id, this.#scope, saved);
  }

  #take(text: string | null, receivedAtMs: number | null): void {
    const { clock, onChange } = this.#deps;
    this.#text = text;
    this.#receivedAtMs = receivedAtMs;
    this.#parsed = text === null ? NO_COMMANDS : parseCommands(text);
    this.#history.push({ atMs: receivedAtMs ?? clock.wallMs(), text: text === null ? null : cut(text) });
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    this.#log();
    onChange(this.report());
  }

  #log(): void {
    const { logger } = this.#deps;
    const where = { registry: this.registry.id, place: this.#place, scope: commandScopeText(this.#scope) };
    const { commands, odd } = this.#parsed;
    if (this.#text === null) {
      logger.info(where, 'the commands were taken away');
      return;
    }
    const kinds = commands.map(({ kind, index, pattern }) => `${index} ${kind} ${cut(pattern, 100)}`);
    const shown = kinds.length > 5 ? [...kinds.slice(0, 5), `and ${kinds.length - 5} more`] : kinds;
    const from =
      this.#source === 'saved' ? 'of an earlier run, until the registry answers' : 'from the registry';
    logger.info(
      { ...where, commands: shown.join('; ') || 'none' },
      `commands ${from}: recorded, not applied in this version`,
    );
    if (odd.length === 0) return;
    const [first] = odd;
    const at = first!.position === null ? '' : `command ${first!.position} of the list, `;
    const field = first!.field === '' ? '' : `${first!.field}: `;
    logger.warn({ ...where, odd: odd.length }, `a command makes no sense: ${at}${field}${first!.message}`);
  }
}

function sortKeyOf({ scope, registry }: CommandReport): string {
  return `${commandScopeKey(scope)}\n${registry}`;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function cut(text: string, charsMax = HISTORY_CHARS_MAX): string {
  return text.length > charsMax ? `${text.slice(0, charsMax)}...` : text;
}
