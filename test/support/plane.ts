/**
 * A running data plane for tests: real sockets on ports that the system chose, states written in a few words, and at the end of every
 * test the proof that nothing was lost or left behind.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  type AccessLogSink,
  type CallStatistics,
  type ClusterState,
  type DataPlane,
  type EndpointReport,
  type ExportReport,
  type ExportState,
  type HttpDomainState,
  type HttpLocationConfig,
  type HttpServiceMethod,
  type HttpSettings,
  type ListenerReport,
  type ListenerState,
  type Logger,
  type MeshState,
  MeshUrl,
  type ServiceSchemas,
} from '../../src/core/index.js';
import { createDataPlane } from '../../src/data/index.js';
import { realClock, seededRandom, until } from './clock.js';
import {
  type Address,
  connectPeer,
  type PeerConnection,
  type Script,
  ScriptedUpstream,
} from './scripted-peer.js';

/** A node: its port on 127.0.0.1, a unix address (`unix:///run/a.sock`), or more. */
export type NodeSpec = number | string | { host?: string; port: number; parameters?: Record<string, string> };

export interface ReferSpec {
  id?: string;
  service?: string;
  group?: string;
  protocol?: string;
  /** Added to and overriding REFER_PARAMETERS. */
  parameters?: Record<string, string>;
  nodes: readonly NodeSpec[];
}

export type ListenerSpec = Partial<Omit<ListenerState, 'name'>>;

export interface ExportSpec {
  id?: string;
  service?: string;
  group?: string;
  provider: string;
  /** Added to and overriding EXPORT_PARAMETERS. */
  parameters?: Record<string, string>;
  locations?: readonly HttpLocationConfig[];
  httpMethods?: Record<string, HttpServiceMethod>;
}

/** The parts of a state besides the clusters of refers. */
export interface MoreParts {
  exports?: readonly ExportSpec[];
  httpDomains?: readonly HttpDomainState[];
  /** Clusters of the services of `httpDomains`. */
  domainClusters?: readonly ClusterState[];
  schemas?: ServiceSchemas;
}

export interface SceneOptions {
  listener?: ListenerSpec;
  /** Of the export port, which every scene has. */
  exportListener?: ListenerSpec;
  /** Opens the HTTP port with these settings besides HTTP_SETTINGS. */
  http?: Partial<HttpSettings>;
  isAccessLogStructured?: boolean;
  descriptorsMax?: number;
}

export const HTTP_SETTINGS: HttpSettings = {
  keepalive: true,
  upstreamIdleMs: 5000,
  upstreamTimeoutMs: 5000,
  defaultDomain: '',
  bodyBytesMax: 64 * 1024 * 1024,
  headBytesMax: 32_768,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  idleTimeoutMs: 75_000,
  allow: [],
  metadataAllow: [],
  ownHosts: ['localhost', '127.0.0.1', '[::1]'],
};
const EXPORT_LISTENER = 'export:0';
const EXPORT_PARAMETERS = { application: 'server-app', requestTimeout: '2000', filter: 'accessLog,metrics' };
const REFER_PARAMETERS = { application: 'agent-app', requestTimeout: '2000', filter: 'accessLog,metrics' };

/** Keeps what is logged; `texts` has the sentences. */
export class RecordingLogger implements Logger {
  readonly entries: { level: string; fields: object; message: string }[] = [];

  get texts(): string[] {
    return this.entries.map((entry) => entry.message);
  }

  debug(fields: object, message: string): void {
    this.#add('debug', fields, message);
  }

  info(fields: object, message: string): void {
    this.#add('info', fields, message);
  }

  warn(fields: object, message: string): void {
    this.#add('warn', fields, message);
  }

  error(fields: object, message: string): void {
    this.#add('error', fields, message);
  }

  child(): Logger {
    return this;
  }

  #add(level: string, fields: object, message: string): void {
    if (this.entries.length < 1000) this.entries.push({ level, fields, message });
  }
}

/** Keeps the lines of the access log, newest last; only the last 10,000. */
export class RecordingSink implements AccessLogSink {
  enabled = true;
  lines: string[] = [];
  lineCount = 0;

  write(chunk: Buffer, lines: number, release: (chunk: Buffer) => void): void {
    this.lineCount += lines;
    this.lines.push(...chunk.toString('utf8').trimEnd().split('\n'));
    if (this.lines.length > 10_000) this.lines = this.lines.slice(-10_000);
    release(chunk);
  }
}

export function cluster(spec: ReferSpec): ClusterState {
  const { service = 'svc.one', group = 'g1', protocol = 'motan2', nodes } = spec;
  const parameters = new Map(Object.entries({ ...REFER_PARAMETERS, ...spec.parameters }));
  const url = new MeshUrl({ protocol, path: service, group, parameters });
  return {
    key: `${group}_${url.text('version')}_${protocol}_${service}`,
    referId: spec.id ?? `${service}@${group}`,
    url,
    source: 'registry',
    domain: null,
    endpoints: nodes.map((node) => {
      const found = nodeUrl(node, service, group);
      return { id: found.identity, node: found };
    }),
  };
}

function exported(spec: ExportSpec): ExportState {
  const { service = 'svc.one', group = 'g1', provider } = spec;
  const parameters = new Map(Object.entries({ ...EXPORT_PARAMETERS, ...spec.parameters }));
  return {
    id: spec.id ?? `${service}@${group}`,
    listener: EXPORT_LISTENER,
    url: new MeshUrl({ protocol: 'motan2', host: '127.0.0.1', path: service, group, parameters }),
    provider,
    locations: spec.locations ?? [],
    httpMethods: new Map(Object.entries(spec.httpMethods ?? {})),
  };
}

function nodeUrl(spec: NodeSpec, path: string, group: string): MeshUrl {
  const base = { protocol: 'motan2', path, group };
  if (typeof spec === 'string') return new MeshUrl({ ...base, host: spec, port: 0 });
  if (typeof spec === 'number') return new MeshUrl({ ...base, host: '127.0.0.1', port: spec });
  const parameters = new Map(Object.entries(spec.parameters ?? {}));
  return new MeshUrl({ ...base, host: spec.host ?? '127.0.0.1', port: spec.port, parameters });
}

export class Scene {
  readonly plane: DataPlane & { port(name: string): number };
  readonly logger: RecordingLogger;
  readonly accessLog: RecordingSink;
  readonly #listeners: readonly ListenerState[];
  readonly #upstreams: ScriptedUpstream[] = [];
  readonly #callers: PeerConnection[] = [];
  #stateNumber = 0;
  #isDrained = false;

  private constructor(
    plane: DataPlane & { port(name: string): number },
    listeners: readonly ListenerState[],
    logger: RecordingLogger,
    accessLog: RecordingSink,
  ) {
    this.plane = plane;
    this.#listeners = listeners;
    this.logger = logger;
    this.accessLog = accessLog;
  }

  static async create(options: SceneOptions = {}): Promise<Scene> {
    const logger = new RecordingLogger();
    const accessLog = new RecordingSink();
    const plane = await createDataPlane({
      clock: realClock,
      random: seededRandom(1),
      logger,
      accessLog,
      isAccessLogStructured: options.isAccessLogStructured ?? false,
      descriptorsMax: options.descriptorsMax ?? 20_000,
      http: { ...HTTP_SETTINGS, ...options.http },
      ownAddresses: [],
      managementPort: () => 0,
    });
    const base = { host: '127.0.0.1', port: 0, unixSock: null, frameBytesMax: 10_485_760, callsMax: 50_000 };
    const listeners: ListenerState[] = [
      { ...base, name: 'forward', kind: 'forward', http: null, ...options.listener },
      { ...base, name: EXPORT_LISTENER, kind: 'export', http: null, ...options.exportListener },
    ];
    if (options.http !== undefined)
      listeners.push({ ...base, name: 'http', kind: 'http', http: { ...HTTP_SETTINGS, ...options.http } });
    return new Scene(plane, listeners, logger, accessLog);
  }

  /** Applies the state that these refers make. */
  apply(refers: readonly ReferSpec[], more: MoreParts = {}): void {
    this.applyClusters(refers.map(cluster), more);
  }

  applyClusters(clusters: readonly ClusterState[], more: MoreParts = {}): void {
    this.#stateNumber += 1;
    const state: MeshState = {
      number: this.#stateNumber,
      createdAtMs: Date.now(),
      cause: 'test',
      application: 'agent-app',
      localIp: '127.0.0.1',
      listeners: this.#listeners,
      clusters: [...clusters, ...(more.domainClusters ?? [])],
      exports: (more.exports ?? []).map(exported),
      httpDomains: more.httpDomains ?? [],
      schemas: more.schemas ?? new Map(),
      quarantined: [],
    };
    this.plane.apply(state);
  }

  /** Applies, listens and waits for the first connections. */
  async start(refers: readonly ReferSpec[], more: MoreParts = {}): Promise<this> {
    this.apply(refers, more);
    await this.plane.listen();
    await this.plane.ready(5000);
    return this;
  }

  async upstream(script: Script | null = null, path: string | null = null): Promise<ScriptedUpstream> {
    const upstream = await ScriptedUpstream.start(script, path);
    this.#upstreams.push(upstream);
    return upstream;
  }

  get address(): Address {
    return this.#addressOf(this.#listeners[0]!);
  }

  get exportAddress(): Address {
    return this.#addressOf(this.#listeners[1]!);
  }

  get httpPort(): number {
    return this.plane.port('http');
  }

  #addressOf({ name, unixSock }: ListenerState): Address {
    return unixSock !== null ? { path: unixSock } : { port: this.plane.port(name) };
  }

  /** A new connection of a caller, to the forward port unless another address is given. */
  async caller(address: Address = this.address): Promise<PeerConnection> {
    const caller = await connectPeer(address);
    this.#callers.push(caller);
    return caller;
  }

  /** Lets go of callers that are closed already, for tests that measure memory. */
  forgetCallers(): void {
    this.#callers.length = 0;
  }

  get listener(): ListenerReport {
    return this.plane.report().listeners[0]!;
  }

  /** The report of a listener by name. */
  listenerOf(name: 'forward' | 'export:0' | 'http'): ListenerReport {
    return this.plane.report().listeners.find((listener) => listener.name === name)!;
  }

  get exports(): readonly ExportReport[] {
    return this.plane.report().exports;
  }

  get endpoints(): EndpointReport[] {
    return this.plane.report().clusters.flatMap((found) => found.endpoints);
  }

  get statistics(): readonly CallStatistics[] {
    return this.plane.report().calls;
  }

  assertBalance(): void {
    for (const { name, ok, failed, shed, inFlight, in: all } of this.plane.report().listeners) {
      assert.equal(all, ok + failed + shed + inFlight, `${name}: in = ok + failed + shed + inFlight`);
      assert.ok(inFlight >= 0, `${name}: inFlight is ${inFlight}`);
    }
    for (const endpoint of this.endpoints)
      assert.ok(endpoint.inFlight >= 0, `${endpoint.address} ${endpoint.inFlight}`);
  }

  /** Waits until no call is in flight anywhere and checks that the books balance. */
  async quiet(withinMs = 5000): Promise<void> {
    const isQuiet = (): boolean =>
      this.plane.report().listeners.every((listener) => listener.inFlight === 0) &&
      this.endpoints.every((endpoint) => endpoint.inFlight === 0);
    await until('all calls are answered', isQuiet, withinMs);
    this.assertBalance();
  }

  async drain(withinMs: number): Promise<number> {
    this.#isDrained = true;
    return this.plane.drain(withinMs);
  }

  /** Ends everything and checks that no call is open. */
  async close(): Promise<void> {
    if (!this.#isDrained) {
      await this.quiet();
      assert.equal(await this.drain(1000), 0, 'calls left unfinished');
    }
    for (const caller of this.#callers) caller.close();
    for (const upstream of this.#upstreams) await upstream.stop();
  }
}

/**
 * A scene that is closed at the end of `t`, with the proof that all sockets and timers that the test made are gone. Files run their
 * tests one after the other, so what is counted is this test's own.
 */
export async function scene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const known = scenes.get(t);
  if (known !== undefined) {
    const another = await Scene.create(options);
    known.push(another);
    return another;
  }
  const before = resources();
  const made = [await Scene.create(options)];
  scenes.set(t, made);
  t.after(async () => {
    for (const open of made.reverse()) await open.close();
    await until('all sockets and timers are gone', () => {
      const now = resources();
      return now.sockets <= before.sockets && now.timers <= before.timers + 1;
    });
  });
  return made[0]!;
}

const scenes = new WeakMap<TestContext, Scene[]>();

/** What keeps this process busy. One timer is the one of `until` itself. */
function resources(): { sockets: number; timers: number } {
  let sockets = 0;
  let timers = 0;
  for (const name of process.getActiveResourcesInfo()) {
    if (name === 'Timeout') timers += 1;
    else if (/TCP|Pipe(?!Wrap$)/.test(name)) sockets += 1;
  }
  return { sockets, timers };
}
