/**
 * Consul as Motan Java uses it (spec agent 6.6): services with a check that must be marked in time, at one Consul agent; nodes by questions
 * that wait there for a change.
 *
 *   consul-link      which agent             kept-services   what this process lists
 *   consul-api       what can be asked       group-watch     what it sees
 *                                            key-watch       commands
 *
 * Deviations from Java: see `layout.ts` for ids. A service is registered in the state that it has, so changed parameters do not take it away for
 * a moment; and it is forgotten a day after its process ended without a word.
 */
import type {
  Availability,
  Clock,
  CommandListener,
  CommandScope,
  Logger,
  MeshUrl,
  Random,
  ServiceName,
} from '../../../core/index.js';
import type {
  CommandSource,
  DriverEvents,
  DriverWatch,
  RegistryDriver,
  WatchEvents,
} from '../server/driver.js';
import { ConsulApi, KEY_QUERIES_AT_ONCE, QUERIES_AT_ONCE, type ServerAddress } from './consul-api.js';
import { ConsulLink } from './consul-link.js';
import { GroupWatch } from './group-watch.js';
import { readJsonList } from './json-list.js';
import { KeptServices } from './kept-services.js';
import { KeyWatch } from './key-watch.js';
import { commandKeyOf, groupOfName, nodeOf, servicesOfTags, toHealthEntry } from './layout.js';

export interface ConsulOptions {
  /** Agents, in the order of preference. */
  readonly servers: readonly ServerAddress[];
  readonly isSecure: boolean;
  /** Empty without. */
  readonly token: string;
  /** Where nodes are looked for; empty: the agent's own. */
  readonly datacenter: string;
  readonly times: ConsulTimes;
}

export interface ConsulTimes {
  /** A service that was not marked for so long does not serve any more. */
  readonly ttlMs: number;
  readonly beatMs: number;
  /** How long a question waits for a change. */
  readonly waitMs: number;
  readonly requestTimeoutMs: number;
}

/** TTL and beat are those of Motan Java. It waits for nine minutes; after half a one a broken network is noticed. */
export const CONSUL_TIMES: ConsulTimes = {
  ttlMs: 30_000,
  beatMs: 20_000,
  waitMs: 30_000,
  requestTimeoutMs: 5_000,
};

export interface ConsulDriverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** With more groups than questions at the same time they take turns. */
const TURN_WAIT_MS = 2_000;

export class ConsulDriver implements RegistryDriver {
  readonly address: string;
  /** One list answers for all. */
  readonly looksMax = Number.POSITIVE_INFINITY;
  readonly commands: CommandSource = {
    placeOf: commandKeyOf,
    watch: (scope, listener) => this.#watchCommand(scope, listener),
  };
  readonly #deps: ConsulDriverDeps;
  readonly #times: ConsulTimes;
  readonly #apis: readonly ConsulApi[];
  readonly #link: ConsulLink<ConsulApi>;
  readonly #kept: KeptServices;
  readonly #groups = new Map<string, GroupWatch>();
  readonly #keys = new Set<KeyWatch>();
  readonly #end = new AbortController();
  #events: DriverEvents | null = null;

  constructor(options: ConsulOptions, deps: ConsulDriverDeps) {
    const { servers, times } = options;
    const { random, logger } = deps;
    this.#deps = deps;
    this.#times = times;
    this.#apis = servers.map(
      (server) => new ConsulApi(server, { ...options, requestTimeoutMs: times.requestTimeoutMs }),
    );
    this.address = this.#apis.map(({ address }) => address).join(',');
    this.#link = new ConsulLink({
      ...deps,
      apis: this.#apis,
      pingEveryMs: times.beatMs,
      events: {
        onUp: (isFresh) => this.#onUp(isFresh),
        onDown: (trouble) => this.#events?.onDown(trouble),
        onHeard: () => this.#events?.onHeard(),
        onShaken: () => this.#kept.beatSoon(),
      },
    });
    this.#kept = new KeptServices({
      ask: (work) => this.#link.ask(work),
      random,
      logger,
      owner: Math.floor(random() * 2 ** 48).toString(36),
      ttlMs: times.ttlMs,
      beatMs: times.beatMs,
    });
  }

  start(events: DriverEvents): void {
    this.#events = events;
    this.#link.start();
  }

  async put(node: MeshUrl, availability: Availability): Promise<void> {
    await this.#kept.put(node, availability);
  }

  async remove(node: MeshUrl): Promise<void> {
    await this.#kept.remove(node);
  }

  async look(node: MeshUrl): Promise<Availability | 'absent'> {
    return await this.#kept.look(node);
  }

  watch(refer: MeshUrl, events: WatchEvents): DriverWatch {
    const { group } = refer;
    let watch = this.#groups.get(group);
    if (watch === undefined) {
      watch = new GroupWatch({
        ...this.#deps,
        group,
        ask: (query, signal) => this.#link.ask((api) => api.nodes(query, signal)),
        isUp: () => this.#link.isUp,
        untilUp: (signal) => this.#link.untilUp(signal),
        waitMs: () => (this.#groups.size > QUERIES_AT_ONCE ? TURN_WAIT_MS : this.#times.waitMs),
        onIdle: () => this.#groups.delete(group),
      });
      this.#groups.set(group, watch);
    }
    return watch.add(refer, events);
  }

  async listServices(): Promise<readonly ServiceName[]> {
    const found: ServiceName[] = [];
    const catalog = await this.#link.ask((api) => api.catalog());
    for (const [name, tags] of catalog) {
      const group = groupOfName(name);
      if (group === null) continue;
      found.push(...(servicesOfTags(group, tags) ?? (await this.#servicesOfGroup(name, group))));
    }
    return found;
  }

  async close(): Promise<void> {
    this.#end.abort();
    this.#link.close();
    this.#kept.close();
    for (const watch of this.#groups.values()) watch.close();
    for (const watch of [...this.#keys]) watch.close();
    for (const api of this.#apis) api.close();
  }

  /** From the ids, where no tag tells. */
  async #servicesOfGroup(serviceName: string, group: string): Promise<readonly ServiceName[]> {
    const query = { serviceName, index: 0, waitMs: 0, isStale: false };
    const { body } = await this.#link.ask((api) => api.nodes(query, this.#end.signal));
    const paths = new Set<string>();
    await readJsonList(body, (element) => {
      try {
        paths.add(nodeOf(toHealthEntry(element), group).path);
      } catch {
        // left out; whoever watches the group is told
      }
    });
    return [...paths].map((path) => ({ group, path }));
  }

  #onUp(isFresh: boolean): void {
    if (isFresh) this.#kept.onFresh();
    this.#events?.onUp(isFresh);
    this.#kept.beatSoon();
    for (const watch of this.#groups.values()) watch.onUp();
    for (const watch of this.#keys) watch.onUp();
  }

  #watchCommand(scope: CommandScope, listener: CommandListener): DriverWatch {
    const watch: KeyWatch = new KeyWatch({
      ...this.#deps,
      key: commandKeyOf(scope),
      listener,
      ask: (query, signal) => this.#link.ask((api) => api.key(query, signal)),
      isUp: () => this.#link.isUp,
      untilUp: (signal) => this.#link.untilUp(signal),
      waitMs: () => (this.#keys.size > KEY_QUERIES_AT_ONCE ? TURN_WAIT_MS : this.#times.waitMs),
      onClosed: () => this.#keys.delete(watch),
    });
    this.#keys.add(watch);
    return watch;
  }
}
