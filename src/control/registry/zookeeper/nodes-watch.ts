/**
 * The nodes of one service, as they change.
 *
 *   list the children (or wait for the parent) -> read those that are not known -> tell; again whenever a watch fires
 *
 * A node that is known is read again only when its own watch has fired: one change among ten thousand nodes costs one list and one
 * node. Passes do not overlap, and after one that took long there is a rest as long, so a storm of changes costs at most half of the time.
 */
import {
  background,
  type Clock,
  type Logger,
  type MeshUrl,
  messageOf,
  type Random,
} from '../../../core/index.js';
import type { DriverWatch, WatchEvents } from '../server/driver.js';
import type { ReadGate } from '../server/read-gate.js';
import type { ZooKeeperClient } from './client.js';
import { CODE, isCode } from './messages.js';
import { nodeOfChild, printable } from './node-data.js';
import type { Session, WatchWish } from './session.js';

/** More than any service has; the rest is left out and told. */
const NODES_MAX = 20_000;
const REST_MS_MAX = 1_000;
/** After a refusal, which may be lifted without any event. */
const REFUSED_PAUSE_MS = 10_000;

export interface NodesWatchDeps {
  readonly session: Session;
  readonly client: ZooKeeperClient;
  readonly gate: ReadGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Parent of the nodes. */
  readonly path: string;
  readonly refer: MeshUrl;
  readonly events: WatchEvents;
  /** The parent is not there: others may have removed the whole service. */
  onMissing(): void;
  onClosed(): void;
}

interface Child {
  /** Null when it makes no sense. */
  node: MeshUrl | null;
  trouble: string | null;
  /** It has changed since it was asked for. */
  isStale: boolean;
  watch: WatchWish;
}

export class NodesWatch implements DriverWatch {
  readonly #deps: NodesWatchDeps;
  readonly #children = new Map<string, Child>();
  /** Of children that could not be read in the last pass. */
  #unread = new Map<string, string>();
  #leftOut = 0;
  readonly #listWatch: WatchWish;
  readonly #parentWatch: WatchWish;
  /** What is known may be out of date. */
  #isStale = true;
  #hasNews = false;
  #isReading = false;
  #timer: NodeJS.Timeout | null = null;
  #notBeforeMs = 0;
  #isClosed = false;

  constructor(deps: NodesWatchDeps) {
    this.#deps = deps;
    const onWatch = (): void => this.#onStale();
    this.#listWatch = { kind: 'children', path: deps.path, onWatch };
    this.#parentWatch = { kind: 'exists', path: deps.path, onWatch };
  }

  /** The session is there. When the watches were kept and nothing fired, what is known is still true. */
  onUp(areWatchesKept: boolean): void {
    this.#hasNews = true;
    if (!areWatchesKept) {
      this.#children.clear();
      this.#isStale = true;
    }
    if (this.#isStale) this.#onStale();
    else this.#tell();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const { session } = this.#deps;
    session.unwatch(this.#listWatch);
    session.unwatch(this.#parentWatch);
    for (const { watch } of this.#children.values()) session.unwatch(watch);
    this.#deps.onClosed();
  }

  #onStale(): void {
    this.#isStale = true;
    if (this.#isClosed || this.#isReading || this.#timer !== null) return;
    const waitMs = this.#notBeforeMs - this.#deps.clock.nowMs();
    if (waitMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#onStale();
      }, waitMs);
    } else if (this.#deps.session.isUp) {
      background('zookeeper-nodes', this.#deps.logger, () => this.#pass());
    } // otherwise `onUp` comes back here
  }

  async #pass(): Promise<void> {
    const { clock, random, events, session, path } = this.#deps;
    const beginMs = clock.nowMs();
    this.#isReading = true;
    this.#isStale = false;
    try {
      await this.#read();
      this.#notBeforeMs = clock.nowMs() + Math.min(REST_MS_MAX, clock.nowMs() - beginMs);
      if (!this.#isClosed) this.#tell();
    } catch (error) {
      this.#isStale = true;
      // The end of a connection is told by the session, for all.
      if (!isCode(error, CODE.connectionLoss) && !isCode(error, CODE.sessionExpired)) {
        this.#notBeforeMs = clock.nowMs() + REFUSED_PAUSE_MS * (0.75 + random() / 2);
        if (!this.#isClosed) events.onTrouble(`the nodes at ${path} cannot be read: ${messageOf(error)}`);
      }
    } finally {
      this.#isReading = false;
      if (this.#isStale && session.isUp) this.#onStale();
    }
  }

  async #read(): Promise<void> {
    const names = await this.#deps.gate.run(() => this.#list());
    this.#leftOut = names.splice(NODES_MAX).length;
    const listed = new Set(names);
    for (const name of this.#children.keys()) {
      if (listed.has(name)) continue;
      this.#drop(name);
      this.#hasNews = true;
    }
    this.#unread = new Map();
    const unknown = names.filter((name) => this.#children.get(name)?.isStale ?? true);
    if (unknown.length > 0) this.#hasNews = true;
    const results = await Promise.allSettled(
      unknown.map((name) => this.#deps.gate.run(() => this.#readChild(name))),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #list(): Promise<string[]> {
    const { client, path } = this.#deps;
    for (;;) {
      const names = await client.children(path, this.#listWatch);
      if (names !== null) return names.sort();
      const stat = await client.stat(path, this.#parentWatch);
      if (stat !== null) continue; // made between the two questions
      if (this.#isClosed) this.#deps.session.unwatch(this.#parentWatch);
      else this.#deps.onMissing();
      return [];
    }
  }

  async #readChild(name: string): Promise<void> {
    if (this.#isClosed) return;
    const { client, session, path, refer } = this.#deps;
    const childPath = `${path}/${name}`;
    const watch: WatchWish = {
      kind: 'data',
      path: childPath,
      onWatch: () => this.#onChildStale(child),
    };
    const child: Child = { node: null, trouble: null, isStale: false, watch };
    let data: Buffer;
    try {
      const content = await client.content(childPath, watch);
      if (content === null) {
        this.#children.delete(name); // gone already; the watch of the list has fired
        return;
      }
      data = content.data;
    } catch (error) {
      if (isCode(error, CODE.connectionLoss) || isCode(error, CODE.sessionExpired)) throw error;
      this.#children.delete(name);
      this.#unread.set(name, messageOf(error));
      return;
    }
    try {
      child.node = nodeOfChild(name, data, refer);
    } catch (error) {
      child.trouble = messageOf(error);
    }
    if (this.#isClosed) session.unwatch(watch);
    else this.#children.set(name, child);
  }

  /** What was read stands until the next pass has read it anew: a node that changes must not be told as gone. */
  #onChildStale(child: Child): void {
    child.isStale = true;
    this.#onStale();
  }

  #drop(name: string): void {
    const child = this.#children.get(name);
    if (child !== undefined) this.#deps.session.unwatch(child.watch);
    this.#children.delete(name);
  }

  #tell(): void {
    const { events } = this.#deps;
    events.onOdd(this.#oddText());
    if (!this.#hasNews) return;
    this.#hasNews = false;
    const nodes: MeshUrl[] = [];
    for (const { node } of this.#children.values()) if (node !== null) nodes.push(node);
    events.onNodes(nodes);
  }

  /** The first of what is left out, and how many more. */
  #oddText(): string | null {
    const { path } = this.#deps;
    const odd: string[] = [];
    if (this.#leftOut > 0) odd.push(`more than ${NODES_MAX} nodes, ${this.#leftOut} left out`);
    for (const [name, trouble] of this.#unread)
      odd.push(`node ${printable(name)} cannot be read: ${trouble}`);
    for (const [name, { trouble }] of this.#children)
      if (trouble !== null) odd.push(`node ${printable(name)} is left out: ${trouble}`);
    if (odd.length === 0) return null;
    return `${path}: ${odd[0]}${odd.length > 1 ? `, and ${odd.length - 1} more` : ''}`;
  }
}
