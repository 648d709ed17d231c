/**
 * Turns what registries say into numbered states of the mesh.
 *
 *   registries --answers--> ReferWatch, one a refer --heard--> gathered for one turn of the loop --> next MeshState
 *                               ^ snapshot: when nobody answers in time, or answers without a usable node
 *
 * A state costs what changed: clusters that did not stay the same objects, and the endpoints in them as well.
 * Discovery never takes the last node away, and never waits for anything.
 */
import {
  type AgentConfig,
  background,
  type Clock,
  type ClusterState,
  type DiscoveryReport,
  type Logger,
  type MeshState,
  type MeshUrl,
  type NodeProbe,
  type Problem,
  type ReferConfig,
  type Registry,
  type Snapshot,
  type SnapshotStore,
} from '../../core/index.js';
import { holdSettings } from './hold-settings.js';
import { allRefers, type ConfiguredParts, type DomainRefer, partsOf } from './mesh-parts.js';
import { ProbeRounds } from './probe-rounds.js';
import { candidateGroups, directNodes } from './refer-targets.js';
import { ReferWatch } from './refer-watch.js';

export interface DiscoveryOptions {
  readonly config: AgentConfig;
  readonly registries: ReadonlyMap<string, Registry>;
  /** Null: nothing is read from and written to disk. */
  readonly snapshots: SnapshotStore | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly localIp: string;
  /** True for a node that is the forward port of this agent itself; such nodes are left out. Default: none is. */
  readonly isOwnForward?: (node: MeshUrl) => boolean;
  /**
   * Milliseconds that a refer waits for its registries before it starts from its snapshot; default 300, which is more
   * than a registry that is well needs, and less than a start may take.
   */
  readonly snapshotAfterMs?: number;
  /** Without one, held nodes stay until they are listed again or accepted, and only the best priority with nodes is used. */
  readonly probe?: NodeProbe;
  /** Milliseconds between two looks at held nodes and priorities; default 1,000. */
  readonly probeEveryMs?: number;
}

/** Snapshots read at the same time: enough to be quick, few enough to keep file descriptors for calls. */
const LOADS_AT_ONCE = 16;
/** Named in one line of the log. */
const FILES_TOLD_MAX = 5;

export class Discovery {
  readonly #options: DiscoveryOptions;
  #config: AgentConfig;
  #quarantined: readonly Problem[];
  #parts: ConfiguredParts;
  #registries: ReadonlyMap<string, Registry>;
  #watches: readonly ReferWatch[] = [];
  /** Place of a watch in `#watches` and of its cluster in the state. */
  readonly #places = new Map<ReferWatch, number>();
  #state: MeshState;
  readonly #listeners = new Set<(state: MeshState) => void>();
  readonly #heard = new Set<ReferWatch>();
  readonly #unsettled = new Set<ReferWatch>();
  readonly #settledWaiters = new Set<(isSettled: boolean) => void>();
  readonly #toLoad: ReferWatch[] = [];
  /** Watches by the group and path under which their nodes are saved. */
  readonly #savers = new Map<string, Set<ReferWatch>>();
  readonly #saverKeys = new Map<ReferWatch, string>();
  readonly #rounds: ProbeRounds | null;
  #isLoading = false;
  #isStarted = false;
  #isClosed = false;
  #turn: NodeJS.Immediate | null = null;
  #snapshotTimer: NodeJS.Timeout | null = null;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#quarantined = quarantined(options.config);
    this.#registries = options.registries;
    const { probe, clock, probeEveryMs = 1000 } = options;
    this.#rounds = probe === undefined ? null : new ProbeRounds({ probe, clock, everyMs: probeEveryMs });
    this.#takeRefers(allRefers(options.config).map((found) => this.#makeWatch(found)));
    this.#parts = partsOf(options.config);
    this.#state = this.#makeState(
      1,
      'start',
      this.#watches.map((watch) => watch.cluster),
    );
  }

  /** The newest state. The first, number 1, has every cluster, and endpoints only where `MESH_DIRECT_RPC` names them. */
  get state(): MeshState {
    return this.#state;
  }

  /** Asks the registries. From here on states follow. */
  start(): void {
    if (this.#isStarted || this.#isClosed) return;
    this.#isStarted = true;
    for (const watch of this.#watches) watch.subscribe();
    this.#waitForRegistries();
  }

  /** `listener` is told every state after the current one. The answer ends that. */
  onState(listener: (state: MeshState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Resolves with true when every refer has heard from all its registries or has something to call, and `state` says so;
   * with false after `withinMs`.
   */
  whenSettled(withinMs: number): Promise<boolean> {
    if (this.#unsettled.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (isSettled: boolean): void => {
        clearTimeout(timer);
        this.#settledWaiters.delete(end);
        resolve(isSettled);
      };
      const timer = setTimeout(() => end(false), withinMs);
      this.#settledWaiters.add(end);
    });
  }

  /**
   * Goes over to another configuration: refers that mean the same stay untouched, changed ones keep their endpoints until
   * their registries have spoken, the others go. `registries` defaults to those of before.
   */
  replaceRefers(config: AgentConfig, registries: ReadonlyMap<string, Registry> = this.#registries): void {
    if (this.#isClosed) return;
    const before = new Map(this.#watches.map((watch) => [watch.refer.id, watch]));
    const kept = new Set<ReferWatch>();
    const old = { config: this.#config, parts: this.#parts, registries: this.#registries };
    this.#config = config;
    this.#quarantined = quarantined(config);
    this.#parts = partsOf(config, old);
    this.#registries = registries;
    const watches = allRefers(config).map((found) => {
      const { refer } = found;
      const known = before.get(refer.id);
      before.delete(refer.id);
      if (known !== undefined && this.#isUnchanged(known.refer, refer, old)) {
        kept.add(known);
        return known;
      }
      const made = this.#makeWatch(found);
      if (known !== undefined) made.inherit(known);
      return made;
    });
    for (const watch of this.#watches) if (!kept.has(watch)) this.#letGo(watch);
    this.#takeRefers(watches);
    this.#publish(
      'reload',
      watches.map((watch) => watch.cluster),
    );
    if (!this.#isStarted) return;
    for (const watch of watches) if (!kept.has(watch)) watch.subscribe();
    this.#waitForRegistries();
    this.#checkSettled();
  }

  report(): DiscoveryReport {
    return { stateNumber: this.#state.number, refers: this.#watches.map((watch) => watch.report()) };
  }

  /**
   * Believes the registries of the refers that match: nodes that are held go. Null matches all.
   * @returns how many nodes go, by refer id; refers without any are left out
   */
  accept(group: string | null, service: string | null): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const watch of this.#watches) {
      const { url } = watch.cluster;
      if ((group !== null && url.group !== group) || (service !== null && url.path !== service)) continue;
      const count = watch.acceptRegistries();
      if (count > 0) counts.set(watch.refer.id, count);
    }
    return counts;
  }

  /** Ends all subscriptions; the state stands. The registries and the snapshots are not closed here. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#turn !== null) clearImmediate(this.#turn);
    if (this.#snapshotTimer !== null) clearTimeout(this.#snapshotTimer);
    for (const watch of this.#watches) watch.close();
    this.#rounds?.close();
    this.#listeners.clear();
    for (const waiter of [...this.#settledWaiters]) waiter(false);
  }

  #makeWatch({ refer, domain }: DomainRefer): ReferWatch {
    const fixedNodes = directNodes(this.#config, refer.url);
    if (fixedNodes !== null) {
      this.#options.logger.warn(
        { refer: refer.id, nodes: nodeTexts(fixedNodes) },
        'MESH_DIRECT_RPC replaces the registries',
      );
    }
    return new ReferWatch({
      refer,
      domain,
      registries: this.#registriesOf(refer),
      groups: candidateGroups(refer.url.group, this.#config.agent.idc),
      fixedNodes,
      hold: holdSettings(refer.url, this.#config.agent.hold),
      clock: this.#options.clock,
      logger: this.#options.logger,
      isOwnForward: this.#options.isOwnForward ?? (() => false),
      onHeard: (watch) => this.#onHeard(watch),
    });
  }

  /** In the order of the refer; ids that share one registry count once, unknown ones are said and left out. */
  #registriesOf(refer: ReferConfig): readonly Registry[] {
    const registries = new Set<Registry>();
    for (const id of refer.registryIds) {
      const registry = this.#registries.get(id);
      if (registry !== undefined) registries.add(registry);
      else
        this.#options.logger.error(
          { refer: refer.id, registry: id },
          'the refer names a registry that is not there',
        );
    }
    return [...registries];
  }

  #isUnchanged(
    before: ReferConfig,
    now: ReferConfig,
    old: { readonly config: AgentConfig; readonly registries: ReadonlyMap<string, Registry> },
  ): boolean {
    const isSameRegistry = (id: string): boolean => old.registries.get(id) === this.#registries.get(id);
    return (
      (before.url === now.url || before.url.toText() === now.url.toText()) &&
      before.registryIds.join(',') === now.registryIds.join(',') &&
      now.registryIds.every(isSameRegistry) &&
      old.config.agent.idc === this.#config.agent.idc &&
      nodeTexts(directNodes(old.config, before.url)) === nodeTexts(directNodes(this.#config, now.url))
    );
  }

  #takeRefers(watches: readonly ReferWatch[]): void {
    this.#watches = watches;
    this.#places.clear();
    watches.forEach((watch, index) => {
      this.#places.set(watch, index);
      if (!watch.isSettled) this.#unsettled.add(watch);
    });
  }

  #letGo(watch: ReferWatch): void {
    watch.close();
    this.#rounds?.remove(watch);
    this.#heard.delete(watch);
    this.#unsettled.delete(watch);
    this.#forgetSaver(watch);
  }

  #waitForRegistries(): void {
    if (this.#snapshotTimer !== null) clearTimeout(this.#snapshotTimer);
    this.#snapshotTimer = setTimeout(() => this.#onPatienceEnded(), this.#options.snapshotAfterMs ?? 300);
  }

  #onPatienceEnded(): void {
    for (const watch of this.#unsettled) {
      watch.becomeImpatient();
      this.#onHeard(watch);
    }
  }

  /** Many answers arrive in one turn of the loop; they make one state. */
  #onHeard(watch: ReferWatch): void {
    if (this.#isClosed || !this.#places.has(watch)) return;
    this.#heard.add(watch);
    this.#turn ??= setImmediate(() => {
      this.#turn = null;
      this.#takeHeard();
    });
  }

  #takeHeard(): void {
    const heard = [...this.#heard];
    this.#heard.clear();
    const changed = heard.filter((watch) => watch.rebuild());
    if (changed.length > 0) {
      const clusters = this.#state.clusters.slice();
      for (const watch of changed) clusters[this.#places.get(watch)!] = watch.cluster;
      for (const watch of changed) this.#save(watch);
      this.#publish(causeOf(changed), clusters);
    }
    for (const watch of heard) {
      this.#rounds?.add(watch);
      if (watch.wantsSnapshot) this.#load(watch);
      if (watch.isSettled) this.#unsettled.delete(watch);
    }
    this.#checkSettled();
  }

  #checkSettled(): void {
    if (this.#unsettled.size > 0) return;
    for (const waiter of [...this.#settledWaiters]) waiter(true);
  }

  #publish(cause: string, clusters: readonly ClusterState[]): void {
    this.#state = this.#makeState(this.#state.number + 1, cause, clusters);
    for (const listener of [...this.#listeners]) listener(this.#state);
  }

  #makeState(number: number, cause: string, clusters: readonly ClusterState[]): MeshState {
    const { clock, localIp } = this.#options;
    return {
      number,
      createdAtMs: clock.wallMs(),
      cause,
      application: this.#config.agent.application,
      localIp,
      clusters,
      ...this.#parts,
      quarantined: this.#quarantined,
    };
  }

  #load(watch: ReferWatch): void {
    const { snapshots } = this.#options;
    if (snapshots === null) {
      watch.snapshotStep = 'answered';
      return;
    }
    watch.snapshotStep = 'asked';
    this.#toLoad.push(watch);
    if (this.#isLoading) return;
    this.#isLoading = true;
    background('snapshot-load', this.#options.logger, () => this.#loadAll(snapshots));
  }

  async #loadAll(snapshots: SnapshotStore): Promise<void> {
    const used: Snapshot[] = [];
    while (this.#toLoad.length > 0 && !this.#isClosed) {
      const some = this.#toLoad.splice(0, LOADS_AT_ONCE);
      const loaded = await Promise.all(some.map((watch) => this.#loadOne(watch, snapshots)));
      for (const snapshot of loaded) if (snapshot !== null) used.push(snapshot);
    }
    this.#isLoading = false;
    if (used.length > 0) this.#tellOf(used);
  }

  async #loadOne(watch: ReferWatch, snapshots: SnapshotStore): Promise<Snapshot | null> {
    let used: Snapshot | null = null;
    for (const refer of watch.snapshotRefers) {
      const snapshot = await snapshots.load(refer);
      if (snapshot === null || !watch.useSnapshot(snapshot, refer)) continue;
      used = snapshot;
      break;
    }
    watch.snapshotStep = 'answered';
    this.#onHeard(watch);
    return used;
  }

  /** One line, however many refers there are. */
  #tellOf(snapshots: readonly Snapshot[]): void {
    const { clock, logger } = this.#options;
    const ages = snapshots.map(({ savedAtMs }) =>
      Math.max(0, Math.round((clock.wallMs() - savedAtMs) / 1000)),
    );
    const oldestSeconds = ages.reduce((oldest, age) => Math.max(oldest, age), 0);
    const files = snapshots.slice(0, FILES_TOLD_MAX).map(({ file }) => file);
    logger.warn(
      { refers: snapshots.length, oldestSeconds, files },
      'no registry has told nodes: refers have those of their snapshots',
    );
  }

  /** Several refers may have one group and path: what is saved is all their nodes. */
  #save(watch: ReferWatch): void {
    const { snapshots } = this.#options;
    const { url, source } = watch.cluster;
    if (snapshots === null || source !== 'registry' || watch.savableNodes.length === 0) return;
    const key = `${url.group}\n${url.path}`;
    if (this.#saverKeys.get(watch) !== key) this.#forgetSaver(watch);
    this.#saverKeys.set(watch, key);
    let savers = this.#savers.get(key);
    if (savers === undefined) {
      savers = new Set();
      this.#savers.set(key, savers);
    }
    savers.add(watch);
    snapshots.save(url.group, url.path, savers.size === 1 ? watch.savableNodes : joined(savers));
  }

  #forgetSaver(watch: ReferWatch): void {
    const key = this.#saverKeys.get(watch);
    if (key === undefined) return;
    this.#saverKeys.delete(watch);
    const savers = this.#savers.get(key)!;
    savers.delete(watch);
    if (savers.size === 0) this.#savers.delete(key);
  }
}

function causeOf(changed: readonly ReferWatch[]): string {
  const { source, url, endpoints } = changed[0]!.cluster;
  const nodes = endpoints.length === 1 ? '1 node' : `${endpoints.length} nodes`;
  const first = `${url.path} of ${url.group} has ${nodes}`;
  return changed.length === 1
    ? `${source}: ${first}`
    : `${source}: ${first}, and ${changed.length - 1} more changed`;
}

/** The nodes of all, each identity once. */
function joined(savers: ReadonlySet<ReferWatch>): readonly MeshUrl[] {
  const nodes = new Map<string, MeshUrl>();
  for (const saver of savers) for (const node of saver.savableNodes) nodes.set(node.identity, node);
  return [...nodes.values()];
}

function quarantined(config: AgentConfig): readonly Problem[] {
  return config.problems.filter(({ entry, severity }) => entry !== null && severity === 'error');
}

function nodeTexts(nodes: readonly MeshUrl[] | null): string {
  return nodes === null ? 'none' : nodes.map((node) => node.identity).join(' ');
}
