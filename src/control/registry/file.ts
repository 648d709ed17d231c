/**
 * `file`: the embedded registry. Processes of one machine share a directory; there is no server (docs/registries.md).
 *
 * `node-file.ts` has the layout, `announcements.ts` what this process lists, `service-watch.ts` what it sees. Here both are
 * driven: by wishes and events at once, and by a sweep every second that repairs whatever was missed.
 */
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  AgentError,
  type Availability,
  background,
  type Clock,
  type CommandListener,
  type CommandScope,
  type Logger,
  type MeshUrl,
  type NodeListener,
  type Registry,
  type RegistryReport,
  type ServiceName,
  type Subscription,
} from '../../core/index.js';
import { Announcements } from './announcements.js';
import { defineRegistry, type RegistryDeps, type RegistryOptions } from './define-registry.js';
import { commandFile, FileCommandWatch } from './file-command.js';
import { serviceDirectory } from './node-file.js';
import { ownIdentity, type ProcessIdentity, rememberedLiveness } from './process-identity.js';
import { ServiceWatch } from './service-watch.js';
import { servicesIn } from './services-in.js';

/** A dead process disappears, and a lost event is made good, within this and the time of one sweep. */
const SWEEP_MS = 1000;
/** Directories and own files that one sweep looks at; more take their turn, so that an idle agent stays idle. */
const SWEPT_MAX = 256;
/** Directories looked after at the same time: as many as libuv's pool serves, and some in waiting. */
const SWEPT_AT_ONCE = 8;
/** The loop turns at least this often while thousands of services are read for the first time. */
const PIECE_MS = 10;

interface FileOptions {
  /** Absolute. */
  readonly directory: string;
}

const options: RegistryOptions<FileOptions> = {
  keys: { path: "directory that the processes of this machine share; default: the agent's own" },
  read(url, deps) {
    const directory = url.path || url.text('path') || deps.defaultDirectory;
    if (directory === '')
      throw new AgentError('E_REGISTRY', 'registry protocol file: path is empty, expected a directory');
    if (directory.includes('\0'))
      throw new AgentError('E_REGISTRY', 'registry protocol file: path holds a zero byte');
    return { directory: path.resolve(directory) };
  },
  identity: ({ directory }) => `file:${directory}`,
};

class FileRegistry implements Registry {
  readonly id: string;
  readonly protocol: string;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #self: ProcessIdentity = ownIdentity();
  readonly #announcements: Announcements;
  /** By directory. */
  readonly #watches = new Map<string, ServiceWatch>();
  /** Not yet read for the first time. */
  readonly #newWatches: ServiceWatch[] = [];
  #isScanningNew = false;
  readonly #subscribed = new Map<NodeListener, { readonly refer: MeshUrl; readonly watch: ServiceWatch }>();
  /** By file. */
  readonly #commands = new Map<string, FileCommandWatch>();
  #lastReadMs: number | null = null;
  /** Watches whose turn in the sweeps is still to come. */
  #sweepLine: ServiceWatch[] = [];
  #commandLine: FileCommandWatch[] = [];
  #sweepTimer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(id: string, protocol: string, chosen: FileOptions, deps: RegistryDeps) {
    this.id = id;
    this.protocol = protocol;
    this.#directory = chosen.directory;
    this.#clock = deps.clock;
    this.#logger = deps.logger.child({ registry: id });
    this.#announcements = new Announcements({
      root: chosen.directory,
      self: this.#self,
      clock: deps.clock,
      logger: this.#logger,
    });
    this.#planSweep();
  }

  subscribe(refer: MeshUrl, listener: NodeListener): Subscription {
    const watch = this.#watchOf(refer);
    // A listener of our own for each subscription: the same one may be given twice.
    const own: NodeListener = {
      onNodes: (nodes) => listener.onNodes(nodes),
      onTrouble: (message) => listener.onTrouble(message),
    };
    watch.add(own);
    this.#subscribed.set(own, { refer, watch });
    return { close: () => this.#unsubscribe(own) };
  }

  commandPlace(scope: CommandScope): string {
    return commandFile(this.#directory, scope);
  }

  subscribeCommand(scope: CommandScope, listener: CommandListener): Subscription {
    const file = commandFile(this.#directory, scope);
    let watch = this.#commands.get(file);
    if (watch === undefined) {
      const made = new FileCommandWatch(file, this.#clock);
      this.#commands.set(file, made);
      background('registry-command', this.#logger, () => made.look());
      watch = made;
    }
    // A listener of our own for each subscription: the same one may be given twice.
    const own: CommandListener = {
      onCommand: (text) => listener.onCommand(text),
      onTrouble: (message) => listener.onTrouble(message),
    };
    watch.add(own);
    return { close: () => this.#unsubscribeCommand(file, own) };
  }

  announce(node: MeshUrl, availability: Availability): void {
    if (!this.#isClosed) this.#announcements.want(node, availability);
  }

  withdraw(node: MeshUrl): void {
    this.#announcements.want(node, null);
  }

  /** Those with a directory. Rejects when the first level cannot be read. */
  async listServices(): Promise<readonly ServiceName[]> {
    return await servicesIn(this.#directory);
  }

  settled(withinMs: number): Promise<boolean> {
    return this.#announcements.settled(withinMs);
  }

  report(): RegistryReport {
    const contacts = [this.#lastReadMs, this.#announcements.lastContactMs].filter((ms) => ms !== null);
    return {
      id: this.id,
      protocol: this.protocol,
      address: this.#directory,
      lastContactMs: contacts.length === 0 ? null : Math.max(...contacts),
      lastError: this.#announcements.lastError ?? this.#watchProblem(),
      announced: this.#announcements.list,
      subscribed: [...this.#subscribed.values()].map(({ refer, watch }) => ({
        service: refer.path,
        group: refer.group,
        nodes: watch.nodeCount,
      })),
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#sweepTimer !== null) clearTimeout(this.#sweepTimer);
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    for (const watch of this.#commands.values()) watch.close();
    this.#commands.clear();
    this.#subscribed.clear();
    this.#announcements.wantNothing();
    // Twice: the pass under way may have tried and failed what is now to be removed.
    await this.#announcements.work();
    await this.#announcements.work();
  }

  #watchOf(refer: MeshUrl): ServiceWatch {
    const directory = serviceDirectory(this.#directory, refer.group, refer.path);
    const known = this.#watches.get(directory);
    if (known !== undefined) return known;
    const watch = new ServiceWatch({
      directory,
      group: refer.group,
      service: refer.path,
      self: this.#self,
      clock: this.#clock,
      logger: this.#logger,
      onContact: () => {
        this.#lastReadMs = this.#clock.wallMs();
      },
    });
    this.#watches.set(directory, watch);
    this.#newWatches.push(watch);
    if (!this.#isScanningNew) background('registry-first-scan', this.#logger, () => this.#scanNew());
    return watch;
  }

  #unsubscribe(own: NodeListener): void {
    const subscription = this.#subscribed.get(own);
    if (subscription === undefined) return;
    this.#subscribed.delete(own);
    const { refer, watch } = subscription;
    watch.remove(own);
    if (watch.listenerCount > 0) return;
    watch.close();
    this.#watches.delete(serviceDirectory(this.#directory, refer.group, refer.path));
  }

  #unsubscribeCommand(file: string, own: CommandListener): void {
    const watch = this.#commands.get(file);
    if (watch === undefined) return;
    watch.remove(own);
    if (watch.listenerCount === 0) this.#commands.delete(file);
  }

  /** A start may bring thousands at once: they are read in pieces, between which the loop turns. */
  async #scanNew(): Promise<void> {
    this.#isScanningNew = true;
    try {
      let pieceEndsMs = this.#clock.nowMs() + PIECE_MS;
      let next = 0;
      // A copy would miss what is subscribed meanwhile; shifting an array of thousands would cost more than reading.
      for (; next < this.#newWatches.length && !this.#isClosed; next += 1) {
        await this.#newWatches[next]!.watchAndScan();
        if (this.#clock.nowMs() < pieceEndsMs) continue;
        await setImmediate();
        pieceEndsMs = this.#clock.nowMs() + PIECE_MS;
      }
      this.#newWatches.length = 0;
    } finally {
      this.#isScanningNew = false;
    }
  }

  #planSweep(): void {
    if (this.#isClosed) return;
    this.#sweepTimer = setTimeout(() => {
      background('registry-sweep', this.#logger, async () => {
        try {
          await this.#sweep();
        } finally {
          this.#planSweep();
        }
      });
    }, SWEEP_MS);
  }

  async #sweep(): Promise<void> {
    const isAlive = rememberedLiveness(this.#self);
    await this.#announcements.sweep(isAlive, SWEPT_MAX);
    for (const watch of this.#watches.values()) await watch.sweepOwners(isAlive);
    if (this.#sweepLine.length === 0) this.#sweepLine = [...this.#watches.values()];
    const now = this.#sweepLine.splice(0, SWEPT_MAX);
    for (let at = 0; at < now.length; at += SWEPT_AT_ONCE) {
      await Promise.all(now.slice(at, at + SWEPT_AT_ONCE).map((watch) => watch.sweepDirectory()));
    }
    if (this.#commandLine.length === 0) this.#commandLine = [...this.#commands.values()];
    for (const watch of this.#commandLine.splice(0, SWEPT_MAX)) await watch.look();
  }

  #watchProblem(): string | null {
    for (const watch of this.#watches.values()) if (watch.problem !== null) return watch.problem;
    for (const watch of this.#commands.values()) if (watch.problem !== null) return watch.problem;
    return null;
  }
}

export const file = defineRegistry(options, FileRegistry);
