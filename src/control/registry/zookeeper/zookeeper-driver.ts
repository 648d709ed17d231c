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
  isCopy,
  type Logger,
  type MeshUrl,
  messageOf,
  type Random,
  type ServiceName,
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
import type { Stat } from './messages.js';
import { isCopyData } from './node-data.js';
import { agentPath, commandPath, isAgent, nodePath, type Role, rolePath } from './node-paths.js';
import { NodesWatch } from './nodes-watch.js';
import { Session, type WatchWish } from './session.js';

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

/** What a service has below it. */
const ROLES: ReadonlySet<string> = new Set(['server', 'unavailableServer', 'client'] satisfies Role[]);
/** Below `/motan`; more is not looked into. */
const SERVICE_LEVELS_MAX = 8;

/** A watched service, and the node that says that we watch it. */
interface Watched {
  readonly watch: NodesWatch;
  /** Null when it has none. */
  readonly client: MeshUrl | null;
}

/** A watch on a node of ours. */
interface Guard {
  node: MeshUrl;
  /** False once it has fired; it fires once. */
  isSet: boolean;
  /** It is being put: what happens to it is our own doing. */
  isPutting: boolean;
  readonly watch: WatchWish;
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
  /** Of what we have listed, by path: tells when somebody else removes it. */
  readonly #guards = new Map<string, Guard>();
  /** Paths of services that were found: their parents stay, so they are not read again and again. */
  readonly #knownServices = new Set<string>();
  #events: DriverEvents | null = null;

  constructor(options: ZooKeeperOptions, deps: ZooKeeperDriverDeps) {
    const { servers, chroot, sessionTimeoutMs, digest } = options;
    this.address = servers.map(({ host, port }) => `${host}:${port}`).join(',') + chroot;
    this.#chroot = chroot;
    this.#deps = deps;
    this.#session = new Session({ servers, timeoutMs: sessionTimeoutMs, digest }, deps, {
      onUp: (isFresh, areWatchesKept) => this.#onUp(isFresh, areWatchesKept),
      onDown: (trouble) => this.#events?.onDown(trouble),
      onHeard: () => this.#events?.onHeard(),
    });
    this.#client = new ZooKeeperClient(this.#session);
  }

  start(events: DriverEvents): void {
    this.#events = events;
    this.#session.start();
  }

  async put(node: MeshUrl, availability: Availability): Promise<void> {
    if (isAgent(node)) {
      await this.#place(node, agentPath(this.#chroot, node), null);
      this.#agents.set(node.identity, availability);
      return;
    }
    const [server, unavailable] = this.#pathsOf(node);
    if (isCopy(node)) await this.#placeCopy(node, server, unavailable);
    else if (availability === 'available') await this.#place(node, server, unavailable);
    else await this.#place(node, unavailable, server);
  }

  async remove(node: MeshUrl): Promise<void> {
    for (const path of isAgent(node) ? [agentPath(this.#chroot, node)] : this.#pathsOf(node))
      this.#unguard(path);
    if (isAgent(node)) {
      await this.#client.remove(agentPath(this.#chroot, node));
      this.#agents.delete(node.identity);
    } else {
      const isNobodysOurs = !isCopy(node);
      await Promise.all(this.#pathsOf(node).map((path) => this.#client.remove(path, isNobodysOurs)));
    }
  }

  /** Whoever listed it: two living processes that announce one address must not take it from each other for ever. */
  async look(node: MeshUrl): Promise<Availability | 'absent' | null> {
    if (isAgent(node)) {
      const stat = await this.#client.stat(agentPath(this.#chroot, node));
      return stat === null ? 'absent' : (this.#agents.get(node.identity) ?? null);
    }
    if (isCopy(node)) return await this.#lookAtCopy(node);
    const [server, unavailable] = await Promise.all(
      this.#pathsOf(node).map((path) => this.#statOf(node, path)),
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

  /** All below `/motan` that has nodes of services, or had some: their parents stay. */
  async listServices(): Promise<readonly ServiceName[]> {
    const services: ServiceName[] = [];
    await this.#findServices(`${this.#chroot}/motan`, [], services);
    return services;
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  /** Null also when a copy stands there: it has taken the place in the moment in which the node itself came. */
  async #statOf(node: MeshUrl, path: string, watch?: WatchWish): Promise<Stat | null> {
    const stat = await this.#client.stat(path, watch);
    if (stat === null || stat.ephemeralOwner === this.#session.id || isCopy(node)) return stat;
    const content = await this.#client.content(path);
    return content !== null && isCopyData(content.data) ? null : stat;
  }

  /** Another process may list the address itself, under either role: then it stays so. */
  async #placeCopy(node: MeshUrl, path: string, unavailable: string): Promise<void> {
    if ((await this.#client.stat(unavailable)) === null) await this.#place(node, path, null, isCopyData);
  }

  /** Null while another process has the address. */
  async #lookAtCopy(node: MeshUrl): Promise<Availability | 'absent' | null> {
    const [server, unavailable] = this.#pathsOf(node);
    const [content, other] = await Promise.all([
      this.#client.content(server),
      this.#client.stat(unavailable),
    ]);
    if (content === null) return other === null ? 'absent' : null;
    if (content.stat.ephemeralOwner !== this.#session.id) return null;
    return content.data.toString('utf8') === node.toText() ? 'available' : 'absent';
  }

  /** Groups and services may have slashes in their names; the first level is taken for the group. */
  async #findServices(path: string, names: readonly string[], found: ServiceName[]): Promise<void> {
    const service = { group: names[0] ?? '', path: names.slice(1).join('/') };
    if (this.#knownServices.has(path)) {
      found.push(service);
      return;
    }
    const children = (await this.#gate.run(() => this.#client.children(path))) ?? [];
    if (names.length > 1 && children.some((name) => ROLES.has(name))) {
      found.push(service);
      this.#knownServices.add(path);
    } else if (names.length < SERVICE_LEVELS_MAX && !(names.length === 2 && names[0] === 'agent')) {
      await Promise.all(
        children.map((name) => this.#findServices(`${path}/${name}`, [...names, name], found)),
      );
    }
  }

  async #place(
    node: MeshUrl,
    path: string,
    removed: string | null,
    mayReplace?: (theirs: Buffer) => boolean,
  ): Promise<void> {
    if (removed !== null) this.#unguard(removed);
    const guard = this.#guardOf(node, path);
    guard.isPutting = true;
    try {
      const created = { path, data: node.toText(), isEphemeral: true };
      if (!(await this.#client.place(created, removed, mayReplace))) {
        this.#unguard(path);
        return;
      }
    } finally {
      guard.isPutting = false;
    }
    if (!(await this.#watchOver(guard))) throw new Error(`${path}: somebody removed it at once`);
  }

  #guardOf(node: MeshUrl, path: string): Guard {
    const known = this.#guards.get(path);
    if (known !== undefined) {
      known.node = node;
      return known;
    }
    const watch: WatchWish = { kind: 'data', path, onWatch: () => this.#onTouched(guard) };
    const guard: Guard = { node, isSet: false, isPutting: false, watch };
    this.#guards.set(path, guard);
    return guard;
  }

  #unguard(path: string): void {
    const guard = this.#guards.get(path);
    if (guard === undefined) return;
    this.#session.unwatch(guard.watch);
    this.#guards.delete(path);
  }

  /** False when nobody lists it any more; whoever does may stay, as with looks. */
  async #watchOver(guard: Guard): Promise<boolean> {
    if (guard.isSet || this.#guards.get(guard.watch.path) !== guard) return true;
    guard.isSet = true;
    try {
      const stat = await this.#statOf(guard.node, guard.watch.path, guard.watch);
      if (stat === null) guard.isSet = false;
      return stat !== null;
    } catch (error) {
      guard.isSet = false;
      throw error;
    }
  }

  #onTouched(guard: Guard): void {
    guard.isSet = false;
    if (guard.isPutting) return;
    background('zookeeper-guard', this.#deps.logger, async () => {
      try {
        if (!(await this.#watchOver(guard))) this.#events?.onLost(guard.node);
      } catch (error) {
        // The next look sees it.
        this.#deps.logger.debug({ error: messageOf(error) }, 'a node of ours could not be watched');
      }
    });
  }

  #onUp(isFresh: boolean, areWatchesKept: boolean): void {
    if (!areWatchesKept) for (const guard of this.#guards.values()) guard.isSet = false;
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
