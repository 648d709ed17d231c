/**
 * Redis as a registry: leases that end by themselves (`leases.ts`), services that are watched (`nodes-watch.ts`), and commands
 * (`command-watch.ts`).
 */
import { randomBytes } from 'node:crypto';
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
import { ReadGate } from '../server/read-gate.js';
import { CommandWatch } from './command-watch.js';
import { CommandPlace, nodesKeyPattern, ServicePlace, serviceOfNodesKey } from './layout.js';
import { Leases } from './leases.js';
import type { RedisSettings } from './make-client.js';
import { NodesWatch } from './nodes-watch.js';
import { RedisClient } from './redis-client.js';
import { Subscriber } from './subscriber.js';

/** Services that are read at the same time. */
const READS_AT_ONCE = 64;
/** Where many services are watched, they are looked at in turn: so many in a second. */
const LOOKS_PER_SECOND_MAX = 100;

export interface RedisOptions extends RedisSettings {
  /** Begins every key and channel. */
  readonly keyPrefix: string;
  /** After so long without a renewal Redis takes a node away. */
  readonly leaseMs: number;
  /** Between two looks at a service about which nothing was told. */
  readonly lookEveryMs: number;
}

export interface RedisDriverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export class RedisDriver implements RegistryDriver {
  readonly address: string;
  readonly commands: CommandSource = {
    placeOf: (scope) => new CommandPlace(this.#options.keyPrefix, scope).key,
    watch: (scope, listener) => this.#watchCommand(scope, listener),
  };
  readonly #options: RedisOptions;
  readonly #deps: RedisDriverDeps;
  readonly #client: RedisClient;
  readonly #subscriber: Subscriber;
  readonly #leases: Leases;
  readonly #gate = new ReadGate(READS_AT_ONCE);
  readonly #watches = new Set<NodesWatch>();
  readonly #commandWatches = new Set<CommandWatch>();
  #events: DriverEvents | null = null;
  #wasUp = false;

  constructor(options: RedisOptions, deps: RedisDriverDeps) {
    this.#options = options;
    this.#deps = deps;
    this.address = addressOf(options);
    this.#client = new RedisClient(options, deps, {
      onUp: () => this.#onUp(),
      onDown: (trouble) => this.#events?.onDown(`${this.address}: ${trouble}`),
    });
    this.#subscriber = new Subscriber({
      ...deps,
      settings: options,
      clusterServers: () => this.#client.clusterServers,
    });
    this.#leases = new Leases({
      ...deps,
      client: this.#client,
      keyPrefix: options.keyPrefix,
      owner: `${process.pid}-${randomBytes(8).toString('hex')}`,
      leaseMs: options.leaseMs,
      onLost: (node) => this.#events?.onLost(node),
      onHeard: () => this.#events?.onHeard(),
    });
  }

  start(events: DriverEvents): void {
    this.#events = events;
    this.#client.open();
  }

  put(node: MeshUrl, availability: Availability): Promise<void> {
    return this.#leases.put(node, availability);
  }

  remove(node: MeshUrl): Promise<void> {
    return this.#leases.remove(node);
  }

  look(node: MeshUrl): Promise<Availability | 'absent' | null> {
    return this.#leases.look(node);
  }

  watch(refer: MeshUrl, events: WatchEvents): DriverWatch {
    const watch: NodesWatch = new NodesWatch({
      ...this.#deps,
      client: this.#client,
      subscriber: this.#subscriber,
      gate: this.#gate,
      place: new ServicePlace(this.#options.keyPrefix, refer),
      events,
      lookEveryMs: () => this.#lookEveryMs(),
      onClosed: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    if (this.#client.isUp) watch.onUp();
    return watch;
  }

  async listServices(): Promise<readonly ServiceName[]> {
    const { keyPrefix } = this.#options;
    const services: ServiceName[] = [];
    for (const key of new Set(await this.#client.keys(nodesKeyPattern(keyPrefix)))) {
      const service = serviceOfNodesKey(keyPrefix, key);
      if (service !== null) services.push(service);
    }
    return services;
  }

  async close(): Promise<void> {
    for (const watch of [...this.#watches]) watch.close();
    for (const watch of [...this.#commandWatches]) watch.close();
    this.#leases.close();
    this.#subscriber.close();
    this.#client.close();
  }

  #onUp(): void {
    // What we listed is there still, unless the server lost it: the renewal sees.
    this.#events?.onUp(!this.#wasUp);
    this.#wasUp = true;
    this.#leases.renew();
    for (const watch of [...this.#watches]) watch.onUp();
    for (const watch of [...this.#commandWatches]) watch.onUp();
  }

  #watchCommand(scope: CommandScope, listener: CommandListener): DriverWatch {
    const watch: CommandWatch = new CommandWatch({
      ...this.#deps,
      client: this.#client,
      subscriber: this.#subscriber,
      gate: this.#gate,
      place: new CommandPlace(this.#options.keyPrefix, scope),
      listener,
      lookEveryMs: () => this.#lookEveryMs(),
      onClosed: () => this.#commandWatches.delete(watch),
    });
    this.#commandWatches.add(watch);
    if (this.#client.isUp) watch.onUp();
    return watch;
  }

  #lookEveryMs(): number {
    const count = this.#watches.size + this.#commandWatches.size;
    return Math.max(this.#options.lookEveryMs, (count * 1000) / LOOKS_PER_SECOND_MAX);
  }
}

function addressOf({ kind, servers, masterName }: RedisSettings): string {
  const list = servers
    .map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
    .join(',');
  return kind === 'sentinel' ? `${masterName} of the Sentinels ${list}` : list;
}
