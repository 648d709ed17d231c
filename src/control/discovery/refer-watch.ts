/**
 * One refer on its way to a `ClusterState`.
 *
 *   candidate groups --first with nodes--> chosen group --union of its registries--> endpoints, source `registry`
 *   nobody has said anything usable yet  ------------------------------------------> fallback: snapshot, or the nodes of the
 *                                                                                    refer that this one replaced at a reload
 *
 * `rebuild` makes a new state only out of what differs: an endpoint whose node says the same stays the same object.
 */
import type {
  Clock,
  ClusterState,
  EndpointState,
  HoldSettings,
  Logger,
  MeshUrl,
  NodeProbe,
  ReferConfig,
  ReferReport,
  Registry,
  Snapshot,
} from '../../core/index.js';
import { GroupNodes, type RegistryAnswer } from './group-nodes.js';
import { byAddress, type HeldNode } from './known-nodes.js';
import type { Tended } from './probe-rounds.js';
import { priorityOf } from './registry-priority.js';
import { isUsable } from './usable-node.js';

export interface ReferWatchDeps {
  readonly refer: ReferConfig;
  /** As `ClusterState.domain`. */
  readonly domain: string | null;
  /** Without doubles, in the order of the refer. */
  readonly registries: readonly Registry[];
  /** From `candidateGroups`; at least one. */
  readonly groups: readonly string[];
  /** From `directNodes`: they replace all registries; null asks the registries. */
  readonly fixedNodes: readonly MeshUrl[] | null;
  readonly hold: HoldSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As `DiscoveryOptions.isOwnForward`. */
  isOwnForward(node: MeshUrl): boolean;
  /** Something was heard: `rebuild` may give something new. */
  onHeard(watch: ReferWatch): void;
}

interface Fallback {
  readonly nodes: readonly MeshUrl[];
  readonly group: string;
  readonly source: ClusterState['source'];
  /** Null for the nodes of a replaced refer. */
  readonly file: string | null;
  readonly savedAtMs: number | null;
}

/** Their nodes stand in the configuration: nothing would be gained by keeping them on disk (spec agent 6.3). */
const WITHOUT_SNAPSHOT: ReadonlySet<string> = new Set(['direct', 'local']);

export class ReferWatch implements Tended {
  readonly refer: ReferConfig;
  readonly #deps: ReferWatchDeps;
  readonly #groups: readonly GroupNodes[];
  /** Null until one of the candidates has nodes; then the others are let go. */
  #chosen: GroupNodes | null = null;
  #fallback: Fallback | null = null;
  /** True when candidates that are silent are passed over. */
  #isImpatient = false;
  /** Registries up to this priority are used, although better ones have nodes: they had nobody to call in the last rounds. */
  #depth = 0;
  /** What the last round would have made of it. */
  #depthSeen = 0;
  /** A node that would have led back has been told of. */
  #hasToldLoop = false;
  #cluster: ClusterState;
  /** Whether a snapshot was asked for, and whether the answer is there. */
  snapshotStep: 'not-asked' | 'asked' | 'answered' = 'not-asked';

  constructor(deps: ReferWatchDeps) {
    this.#deps = deps;
    this.refer = deps.refer;
    const { url } = deps.refer;
    const registries = deps.fixedNodes === null ? deps.registries : [];
    this.#groups = deps.groups.map(
      (group) =>
        new GroupNodes({
          refer: group === url.group ? url : url.with({ group }),
          registries,
          priorityOf: priorityOf(url.text('registryPriority')),
          hold: deps.hold,
          clock: deps.clock,
          logger: deps.logger,
          onHeard: () => deps.onHeard(this),
        }),
    );
    if (this.#groups.length === 1) this.#chosen = this.#groups[0]!;
    this.#cluster = {
      key: clusterKey(url, deps.domain),
      referId: deps.refer.id,
      domain: deps.domain,
      url,
      endpoints: [],
      source: 'none',
    };
    if (deps.fixedNodes !== null) this.rebuild();
  }

  get cluster(): ClusterState {
    return this.#cluster;
  }

  /** A first answer or trouble has come from everywhere, or there is something to call. */
  get isSettled(): boolean {
    if (this.#cluster.endpoints.length > 0 || this.#deps.fixedNodes !== null) return true;
    return (
      this.#groups.every((group) => group.isHeard) && !this.wantsSnapshot && this.snapshotStep !== 'asked'
    );
  }

  /** True when nothing usable was heard from a registry that is worth a snapshot, and none was asked for yet. */
  get wantsSnapshot(): boolean {
    if (this.snapshotStep !== 'not-asked' || this.#cluster.endpoints.length > 0 || !this.#hasSnapshots)
      return false;
    return this.#isImpatient || this.#groups.every((group) => group.isHeard);
  }

  /** The refer as snapshots name it, the best group first. */
  get snapshotRefers(): readonly MeshUrl[] {
    return this.#groups.map((group) => group.refer);
  }

  /** The nodes that a later start could use: those that registries told, not those of the configuration. */
  get savableNodes(): readonly MeshUrl[] {
    return this.#used().flatMap(({ registry, known }) =>
      WITHOUT_SNAPSHOT.has(registry.protocol) ? [] : known.all,
    );
  }

  get referId(): string {
    return this.refer.id;
  }

  get wantsTending(): boolean {
    const group = this.#chosen;
    return group !== null && (group.heldCount > 0 || group.levelCount > 1);
  }

  *heldNodes(): Iterable<HeldNode> {
    for (const { known } of this.#chosen?.answers ?? []) yield* known.held.values();
  }

  onRound(probe: NodeProbe): void {
    const isExpired = this.#chosen?.expire() ?? false;
    const depth = this.#depthNow(probe);
    // Twice the same: a connection that breaks and comes back changes nothing.
    const isDeeper = depth !== this.#depth && depth === this.#depthSeen;
    if (isDeeper) this.#depth = depth;
    this.#depthSeen = depth;
    if (isExpired || isDeeper) this.#deps.onHeard(this);
  }

  /** Believes the registries: held nodes go, and those of a snapshot that they contradict. Returns how many. */
  acceptRegistries(): number {
    const count = this.#groups.reduce((sum, group) => sum + group.accept(), 0);
    const isAnswered = this.#groups.every(({ answers }) =>
      answers.every(({ isHeard, trouble }) => isHeard && trouble === null),
    );
    let dropped = 0;
    if (isAnswered && this.#deps.fixedNodes === null) {
      if (!this.#chosen?.hasNodes) dropped = this.#fallback?.nodes.length ?? 0;
      this.#fallback = null;
      this.snapshotStep = 'answered';
    }
    if (count + dropped > 0) this.#deps.onHeard(this);
    return count + dropped;
  }

  subscribe(): void {
    for (const group of this.#groups) group.subscribe();
  }

  /** From now on a registry or candidate group that is silent is not waited for. */
  becomeImpatient(): void {
    this.#isImpatient = true;
  }

  /** False when it has no node that this refer can use. */
  useSnapshot(snapshot: Snapshot, refer: MeshUrl): boolean {
    const nodes = snapshot.nodes.filter((node) => isUsable(refer, node));
    if (nodes.length === 0) return false;
    this.#fallback = {
      nodes,
      group: refer.group,
      source: 'snapshot',
      file: snapshot.file,
      savedAtMs: snapshot.savedAtMs,
    };
    return true;
  }

  /** Starts with the endpoints of the refer that this one replaces, until a registry has spoken. */
  inherit(before: ReferWatch): void {
    const { url, endpoints, source } = before.cluster;
    const mine = this.refer.url;
    if (endpoints.length === 0 || url.path !== mine.path || url.protocol !== mine.protocol) return;
    if (before.refer.url.group !== mine.group) return;
    const nodes = endpoints.map((endpoint) => endpoint.node).filter((node) => isUsable(mine, node));
    const { file = null, savedAtMs = null } = before.#fallback ?? {};
    this.#fallback = { nodes, group: url.group, source, file, savedAtMs };
    this.#cluster = { ...this.#cluster, endpoints };
    this.rebuild();
  }

  /** Makes the cluster anew out of what is known; false when it is as before, the very same object. */
  rebuild(): boolean {
    this.#choose();
    const { nodes, group, source } = this.#current();
    const before = this.#cluster;
    const endpoints = toEndpoints(this.#withoutLoops(nodes), before.endpoints);
    if (endpoints === before.endpoints && source === before.source && group === before.url.group)
      return false;
    const url = group === before.url.group ? before.url : before.url.with({ group });
    const savedAtMs = source === 'snapshot' ? (this.#fallback?.savedAtMs ?? null) : null;
    this.#cluster = {
      key: clusterKey(url, before.domain),
      referId: before.referId,
      domain: before.domain,
      url,
      endpoints,
      source,
      ...(savedAtMs === null ? {} : { snapshotSavedAtMs: savedAtMs }),
    };
    return true;
  }

  close(): void {
    for (const group of this.#groups) group.close();
  }

  report(): ReferReport {
    const { key, url, source, endpoints } = this.#cluster;
    return {
      id: this.refer.id,
      key,
      service: url.path,
      group: url.group,
      source,
      endpoints: endpoints.length,
      snapshotFile: source === 'snapshot' ? (this.#fallback?.file ?? null) : null,
      snapshotSavedAtMs: this.#cluster.snapshotSavedAtMs ?? null,
      registries: this.#groups.flatMap((group) => group.reports()),
    };
  }

  get #hasSnapshots(): boolean {
    const { fixedNodes, registries } = this.#deps;
    return fixedNodes === null && registries.some(({ protocol }) => !WITHOUT_SNAPSHOT.has(protocol));
  }

  /** A call to our own forward port would come back here, and again. */
  #withoutLoops(nodes: readonly MeshUrl[]): readonly MeshUrl[] {
    const { isOwnForward, logger } = this.#deps;
    const loop = nodes.find(isOwnForward);
    if (loop === undefined) return nodes;
    if (!this.#hasToldLoop) {
      this.#hasToldLoop = true;
      logger.error(
        { refer: this.refer.id, node: loop.identity },
        'a node is left out: it is the forward port of this agent, and calls would go round in circles',
      );
    }
    return nodes.filter((node) => !isOwnForward(node));
  }

  /** The first candidate with nodes; one that was not heard yet is waited for, so that the order holds. */
  #choose(): void {
    if (this.#chosen !== null) return;
    for (const group of this.#groups) {
      if (group.hasNodes) {
        this.#chosen = group;
        for (const other of this.#groups) if (other !== group) other.close();
        return;
      }
      if (!group.isHeard && !this.#isImpatient) return;
    }
  }

  #current(): Pick<Fallback, 'nodes' | 'group' | 'source'> {
    const { fixedNodes, refer } = this.#deps;
    if (fixedNodes !== null) {
      return {
        nodes: fixedNodes,
        group: refer.url.group,
        source: fixedNodes.length > 0 ? 'registry' : 'none',
      };
    }
    if (this.#chosen?.hasNodes) {
      const used = this.#used();
      const nodes = used.length === 1 ? used[0]!.known.all : used.flatMap(({ known }) => known.all);
      return { nodes, group: this.#chosen.refer.group, source: 'registry' };
    }
    return this.#fallback ?? { nodes: [], group: refer.url.group, source: 'none' };
  }

  /** Of the chosen group: the registries of the best priority that has nodes, and of worse ones as far as `#depth`. */
  #used(): readonly RegistryAnswer[] {
    const answers = this.#chosen?.answers ?? [];
    const best = answers.find(({ known }) => known.all.length > 0)?.priority ?? 0;
    const depth = Math.max(best, this.#depth);
    return answers.at(-1)?.priority === best ? answers : answers.filter(({ priority }) => priority <= depth);
  }

  /** The first priority with a node that takes calls; the last one when nobody does. */
  #depthNow(probe: NodeProbe): number {
    const answers = this.#chosen?.answers ?? [];
    if (answers.at(-1)?.priority === 0) return 0;
    let depth = 0;
    for (const { priority, known } of answers) {
      if (known.all.length === 0) continue;
      depth = priority;
      if (known.all.some((node) => probe.isAvailable(this.refer.id, node.identity) === true)) break;
    }
    return depth;
  }
}

/**
 * One endpoint for each address, in the order of the nodes; `before` itself when nothing differs. Of two nodes with one
 * address the first counts. A node whose parameters changed gives a new endpoint state: motan-go keeps the old ones.
 */
export function toEndpoints(
  nodes: readonly MeshUrl[],
  before: readonly EndpointState[],
): readonly EndpointState[] {
  const known = new Map<string, EndpointState>();
  for (const endpoint of before) known.set(endpoint.id, endpoint);
  const endpoints: EndpointState[] = [];
  for (const node of byAddress(nodes).values()) {
    const id = node.identity;
    const old = known.get(id);
    endpoints.push(old !== undefined && hasSameParameters(old.node, node) ? old : { id, node });
  }
  const isSame =
    endpoints.length === before.length && endpoints.every((endpoint, index) => endpoint === before[index]);
  return isSame ? before : endpoints;
}

/** As `ClusterState.key`: version 1.0 when absent, cedrus shown as motan2 (spec agent 5.1). */
export function clusterKey(url: MeshUrl, domain: string | null): string {
  const protocol = url.protocol === 'cedrus' ? 'motan2' : url.protocol;
  const key = `${url.group}_${url.text('version') || '1.0'}_${protocol}_${url.path}`;
  return domain === null ? key : `${key}@${domain}`;
}

function hasSameParameters(one: MeshUrl, other: MeshUrl): boolean {
  const { parameters } = one;
  if (parameters === other.parameters) return true;
  if (parameters.size !== other.parameters.size) return false;
  for (const [name, value] of parameters) if (other.parameters.get(name) !== value) return false;
  return true;
}
