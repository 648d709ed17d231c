/**
 * What is registered, and what configuration that makes. Pure: a change is tried on a copy and thrown away when it cannot be applied.
 *
 *   entry     what one program registered in one registry
 *   slot      export port, group and path: one service to callers. Its entries have one backend; the newest counts, and it is
 *             announced in the registries of all of them
 */
import { createHash } from 'node:crypto';
import {
  AgentError,
  type MeshUrl,
  type ReferConfig,
  type RegistrationKind,
  type ServiceConfig,
} from '../../core/index.js';
import { type Lease, longerLease } from './leases.js';

export interface Entry {
  readonly id: string;
  readonly kind: RegistrationKind;
  readonly slot: string;
  readonly url: MeshUrl;
  readonly registryIds: readonly string[];
  /** Null for a refer, and for a service that the configuration offers as well. */
  readonly service: ServiceConfig | null;
  /** Empty for a service, and for a refer that the configuration has as well. */
  readonly refers: readonly ReferConfig[];
  readonly lease: Lease;
  readonly registeredAtMs: number;
}

/** What the configuration has, which registrations must not take away. */
export interface StaticParts {
  readonly services: readonly ServiceConfig[];
  readonly refers: readonly ReferConfig[];
}

/** Of services and of refers, each. */
export const REGISTRATIONS_MAX = 10_000;

export class RegistrationTable {
  /** In the order in which they came. */
  readonly #entries: Map<string, Entry>;
  /** Changes with what is worth saving at once: all but the ends of leases. */
  #revision = 0;

  constructor(entries: ReadonlyMap<string, Entry> = new Map()) {
    this.#entries = new Map(entries);
  }

  copy(): RegistrationTable {
    return new RegistrationTable(this.#entries);
  }

  get revision(): number {
    return this.#revision;
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /**
   * Takes the entry in. A service takes the place of those in its slot that lead elsewhere; a refer that is there already stays as it is
   * and is renewed. Answers the entry as it stands now. Throws AgentError `E_REGISTRATIONS_FULL`.
   */
  add(entry: Entry): Entry {
    const known = this.#entries.get(entry.id);
    if (known === undefined) this.#checkRoom(entry.kind);
    if (entry.kind === 'refer' && known !== undefined)
      return this.#renewed(known, longerLease(known.lease, entry.lease));
    if (entry.kind === 'service') {
      for (const other of this.#entries.values()) {
        if (other.slot !== entry.slot || other.kind !== 'service' || other.id === entry.id) continue;
        if (backendOf(other.url) !== backendOf(entry.url)) this.delete(other.id);
      }
    }
    // The very same configuration: nothing is built anew for a renewal.
    if (known?.url.toText() === entry.url.toText()) return this.#renewed(known, entry.lease);
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
    this.#revision += 1;
    return entry;
  }

  renew(id: string, lease: Lease): Entry | null {
    const known = this.#entries.get(id);
    return known === undefined ? null : this.#renewed(known, lease);
  }

  delete(id: string): Entry | null {
    const known = this.#entries.get(id) ?? null;
    if (this.#entries.delete(id)) this.#revision += 1;
    return known;
  }

  /** One for each slot. A slot whose entries are the same gives the same object as `before` did. */
  services(before: ReadonlyMap<string, ServiceConfig>): Map<string, ServiceConfig> {
    const slots = new Map<string, { newest: ServiceConfig; registryIds: Set<string> }>();
    for (const { service, registryIds, slot: key } of this.#entries.values()) {
      if (service === null) continue;
      const slot = slots.get(key);
      slots.set(key, {
        newest: service,
        registryIds: new Set([...(slot?.registryIds ?? []), ...registryIds]),
      });
    }
    const services = new Map<string, ServiceConfig>();
    for (const [key, { newest, registryIds }] of slots) {
      const ids = [...registryIds];
      const known = before.get(key);
      const isSame = known?.url === newest.url && String(known.registryIds) === String(ids);
      services.set(key, isSame ? known : Object.freeze({ ...newest, registryIds: ids }));
    }
    return services;
  }

  /** Without those that are there twice: the twin of one refer may be a refer of its own. */
  refers(): ReferConfig[] {
    const refers = new Map<string, ReferConfig>();
    for (const entry of this.#entries.values()) {
      for (const refer of entry.refers) {
        const key = referKey(refer.url);
        if (!refers.has(key)) refers.set(key, refer);
      }
    }
    return [...refers.values()];
  }

  #renewed(known: Entry, lease: Lease): Entry {
    if (known.lease.kind !== lease.kind || lease.kind === 'process') this.#revision += 1;
    const renewed = { ...known, lease };
    this.#entries.set(known.id, renewed);
    return renewed;
  }

  #checkRoom(kind: RegistrationKind): void {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.kind === kind) count += 1;
    if (count < REGISTRATIONS_MAX) return;
    throw new AgentError(
      'E_REGISTRATIONS_FULL',
      `${REGISTRATIONS_MAX} ${kind}s are registered: no more are taken`,
    );
  }
}

/** The same again for the same service, group and registries, whoever registers it. */
export function entryId(kind: RegistrationKind, url: MeshUrl, registryIds: readonly string[]): string {
  const what = kind === 'service' ? [slotOf(url), ...[...registryIds].sort()] : [referKey(url)];
  return createHash('sha256')
    .update(JSON.stringify([kind, ...what]))
    .digest('hex')
    .slice(0, 16);
}

/**
 * The service of the configuration that the registered one equals, or null. Throws AgentError `E_SERVICE_TAKEN` when the configuration
 * offers another one in its place.
 */
export function staticTwin(service: ServiceConfig, { services }: StaticParts): ServiceConfig | null {
  const slot = slotOf(service.url);
  const twin = services.find((one) => slotOf(one.url) === slot);
  if (twin === undefined) return null;
  const isCovered = service.registryIds.every((id) => twin.registryIds.includes(id));
  if (isCovered && backendOf(twin.url) === backendOf(service.url)) return twin;
  throw new AgentError(
    'E_SERVICE_TAKEN',
    `motan-service.${twin.confId} of the configuration offers ${twin.url.path} of group ${twin.url.group} on port ${twin.url.port} already`,
  );
}

export function hasStaticTwin(refer: ReferConfig, { refers }: StaticParts): boolean {
  const key = referKey(refer.url);
  return refers.some((one) => referKey(one.url) === key);
}

/** What callers on an export port tell services apart by (spec agent 2.11). */
export function slotOf(url: MeshUrl): string {
  return `${url.port} ${url.group} ${url.path}`;
}

function referKey({ protocol, path, group, parameters }: MeshUrl): string {
  return `${protocol} ${group} ${path} ${parameters.get('version') ?? ''}`;
}

/** Where the calls of a service go: two registrations of one service with the same are the same program. */
export function backendOf(url: MeshUrl): string {
  const names = ['provider', 'proxy', 'proxy.host', 'proxyAddress', 'CGI_HOST', 'CGI_PORT', 'URL_FORMAT'];
  return names.map((name) => url.text(name)).join(' ');
}
