/**
 * Another agent on this machine as a registry (spec agent 6.10): it registers our services at its own registries and passes calls on to
 * them, and it takes the calls of our refers at its forward port.
 *
 *   ask /registry/info, then what it lists --answered--> up: again after a pause --something of ours is missing--> put and subscribed again
 *          '-- not answered --> down: again after a pause that doubles, with jitter
 *
 * Three things that the API does not know: a service that is not available is not registered, an agent is not listed, and a subscription
 * stays when we need it no more, since another program of the machine may have asked for the same.
 */
import {
  AgentError,
  type Availability,
  background,
  type Clock,
  type Logger,
  type MeshUrl,
  messageOf,
  type Random,
} from '../../../core/index.js';
import type { DriverEvents, DriverWatch, RegistryDriver, WatchEvents } from '../server/driver.js';
import { type Listed, MeshApi, MeshApiError, type MeshApiOptions } from './mesh-api.js';

export interface MeshOptions extends Omit<MeshApiOptions, 'requestTimeoutMs'> {
  readonly times: MeshTimes;
}

export interface MeshTimes {
  /** Between two looks at an agent that answers. */
  readonly pollMs: number;
  readonly requestTimeoutMs: number;
}

export const MESH_TIMES: MeshTimes = { pollMs: 5_000, requestTimeoutMs: 5_000 };

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 10_000;
/** Behind an exported service stands this agent, whatever its own backend is. */
const PROVIDERS_OF_NODES: ReadonlySet<string> = new Set(['motan2', 'motan']);

export interface MeshDriverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

interface Put {
  readonly node: MeshUrl;
  readonly availability: Availability;
}

interface Watched {
  readonly refer: MeshUrl;
  readonly events: WatchEvents;
  isAsking: boolean;
  isSubscribed: boolean;
}

export class MeshDriver implements RegistryDriver {
  readonly address: string;
  readonly #deps: MeshDriverDeps;
  readonly #times: MeshTimes;
  readonly #host: string;
  readonly #api: MeshApi;
  readonly #put = new Map<string, Put>();
  readonly #watched = new Set<Watched>();
  #events: DriverEvents | null = null;
  #meshPort = 0;
  #isUp = false;
  #wasUp = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | null = null;
  #isPolling = false;
  #retryMs = RETRY_MS_MIN;
  /** The list that is asked for, and the one that will be after it. */
  #listing: Promise<Listed> | null = null;
  #nextListing: Promise<Listed> | null = null;

  constructor(options: MeshOptions, deps: MeshDriverDeps) {
    this.#deps = deps;
    this.#times = options.times;
    this.#host = options.host;
    this.#api = new MeshApi({ ...options, requestTimeoutMs: options.times.requestTimeoutMs });
    this.address = this.#api.address;
  }

  start(events: DriverEvents): void {
    this.#events = events;
    this.#pollAfter(0);
  }

  async put(node: MeshUrl, availability: Availability): Promise<void> {
    if (isAgent(node) || availability === 'unavailable') {
      if (!isAgent(node)) await this.#tell('unregister', node);
      this.#put.set(node.identity, { node, availability });
      return;
    }
    if (node.group === '')
      throw new AgentError('E_REGISTRY', 'a service without a group cannot be registered at another agent');
    const before = this.#put.get(node.identity);
    // The other agent ignores a registration that it has, with whatever parameters.
    if (before?.availability === 'available' && before.node.toText() !== node.toText())
      await this.#tell('unregister', node);
    await this.#tell('register', toRegister(node));
    // motan-go answers well also when it failed.
    if (!isRegistered(node, await this.#listAnew()))
      throw new MeshApiError('answer', `${this.address} took it and does not list it: its log tells why`);
    this.#put.set(node.identity, { node, availability });
  }

  async remove(node: MeshUrl): Promise<void> {
    this.#put.delete(node.identity);
    if (!isAgent(node)) await this.#tell('unregister', node);
  }

  async look(node: MeshUrl): Promise<Availability | 'absent' | null> {
    const put = this.#put.get(node.identity);
    if (isAgent(node)) return put?.availability ?? 'absent';
    if (isRegistered(node, await this.#listAnew())) return 'available';
    return put?.availability === 'unavailable' ? 'unavailable' : 'absent';
  }

  watch(refer: MeshUrl, events: WatchEvents): DriverWatch {
    const watched: Watched = { refer, events, isAsking: false, isSubscribed: false };
    this.#watched.add(watched);
    if (this.#isUp) this.#subscribe(watched);
    return { close: () => void this.#watched.delete(watched) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#watched.clear();
    this.#api.close();
  }

  #pollAfter(ms: number): void {
    if (this.#isClosed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      background('mesh-poll', this.#deps.logger, () => this.#poll());
    }, ms);
  }

  async #poll(): Promise<void> {
    const { random } = this.#deps;
    this.#isPolling = true;
    let pauseMs: number;
    try {
      await this.#lookAround();
      this.#retryMs = RETRY_MS_MIN;
      pauseMs = this.#times.pollMs * (0.8 + 0.4 * random());
    } catch (error) {
      if (this.#isClosed) return;
      this.#isUp = false;
      this.#events?.onDown(messageOf(error));
      pauseMs = this.#retryMs * (0.5 + random() / 2);
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    } finally {
      this.#isPolling = false;
    }
    this.#pollAfter(pauseMs);
  }

  async #lookAround(): Promise<void> {
    const meshPort = await this.#api.meshPort();
    const hasAny = this.#put.size > 0 || this.#watched.size > 0;
    const listed = hasAny ? await this.#listAnew() : { registered: [], subscribed: [] };
    if (this.#isClosed) return;
    const isOtherPort = meshPort !== this.#meshPort;
    this.#meshPort = meshPort;
    const lost = this.#lostOf(listed);
    if (this.#isUp) {
      for (const node of lost) this.#events?.onLost(node);
    } else {
      const isFresh = !this.#wasUp || lost.length > 0;
      this.#isUp = true;
      this.#wasUp = true;
      this.#events?.onUp(isFresh);
      for (const watched of this.#watched) watched.isSubscribed = false;
    }
    for (const watched of [...this.#watched]) {
      if (watched.isSubscribed && !isSubscribed(watched.refer, listed)) watched.isSubscribed = false;
      if (!watched.isSubscribed) this.#subscribe(watched);
      else if (isOtherPort) this.#tellNodes(watched);
    }
  }

  /** What should be registered and is not: the other agent was restarted. */
  #lostOf(listed: Listed): readonly MeshUrl[] {
    const lost: MeshUrl[] = [];
    for (const { node, availability } of this.#put.values())
      if (availability === 'available' && !isAgent(node) && !isRegistered(node, listed)) lost.push(node);
    return lost;
  }

  #subscribe(watched: Watched): void {
    if (watched.isAsking) return;
    watched.isAsking = true;
    background('mesh-subscribe', this.#deps.logger, async () => {
      const { refer, events } = watched;
      try {
        if (refer.group === '')
          throw new AgentError('E_REGISTRY', 'a refer without a group cannot be subscribed at another agent');
        await this.#tell('subscribe', refer.with({ host: '', port: 0 }));
        if (!this.#watched.has(watched)) return;
        watched.isSubscribed = true;
        this.#tellNodes(watched);
      } catch (error) {
        // Whether nobody answers is told by the poll, for all. The next one asks again.
        const isWire = error instanceof MeshApiError && error.kind === 'wire';
        if (!isWire && this.#watched.has(watched)) events.onTrouble(messageOf(error));
      } finally {
        watched.isAsking = false;
      }
    });
  }

  /** The other agent is the only node: it knows the others. */
  #tellNodes({ refer, events }: Watched): void {
    events.onNodes([refer.with({ host: this.#host, port: this.#meshPort })]);
  }

  async #tell(verb: 'register' | 'unregister' | 'subscribe', url: MeshUrl): Promise<void> {
    try {
      await this.#api.tell(verb, url);
    } catch (error) {
      if (error instanceof MeshApiError && error.kind === 'wire' && !this.#isPolling) this.#pollAfter(0);
      throw error;
    }
  }

  /** A list that is asked for from now on; all who want one meanwhile share it. */
  #listAnew(): Promise<Listed> {
    if (this.#nextListing !== null) return this.#nextListing;
    const next = this.#listAfter(this.#listing);
    this.#nextListing = next;
    return next;
  }

  async #listAfter(before: Promise<Listed> | null): Promise<Listed> {
    await before?.catch(() => {}); // told to whoever asked for it
    await Promise.resolve();
    const listing = this.#api.list();
    this.#listing = listing;
    this.#nextListing = null;
    try {
      return await listing;
    } finally {
      if (this.#listing === listing) this.#listing = null;
    }
  }
}

function isAgent(node: MeshUrl): boolean {
  return node.text('nodeType') === 'agent';
}

/** As a service of ours that speaks Motan: the other agent must not go to the backend behind our back. */
function toRegister(node: MeshUrl): MeshUrl {
  const provider = node.text('provider');
  return provider === '' || PROVIDERS_OF_NODES.has(provider)
    ? node
    : node.withParameter('provider', node.protocol);
}

/** The other agent lists a service under its own address, and ours as what it passes calls on to. */
function isRegistered(node: MeshUrl, { registered }: Listed): boolean {
  const proxy = `${node.protocol}:${node.port}`;
  return registered.some((listed) => isSameService(node, listed) && listed.text('proxy') === proxy);
}

function isSubscribed(refer: MeshUrl, { subscribed }: Listed): boolean {
  return subscribed.some((listed) => isSameService(refer, listed));
}

/** The other agent may add a suffix to the group. */
function isSameService(one: MeshUrl, listed: MeshUrl): boolean {
  return listed.path === one.path && listed.group.startsWith(one.group);
}
