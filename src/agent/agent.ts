/**
 * The running agent: builds the planes, starts them in order, stops them in order.
 *
 *   new --start--> starting --forward port open--> running --stop--> draining --> stopped
 *                     `-----------stop-----------------------------------^
 *
 * Start (spec agent 1.5, with own exports and registries no longer able to hold it up): logs, registries, discovery, first
 * state, management, export ports, connections, pid file, forward and HTTP port, announcement of the services. Stop: unavailable in the registries, no
 * new connections, what is in flight finishes, then everything closes.
 */

import path from 'node:path';
import { CommandDesk } from '../control/command/index.js';
import { Discovery, watchedGroups } from '../control/discovery/index.js';
import {
  createManagementServer,
  type ManagementServer,
  readManagementToken,
  Switchers,
} from '../control/management/index.js';
import { DynamicRegistrations, SnapFile } from '../control/registration/index.js';
import {
  CommandFiles,
  createRegistries,
  identityOf,
  isRunning,
  ownIdentity,
  SnapshotFiles,
} from '../control/registry/index.js';
import {
  type AgentConfig,
  background,
  type Clock,
  type CommandReport,
  type DataPlane,
  type DiscoveryReport,
  type LogControl,
  type Logger,
  type ManagementView,
  type MeshState,
  type MeshUrl,
  messageOf,
  type PeriodCount,
  type ReferConfig,
  type Registry,
  type RegistryReport,
  type ServiceConfig,
} from '../core/index.js';
import { createDataPlane } from '../data/index.js';
import { AccessLogFile, createMetrics, MainLog, type Metrics, PeriodStatistics } from '../telemetry/index.js';
import { Announcer } from './announcer.js';
import { descriptorsMax } from './limits.js';
import { ownAddresses, ownForwardTest } from './own-addresses.js';
import { writePidFile } from './pid-file.js';
import { readStatusFile, writeStatusFile } from './status-file.js';
import { version } from './version.js';

/** In-flight calls may take this long once the agent stops; the longest timeouts of real services are below it. */
const DRAIN_MS = 15_000;
/** The answer to a registration waits so long for first nodes and connections. */
const REGISTERED_MS = 1_000;

export interface AgentOptions {
  readonly config: AgentConfig;
  /** Base name of the executable: log files carry it (spec agent 1.4). */
  readonly program: string;
  readonly clock: Clock;
}

export class Agent implements ManagementView {
  readonly version = version();
  readonly startedAtMs: number;
  readonly switchers = new Switchers();
  readonly logs: LogControl;
  readonly logger: Logger;
  readonly #config: AgentConfig;
  readonly #clock: Clock;
  readonly #mainLog: MainLog;
  readonly #accessLog: AccessLogFile;
  #metrics: Promise<Metrics> | null = null;
  readonly #period = new PeriodStatistics();
  readonly #registries: Map<string, Registry>;
  readonly #snapshots: SnapshotFiles;
  readonly #discovery: Discovery;
  readonly #commandFiles: CommandFiles;
  readonly #commands: CommandDesk;
  readonly #announcer: Announcer;
  readonly registrations: DynamicRegistrations;
  /** With what programs registered. */
  #configInForce: AgentConfig;
  readonly #timers: NodeJS.Timeout[] = [];
  #plane: (DataPlane & { port(name: string): number }) | null = null;
  #management: ManagementServer | null = null;
  #managementAddress = '';
  #isServing = false;
  /** Nothing is announced before somebody would be answered. */
  #isListening = false;
  #isMetricsLogOn = true;
  #statusStored: Promise<unknown> = Promise.resolve();
  #starting: Promise<boolean> = Promise.resolve(false);
  #stopping: Promise<number> | null = null;
  /** Ends what a start waits for. */
  #endWaiting: () => void = () => {};
  readonly #waitingEnded = new Promise<void>((resolve) => {
    this.#endWaiting = resolve;
  });

  constructor(options: AgentOptions) {
    const { config, program, clock } = options;
    const { agent } = config;
    this.#config = config;
    this.#configInForce = config;
    this.#clock = clock;
    this.startedAtMs = clock.wallMs();
    const files = { logDir: agent.logDir, program, rotatePerHour: agent.rotatePerHour, clock };
    this.#mainLog = new MainLog({ ...files, level: agent.logLevel });
    this.logger = this.#mainLog.logger;
    this.#accessLog = new AccessLogFile({
      ...files,
      onTrouble: (trouble) => this.logger.error({ trouble }, 'the access log cannot be written'),
    });
    this.logs = this.#logControl();
    const { logger } = this;
    this.#registries = createRegistries(config, {
      clock,
      logger,
      random: Math.random,
      defaultDirectory: path.join(agent.runtimeDir, 'registry'),
      localIp: agent.localIp,
    });
    this.#snapshots = new SnapshotFiles({ directory: agent.snapshotDir, clock, logger });
    this.#discovery = new Discovery({
      config,
      registries: this.#registries,
      snapshots: this.#snapshots,
      clock,
      logger,
      localIp: agent.localIp,
      isOwnForward: ownForwardTest(agent, ownAddresses()),
      probe: {
        isAvailable: (referId, endpointId) => this.#plane?.isAvailable(referId, endpointId) ?? null,
        probe: (referId, endpointId) => this.#plane?.probe(referId, endpointId) ?? null,
      },
    });
    this.#commandFiles = new CommandFiles({ directory: agent.snapshotDir, logger });
    this.#commands = new CommandDesk({
      registries: this.#registries,
      store: this.#commandFiles,
      clock,
      logger,
    });
    this.#announcer = new Announcer({
      registries: this.#registries,
      logger,
      config: () => this.#configInForce,
      isServing: () => this.#isServing,
      unhealthy: () => this.#unhealthyExports(),
      port: (listener) => this.port(listener),
    });
    this.registrations = this.#makeRegistrations();
    for (const [name, value] of config.switchers) this.switchers.register(name, value);
    this.switchers.register('metricsReqApp', false);
  }

  /** Port of a listener, by its name: for tests, which listen on port 0. */
  port(listener: string): number {
    return this.#plane?.port(listener) ?? 0;
  }

  /** `host:port` or `unix:path` of the management listener. */
  get managementAddress(): string {
    return this.#managementAddress;
  }

  /**
   * Resolves with true when the forward port is open, with false when the agent was told to stop before that. Throws
   * AgentError when a port is busy; then everything is closed again.
   */
  async start(): Promise<boolean> {
    this.#starting = this.#start();
    try {
      return await this.#starting;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** Resolves with the calls that were left unfinished when `withinMs` was over. */
  stop(withinMs = DRAIN_MS): Promise<number> {
    this.#stopping ??= this.#stop(withinMs);
    return this.#stopping;
  }

  config(): AgentConfig {
    return this.#configInForce;
  }

  isServing(): boolean {
    return this.#isServing;
  }

  async setServing(isServing: boolean): Promise<void> {
    this.#isServing = isServing;
    this.#announce();
    this.logger.info({ status: isServing ? 200 : 503 }, 'status set');
    // One after the other, each with the status then in force: of two wishes at once the stored one must be the one that won.
    this.#statusStored = this.#statusStored.then(() =>
      writeStatusFile(this.#config.agent.runtimeDir, this.#isServing, this.logger),
    );
    await this.#statusStored;
  }

  refers(): readonly MeshUrl[] {
    return this.#config.refers.map((refer) => refer.url);
  }

  services(): readonly MeshUrl[] {
    return this.#config.services.map((service) => service.url);
  }

  dynamicServices(): readonly MeshUrl[] {
    return this.registrations.list().flatMap(({ kind, url }) => (kind === 'service' ? [url] : []));
  }

  dynamicRefers(): readonly MeshUrl[] {
    return this.registrations.list().flatMap(({ kind, url }) => (kind === 'refer' ? [url] : []));
  }

  state(): MeshState | null {
    return this.#discovery.state;
  }

  report(): ReturnType<DataPlane['report']> {
    return this.#plane?.report() ?? { stateNumber: 0, listeners: [], clusters: [], exports: [], calls: [] };
  }

  registries(): readonly RegistryReport[] {
    return [...new Set(this.#registries.values())].map((registry) => registry.report());
  }

  commands(): readonly CommandReport[] {
    return this.#commands.reports();
  }

  discovery(): DiscoveryReport {
    return this.#discovery.report();
  }

  acceptRegistries(group: string | null, service: string | null): ReadonlyMap<string, number> {
    const accepted = this.#discovery.accept(group, service);
    this.logger.info({ group, service, accepted: Object.fromEntries(accepted) }, 'registries are believed');
    return accepted;
  }

  lastPeriod(): readonly PeriodCount[] {
    return this.#period.last();
  }

  async metricsText(): Promise<{ readonly contentType: string; readonly text: string }> {
    this.#metrics ??= createMetrics({
      report: () => this.report(),
      registries: () => this.registries(),
      discovery: () => this.discovery(),
      nowMs: () => this.#clock.wallMs(),
      problems: () => this.#config.problems,
      logs: () => this.logs.reports(),
      isServing: () => this.#isServing,
      version: this.version,
    });
    return (await this.#metrics).text();
  }

  /** Last words of a process that ends by a fault. */
  flushLogsSync(): void {
    this.#accessLog.flushSync();
    this.#mainLog.flushSync();
  }

  async #start(): Promise<boolean> {
    const { agent } = this.#config;
    const { logger } = this;
    for (const problem of this.#config.problems) {
      const level = problem.severity === 'warning' ? 'warn' : 'error';
      logger[level](
        { ...problem },
        problem.entry === null ? 'configuration' : 'a configuration entry is left out',
      );
    }
    if (agent.recover) this.#isServing = await readStatusFile(agent.runtimeDir, logger);
    const plane = await createDataPlane({
      clock: this.#clock,
      random: Math.random,
      logger,
      accessLog: this.#accessLog,
      isAccessLogStructured: agent.logStructured,
      http: agent.http,
      ownAddresses: ownAddresses(),
      managementPort: () => portOf(this.#managementAddress),
      descriptorsMax: descriptorsMax((trouble) => logger.warn({ trouble }, 'limit of open files unknown')),
    });
    this.#plane = plane;
    this.#every(1000, () => {
      this.#mainLog.tick();
      this.#accessLog.tick();
      background('registration-leases', logger, () => this.registrations.tick());
    });
    this.#every(this.#config.metrics.periodSeconds * 1000, () => this.#period.roll(plane.report().calls));
    await this.#startManagement();
    this.#discovery.start();
    this.#followCommands();
    const untilMs = this.#clock.nowMs() + agent.initClusterTimeoutMs;
    await Promise.race([this.#discovery.whenSettled(agent.initClusterTimeoutMs), this.#waitingEnded]);
    // Export ports before connections: a refer of a service that this agent offers itself is then connected at once.
    plane.apply({ ...this.#discovery.state, clusters: [], httpDomains: [] });
    await plane.listen(['export']);
    plane.apply(this.#discovery.state);
    this.#discovery.onState((state) => plane.apply(state));
    plane.onExportHealth(() => this.#announce());
    await Promise.race([plane.ready(Math.max(0, untilMs - this.#clock.nowMs())), this.#waitingEnded]);
    if (this.#stopping !== null) return false;
    await this.registrations.open(agent.recover);
    await writePidFile(agent.pidFile, process.pid, logger);
    await plane.listen();
    this.#isListening = true;
    this.#announce();
    logger.info(
      { version: this.version, node: process.version, state: this.#discovery.state.number },
      'the agent serves',
    );
    return true;
  }

  async #startManagement(): Promise<void> {
    const { agent } = this.#config;
    const management = createManagementServer(this, {
      address: {
        host: '',
        port: agent.managementPort,
        portRange: agent.managementPortRange,
        unixSock: agent.managementUnixSock,
      },
      token: await readManagementToken(this.#config),
      hostNames: [agent.localIp],
      logger: this.logger,
    });
    this.#managementAddress = await management.listen();
    this.#management = management;
    this.logger.info({ address: this.#managementAddress }, 'management listens');
  }

  async #stop(withinMs: number): Promise<number> {
    const { logger } = this;
    logger.info({ withinMs }, 'stopping');
    // What a start has opened is known when it has ended; why it failed is told by `start`.
    this.#endWaiting();
    await Promise.allSettled([this.registrations.close(), this.#starting]);
    // A registration that was under way when the start ended is done now as well.
    await this.registrations.close();
    for (const timer of this.#timers) clearInterval(timer);
    // Registries first: who reads them stops choosing this agent while it still answers.
    await this.#announcer.sayFarewell();
    const left = (await this.#plane?.drain(withinMs)) ?? 0;
    if (left > 0) logger.warn({ calls: left }, 'calls were left unfinished');
    // Before anything that takes time: a state that comes now would open connections anew.
    await this.#discovery.close();
    this.#commands.close();
    await this.#management?.close();
    await Promise.all([...new Set(this.#registries.values())].map((registry) => registry.close()));
    await this.#snapshots.close();
    await this.#commandFiles.close();
    logger.info({ unfinished: left }, 'stopped');
    await this.#accessLog.close();
    await this.#mainLog.close();
    return left;
  }

  /** Registries are told what they should list once somebody would be answered, and until the agent stops. */
  #announce(): void {
    if (this.#isListening && this.#stopping === null) this.#announcer.announce();
  }

  #makeRegistrations(): DynamicRegistrations {
    const { logger } = this;
    const self = ownIdentity();
    return new DynamicRegistrations({
      config: this.#config,
      snap: new SnapFile(this.#config.agent.runtimeDir, logger),
      clock: this.#clock,
      logger,
      apply: (services, refers) => this.#applyRegistrations(services, refers),
      settled: async (ids, withinMs) => {
        const registries = new Set([...ids].flatMap((id) => this.#registries.get(id) ?? []));
        const settled = await Promise.all([...registries].map((registry) => registry.settled(withinMs)));
        return !settled.includes(false);
      },
      processOf: (pid) => identityOf(pid, self),
      isRunning: (owner) => isRunning(owner, self),
    });
  }

  /** Adds these to what the configuration has. What stays the same is not touched; a port that cannot be opened changes nothing. */
  async #applyRegistrations(
    services: readonly ServiceConfig[],
    refers: readonly ReferConfig[],
  ): Promise<void> {
    const before = this.#configInForce;
    const now = {
      ...this.#config,
      services: [...this.#config.services, ...services],
      refers: [...this.#config.refers, ...refers],
    };
    // Registries first: who reads them stops choosing a service while it is still there.
    await this.#announcer.withdrawOthers(now);
    this.#useConfig(now);
    try {
      await this.#plane?.listen(['export']);
    } catch (error) {
      this.#useConfig(before);
      this.#announce();
      throw error;
    }
    await Promise.race([this.#discovery.whenSettled(REGISTERED_MS), this.#waitingEnded]);
    await Promise.race([this.#plane?.ready(REGISTERED_MS), this.#waitingEnded]);
    this.#announce();
  }

  #useConfig(config: AgentConfig): void {
    this.#configInForce = config;
    this.#discovery.replaceRefers(config);
    this.#followCommands();
  }

  /** Those of the agent, and those of each group that is referred to now. */
  #followCommands(): void {
    this.#commands.follow(this.#config.agent, watchedGroups(this.#configInForce));
  }

  #unhealthyExports(): ReadonlySet<string> {
    const { exports } = this.report();
    return new Set(exports.filter((exported) => !exported.isHealthy).map((exported) => exported.id));
  }

  #every(ms: number, task: () => void): void {
    const timer = setInterval(() => {
      try {
        task();
      } catch (error) {
        this.logger.error({ error: messageOf(error) }, 'a periodic task failed');
      }
    }, ms);
    timer.unref();
    this.#timers.push(timer);
  }

  #logControl(): LogControl {
    return {
      level: () => this.#mainLog.level,
      setLevel: (name) => this.#mainLog.setLevel(name),
      isAccessLogOn: () => this.#accessLog.enabled,
      setAccessLog: (isOn) => {
        this.#accessLog.enabled = isOn;
      },
      isMetricsLogOn: () => this.#isMetricsLogOn,
      setMetricsLog: (isOn) => {
        this.#isMetricsLogOn = isOn;
      },
      reports: () => [this.#mainLog.report(), this.#accessLog.report()],
    };
  }
}

/** 0 for a unix socket, and before it listens. */
function portOf(address: string): number {
  return address.startsWith('unix:') ? 0 : Number(/:(\d+)$/.exec(address)?.[1] ?? 0);
}
