/**
 * What this agent tells registries: its own node, and each exported service, available or not. Registries keep it true
 * (`core/registry.ts`); here is only what should be.
 */
import {
  type AgentConfig,
  isSecretName,
  type Logger,
  type MeshUrl,
  type Registry,
  type ServiceConfig,
} from '../core/index.js';

/** Registries may take this long to hear that the agent goes; and as long again while they go on hearing it, for those of a thousand services. */
const FAREWELL_MS = 2_000;
const FAREWELL_MS_MAX = 10_000;

export interface AnnouncerDeps {
  readonly registries: ReadonlyMap<string, Registry>;
  readonly logger: Logger;
  /** The configuration in force. */
  config(): AgentConfig;
  isServing(): boolean;
  /** Ids of the exports whose backend is unhealthy. */
  unhealthy(): ReadonlySet<string>;
  /** Port that a listener got. */
  port(listener: string): number;
}

interface Announcement {
  readonly registry: Registry;
  readonly node: MeshUrl;
  /** Null for the agent's own node. */
  readonly exportId: string | null;
}

/** Callers elsewhere have this long to hear that a service goes, before it does. */
const WITHDRAW_MS = 1_000;

export class Announcer {
  readonly #deps: AnnouncerDeps;
  /** What registries were told to list, by registry and identity of the node. */
  readonly #announced = new Map<string, Announcement>();

  constructor(deps: AnnouncerDeps) {
    this.#deps = deps;
  }

  /** Tells every registry what it should list, as it is now. */
  announce(): void {
    const unhealthy = this.#deps.unhealthy();
    const announcements = this.#announcements();
    this.#withdrawOthers(announcements);
    for (const announcement of announcements) {
      const { registry, node, exportId } = announcement;
      this.#announced.set(keyOf(announcement), announcement);
      const isAvailable = this.#deps.isServing() && (exportId === null || !unhealthy.has(exportId));
      registry.announce(node, isAvailable ? 'available' : 'unavailable');
    }
  }

  /** Withdraws what `config` does not offer any more; resolves when the registries have heard it, or took too long. */
  async withdrawOthers(config: AgentConfig): Promise<void> {
    const registries = this.#withdrawOthers(this.#announcements(config));
    await Promise.all([...registries].map((registry) => registry.settled(WITHDRAW_MS)));
  }

  /** Tells every registry that nothing here is available any more; resolves when they heard it, or took too long. */
  async sayFarewell(): Promise<void> {
    const announcements = this.#announcements();
    for (const { registry, node } of announcements) registry.announce(node, 'unavailable');
    const registries = new Set(announcements.map(({ registry }) => registry));
    await Promise.all([...registries].map((registry) => this.#untilHeard(registry)));
  }

  async #untilHeard(registry: Registry): Promise<void> {
    let left = untrueCount(registry);
    for (let waitedMs = 0; waitedMs < FAREWELL_MS_MAX; waitedMs += FAREWELL_MS) {
      if (await registry.settled(FAREWELL_MS)) return;
      const before = left;
      left = untrueCount(registry);
      if (left >= before) break;
    }
    const about = { registry: registry.id, nodes: left };
    this.#deps.logger.warn(about, 'the registry did not hear that the agent stops');
  }

  #withdrawOthers(announcements: readonly Announcement[]): ReadonlySet<Registry> {
    const wanted = new Set(announcements.map(keyOf));
    const registries = new Set<Registry>();
    for (const [key, { registry, node }] of this.#announced) {
      if (wanted.has(key)) continue;
      registry.withdraw(node);
      registries.add(registry);
      this.#announced.delete(key);
    }
    return registries;
  }

  #announcements(config = this.#deps.config()): Announcement[] {
    const own = this.#registryOf(config.agent.registry);
    const announcements: Announcement[] = [];
    if (own !== null) announcements.push({ registry: own, node: ownNode(config), exportId: null });
    for (const service of config.services) {
      const node = this.#serviceNode(service);
      for (const id of service.registryIds) {
        const registry = this.#registryOf(id);
        if (registry !== null) announcements.push({ registry, node, exportId: service.id });
      }
    }
    return announcements;
  }

  #registryOf(id: string | null): Registry | null {
    return id === null ? null : (this.#deps.registries.get(id) ?? null);
  }

  /** Everything that the entry says is published, as the peers do, but secrets. */
  #serviceNode({ url }: ServiceConfig): MeshUrl {
    // A port that the system chose is known once it is open.
    const port = url.port === 0 ? this.#deps.port(`export:${url.port}`) : url.port;
    return url.with({ port, parameters: published(url) });
  }
}

/** Nodes of which the registry says something else than it should. */
function untrueCount(registry: Registry): number {
  return registry.report().announced.filter(({ desired, seen }) => desired !== seen).length;
}

function keyOf({ registry, node }: Announcement): string {
  return `${registry.id}\n${node.identity}`;
}

/**
 * Every key of the `motan-agent` section is published, as the peers do; secrets are not. The peers leave the protocol empty; a
 * node needs one in a registry, and with this one no refer can take it for a node of a service.
 */
function ownNode({ agent }: AgentConfig): MeshUrl {
  return agent.url.with({
    protocol: 'agent',
    parameters: published(agent.url).set('nodeType', 'agent'),
  });
}

function published(url: MeshUrl): Map<string, string> {
  return new Map([...url.parameters].filter(([name]) => !isSecretName(name)));
}
