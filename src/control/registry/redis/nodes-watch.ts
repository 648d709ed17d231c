/**
 * The nodes of one service, as they change.
 *
 *   a message names a node --> that one is read
 *   a connection is (again) there, or some time has passed --> the names are read, and all nodes
 *
 * Passes do not overlap; what is told meanwhile is read in the next one. After a pass that took long there is a rest as long, so a storm
 * of changes costs at most half of the time.
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
import { entryOfText, isName, printable, type ServicePlace, VALUE_BYTES_MAX } from './layout.js';
import type { RedisAnswer, RedisClient } from './redis-client.js';
import type { Subscriber } from './subscriber.js';

/** More than any service has; the rest is left out and told. */
const NODES_MAX = 20_000;
/** Values in one batch. */
const READS_AT_ONCE = 500;
/** More nodes that changed together are read with all others. */
const CHANGED_MAX = 2_000;
const REST_MS_MAX = 1_000;
/** A look costs some 7 microseconds a node: so it costs at most a hundredth of the time. */
const LOOK_EVERY_MS_PER_NODE = 0.7;
/** Looks are taken at whole multiples of this. */
const LOOK_TURN_MS = 500;
/** Names without a value that one pass takes out of the set. */
const CLEANED_AT_ONCE = 500;

export interface NodesWatchDeps {
  readonly client: RedisClient;
  readonly subscriber: Subscriber;
  readonly gate: ReadGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly place: ServicePlace;
  readonly events: WatchEvents;
  /** Between two looks at all nodes. */
  lookEveryMs(): number;
  onClosed(): void;
}

interface Known {
  readonly text: string;
  /** Null when it is not available, or makes no sense. */
  readonly node: MeshUrl | null;
  readonly trouble: string | null;
}

export class NodesWatch implements DriverWatch {
  readonly #deps: NodesWatchDeps;
  readonly #known = new Map<string, Known>();
  /** Names in the set without a value, in the last pass over all. */
  #orphans = new Set<string>();
  #wantsAll = true;
  readonly #wanted = new Set<string>();
  /** The next answer is told even when nothing has changed. */
  #mustTell = true;
  #isReading = false;
  #isClosed = false;
  #tooMany: string | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: NodesWatchDeps) {
    this.#deps = deps;
    deps.subscriber.listen(deps.place.channel, {
      onMessage: (text) => this.#onMessage(text),
      onListening: () => this.#readAll(),
    });
  }

  /** The server answers (again). */
  onUp(): void {
    this.#mustTell = true;
    this.#readAll();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#deps.subscriber.unlisten(this.#deps.place.channel);
    this.#deps.onClosed();
  }

  #onMessage(name: string): void {
    if (!isName(name) || this.#wanted.size >= CHANGED_MAX) {
      this.#readAll();
      return;
    }
    this.#wanted.add(name);
    this.#read();
  }

  #readAll(): void {
    this.#wantsAll = true;
    this.#read();
  }

  #read(): void {
    if (this.#isReading || this.#isClosed) return;
    this.#isReading = true;
    background('redis-read', this.#deps.logger, async () => {
      try {
        while (this.#isWanting) await this.#pass();
      } catch (error) {
        this.#wantsAll = true;
        await this.#onFailed(error);
      }
      this.#isReading = false;
      this.#lookLater();
    });
  }

  get #isWanting(): boolean {
    return !this.#isClosed && this.#deps.client.isUp && (this.#wantsAll || this.#wanted.size > 0);
  }

  async #pass(): Promise<void> {
    const { gate, clock } = this.#deps;
    const names = this.#wantsAll ? null : [...this.#wanted];
    this.#wantsAll = false;
    this.#wanted.clear();
    let tookMs = 0;
    const hasChanged = await gate.run(async () => {
      const beganMs = clock.nowMs();
      const answer = names === null ? await this.#takeAll() : await this.#take(names, new Set());
      tookMs = clock.nowMs() - beganMs;
      return answer;
    });
    if (this.#isClosed) return;
    if (hasChanged || this.#mustTell) this.#tell();
    const restMs = Math.min(tookMs, REST_MS_MAX);
    if (restMs > 2) await new Promise((resolve) => setTimeout(resolve, restMs));
  }

  async #takeAll(): Promise<boolean> {
    const { client, place } = this.#deps;
    // At most so many, at random when there are more: then those that are known stay.
    const [members] = await client.batch([['srandmember', place.nodesKey, NODES_MAX + 1]]);
    if (!Array.isArray(members)) throw new Error(`${place.nodesKey}: ${messageOf(members)}`);
    const listed = new Set<string>(members as string[]);
    const isTooMany = listed.size > NODES_MAX;
    this.#tooMany = isTooMany ? `${place.nodesKey} has more than ${NODES_MAX} nodes` : null;
    let hasChanged = false;
    if (!isTooMany) {
      for (const name of this.#known.keys())
        if (!listed.has(name) && this.#known.delete(name)) hasChanged = true;
    }
    const names = [...new Set([...this.#known.keys(), ...listed])].slice(0, NODES_MAX);
    const orphans = new Set<string>();
    if (await this.#take(names, orphans)) hasChanged = true;
    await this.#clean(orphans);
    return hasChanged;
  }

  /** Reads these nodes; true when the list is another one than before. */
  async #take(names: readonly string[], orphans: Set<string>): Promise<boolean> {
    const { client, place } = this.#deps;
    let hasChanged = false;
    for (let at = 0; at < names.length && !this.#isClosed; at += READS_AT_ONCE) {
      const some = names.slice(at, at + READS_AT_ONCE);
      const texts = await client.batch(
        some.map((name) => ['getrange', place.nodeKey(name), 0, VALUE_BYTES_MAX]),
      );
      for (const [index, name] of some.entries()) {
        if (texts[index] === '') orphans.add(name);
        if (this.#note(name, texts[index]!)) hasChanged = true;
      }
    }
    return hasChanged;
  }

  #note(name: string, answer: RedisAnswer): boolean {
    const before = this.#known.get(name);
    if (answer === '') return this.#known.delete(name);
    const text = typeof answer === 'string' ? answer : '';
    if (before !== undefined && before.text === text && text !== '') return false;
    if (before === undefined && this.#known.size >= NODES_MAX) return false;
    const now = this.#knownOf(name, answer);
    this.#known.set(name, now);
    return now.node !== null || now.trouble !== before?.trouble || before.node !== null;
  }

  #knownOf(name: string, answer: RedisAnswer): Known {
    const { place } = this.#deps;
    try {
      if (typeof answer !== 'string') throw new Error(messageOf(answer));
      const { node, availability } = entryOfText(answer, name, place);
      return { text: answer, node: availability === 'available' ? node : null, trouble: null };
    } catch (error) {
      const trouble = `${printable(place.nodeKey(name))}: ${messageOf(error)}`;
      // What makes no sense may be long, and is kept for nothing.
      return { text: '', node: null, trouble };
    }
  }

  /** Takes out names whose value was not there twice, some time apart: their processes have died. */
  async #clean(orphans: Set<string>): Promise<void> {
    const { client, place, logger } = this.#deps;
    const names = [...orphans].filter((name) => this.#orphans.has(name)).slice(0, CLEANED_AT_ONCE);
    this.#orphans = orphans;
    if (names.length === 0) return;
    try {
      const answers = await client.transact([
        ['srem', place.nodesKey, ...names],
        ...names.map((name) => ['exists', place.nodeKey(name)] as const),
      ]);
      // Listed at this very moment.
      const back = names.filter((_, index) => answers[index + 1] === 1);
      if (back.length > 0)
        await client.transact([
          ['sadd', place.nodesKey, ...back],
          ...back.map((name) => ['publish', place.channel, name] as const),
        ]);
    } catch (error) {
      // For order only; a user who may just read is a usual reason.
      logger.debug(
        { error: messageOf(error), key: place.nodesKey },
        'names of dead nodes could not be removed',
      );
    }
  }

  #tell(): void {
    const { events } = this.#deps;
    this.#mustTell = false;
    const nodes: MeshUrl[] = [];
    const troubles: string[] = [];
    if (this.#tooMany !== null) troubles.push(this.#tooMany);
    for (const { node, trouble } of this.#known.values()) {
      if (node !== null) nodes.push(node);
      if (trouble !== null) troubles.push(trouble);
    }
    events.onOdd(troubles.length === 0 ? null : moreOf(troubles));
    events.onNodes(nodes);
  }

  async #onFailed(error: unknown): Promise<void> {
    const { client, place, events } = this.#deps;
    // The end of the connection, which has its own trouble, comes a turn later than its errors.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#isClosed || !client.isUp) return;
    this.#mustTell = true;
    events.onTrouble(`${place.tag}: ${messageOf(error)}`);
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    const pauseMs = Math.max(this.#deps.lookEveryMs(), this.#known.size * LOOK_EVERY_MS_PER_NODE);
    if (this.#timer !== null) clearTimeout(this.#timer);
    const nowMs = this.#deps.clock.nowMs();
    const dueMs = nowMs + pauseMs * (0.8 + 0.4 * this.#deps.random());
    // Together with others, which costs less.
    const turnMs = Math.ceil(dueMs / LOOK_TURN_MS) * LOOK_TURN_MS;
    this.#timer = setTimeout(() => this.#readAll(), turnMs - nowMs);
  }
}

function moreOf(troubles: readonly string[]): string {
  const [first] = troubles;
  return troubles.length === 1 ? first! : `${first}; and ${troubles.length - 1} more`;
}
