/**
 * `bin/peony run` as a process with a folder of its own. Whatever a test starts ends with it; nothing here sleeps.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { within } from '../../support/clock.js';
import { type Frame, request } from '../../support/frames.js';
import {
  type Address,
  answerOk,
  connectPeer,
  type PeerConnection,
  type Script,
  ScriptedUpstream,
} from '../../support/scripted-peer.js';

export const PEONY = fileURLToPath(new URL('../../../bin/peony', import.meta.url));
export const SERVICE = 'com.weibo.HelloService';
const START_MS_MAX = 20_000;
const LOOK_AGAIN_MS = 5;

if (!existsSync(fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url)))) {
  throw new Error('these tests start bin/peony, which is not built: npm run build');
}

/** Sections of a configuration file. */
export type Sections = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface Launch {
  readonly config?: Sections;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The program to start instead of bin/peony. */
  readonly program?: string;
  /** Leaves the two port flags away. */
  readonly withoutPorts?: boolean;
}

/** `/v1/status`, as far as the tests read it. */
export interface Status {
  readonly status: number;
  readonly listeners: readonly {
    name: string;
    address: string;
    in: number;
    ok: number;
    failed: number;
    shed: number;
    inFlight: number;
  }[];
  readonly clusters: readonly {
    key: string;
    service: string;
    source: string;
    endpointsAvailable: number;
    endpoints: readonly { address: string; available: boolean }[];
  }[];
  readonly registries: readonly { id: string; lastError: string | null }[];
  readonly quarantined: readonly { entry: string; key: string; place: string }[];
  readonly logs: readonly { name: string; target: string; linesDropped: number; trouble: string | null }[];
}

/** Ends what was started for a test: newest first. */
const endings = new WeakMap<TestContext, (() => unknown)[]>();

export function atEnd(t: TestContext, end: () => unknown): void {
  const known = endings.get(t);
  if (known !== undefined) {
    known.push(end);
    return;
  }
  const list = [end];
  endings.set(t, list);
  t.after(async () => {
    for (const one of list.reverse()) await one();
  });
}

/** Short, because unix sockets are made in it. */
export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'peony-'));
  atEnd(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const portsGiven = new Set<number>();

/** A port that was free a moment ago and is given once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, 'close');
    if (!portsGiven.has(port)) {
      portsGiven.add(port);
      return port;
    }
  }
}

export async function startUpstream(t: TestContext, script: Script = answerOk): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.start(script);
  atEnd(t, () => upstream.stop());
  return upstream;
}

/** Sections for one refer of `SERVICE` in group `g1` whose nodes are known. */
export function direct(...ports: number[]): Sections {
  return {
    'motan-registry': {
      fixed: { protocol: 'direct', address: ports.map((port) => `127.0.0.1:${port}`).join(',') },
    },
    'motan-refer': { hello: refer({ registry: 'fixed' }) },
  };
}

export function refer(keys: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { path: SERVICE, group: 'g1', protocol: 'motan2', connectRetryInterval: 100, ...keys };
}

/** One directory in which several agents of a test may live one after the other. */
export class Home {
  readonly folder: string;
  readonly port: number;
  readonly managementPort: number;

  private constructor(folder: string, port: number, managementPort: number) {
    this.folder = folder;
    this.port = port;
    this.managementPort = managementPort;
  }

  static async make(t: TestContext): Promise<Home> {
    return new Home(makeFolder(t), await freePort(), await freePort());
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  read(...names: string[]): string {
    return readFileSync(this.path(...names), 'utf8');
  }

  /** Starts the program and does not wait for anything. */
  launch(t: TestContext, options: Launch = {}): AgentProcess {
    const { config = {}, flags = [], env = {}, program = PEONY, withoutPorts = false } = options;
    writeFileSync(this.path('agent.yaml'), stringify(this.#complete(config)));
    const ports = withoutPorts ? [] : ['-port', `${this.port}`, '-mport', `${this.managementPort}`];
    const words = ['run', '-c', 'agent.yaml', '-localIP', '127.0.0.1', ...ports, ...flags];
    const child = spawn(program, words, { cwd: this.folder, env: { ...process.env, ...env } });
    const agent = new AgentProcess(this, child);
    atEnd(t, () => agent.kill());
    return agent;
  }

  /** Starts the agent and waits for its forward listener. */
  async start(t: TestContext, options: Launch = {}): Promise<AgentProcess> {
    const agent = this.launch(t, options);
    await agent.started();
    return agent;
  }

  #complete(config: Sections): Sections {
    const section = {
      host: '127.0.0.1',
      application: 'process-test',
      log_dir: 'log',
      ...config['motan-agent'],
    };
    return { ...config, 'motan-agent': section };
  }
}

export class AgentProcess {
  readonly home: Home;
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  /** Exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  hasEnded = false;

  constructor(home: Home, child: ChildProcess) {
    this.home = home;
    this.child = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = once(child, 'close').then(([code, signal]) => {
      this.hasEnded = true;
      return (code ?? signal) as number | string;
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  async started(): Promise<void> {
    await eventually(
      'the agent to start',
      () => {
        assert.ok(!this.hasEnded, `ended: ${this.stderr}${this.stdout}`);
        return this.stdout.includes('agent started');
      },
      START_MS_MAX,
    );
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Exit code after SIGTERM. */
  async stop(): Promise<number | string> {
    this.signal('SIGTERM');
    return await this.end();
  }

  async end(): Promise<number | string> {
    return await within('the agent to end', this.ended, START_MS_MAX);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** GET on the management port. */
  get(path: string): Promise<Answer> {
    return get({ host: '127.0.0.1', port: this.home.managementPort, path });
  }

  async status(): Promise<Status> {
    return JSON.parse((await this.get('/v1/status')).body) as Status;
  }

  /** Addresses of the nodes of the first cluster that can be called. */
  async nodes(): Promise<string[]> {
    const { clusters } = await this.status();
    return clusters[0]!.endpoints.filter((one) => one.available).map((one) => one.address);
  }

  /** Value of a metric; labels as they are written. */
  async metric(name: string): Promise<number> {
    return metricIn((await this.get('/metrics')).body, name);
  }

  async caller(t: TestContext, address: Address = { port: this.home.port }): Promise<PeerConnection> {
    const caller = await connectPeer(address);
    atEnd(t, () => caller.close());
    return caller;
  }
}

export function metricIn(text: string, name: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  assert.ok(line !== undefined, `no metric ${name}`);
  return Number(line.slice(name.length + 1));
}

export interface Answer {
  readonly code: number;
  readonly body: string;
}

export function get(target: http.RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = http.get({ ...target, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ code: response.statusCode ?? 0, body }));
    });
    asked.on('error', reject);
  });
}

/** One call of `SERVICE` in group `g1`. */
export async function call(caller: PeerConnection, id: bigint, service = SERVICE): Promise<Frame> {
  caller.send(request({ id, service, metadata: { M_g: 'g1' } }));
  return await caller.next();
}

/** The first answer of `probe` that is not false, null or undefined; errors of connecting count as not yet. */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  withinMs = 5000,
): Promise<NonNullable<Awaited<T>>> {
  const endsMs = performance.now() + withinMs;
  for (;;) {
    const answer = await whenReachable(probe);
    if (answer !== null && answer !== undefined && answer !== false) return answer as NonNullable<Awaited<T>>;
    if (performance.now() > endsMs) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await pause(LOOK_AGAIN_MS);
  }
}

async function whenReachable<T>(probe: () => T | Promise<T>): Promise<Awaited<T> | null> {
  try {
    return await probe();
  } catch (error) {
    if (['ECONNREFUSED', 'ECONNRESET', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return null;
    throw error;
  }
}

/** The code with which a connect fails, or `connected`. */
export function connectOutcome(port: number): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.once('connect', () => {
      socket.destroy();
      resolve('connected');
    });
  });
}

/** Lists a node by hand in a directory of registry `file`; returns the file that does it. */
export function listNode(directory: string, port: number): string {
  const service = join(directory, 'g1', SERVICE);
  mkdirSync(service, { recursive: true });
  const file = join(service, `motan2~127.0.0.1~${port}.json`);
  writeFileSync(`${file}.new`, JSON.stringify({ url: `motan2://127.0.0.1:${port}/${SERVICE}?group=g1` }));
  renameSync(`${file}.new`, file);
  return file;
}

/** A refer of `SERVICE` that is looked up in `registry/` of the home. */
export function fileRegistry(directory: string): Sections {
  return {
    'motan-registry': { shared: { protocol: 'file', path: directory } },
    'motan-refer': { hello: refer({ registry: 'shared' }) },
  };
}
