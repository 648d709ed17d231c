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

/** Registries may take this long to hear that the agent goes. */
const FAREWELL_MS = 2_000;

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

export class Announcer {
  readonly #deps: AnnouncerDeps;

  constructor(deps: AnnouncerDeps) {
    this.#deps = deps;
  }

  /** Tells every registry what it should list, as it is now. */
  announce(): void {
    const unhealthy = this.#deps.unhealthy();
    for (const { registry, node, exportId } of this.#announcements()) {
      const isAvailable = this.#deps.isServing() && (exportId === null || !unhealthy.has(exportId));
      registry.announce(node, isAvailable ? 'available' : 'unavailable');
    }
  }

  /** Tells every registry that nothing here is available any more; resolves when they heard it, or took too long. */
  async sayFarewell(): Promise<void> {
    const announcements = this.#announcements();
    for (const { registry, node } of announcements) registry.announce(node, 'unavailable');
    const registries = new Set(announcements.map(({ registry }) => registry));
    await Promise.all([...registries].map((registry) => this.#untilHeard(registry)));
  }

  async #untilHeard(registry: Registry): Promise<void> {
    if (await registry.settled(FAREWELL_MS)) return;
    this.#deps.logger.warn({ registry: registry.id }, 'the registry did not hear that the agent stops');
  }

  #announcements(): Announcement[] {
    const config = this.#deps.config();
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
