/**
 * ZooKeeper as motan-go and Motan Java use it (spec agent 6.5): ephemeral nodes with the text of a url, which live as long as our session.
 *
 * Two deviations from motan-go. A node moves between `server` and `unavailableServer` in one transaction, so that nobody sees neither; and
 * an agent is listed as an agent only, not also as a service of itself.
 */
import {
  type Availability,
  background,
  type Clock,
  type CommandListener,
  type CommandScope,
  type Logger,
  type MeshUrl,
  messageOf,
  type Random,
} from '../../../core/index.js';
import type {
  CommandSource,
  DriverEvents,
  DriverWatch,
  RegistryDriver,
  WatchEvents,
} from '../server/driver.js';
import { ReadGate } from '../server/read-gate.js';
import { ZooKeeperClient } from './client.js';
import { CommandWatch } from './command-watch.js';
import type { ServerAddress } from './connection.js';
import { agentPath, commandPath, isAgent, nodePath, rolePath } from './node-paths.js';
import { NodesWatch } from './nodes-watch.js';
import { Session } from './session.js';

/** Lists and nodes that are read at the same time, of all services. */
const READS_AT_ONCE = 64;

export interface ZooKeeperOptions {
  readonly servers: readonly ServerAddress[];
  /** Empty, or `/a/b`, below which everything stands. */
  readonly chroot: string;
  readonly sessionTimeoutMs: number;
  /** `user:password`; null without. */
  readonly digest: string | null;
}

export interface ZooKeeperDriverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Under which refers are listed as clients; empty: they are not. */
  readonly localIp: string;
}

/** A watched service, and the node that says that we watch it. */
interface Watched {
  readonly watch: NodesWatch;
  /** Null when it has none. */
  readonly client: MeshUrl | null;
}

export class ZooKeeperDriver implements RegistryDriver {
  readonly address: string;
  readonly commands: CommandSource = {
    placeOf: (scope) => commandPath(this.#chroot, scope),
    watch: (scope, listener) => this.#watchCommand(scope, listener),
  };
  readonly #chroot: string;
  readonly #deps: ZooKeeperDriverDeps;
  readonly #session: Session;
  readonly #client: ZooKeeperClient;
  readonly #gate = new ReadGate(READS_AT_ONCE);
  readonly #watched = new Set<Watched>();
  readonly #commandWatches = new Set<CommandWatch>();
  /** What was last put of agents: their nodes do not say it. */
  readonly #agents = new Map<string, Availability>();
  #events: DriverEvents | null = null;

  constructor(options: ZooKeeperOptions, deps: ZooKeeperDriverDeps) {
    const { servers, chroot, sessionTimeoutMs, digest } = options;
    this.address = servers.map(({ host, port }) => `${host}:${port}`).join(',') + chroot;
    this.#chroot = chroot;
    this.#deps = deps;
    this.#session = new Session({ servers, timeoutMs: sessionTimeoutMs, digest }, deps, {
      onUp: (isFresh, areWatchesKept) => this.#onUp(isFresh, areWatchesKept),
      onDown: (trouble) => this.#events?.onDown(trouble),
    });
    this.#client = new ZooKeeperClient(this.#session);
  }

  start(events: DriverEvents): void {
    this.#events = events;
    this.#session.start();
  }

  async put(node: MeshUrl, availability: Availability): Promise<void> {
    const data = node.toText();
    if (isAgent(node)) {
      await this.#client.place({ path: agentPath(this.#chroot, node), data, isEphemeral: true }, null);
      this.#agents.set(node.identity, availability);
      return;
    }
    const [server, unavailable] = this.#pathsOf(node);
    const isAvailable = availability === 'available';
    const path = isAvailable ? server : unavailable;
    await this.#client.place({ path, data, isEphemeral: true }, isAvailable ? unavailable : server);
  }

  async remove(node: MeshUrl): Promise<void> {
    if (isAgent(node)) {
      await this.#client.remove(agentPath(this.#chroot, node));
      this.#agents.delete(node.identity);
    } else {
      await Promise.all(this.#pathsOf(node).map((path) => this.#client.remove(path)));
    }
  }

  /** Whoever listed it: two living processes that announce one address must not take it from each other for ever. */
  async look(node: MeshUrl): Promise<Availability | 'absent' | null> {
    if (isAgent(node)) {
      const stat = await this.#client.stat(agentPath(this.#chroot, node));
      return stat === null ? 'absent' : (this.#agents.get(node.identity) ?? null);
    }
    const [server, unavailable] = await Promise.all(
      this.#pathsOf(node).map((path) => this.#client.stat(path)),
    );
    return server !== null ? 'available' : unavailable !== null ? 'unavailable' : 'absent';
  }

  watch(refer: MeshUrl, events: WatchEvents): DriverWatch {
    const host = refer.host || this.#deps.localIp;
    const watched: Watched = {
      client: host === '' ? null : refer.with({ host }).withParameter('nodeType', 'referer'),
      watch: new NodesWatch({
        ...this.#deps,
        session: this.#session,
        client: this.#client,
        gate: this.#gate,
        path: rolePath(this.#chroot, refer, 'server'),
        refer,
        events,
        onMissing: () => this.#listClient(watched),
        onClosed: () => this.#unlist(watched),
      }),
    };
    this.#watched.add(watched);
    if (this.#session.isUp) {
      watched.watch.onUp(false);
      this.#listClient(watched);
    }
    return watched.watch;
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  #onUp(isFresh: boolean, areWatchesKept: boolean): void {
    this.#events?.onUp(isFresh);
    for (const watched of [...this.#watched]) {
      watched.watch.onUp(areWatchesKept);
      if (isFresh) this.#listClient(watched);
    }
    for (const watch of [...this.#commandWatches]) watch.onUp(areWatchesKept);
  }

  #watchCommand(scope: CommandScope, listener: CommandListener): DriverWatch {
    const watch: CommandWatch = new CommandWatch({
      ...this.#deps,
      session: this.#session,
      client: this.#client,
      gate: this.#gate,
      path: commandPath(this.#chroot, scope),
      listener,
      onClosed: () => this.#commandWatches.delete(watch),
    });
    this.#commandWatches.add(watch);
    if (this.#session.isUp) watch.onUp(false);
    return watch;
  }

  #pathsOf(node: MeshUrl): [server: string, unavailable: string] {
    return [nodePath(this.#chroot, node, 'server'), nodePath(this.#chroot, node, 'unavailableServer')];
  }

  #listClient(watched: Watched): void {
    const { client } = watched;
    if (client === null) return;
    this.#aboutClient(async () => {
      if (!this.#watched.has(watched)) return;
      const path = nodePath(this.#chroot, client, 'client');
      await this.#client.place({ path, data: client.toText(), isEphemeral: true }, null);
    });
  }

  #unlist(watched: Watched): void {
    this.#watched.delete(watched);
    const { client } = watched;
    if (client === null || !this.#session.isUp) return;
    const path = nodePath(this.#chroot, client, 'client');
    this.#aboutClient(() => this.#client.remove(path));
  }

  /** Nobody is served by such a node: it is for people. So it waits behind what is read, and a failure is only worth a line. */
  #aboutClient(work: () => Promise<void>): void {
    const { logger } = this.#deps;
    background('zookeeper-client-node', logger, async () => {
      try {
        await this.#gate.run(work);
      } catch (error) {
        logger.debug({ error: messageOf(error) }, 'the node of a refer could not be changed');
      }
    });
  }
}
