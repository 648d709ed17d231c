/** A ManagementView of plain values, changed by the tests as they need. */

import { Switchers } from '../../../../src/control/management/index.js';
import {
  type AgentConfig,
  type AgentError,
  type CommandReport,
  type DataPlaneReport,
  type DiscoveryReport,
  type LeaseWish,
  type LogControl,
  type ManagementView,
  type MeshState,
  MeshUrl,
  type PeriodCount,
  type Problem,
  type ReferReport,
  type Registration,
  type RegistrationKind,
  type Registrations,
  type RegistryReport,
} from '../../../../src/core/index.js';

export const REFER = MeshUrl.parse(
  'motan2://:0/com.x.Echo?group=g1&application=app&conf-id=r1&filter=clusterMetrics,metrics,accessLog&registry=direct&serialization=simple',
);

export class FakeView implements ManagementView {
  readonly version = '1.2.0';
  readonly startedAtMs = Date.UTC(2026, 10, 23);
  readonly switchers = new Switchers();
  readonly logs = new FakeLogs();
  serving = false;
  servingCalls: boolean[] = [];
  servingError: Error | null = null;
  tree: Record<string, unknown> = {};
  problems: Problem[] = [];
  parameters = new Map<string, string>();
  serviceUrls: MeshUrl[] = [];
  periods: PeriodCount[] = [];
  registryReports: RegistryReport[] = [];
  referReports: ReferReport[] = [];
  accepted: (string | null)[][] = [];
  commandReports: CommandReport[] = [];
  registrations = new FakeRegistrations();

  config(): AgentConfig {
    const url = new MeshUrl({ path: 'app', group: 'app', parameters: this.parameters });
    const registry = {
      id: 'direct',
      url: new MeshUrl({ protocol: 'direct', host: '127.0.0.1', port: 29990 }),
    };
    return {
      agent: { application: 'app', host: '', port: 9981, frameBytesMax: 10_485_760, url },
      registries: new Map([['direct', registry]]),
      problems: this.problems,
      tree: this.tree,
    } as unknown as AgentConfig;
  }

  isServing(): boolean {
    return this.serving;
  }

  async setServing(isServing: boolean): Promise<void> {
    if (this.servingError !== null) throw this.servingError;
    this.servingCalls.push(isServing);
    this.serving = isServing;
  }

  refers(): MeshUrl[] {
    return [REFER];
  }

  services(): MeshUrl[] {
    return this.serviceUrls;
  }

  dynamicServices(): MeshUrl[] {
    return this.registrations.urls('service');
  }

  dynamicRefers(): MeshUrl[] {
    return this.registrations.urls('refer');
  }

  state(): MeshState {
    const node = new MeshUrl({
      protocol: 'motan2',
      host: '127.0.0.1',
      port: 29990,
      path: 'com.x.Echo',
      group: 'g1',
    });
    return {
      number: 3,
      createdAtMs: 1,
      cause: 'start',
      application: 'app',
      localIp: '127.0.0.1',
      listeners: [],
      clusters: [
        {
          key: 'g1_1.0_motan2_com.x.Echo',
          referId: 'r1',
          domain: null,
          url: REFER,
          endpoints: [{ id: 'n', node }],
          source: 'registry',
        },
      ],
      exports: [],
      httpDomains: [],
      schemas: new Map(),
      quarantined: this.problems,
    };
  }

  report(): DataPlaneReport {
    const endpoint = {
      id: 'n',
      address: '127.0.0.1:29990',
      available: false,
      connections: 0,
      inFlight: 0,
      errorCount: 0,
      keepaliveRunning: false,
      keepaliveType: 0 as const,
      lastError: 'refused',
    };
    const cluster = {
      domain: null,
      referId: 'r1',
      service: 'com.x.Echo',
      group: 'g1',
      available: true,
      endpoints: [endpoint],
    };
    return {
      stateNumber: 3,
      listeners: [],
      clusters: [{ key: 'g1_1.0_motan2_com.x.Echo', ...cluster }],
      exports: [],
      calls: [],
    };
  }

  discovery(): DiscoveryReport {
    return { stateNumber: 3, refers: this.referReports };
  }

  acceptRegistries(group: string | null, service: string | null): ReadonlyMap<string, number> {
    this.accepted.push([group, service]);
    return new Map([['r1', 6]]);
  }

  registries(): RegistryReport[] {
    return this.registryReports;
  }

  commands(): CommandReport[] {
    return this.commandReports;
  }

  lastPeriod(): PeriodCount[] {
    return this.periods;
  }

  async metricsText(): Promise<{ contentType: string; text: string }> {
    return { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: 'peony_info 1\n' };
  }
}

/** Keeps what it is told; a test sets `error` to have the next request fail. */
export class FakeRegistrations implements Registrations {
  registered: Registration[] = [];
  leases: (LeaseWish | null)[] = [];
  error: AgentError | null = null;
  waits: number[] = [];

  urls(kind: RegistrationKind): MeshUrl[] {
    return this.registered.filter((one) => one.kind === kind).map((one) => one.url);
  }

  list(): Registration[] {
    return this.registered;
  }

  async add(kind: RegistrationKind, posted: unknown, lease: LeaseWish | null): Promise<Registration[]> {
    if (this.error !== null) throw this.error;
    const url = MeshUrl.fromJson(posted);
    const ttl = lease?.kind === 'ttl' ? lease.seconds : null;
    const made: Registration = {
      id: url.path,
      kind,
      url,
      registryIds: ['direct'],
      referIds: [],
      lease: { kind: lease?.kind ?? 'none', seconds: ttl, endsInMs: ttl, pid: null },
      registeredAtMs: 0,
    };
    this.leases.push(lease);
    this.registered.push(made);
    return [made];
  }

  async remove(kind: RegistrationKind, posted: unknown): Promise<Registration[]> {
    if (this.error !== null) throw this.error;
    const { path } = MeshUrl.fromJson(posted);
    const removed = this.registered.filter((one) => one.kind === kind && one.url.path === path);
    this.registered = this.registered.filter((one) => !removed.includes(one));
    return removed;
  }

  async removeById(id: string): Promise<Registration | null> {
    const found = this.registered.find((one) => one.id === id) ?? null;
    this.registered = this.registered.filter((one) => one !== found);
    return found;
  }

  async renew(id: string, lease: LeaseWish | null): Promise<Registration | null> {
    this.leases.push(lease);
    return this.registered.find((one) => one.id === id) ?? null;
  }

  async settled(_registrations: readonly Registration[], withinMs: number): Promise<boolean> {
    this.waits.push(withinMs);
    return true;
  }
}

class FakeLogs implements LogControl {
  #level = 'info';
  #access = true;
  #metrics = true;

  level(): string {
    return this.#level;
  }
  setLevel(name: string): boolean {
    if (!['info', 'warn'].includes(name.toLowerCase())) return false;
    this.#level = name.toLowerCase();
    return true;
  }
  isAccessLogOn(): boolean {
    return this.#access;
  }
  setAccessLog(isOn: boolean): void {
    this.#access = isOn;
  }
  isMetricsLogOn(): boolean {
    return this.#metrics;
  }
  setMetricsLog(isOn: boolean): void {
    this.#metrics = isOn;
  }
  reports(): [] {
    return [];
  }
}
