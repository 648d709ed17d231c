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
  type ListenerReport,
  type ListenerState,
  type Logger,
  type MeshState,
  MeshUrl,
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

export interface SceneOptions {
  listener?: ListenerSpec;
  isAccessLogStructured?: boolean;
  descriptorsMax?: number;
}

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
  readonly #listener: ListenerState;
  readonly #upstreams: ScriptedUpstream[] = [];
  readonly #callers: PeerConnection[] = [];
  #stateNumber = 0;
  #isDrained = false;

  private constructor(
    plane: DataPlane & { port(name: string): number },
    listener: ListenerState,
    logger: RecordingLogger,
    accessLog: RecordingSink,
  ) {
    this.plane = plane;
    this.#listener = listener;
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
    });
    const listener: ListenerState = {
      name: 'forward',
      kind: 'forward',
      host: '127.0.0.1',
      port: 0,
      unixSock: null,
      frameBytesMax: 10_485_760,
      callsMax: 50_000,
      http: null,
      ...options.listener,
    };
    return new Scene(plane, listener, logger, accessLog);
  }

  /** Applies the state that these refers make. */
  apply(refers: readonly ReferSpec[]): void {
    this.applyClusters(refers.map(cluster));
  }

  applyClusters(clusters: readonly ClusterState[]): void {
    this.#stateNumber += 1;
    const state: MeshState = {
      number: this.#stateNumber,
      createdAtMs: Date.now(),
      cause: 'test',
      application: 'agent-app',
      localIp: '127.0.0.1',
      listeners: [this.#listener],
      clusters,
      exports: [],
      httpDomains: [],
      quarantined: [],
    };
    this.plane.apply(state);
  }

  /** Applies, listens and waits for the first connections. */
  async start(refers: readonly ReferSpec[]): Promise<this> {
    this.apply(refers);
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
    const { unixSock } = this.#listener;
    return unixSock !== null ? { path: unixSock } : { port: this.plane.port('forward') };
  }

  /** A new connection of a caller. */
  async caller(): Promise<PeerConnection> {
    const caller = await connectPeer(this.address);
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

  get endpoints(): EndpointReport[] {
    return this.plane.report().clusters.flatMap((found) => found.endpoints);
  }

  get statistics(): readonly CallStatistics[] {
    return this.plane.report().calls;
  }

  assertBalance(): void {
    const { ok, failed, shed, inFlight, in: all } = this.listener;
    assert.equal(all, ok + failed + shed + inFlight, 'in = ok + failed + shed + inFlight');
    assert.ok(inFlight >= 0, `inFlight is ${inFlight}`);
    for (const endpoint of this.endpoints)
      assert.ok(endpoint.inFlight >= 0, `${endpoint.address} ${endpoint.inFlight}`);
  }

  /** Waits until no call is in flight anywhere and checks that the books balance. */
  async quiet(withinMs = 5000): Promise<void> {
    const isQuiet = (): boolean =>
      this.listener.inFlight === 0 && this.endpoints.every((endpoint) => endpoint.inFlight === 0);
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
