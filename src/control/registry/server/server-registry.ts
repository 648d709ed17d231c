/**
 * A registry with a server behind it: wishes are noted at once and made true in the background (`announcement-loop.ts`), a service is
 * watched once for all who want it, and trouble is told once per outage.
 */
import type {
  Availability,
  Clock,
  CommandListener,
  CommandScope,
  Logger,
  MeshUrl,
  NodeListener,
  Random,
  Registry,
  RegistryReport,
  ServiceName,
  Subscription,
} from '../../../core/index.js';
import { AnnouncementLoop } from './announcement-loop.js';
import { CommandWatches } from './command-watches.js';
import type { DriverWatch, RegistryDriver } from './driver.js';

/** What is announced goes within this when the registry is closed: a process that ends waits no longer. */
const CLOSE_MS_MAX = 2_000;

export interface ServerRegistryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Pause between two rounds of looking whether what is announced is still there; default 10,000. */
  readonly lookEveryMs?: number;
}

/** One service in one group, watched for everybody who refers to it. */
interface Watched {
  readonly refer: MeshUrl;
  readonly listeners: Set<NodeListener>;
  watch: DriverWatch | null;
  /** The last answer; null before the first. */
  nodes: readonly MeshUrl[] | null;
  trouble: string | null;
  odd: string | null;
}

export class ServerRegistry implements Registry {
  readonly id: string;
  readonly protocol: string;
  readonly listServices?: () => Promise<readonly ServiceName[]>;
  readonly #driver: RegistryDriver;
  readonly #deps: ServerRegistryDeps;
  readonly #loop: AnnouncementLoop;
  readonly #watched = new Map<string, Watched>();
  readonly #commands: CommandWatches;
  /** Why the server cannot be asked; null while it can. Before the first contact neither. */
  #trouble: string | null = null;
  #lastContactMs: number | null = null;
  #isClosed = false;

  constructor(id: string, protocol: string, driver: RegistryDriver, deps: ServerRegistryDeps) {
    this.id = id;
    this.protocol = protocol;
    this.#driver = driver;
    if (driver.listServices !== undefined) this.listServices = () => driver.listServices!();
    this.#deps = { ...deps, logger: deps.logger.child({ registry: id }) };
    this.#loop = new AnnouncementLoop({
      driver,
      clock: deps.clock,
      random: deps.random,
      logger: this.#deps.logger,
      lookEveryMs: deps.lookEveryMs ?? 10_000,
    });
    this.#commands = new CommandWatches({
      source: driver.commands ?? null,
      logger: this.#deps.logger,
      serverTrouble: () => this.#trouble,
      onContact: () => {
        this.#lastContactMs = this.#deps.clock.wallMs();
      },
    });
    driver.start({
      onUp: (isFresh) => this.#onUp(isFresh),
      onDown: (trouble) => this.#onDown(trouble),
      onHeard: () => {
        this.#lastContactMs = this.#deps.clock.wallMs();
      },
      onLost: (node) => this.#loop.onLost(node),
    });
  }

  subscribe(refer: MeshUrl, listener: NodeListener): Subscription {
    const watched = this.#watchedOf(refer);
    // A listener of our own for each subscription: the same one may be given twice.
    const own: NodeListener = {
      onNodes: (nodes) => listener.onNodes(nodes),
      onTrouble: (message) => listener.onTrouble(message),
    };
    watched.listeners.add(own);
    setImmediate(() => {
      if (!watched.listeners.has(own)) return;
      if (watched.nodes !== null) own.onNodes(watched.nodes);
      const trouble = watched.trouble ?? this.#trouble;
      if (trouble !== null) own.onTrouble(trouble);
    });
    return { close: () => this.#unsubscribe(watched, own) };
  }

  commandPlace(scope: CommandScope): string | null {
    return this.#commands.placeOf(scope);
  }

  subscribeCommand(scope: CommandScope, listener: CommandListener): Subscription {
    return this.#commands.subscribe(scope, listener);
  }

  announce(node: MeshUrl, availability: Availability): void {
    if (!this.#isClosed) this.#loop.want(node, availability);
  }

  withdraw(node: MeshUrl): void {
    this.#loop.want(node, null);
  }

  settled(withinMs: number): Promise<boolean> {
    return this.#loop.settled(withinMs);
  }

  report(): RegistryReport {
    const contacts = [this.#lastContactMs, this.#loop.lastContactMs].filter((ms) => ms !== null);
    return {
      id: this.id,
      protocol: this.protocol,
      address: this.#driver.address,
      lastContactMs: contacts.length === 0 ? null : Math.max(...contacts),
      lastError: this.#trouble ?? this.#loop.lastError ?? this.#watchTrouble() ?? this.#commands.trouble,
      announced: this.#loop.list,
      subscribed: [...this.#watched.values()].flatMap(({ refer, listeners, nodes }) =>
        [...listeners].map(() => ({ service: refer.path, group: refer.group, nodes: nodes?.length ?? 0 })),
      ),
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { watch } of this.#watched.values()) watch?.close();
    this.#watched.clear();
    this.#commands.close();
    this.#loop.wantNothing();
    if (this.#trouble === null) await this.#loop.settled(CLOSE_MS_MAX);
    this.#loop.close();
    await this.#driver.close();
  }

  #watchedOf(refer: MeshUrl): Watched {
    const key = `${refer.group}\n${refer.path}`;
    const known = this.#watched.get(key);
    if (known !== undefined) return known;
    const watched: Watched = {
      refer,
      listeners: new Set(),
      watch: null,
      nodes: null,
      trouble: null,
      odd: null,
    };
    this.#watched.set(key, watched);
    // Later: a listener is never told before `subscribe` has returned.
    setImmediate(() => {
      if (this.#watched.get(key) !== watched) return;
      watched.watch = this.#driver.watch(refer, {
        onNodes: (nodes) => this.#onNodes(watched, nodes),
        onOdd: (trouble) => this.#onOdd(watched, trouble),
        onTrouble: (trouble) => this.#onWatchTrouble(watched, trouble),
      });
    });
    return watched;
  }

  #unsubscribe(watched: Watched, own: NodeListener): void {
    if (!watched.listeners.delete(own) || watched.listeners.size > 0) return;
    watched.watch?.close();
    const key = `${watched.refer.group}\n${watched.refer.path}`;
    if (this.#watched.get(key) === watched) this.#watched.delete(key);
  }

  #onUp(isFresh: boolean): void {
    if (this.#isClosed) return;
    if (this.#trouble !== null) this.#deps.logger.info({}, 'the registry answers again');
    this.#trouble = null;
    this.#lastContactMs = this.#deps.clock.wallMs();
    this.#loop.onUp(isFresh);
  }

  #onDown(trouble: string): void {
    if (this.#isClosed) return;
    const isNews = this.#trouble === null;
    this.#trouble = trouble;
    this.#loop.onDown();
    if (!isNews) return;
    this.#deps.logger.warn({ trouble }, 'the registry does not answer');
    for (const { listeners } of this.#watched.values()) {
      for (const listener of [...listeners]) listener.onTrouble(trouble);
    }
    this.#commands.onDown(trouble);
  }

  #onNodes(watched: Watched, nodes: readonly MeshUrl[]): void {
    if (this.#isClosed) return;
    this.#lastContactMs = this.#deps.clock.wallMs();
    watched.nodes = nodes;
    watched.trouble = null;
    for (const listener of [...watched.listeners]) listener.onNodes(nodes);
  }

  #onOdd(watched: Watched, odd: string | null): void {
    if (odd !== null && odd !== watched.odd)
      this.#deps.logger.warn({ odd }, 'a node in the registry makes no sense');
    watched.odd = odd;
  }

  #onWatchTrouble(watched: Watched, trouble: string): void {
    if (this.#isClosed || watched.trouble === trouble) return;
    watched.trouble = trouble;
    this.#deps.logger.warn(
      { service: watched.refer.path, group: watched.refer.group, trouble },
      'a service cannot be watched',
    );
    for (const listener of [...watched.listeners]) listener.onTrouble(trouble);
  }

  #watchTrouble(): string | null {
    for (const { trouble, odd } of this.#watched.values())
      if ((trouble ?? odd) !== null) return trouble ?? odd;
    return null;
  }
}
