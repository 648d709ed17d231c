/**
 * Traffic commands as plain values (spec agent 8.1, traffic 10.2): what an operator wrote into a registry for a group or for the agents of an
 * application, read and checked. What they do to calls is not decided here.
 */

/** For whom a command text stands: all refers of a group, or all agents of an application. */
export type CommandScope =
  | { readonly kind: 'service'; readonly group: string }
  | { readonly kind: 'agent'; readonly application: string };

export type Command = TrafficCommand | DegradeCommand | SwitcherCommand;

interface CommandEntry {
  /** The smallest comes first. Of traffic commands the first that matches counts, of the other kinds the last. */
  readonly index: number;
  /** Place in the list as it was written, from 0. */
  readonly position: number;
  /** `*`, the beginning of a service's path, or an expression found in it; for a switcher command its switches. */
  readonly pattern: string;
  /** Not evaluated. */
  readonly version: string;
  readonly dc: string;
  readonly remark: string;
  /** Fields that mean nothing here, as they were written. */
  readonly more: Readonly<Record<string, unknown>>;
}

/** Calls go to the nodes of these groups, those that the rules leave. */
export interface TrafficCommand extends CommandEntry {
  readonly kind: 'traffic';
  readonly mergeGroups: readonly MergeGroup[];
  readonly routeRules: readonly RouteRule[];
}

export interface MergeGroup {
  readonly group: string;
  /** 1 to 100; null when none was written. One that was written makes all groups weighted. */
  readonly weight: number | null;
}

/** When `from` matches the agent's own address, only nodes that match `to` stay. Each: `*`, `10.1.*`, an address; `!` before it negates. */
export interface RouteRule {
  readonly from: string;
  readonly to: string;
}

/** Calls are refused. */
export interface DegradeCommand extends CommandEntry {
  readonly kind: 'degrade';
}

/** Switchers of the process are set, and as before when the command goes. */
export interface SwitcherCommand extends CommandEntry {
  readonly kind: 'switcher';
  readonly switches: readonly { readonly name: string; readonly value: boolean }[];
}

/** Something in a command text that makes no sense. */
export interface OddCommand {
  /** Place in the list as it was written; null when it is about the whole text. */
  readonly position: number | null;
  /** Empty when it is about the whole entry. */
  readonly field: string;
  readonly message: string;
}

/** One command text and what became of it, for people and for whoever applies it. */
export interface CommandReport {
  /** Configuration id of the registry. */
  readonly registry: string;
  readonly protocol: string;
  readonly scope: CommandScope;
  /** Where an operator writes it, for example `/motan/g1/command`. */
  readonly place: string;
  /** `saved`: from the disk, because the registry has not answered yet. `none`: nobody has said anything. */
  readonly source: 'registry' | 'saved' | 'none';
  /** As it was written; null when there is none. */
  readonly text: string | null;
  /** Unix ms at which this text came, in whichever process; null when there is none. */
  readonly receivedAtMs: number | null;
  /** In the order of their index. */
  readonly commands: readonly Command[];
  readonly odd: readonly OddCommand[];
  /** Why the registry cannot be asked; the last text stands meanwhile. */
  readonly trouble: string | null;
  /** The last ten texts, the oldest first; null where a command was taken away. Long ones are cut. */
  readonly history: readonly { readonly atMs: number; readonly text: string | null }[];
}

/** Two scopes with the same key are the same. */
export function commandScopeKey(scope: CommandScope): string {
  return scope.kind === 'service' ? `service ${scope.group}` : `agent ${scope.application}`;
}

/** For people. */
export function commandScopeText(scope: CommandScope): string {
  return scope.kind === 'service' ? `group ${scope.group}` : `agents of ${scope.application}`;
}

/**
 * Where the last command texts outlive the process. Made by `control/registry`, used by `control/command`; no method throws.
 */
export interface CommandStore {
  /** Wants `text` to be what a later start finds; null forgets it. Returns at once; the last word counts. */
  save(registry: string, scope: CommandScope, saved: SavedCommand | null): void;
  load(registry: string, scope: CommandScope): Promise<SavedCommand | null>;
}

export interface SavedCommand {
  readonly text: string;
  readonly receivedAtMs: number;
}
