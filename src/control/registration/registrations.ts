/**
 * Dynamic registration: what programs register is added to the configuration, kept on disk, and ended with its lease.
 *
 *   add, remove, lease ends --> waiting line --batch--> copy of the table --apply--> the table, registry.snap, answers
 *                                                          `--failed: one by one, the culprit is refused, nothing changed
 *
 * Changes are made one batch after the other, and what came meanwhile is the next batch: a thousand programs that register at once cost
 * a few changes of the configuration.
 */
import {
  type AgentConfig,
  AgentError,
  background,
  type Clock,
  type HeldConnection,
  type LeaseWish,
  type Logger,
  type MeshUrl,
  messageOf,
  type ReferConfig,
  type Registration,
  type RegistrationKind,
  type Registrations,
  type ServiceConfig,
} from '../../core/index.js';
import { type Lease, LeaseClock, type ProcessMark } from './leases.js';
import { checkTtl, type PostedRules, readPosted } from './posted-url.js';
import type { SnapFile, SnapLease, SnapNode } from './snap-file.js';
import { type Entry, entryId, hasStaticTwin, RegistrationTable, slotOf, staticTwin } from './table.js';

export interface RegistrationDeps {
  /** The configuration as it stands in files. */
  readonly config: AgentConfig;
  readonly snap: SnapFile;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Makes these the services and refers beside those of the configuration, and resolves when calls can come. Rejects with AgentError,
   * and then all is as before.
   */
  apply(services: readonly ServiceConfig[], refers: readonly ReferConfig[]): Promise<void>;
  /** Resolves with true when these registries have what they should have. */
  settled(registryIds: ReadonlySet<string>, withinMs: number): Promise<boolean>;
  /** The process that has this pid now; null when there is none. */
  processOf(pid: number): ProcessMark | null;
  isRunning(owner: ProcessMark): Promise<boolean>;
}

interface Change {
  /** Works on a copy. Throws AgentError when it cannot be done. */
  make(table: RegistrationTable): readonly Entry[];
  resolve(entries: readonly Entry[]): void;
  reject(error: unknown): void;
}

/** More than the connections of the management API. */
const CHANGES_WAITING_MAX = 4_096;

export class DynamicRegistrations implements Registrations {
  readonly #deps: RegistrationDeps;
  readonly #leases: LeaseClock;
  readonly #rules: PostedRules;
  #table = new RegistrationTable();
  #services = new Map<string, ServiceConfig>();
  readonly #line: Change[] = [];
  readonly #watched = new WeakSet<HeldConnection>();
  #isOpen = false;
  #isWorking = false;
  #working: Promise<void> = Promise.resolve();
  #isClosed = false;
  #isTicking = false;
  /** Ends of leases have moved and are not on disk yet. */
  #isUnsaved = false;

  constructor(deps: RegistrationDeps) {
    this.#deps = deps;
    this.#leases = new LeaseClock(deps);
    const { agent, entries, registries } = deps.config;
    this.#rules = { entries, registries, exportPort: agent.exportPort, localIp: agent.localIp };
  }

  /** Begins to work; what was asked for before has waited. With `recover`, what is saved comes first. */
  async open(recover: boolean): Promise<void> {
    this.#leases.begin();
    if (recover) await this.#recover();
    this.#isOpen = true;
    this.#work();
  }

  /** Refuses what waits and what comes; resolves when what was begun is done. What is registered and saved stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { reject } of this.#line.splice(0)) reject(stopping());
    await this.#working;
  }

  /** About once a second: ends what has no lease any more. */
  async tick(): Promise<void> {
    this.#leases.tick();
    if (!this.#isOpen || this.#isClosed || this.#isTicking) return;
    this.#isTicking = true;
    try {
      await this.#endLeases();
      if (this.#isUnsaved && !this.#isWorking) await this.#save();
    } finally {
      this.#isTicking = false;
    }
  }

  list(): readonly Registration[] {
    return [...this.#table.entries.values()].map((entry) => this.#report(entry));
  }

  async add(
    kind: RegistrationKind,
    posted: unknown,
    wish: LeaseWish | null,
  ): Promise<readonly Registration[]> {
    try {
      return await this.#add(kind, posted, wish);
    } catch (error) {
      this.#deps.logger.warn({ kind, error: messageOf(error) }, 'a registration is refused');
      throw error;
    }
  }

  async #add(
    kind: RegistrationKind,
    posted: unknown,
    wish: LeaseWish | null,
  ): Promise<readonly Registration[]> {
    const { urls, ttlSeconds } = readPosted(kind, posted, this.#rules, true);
    const lease = this.#leaseOf(wish ?? (ttlSeconds === null ? null : { kind: 'ttl', seconds: ttlSeconds }));
    const entries = urls.map((url) => this.#entry(kind, url, lease));
    const made = await this.#change((table) => {
      if (lease.kind === 'connection' && lease.connection.isClosed)
        throw new AgentError('E_REGISTRATION', 'the connection that should hold the registration is closed');
      return entries.map((entry) => table.add(entry));
    });
    if (lease.kind === 'connection') this.#watch(lease.connection);
    for (const { id, url } of made) this.#deps.logger.info({ id, url: url.identity, kind }, 'registered');
    return made.map((entry) => this.#report(entry));
  }

  async remove(kind: RegistrationKind, posted: unknown): Promise<readonly Registration[]> {
    const { urls } = readPosted(kind, posted, this.#rules, false);
    const removed = await this.#change((table) => urls.flatMap((url) => this.#removed(table, kind, url)));
    return removed.map((entry) => this.#report(entry));
  }

  async removeById(id: string): Promise<Registration | null> {
    const [removed] = await this.#change((table) => listed(table.delete(id)));
    return removed === undefined ? null : this.#report(removed);
  }

  async renew(id: string, wish: LeaseWish | null): Promise<Registration | null> {
    const given = wish === null ? null : this.#leaseOf(wish);
    const [renewed] = await this.#change((table) => {
      const known = table.entries.get(id);
      return known === undefined ? [] : listed(table.renew(id, given ?? this.#again(known.lease)));
    });
    if (renewed === undefined) return null;
    if (renewed.lease.kind === 'connection') this.#watch(renewed.lease.connection);
    return this.#report(renewed);
  }

  settled(registrations: readonly Registration[], withinMs: number): Promise<boolean> {
    return this.#deps.settled(new Set(registrations.flatMap((one) => one.registryIds)), withinMs);
  }

  #entry(kind: RegistrationKind, posted: MeshUrl, lease: Lease): Entry {
    const { config, clock } = this.#deps;
    const { entries } = config;
    if (kind === 'service') {
      const read = entries.service('', posted);
      const { url, registryIds } = read;
      const id = entryId(kind, url, registryIds);
      const service = staticTwin(read, config) === null ? { ...read, id: partId(id), confId: id } : null;
      const slot = slotOf(url);
      return { id, kind, slot, url, registryIds, service, refers: [], lease, registeredAtMs: clock.wallMs() };
    }
    const [first] = entries.refers('', posted);
    const { url, registryIds } = first!;
    const id = entryId(kind, url, registryIds);
    const refers = entries.refers(partId(id), posted).filter((refer) => !hasStaticTwin(refer, config));
    if (refers.length === 0)
      this.#deps.logger.warn(
        { service: url.path, group: url.group },
        'subscribed as the configuration has it',
      );
    return {
      id,
      kind,
      slot: '',
      url,
      registryIds,
      service: null,
      refers,
      lease,
      registeredAtMs: clock.wallMs(),
    };
  }

  /**
   * A program that goes names its own port: when another one has registered the service since, that one stays. The url as it is listed has
   * the export port, and means whatever is there.
   */
  #removed(table: RegistrationTable, kind: RegistrationKind, posted: MeshUrl): Entry[] {
    const { entries } = this.#deps.config;
    if (kind === 'refer') {
      const [refer] = entries.refers('', posted);
      return listed(table.delete(entryId(kind, refer!.url, refer!.registryIds)));
    }
    const { url, registryIds } = entries.service('', posted);
    const id = entryId(kind, url, registryIds);
    const known = table.entries.get(id);
    if (known === undefined) return [];
    const isOwn = known.url.text('proxy') === url.text('proxy');
    if (!isOwn && posted.port !== this.#rules.exportPort && posted.port !== 0) {
      this.#deps.logger.warn(
        { id, registered: known.url.text('proxy'), asked: url.text('proxy') },
        'not unregistered: another program has registered the service since',
      );
      return [];
    }
    return listed(table.delete(id));
  }

  #leaseOf(wish: LeaseWish | null): Lease {
    switch (wish?.kind) {
      case 'ttl':
        return this.#leases.ttl(checkTtl(wish.seconds));
      case 'process': {
        const owner = this.#deps.processOf(wish.pid);
        if (owner === null)
          throw new AgentError('E_REGISTRATION', `pid: no process ${wish.pid} runs where the agent runs`);
        return { kind: 'process', owner };
      }
      case 'connection':
        return { kind: 'connection', connection: wish.connection };
      default:
        return { kind: 'none' };
    }
  }

  #again(lease: Lease): Lease {
    return lease.kind === 'ttl' ? this.#leases.ttl(lease.seconds) : lease;
  }

  #watch(connection: HeldConnection): void {
    if (this.#watched.has(connection)) return;
    this.#watched.add(connection);
    connection.onClosed(() => {
      if (!this.#isClosed) background('registration-leases', this.#deps.logger, () => this.#endLeases());
    });
  }

  async #endLeases(): Promise<void> {
    const ended = await this.#leases.ended([...this.#table.entries.values()].map((entry) => entry.lease));
    if (ended.size === 0 || this.#isClosed) return;
    try {
      const gone = await this.#change((table) =>
        // A renewal that came first has a lease of its own.
        [...table.entries.values()]
          .filter(({ lease }) => ended.has(lease))
          .flatMap(({ id }) => listed(table.delete(id))),
      );
      for (const { id, url, lease } of gone)
        this.#deps.logger.warn(
          { id, url: url.identity, lease: lease.kind },
          'a registration ended with its lease',
        );
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      // The next tick tries again.
      this.#deps.logger.error({ error: error.message }, 'registrations without a lease could not be ended');
    }
  }

  #change(make: Change['make']): Promise<readonly Entry[]> {
    if (this.#isClosed) return Promise.reject(stopping());
    if (this.#line.length >= CHANGES_WAITING_MAX)
      return Promise.reject(new AgentError('E_REGISTRATIONS_FULL', 'too many registrations wait; try again'));
    return new Promise((resolve, reject) => {
      this.#line.push({ make, resolve, reject });
      this.#work();
    });
  }

  #work(): void {
    if (!this.#isOpen || this.#isWorking || this.#isClosed || this.#line.length === 0) return;
    this.#isWorking = true;
    background('registration', this.#deps.logger, () => {
      this.#working = this.#workOff();
      return this.#working;
    });
  }

  async #workOff(): Promise<void> {
    // In a turn of its own: what arrives together is done together.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      await this.#make(this.#line.splice(0));
    } finally {
      this.#isWorking = false;
      this.#work();
    }
  }

  /** Settles every change; never rejects. */
  async #make(changes: readonly Change[]): Promise<void> {
    const table = this.#table.copy();
    const made: { change: Change; entries: readonly Entry[] }[] = [];
    for (const change of changes) {
      try {
        made.push({ change, entries: change.make(table) });
      } catch (error) {
        change.reject(error);
      }
    }
    if (made.length === 0) return;
    try {
      await this.#apply(table);
    } catch (error) {
      if (made.length === 1) made[0]!.change.reject(error);
      // One of them cannot be: each by itself, so that the others can.
      else for (const { change } of made) await this.#make([change]);
      return;
    }
    if (table.revision > 0) await this.#save();
    else this.#isUnsaved = true;
    for (const { change, entries } of made) change.resolve(entries);
  }

  async #apply(table: RegistrationTable): Promise<void> {
    const services = table.services(this.#services);
    const refers = table.refers();
    const before = { services: [...this.#services.values()], refers: this.#table.refers() };
    const now = [...services.values()];
    if (!isSameList(before.services, now) || !isSameList(before.refers, refers))
      await this.#deps.apply(now, refers);
    this.#table = table;
    this.#services = services;
  }

  async #save(): Promise<void> {
    this.#isUnsaved = false;
    await this.#deps.snap.write([...this.#table.entries.values()].map((entry) => this.#snapNode(entry)));
  }

  #snapNode({ id, kind, url, lease }: Entry): SnapNode {
    return { id, kind, url, lease: this.#snapLease(lease) };
  }

  #snapLease(lease: Lease): SnapLease | null {
    switch (lease.kind) {
      case 'none':
        return null;
      case 'ttl':
        return {
          kind: 'ttl',
          seconds: lease.seconds,
          endsAtMs: Math.round(this.#deps.clock.wallMs() + lease.endsAtMs - this.#leases.nowMs()),
        };
      case 'process':
        return { kind: 'process', ...lease.owner };
      case 'connection':
        return { kind: 'connection' };
    }
  }

  async #recover(): Promise<void> {
    const { snap, logger, config } = this.#deps;
    const nodes = await snap.read((kind, url) => entryId(kind, url, idsOf(url)));
    const table = new RegistrationTable();
    for (const { kind, url, lease: saved } of nodes) {
      try {
        const lease = await this.#savedLease(saved);
        if (lease === null) {
          logger.info({ url: url.identity }, 'a saved registration is not restored: its lease has ended');
          continue;
        }
        const unknown = idsOf(url).filter((id) => !config.registries.has(id));
        if (unknown.length > 0)
          throw new AgentError('E_REGISTRY_NOT_FOUND', `registry not found: ${unknown.join(', ')}`);
        table.add(this.#entry(kind, kind === 'service' ? this.#exportedHere(url) : url, lease));
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        logger.error({ url: url.identity, error: error.message }, 'a saved registration is not restored');
      }
    }
    if (table.entries.size === 0) return;
    try {
      await this.#apply(table);
      logger.info({ registrations: table.entries.size, file: snap.file }, 'registrations restored');
    } catch (error) {
      logger.error({ file: snap.file, error: messageOf(error) }, 'saved registrations cannot be restored');
    }
  }

  /** The export port may be another one since it was saved. */
  #exportedHere(url: MeshUrl): MeshUrl {
    return url.withParameter('export', `${url.protocol}:${this.#rules.exportPort}`);
  }

  /** Null when it has ended. */
  async #savedLease(saved: SnapLease | null): Promise<Lease | null> {
    switch (saved?.kind) {
      case 'ttl': {
        // A wall clock that was set back must not make it longer than it was given.
        const leftMs = Math.min(saved.endsAtMs - this.#deps.clock.wallMs(), saved.seconds * 1000);
        if (leftMs <= 0) return null;
        return { kind: 'ttl', seconds: checkTtl(saved.seconds), endsAtMs: this.#leases.nowMs() + leftMs };
      }
      case 'process': {
        const { pid, startTicks, boot, pidNamespace } = saved;
        const owner = { pid, startTicks, boot, pidNamespace };
        return (await this.#deps.isRunning(owner)) ? { kind: 'process', owner } : null;
      }
      case 'connection':
        return null;
      default:
        return { kind: 'none' };
    }
  }

  #report({ id, kind, url, registryIds, refers, lease, registeredAtMs }: Entry): Registration {
    const referIds = refers.map((refer) => refer.id);
    return { id, kind, url, registryIds, referIds, lease: this.#leases.report(lease), registeredAtMs };
  }
}

function partId(id: string): string {
  return `registration ${id}`;
}

function idsOf(url: MeshUrl): string[] {
  return url
    .text('registry')
    .split(',')
    .filter((id) => id !== '');
}

function listed(entry: Entry | null): Entry[] {
  return entry === null ? [] : [entry];
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function stopping(): AgentError {
  return new AgentError('E_STOPPING', 'the agent stops');
}
