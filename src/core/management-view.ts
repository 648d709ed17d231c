/**
 * What the management API needs from the agent. The agent implements it; the API keeps no state of its own but its sockets.
 * Every method answers at once from memory, except `setServing` and `metricsText`.
 */
import type { AgentConfig } from './agent-config.js';
import type { CommandReport } from './command.js';
import type { DataPlaneReport } from './data-plane.js';
import type { DiscoveryReport } from './discovery-report.js';
import type { MeshState } from './mesh-state.js';
import type { Registrations } from './registrations.js';
import type { RegistryReport } from './registry.js';
import type { MeshUrl } from './url.js';

export interface ManagementView {
  /** Answer of `/version`. */
  readonly version: string;
  readonly startedAtMs: number;
  /** The configuration that is in force; its `problems` name what is quarantined. */
  config(): AgentConfig;
  /** True at 200, false at 503. */
  isServing(): boolean;
  /** Announces (or stops announcing) every exported service and stores the status. Rejects when it could not. */
  setServing(isServing: boolean): Promise<void>;
  /** The refers that are in force, static ones. */
  refers(): readonly MeshUrl[];
  /** The exported services, static ones. */
  services(): readonly MeshUrl[];
  /** What programs registered and subscribed while the agent ran. */
  dynamicServices(): readonly MeshUrl[];
  dynamicRefers(): readonly MeshUrl[];
  readonly registrations: Registrations;
  /** Null before the first state was applied. */
  state(): MeshState | null;
  report(): DataPlaneReport;
  registries(): readonly RegistryReport[];
  discovery(): DiscoveryReport;
  /** Believes the registries of the refers that match (null matches all): held nodes go. Returns how many, by refer id. */
  acceptRegistries(group: string | null, service: string | null): ReadonlyMap<string, number>;
  /** What registries tell to do to calls; recorded, not applied. Those for agents first, then by group. */
  commands(): readonly CommandReport[];
  /** Calls of the last finished metrics period. */
  lastPeriod(): readonly PeriodCount[];
  readonly logs: LogControl;
  readonly switchers: SwitcherTable;
  metricsText(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** One method's calls in one finished period. */
export interface PeriodCount {
  readonly role: 'motan-client-agent' | 'motan-server-agent';
  readonly application: string;
  readonly group: string;
  readonly scope: 'endpoint' | 'cluster';
  readonly service: string;
  /** Every character outside `[A-Za-z0-9-]` is `_`, as the peers show it. */
  readonly method: string;
  readonly calls: number;
}

/** The logs as an operator switches them at run time. */
export interface LogControl {
  /** Lower-case name of the level in force. */
  level(): string;
  /** False when there is no such level; then nothing changed. Case does not matter. */
  setLevel(name: string): boolean;
  isAccessLogOn(): boolean;
  setAccessLog(isOn: boolean): void;
  isMetricsLogOn(): boolean;
  setMetricsLog(isOn: boolean): void;
  reports(): readonly LogReport[];
}

/** How one log file fares. Counts since start. */
export interface LogReport {
  /** `main` or `access`. */
  readonly name: string;
  /** Path of the file, or `stdout`. */
  readonly target: string;
  readonly linesDropped: number;
  readonly bytesWaiting: number;
  readonly errors: number;
  /** The trouble that lasts; null when lines are being written. */
  readonly trouble: string | null;
}

/** Named booleans of the process: spec agent 8.2. */
export interface SwitcherTable {
  /** Undefined when no such switcher was registered. */
  get(name: string): boolean | undefined;
  /** False when no such switcher was registered; then nothing changed. */
  set(name: string, value: boolean): boolean;
  all(): ReadonlyMap<string, boolean>;
}
