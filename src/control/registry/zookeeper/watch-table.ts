/**
 * Watches that were asked for and have not fired yet. ZooKeeper tells each once; who wants to know more asks again.
 *
 * A server keeps them for a connection. When the session goes on over another connection they are set again from here, and the server
 * tells at once what changed meanwhile.
 */
import type { WatchEvent, WatchKind } from './messages.js';

export type OnWatch = () => void;

/** Which watches an event ends. */
const ENDED: Readonly<Record<WatchEvent['type'], readonly WatchKind[]>> = {
  created: ['exists'],
  deleted: ['data', 'exists', 'children'],
  data: ['data', 'exists'],
  children: ['children'],
  other: [],
};

export class WatchTable {
  readonly #watches: Record<WatchKind, Map<string, Set<OnWatch>>> = {
    data: new Map(),
    exists: new Map(),
    children: new Map(),
  };

  add(kind: WatchKind, path: string, onWatch: OnWatch): void {
    const known = this.#watches[kind].get(path);
    if (known === undefined) this.#watches[kind].set(path, new Set([onWatch]));
    else known.add(onWatch);
  }

  /** The server still tells of it once; nobody listens then. */
  remove(kind: WatchKind, path: string, onWatch: OnWatch): void {
    const known = this.#watches[kind].get(path);
    if (known?.delete(onWatch) && known.size === 0) this.#watches[kind].delete(path);
  }

  fire({ type, path }: WatchEvent): void {
    const fired = new Set<OnWatch>();
    for (const kind of ENDED[type]) {
      for (const onWatch of this.#watches[kind].get(path) ?? []) fired.add(onWatch);
      this.#watches[kind].delete(path);
    }
    for (const onWatch of fired) onWatch();
  }

  clear(): void {
    for (const watches of Object.values(this.#watches)) watches.clear();
  }

  /** All paths, in pieces that fit in a request of so many bytes. */
  *pieces(bytesMax: number): Generator<Record<WatchKind, string[]>> {
    let piece: Record<WatchKind, string[]> = { data: [], exists: [], children: [] };
    let bytes = 0;
    for (const kind of ['data', 'exists', 'children'] as const) {
      for (const path of this.#watches[kind].keys()) {
        const size = 4 + Buffer.byteLength(path);
        if (bytes > 0 && bytes + size > bytesMax) {
          yield piece;
          piece = { data: [], exists: [], children: [] };
          bytes = 0;
        }
        piece[kind].push(path);
        bytes += size;
      }
    }
    if (bytes > 0) yield piece;
  }
}
