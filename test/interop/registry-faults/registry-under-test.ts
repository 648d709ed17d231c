/** What the fault matrix needs of a registry server, and of a client of its own that sees and changes what stands in it. */
import type { Peer } from '../support.js';
import type { Wire } from './wire.js';

export const GROUP = 'g1';
export const SERVICE = 'com.x.Echo';
/** Path and group of a service with very many nodes that nobody calls. */
export const CROWD = 'com.x.Crowd';

export interface RegistryKind {
  readonly name: string;
  readonly peer: Peer;
  start(): Promise<RegistryUnderTest>;
}

export interface RegistryUnderTest {
  readonly port: number;
  /** How often a registry of this kind sees to what it has listed; after a fault it may be wrong for two of them. */
  readonly intervalMs: number;
  /** After so long without a word from an agent its nodes are gone; null where that is longer than a test should wait. */
  readonly lapseMs: number | null;
  /** Of the section `motan-registry`. */
  entry(address: string): Record<string, unknown>;

  kill(): Promise<void>;
  /** On the same port. Resolves when it serves. */
  restart(options: { readonly isWiped: boolean }): Promise<void>;
  /** It stands still, with its connections open. */
  pause(): void;
  resume(): void;

  /** Addresses of the available nodes of `SERVICE`; throws while it cannot be asked. */
  addresses(): Promise<readonly string[]>;
  /** Whether a node of `path` in `group` is listed as available. */
  isListed(group: string, path: string): Promise<boolean>;
  /** Lists a node of `SERVICE` that stands until it is taken out. */
  list(port: number): Promise<void>;
  unlist(port: number): Promise<void>;
  /** Takes out everything, of everybody. */
  empty(): Promise<void>;
  /** Puts some kinds of what makes no sense beside the nodes of `SERVICE`, so many in all. */
  addRubbish(count: number): Promise<void>;
  removeRubbish(): Promise<void>;
  /** Lists so many nodes of `CROWD` at once, or changes all that are. */
  listCrowd(count: number, weight: number): Promise<void>;
  /** Lists nodes of any services, which stand until they are taken out. */
  listUrls(urls: readonly string[]): Promise<void>;
  /** From now on agents are refused for their credentials; resolves with what lets them in again. */
  lockOut(wires: readonly Wire[]): Promise<() => Promise<void>>;
}

export function crowdUrl(index: number, weight: number): string {
  return `motan2://127.0.0.1:${10_000 + index}/${CROWD}?group=${CROWD}&nodeType=service&weight=${weight}`;
}

export function nodeUrl(port: number): string {
  return `motan2://127.0.0.1:${port}/${SERVICE}?group=${GROUP}&nodeType=service`;
}

/** Calls `work` for slices of `items`, one after the other. */
export async function inSlices<T>(
  items: readonly T[],
  size: number,
  work: (some: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < items.length; at += size) await work(items.slice(at, at + size));
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
