/**
 * The Registry contract: who is where, and nothing else.
 *
 * Every implementation passes `test/support/registry-contract.ts`. No method waits for a server: what is wanted is noted at
 * once and made true in the background, again and again until it is, so that a registry that is down stops nobody.
 */
import type { CommandScope } from './command.js';
import type { MeshUrl } from './url.js';

export interface Registry {
  /** Configuration id, for example `zk-main`. */
  readonly id: string;
  /** Configured protocol, for example `file`. */
  readonly protocol: string;

  /**
   * Watches the nodes that serve a refer. `onNodes` is called with the whole list whenever it changes, never before
   * `subscribe` has returned, and never after `close` of the subscription. An empty list means that the registry says "nobody";
   * not being able to ask is `onTrouble`, and the last list stands.
   */
  subscribe(refer: MeshUrl, listener: NodeListener): Subscription;

  /** Where an operator writes the commands of a scope, for people; null when this registry holds none, and its listeners are never told anything. */
  commandPlace(scope: CommandScope): string | null;

  /** Watches the command text of a scope. Told by the same rules as `subscribe`. */
  subscribeCommand(scope: CommandScope, listener: CommandListener): Subscription;

  /** The services of which something is, or was, listed. Rejects with the cause, for an operator. Absent where the registry cannot tell. */
  readonly listServices?: () => Promise<readonly ServiceName[]>;

  /**
   * Wants a node to be listed, as serving or as not (yet) serving. Idempotent; the last word counts. A copy (`isCopy`) gives way to what
   * another process lists at its address, for as long as that stands.
   */
  announce(node: MeshUrl, availability: Availability): void;

  /** Wants a node to be gone. Idempotent. */
  withdraw(node: MeshUrl): void;

  /** Resolves when all that was announced and withdrawn is true in the registry, or after `withinMs`; tells which. */
  settled(withinMs: number): Promise<boolean>;

  report(): RegistryReport;

  /** Ends all background work. What was announced is withdrawn as far as the registry can do at once. */
  close(): Promise<void>;
}

export type Availability = 'available' | 'unavailable';

export interface ServiceName {
  readonly group: string;
  readonly path: string;
}

/** Parameter of a node that a bridge has copied from another registry; its value names that one. */
export const COPY_MARK = 'bridgedFrom';

export function isCopy(node: MeshUrl): boolean {
  return node.text(COPY_MARK) !== '';
}

export interface NodeListener {
  onNodes(nodes: readonly MeshUrl[]): void;
  /** Said once per outage, in words for an operator; `onNodes` ends the outage. */
  onTrouble(message: string): void;
}

/** More than any command; a longer text is not taken over, and told. */
export const COMMAND_BYTES_MAX = 1024 * 1024;

export interface CommandListener {
  /** What stands there, perhaps once more; null when there is nothing, or only blanks. */
  onCommand(text: string | null): void;
  /** It cannot be read, in words for an operator: the last text stands. `onCommand` ends it. */
  onTrouble(message: string): void;
}

export interface Subscription {
  close(): void;
}

export interface RegistryReport {
  readonly id: string;
  readonly protocol: string;
  readonly address: string;
  /** Unix ms of the last good answer; null before the first. */
  readonly lastContactMs: number | null;
  readonly lastError: string | null;
  readonly announced: readonly {
    readonly node: string;
    readonly desired: Availability;
    readonly seen: Availability | 'absent';
  }[];
  readonly subscribed: readonly {
    readonly service: string;
    readonly group: string;
    readonly nodes: number;
  }[];
}

/**
 * Where the last good nodes outlive the process. Made by `control/registry`, used by `control/discovery`; both methods
 * never throw, because a call must not depend on a disk.
 */
export interface SnapshotStore {
  /** Wants `nodes` to be what a later start finds for this group and path. Returns at once; the last word counts. */
  save(group: string, path: string, nodes: readonly MeshUrl[]): void;
  /** The newest snapshot that can be trusted for `refer` (its group and path), or null. */
  load(refer: MeshUrl): Promise<Snapshot | null>;
}

export interface Snapshot {
  readonly nodes: readonly MeshUrl[];
  /** Unix ms at which it was written. */
  readonly savedAtMs: number;
  /** The file it was read from. */
  readonly file: string;
}

/**
 * `host:port`, or `unix://path` whose whole text is the host, with port 0 (spec agent 6.3). Null for anything else:
 * no host, or a port that is not 1 to 65535.
 */
export function parseNodeAddress(text: string): { readonly host: string; readonly port: number } | null {
  const address = text.trim();
  if (address.startsWith('unix://'))
    return address.length > 'unix://'.length ? { host: address, port: 0 } : null;
  const found = /^([^\s/]+):(\d{1,5})$/.exec(address);
  if (found === null) return null;
  const port = Number(found[2]);
  return port < 1 || port > 65_535 ? null : { host: found[1]!, port };
}
