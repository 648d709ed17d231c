/**
 * The services that this process keeps alive at its Consul agent: each has a check that fails by itself when it is not marked in time.
 *
 *   put --> registered --every beat: marked passing or critical--> registered
 *                      --the agent does not know it--> registered anew at once
 *
 * Steps about one service never overlap: the last word must be the last to arrive.
 */
import {
  type Availability,
  background,
  type Logger,
  type MeshUrl,
  messageOf,
  type Random,
} from '../../../core/index.js';
import { type ConsulApi, ConsulError, isUnknown } from './consul-api.js';
import { checkIdOf, idOf, registeredNameOf, tagsOf } from './layout.js';

/** What this needs of a Consul agent. */
export type ServiceApi = Pick<ConsulApi, 'register' | 'mark' | 'deregister' | 'checks'>;
export type Ask = <T>(work: (api: ServiceApi) => Promise<T>) => Promise<T>;

export interface KeptServicesDeps {
  readonly ask: Ask;
  readonly random: Random;
  readonly logger: Logger;
  /** Name of this process among those that register the same node. */
  readonly owner: string;
  readonly ttlMs: number;
  /** Well below the TTL. */
  readonly beatMs: number;
}

/** Marks are sent at whole multiples of this, together; a small part of a beat where beats are short. */
const TURN_MS_MAX = 500;

/** After an agent came back its services are marked within this: they may have failed meanwhile, or be gone. */
const SOON_MS = 1_000;

interface Kept {
  node: MeshUrl;
  tags: readonly string[];
  availability: Availability;
  isRegistered: boolean;
  /** There is a check of it, in whatever state: a registration does not change that of one that is there. */
  hasCheck: boolean;
  timer: NodeJS.Timeout | null;
  /** Of the last mark; null when it went well. */
  trouble: string | null;
}

export class KeptServices {
  readonly #deps: KeptServicesDeps;
  readonly #kept = new Map<string, Kept>();
  /** The last step about a service; the next begins behind it. */
  readonly #steps = new Map<string, Promise<void>>();
  #listing: ReturnType<ServiceApi['checks']> | null = null;
  /** What stood at the agent when it was fresh: of a predecessor that ended without a word, or runs still. */
  #before: ReturnType<ServiceApi['checks']> | null = null;
  #isClosed = false;

  constructor(deps: KeptServicesDeps) {
    this.#deps = deps;
  }

  async put(node: MeshUrl, availability: Availability): Promise<void> {
    const id = idOf(node);
    const tags = tagsOf(node);
    const before = this.#kept.get(id);
    const kept: Kept = before ?? {
      node,
      tags,
      availability,
      isRegistered: false,
      hasCheck: false,
      timer: null,
      trouble: null,
    };
    if (!isSame(kept.tags, tags)) kept.isRegistered = false;
    kept.node = node;
    kept.tags = tags;
    kept.availability = availability;
    this.#kept.set(id, kept);
    if (kept.timer === null) this.#beatLater(id, kept, this.#deps.beatMs * (0.2 + 0.8 * this.#deps.random()));
    await this.#step(id, () => this.#mark(id, kept));
  }

  async remove(node: MeshUrl): Promise<void> {
    const { ask, owner } = this.#deps;
    const id = idOf(node);
    const kept = this.#kept.get(id);
    this.#kept.delete(id);
    if (kept !== undefined && kept.timer !== null) clearTimeout(kept.timer);
    await this.#step(id, () => ask((api) => api.deregister(id, owner)));
  }

  /** As the agent has it now. All who look at the same time share one list. */
  async look(node: MeshUrl): Promise<Availability | 'absent'> {
    const id = idOf(node);
    const check = (await this.#checks()).get(checkIdOf(id));
    const kept = this.#kept.get(id);
    const tags = kept?.node === node ? kept.tags : tagsOf(node);
    if (check === undefined || (check.tags !== null && !isSame(check.tags, tags))) return 'absent';
    return check.status === 'passing' || check.status === 'warning' ? 'available' : 'unavailable';
  }

  /** The agent that answers now has nothing of ours; what is wanted is put again. */
  onFresh(): void {
    this.#before = null;
    for (const kept of this.#kept.values()) {
      kept.isRegistered = false;
      kept.hasCheck = false;
    }
  }

  beatSoon(): void {
    const { random, beatMs } = this.#deps;
    for (const [id, kept] of this.#kept) this.#beatLater(id, kept, Math.min(SOON_MS, beatMs) * random());
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#kept.values()) if (timer !== null) clearTimeout(timer);
    this.#kept.clear();
  }

  async #mark(id: string, kept: Kept): Promise<void> {
    const { ask, logger } = this.#deps;
    const mark = (): Promise<void> => ask((api) => api.mark(checkIdOf(id), kept.availability));
    if (kept.isRegistered) {
      try {
        await mark();
        return;
      } catch (error) {
        if (!isUnknown(error)) throw error;
        logger.warn({ node: kept.node.identity }, 'Consul lost a service; it is registered again');
        kept.isRegistered = false;
        kept.hasCheck = false;
        await this.#register(id, kept);
        return;
      }
    }
    const hadCheck = kept.hasCheck || (await this.#checksBefore()).has(checkIdOf(id));
    await this.#register(id, kept);
    if (hadCheck) await mark();
  }

  async #register(id: string, kept: Kept): Promise<void> {
    const { ask, owner, ttlMs } = this.#deps;
    const { node, tags, availability } = kept;
    const { host: address, port } = node;
    const name = registeredNameOf(node);
    await ask((api) => api.register({ id, name, tags, address, port, owner, ttlMs, availability }));
    // It may have changed on the way; then another step is behind this one.
    if (kept.tags === tags) kept.isRegistered = true;
    kept.hasCheck = true;
  }

  #beatLater(id: string, kept: Kept, afterMs: number): void {
    if (kept.timer !== null) clearTimeout(kept.timer);
    if (this.#isClosed) return;
    const { beatMs, random, logger } = this.#deps;
    const turnMs = Math.min(TURN_MS_MAX, beatMs / 20);
    const nowMs = performance.now();
    const dueMs = Math.ceil((nowMs + afterMs) / turnMs) * turnMs;
    kept.timer = setTimeout(() => {
      this.#beatLater(id, kept, beatMs * (0.9 + 0.1 * random()));
      background('consul-beat', logger, () => this.#beat(id, kept));
    }, dueMs - nowMs);
    kept.timer.unref();
  }

  async #beat(id: string, kept: Kept): Promise<void> {
    // Not yet, or another step is on its way and does as well.
    if (!kept.isRegistered || this.#steps.has(id)) return;
    try {
      await this.#step(id, () => (this.#kept.get(id) === kept ? this.#mark(id, kept) : Promise.resolve()));
      kept.trouble = null;
    } catch (error) {
      // Everything else than a refusal is told once, by the link, for all.
      if (!(error instanceof ConsulError) || error.kind !== 'answer') return;
      const trouble = messageOf(error);
      if (kept.trouble !== trouble)
        this.#deps.logger.warn({ node: kept.node.identity, trouble }, 'a service cannot be kept alive');
      kept.trouble = trouble;
    }
  }

  async #step(id: string, work: () => Promise<void>): Promise<void> {
    const before = this.#steps.get(id);
    const step = (async (): Promise<void> => {
      await before?.catch(() => {}); // told to whoever asked for it
      await work();
    })();
    this.#steps.set(id, step);
    try {
      await step;
    } finally {
      if (this.#steps.get(id) === step) this.#steps.delete(id);
    }
  }

  async #checksBefore(): ReturnType<ServiceApi['checks']> {
    this.#before ??= this.#checks();
    const before = this.#before;
    try {
      return await before;
    } catch (error) {
      if (this.#before === before) this.#before = null;
      throw error;
    }
  }

  async #checks(): ReturnType<ServiceApi['checks']> {
    this.#listing ??= this.#deps.ask((api) => api.checks());
    const listing = this.#listing;
    try {
      return await listing;
    } finally {
      if (this.#listing === listing) this.#listing = null;
    }
  }
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((tag, index) => tag === other[index]);
}
