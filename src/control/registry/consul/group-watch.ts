/**
 * The nodes of one group, for all services of it that anybody refers to: Consul answers for whole groups, so one question waits there for all.
 *
 *   ask, waiting for the index to change --> answer --> tell the services that changed --> rest --> ask
 *        '-- refused for want of a leader, or not answered --> ask for what any server knows, until there is a leader
 *        '-- nobody is there --> wait until an agent answers, ask at once
 *
 * The index (rules of Consul): one that is missing or 0 is not waited for; one that went back was of another life, so all is read anew.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  background,
  type Clock,
  isCopy,
  type Logger,
  type MeshUrl,
  messageOf,
  type Random,
} from '../../../core/index.js';
import type { DriverWatch, WatchEvents } from '../server/driver.js';
import { ConsulError, type NodesAnswer, type NodesQuery } from './consul-api.js';
import { readJsonList } from './json-list.js';
import { type HealthEntry, nameOf, nodeOf, serviceNameOf, toHealthEntry, urlTagOf } from './layout.js';

/** More than any service has; the rest is left out and told. */
const NODES_MAX = 20_000;
/** Between two questions, so that a group that changes all the time is not asked for all the time; as long as the answer took, if that is longer. */
const REST_MS = 20;
const REST_MS_MAX = 1_000;
/** Where nothing can be waited for. */
const POLL_MS = 2_000;
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 10_000;
/** Without a leader: soon enough to see that there is one again. */
const STALE_WAIT_MS_MAX = 5_000;

export interface GroupWatchDeps {
  readonly group: string;
  readonly ask: (query: NodesQuery, signal: AbortSignal) => Promise<NodesAnswer>;
  /** There is somebody to ask. */
  readonly isUp: () => boolean;
  /** Resolves when there is, or at the signal. */
  readonly untilUp: (signal: AbortSignal) => Promise<void>;
  /** How long a question may wait at the agent; less when there are very many groups. */
  readonly waitMs: () => number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Nobody refers to the group any more. */
  onIdle(): void;
}

interface Watched {
  readonly path: string;
  readonly events: WatchEvents;
  /** What was told; null when the next answer is told whatever it is. */
  nodes: readonly MeshUrl[] | null;
}

export class GroupWatch {
  readonly #deps: GroupWatchDeps;
  readonly #watched = new Set<Watched>();
  readonly #end = new AbortController();
  #question = new AbortController();
  /** What says all of an entry to its node: one that did not change is not read again, and stays the same object. */
  #known = new Map<string, MeshUrl>();
  #index = 0;
  #isStale = false;
  #isWanted = false;
  #retryMs = RETRY_MS_MIN;

  constructor(deps: GroupWatchDeps) {
    this.#deps = deps;
    background('consul-group', deps.logger, () => this.#run());
  }

  add(refer: MeshUrl, events: WatchEvents): DriverWatch {
    const watched: Watched = { path: refer.path, events, nodes: null };
    this.#watched.add(watched);
    this.#askAtOnce();
    return { close: () => this.#remove(watched) };
  }

  /** The agent answers again, or it is another one: all is read and told again. */
  onUp(): void {
    for (const watched of this.#watched) watched.nodes = null;
    this.#isStale = false;
    this.#retryMs = RETRY_MS_MIN;
    this.#askAtOnce();
  }

  close(): void {
    this.#watched.clear();
    this.#end.abort();
    this.#question.abort();
  }

  #remove(watched: Watched): void {
    if (!this.#watched.delete(watched) || this.#watched.size > 0) return;
    this.close();
    this.#deps.onIdle();
  }

  /** Ends the question that is waiting; the next one does not wait. */
  #askAtOnce(): void {
    this.#isWanted = true;
    this.#question.abort();
  }

  async #run(): Promise<void> {
    const { ask, untilUp, waitMs, clock, random } = this.#deps;
    // First whoever came with us: what is asked for in one go is asked once.
    await Promise.resolve();
    while (!this.#end.signal.aborted) {
      await untilUp(this.#end.signal);
      if (this.#end.signal.aborted) return;
      if (this.#isWanted) this.#index = 0;
      this.#isWanted = false;
      this.#question = new AbortController();
      const query = {
        serviceName: serviceNameOf(this.#deps),
        index: this.#index,
        waitMs: this.#isStale ? Math.min(waitMs(), STALE_WAIT_MS_MAX) : waitMs(),
        isStale: this.#isStale,
      };
      try {
        const answer = await ask(query, this.#question.signal);
        const beginMs = clock.nowMs();
        if (answer.index === 0 || answer.index !== query.index) await this.#take(answer);
        this.#onAnswered(answer, query);
        const restMs = answer.index === 0 ? POLL_MS : Math.max(REST_MS, clock.nowMs() - beginMs);
        await this.#rest(Math.min(restMs, Math.max(POLL_MS, REST_MS_MAX)) * (0.5 + random()));
      } catch (error) {
        await this.#onFailed(error);
      }
    }
  }

  #onAnswered({ index, hasLeader }: NodesAnswer, query: NodesQuery): void {
    this.#retryMs = RETRY_MS_MIN;
    this.#index = index < this.#index ? 0 : index;
    // Not before one answer was waited for: a leader that is known and refuses would be asked without a pause.
    if (hasLeader && query.index > 0) this.#isStale = false;
  }

  async #onFailed(error: unknown): Promise<void> {
    const { random, isUp } = this.#deps;
    const kind = error instanceof ConsulError ? error.kind : 'answer';
    if (kind === 'cancelled' || this.#end.signal.aborted) return;
    // The agent is there and its servers cannot say: without a leader they still can say what they last knew. An agent holds a question
    // for seven seconds before it says that there is none, so no answer in time may mean the same.
    const mayLackLeader = kind === 'wire' || (error instanceof ConsulError && error.status >= 500);
    this.#isStale = mayLackLeader && !this.#isStale;
    this.#index = 0;
    if (this.#isStale && kind === 'answer') return;
    // When nobody answers at all the link tells it, for all services.
    if (!this.#isStale && (kind === 'answer' || isUp())) {
      const trouble = `the nodes of group ${JSON.stringify(this.#deps.group)} cannot be read: ${messageOf(error)}`;
      for (const watched of [...this.#watched]) {
        watched.nodes = null; // the next good answer ends the trouble
        watched.events.onTrouble(trouble);
      }
    }
    const retryMs = this.#retryMs * (0.5 + random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    await this.#rest(retryMs);
  }

  async #take(answer: NodesAnswer): Promise<void> {
    const { group } = this.#deps;
    const reading = new GroupReading(group, this.#watched, this.#known);
    await readJsonList(answer.body, (element) => reading.take(element));
    if (answer.isFiltered && reading.isEmpty)
      throw new ConsulError('answer', 'the token may not see the nodes');
    this.#known = reading.known;
    const odd = reading.oddText;
    for (const watched of [...this.#watched]) {
      watched.events.onOdd(odd);
      const nodes = reading.nodesOf(watched.path);
      // Who came while the list was read is told by the next answer.
      if (nodes === null || (watched.nodes !== null && isSame(watched.nodes, nodes))) continue;
      watched.nodes = nodes;
      watched.events.onNodes(nodes);
    }
  }

  /** Ends early when there is something new to ask. */
  async #rest(ms: number): Promise<void> {
    const { signal } = this.#question;
    try {
      await pause(ms, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** One answer on its way from text to nodes. */
class GroupReading {
  readonly known = new Map<string, MeshUrl>();
  readonly #group: string;
  readonly #before: ReadonlyMap<string, MeshUrl>;
  /** Service to its nodes by their identity; only those that are watched. */
  readonly #services = new Map<string, Map<string, MeshUrl>>();
  #entries = 0;
  #oddCount = 0;
  #odd = '';

  constructor(group: string, watched: Iterable<Watched>, before: ReadonlyMap<string, MeshUrl>) {
    this.#group = group;
    this.#before = before;
    for (const { path } of watched) this.#services.set(path, new Map());
  }

  get isEmpty(): boolean {
    return this.#entries === 0;
  }

  /** The first of what is left out, and how many more. */
  get oddText(): string | null {
    if (this.#oddCount === 0) return null;
    const more = this.#oddCount > 1 ? `, and ${this.#oddCount - 1} more` : '';
    return `${serviceNameOf({ group: this.#group })}: ${this.#odd}${more}`;
  }

  nodesOf(path: string): readonly MeshUrl[] | null {
    const nodes = this.#services.get(path);
    return nodes === undefined ? null : [...nodes.values()];
  }

  take(element: unknown): void {
    this.#entries += 1;
    let entry: HealthEntry;
    try {
      entry = toHealthEntry(element);
    } catch (error) {
      this.#onOdd(messageOf(error));
      return;
    }
    let node: MeshUrl;
    try {
      node = this.#nodeOf(entry);
    } catch (error) {
      this.#onOdd(`service ${nameOf(entry)} is left out: ${messageOf(error)}`);
      return;
    }
    const nodes = this.#services.get(node.path);
    if (nodes === undefined) return;
    // One that moved to another Consul agent is listed by both for a while.
    const before = nodes.get(node.identity);
    if (before !== undefined) {
      // A copy stands only for a node that is not there itself.
      if (isCopy(before) && !isCopy(node)) nodes.set(node.identity, node);
      return;
    }
    if (nodes.size < NODES_MAX) nodes.set(node.identity, node);
    else this.#onOdd(`more than ${NODES_MAX} nodes of ${node.path}`);
  }

  #nodeOf(entry: HealthEntry): MeshUrl {
    const key = urlTagOf(entry) ?? JSON.stringify(entry);
    const node = this.known.get(key) ?? this.#before.get(key) ?? nodeOf(entry, this.#group);
    if (this.#services.has(node.path)) this.known.set(key, node);
    return node;
  }

  #onOdd(text: string): void {
    this.#oddCount += 1;
    if (this.#oddCount === 1) this.#odd = text;
  }
}

/** In whatever order they come: the agent promises none. */
function isSame(before: readonly MeshUrl[], now: readonly MeshUrl[]): boolean {
  if (before.length !== now.length) return false;
  const known = new Set(before);
  return now.every((node) => known.has(node));
}
