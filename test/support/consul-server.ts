/**
 * A real Consul for tests: a development agent on loopback, which keeps all in memory: killed and restarted it has forgotten everything; or one
 * with a folder of its own, which has not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../.cache/peers/consul/usr/bin/consul', import.meta.url));
const START_MS_MAX = 30_000;
const LOOK_AGAIN_MS = 30;
const STARTS_MAX = 3;
const OUTPUT_CHARS_MAX = 16_000;

/** For `peerTest` and `peerOrSkip`. */
export const consulPeer = {
  name: 'consul',
  available: existsSync(PROGRAM),
  hint: 'run test/interop/consul/get.sh',
} as const;

export interface ConsulServerOptions {
  /** More of its configuration, each a text in HCL. */
  readonly settings?: readonly string[];
  /** With which `ask` asks. */
  readonly token?: string;
  /** Whether what was registered outlives the process. */
  readonly isPersistent?: boolean;
}

export class ConsulServer {
  readonly port: number;
  /** Where other servers join it. */
  readonly gossipPort: number;
  readonly #args: readonly string[];
  readonly #token: string | undefined;
  /** Null for one that keeps nothing. */
  readonly #folder: string | null;
  #child: ChildProcess | null = null;
  #output = '';

  private constructor(
    ports: { readonly http: number; readonly lan: number },
    args: readonly string[],
    { token, isPersistent = false }: ConsulServerOptions,
  ) {
    this.port = ports.http;
    this.gossipPort = ports.lan;
    this.#args = args;
    this.#token = token;
    this.#folder = isPersistent ? mkdtempSync(join(tmpdir(), 'consul-')) : null;
  }

  /** Two servers that are one cluster: each needs the other to have a leader. */
  static async startPair(): Promise<[ConsulServer, ConsulServer]> {
    const soon = ['autopilot { server_stabilization_time = "100ms" }', 'performance { raft_multiplier = 1 }'];
    const first = await ConsulServer.start({ settings: [...soon, 'node_name = "first"'] });
    try {
      const join = [
        'bootstrap = false',
        'node_name = "second"',
        `retry_join = ["127.0.0.1:${first.gossipPort}"]`,
      ];
      const second = await ConsulServer.start({ settings: [...soon, ...join] });
      const isVoter = async (): Promise<boolean> => {
        const { Servers } = (await first.ask('GET', 'operator/raft/configuration')) as {
          Servers: { Voter: boolean }[];
        };
        return Servers.filter(({ Voter }) => Voter).length === 2;
      };
      const endMs = Date.now() + START_MS_MAX;
      while (!(await isVoter())) {
        if (Date.now() > endMs) throw new Error(`no cluster of two:\n${second.#output}`);
        await pause(LOOK_AGAIN_MS);
      }
      return [first, second];
    } catch (error) {
      await first.close();
      throw error;
    }
  }

  static async start(options: ConsulServerOptions = {}): Promise<ConsulServer> {
    const { settings = [], isPersistent = false } = options;
    // A development agent has these of itself.
    const kept = [
      'bootstrap_expect = 1',
      'performance { raft_multiplier = 1 }',
      'leave_on_terminate = false',
    ];
    for (let starts = 1; ; starts += 1) {
      const [http, server, lan, wan] = await freePorts(4);
      const ports = ['-http-port', `${http}`, '-server-port', `${server}`];
      const gossip = ['-serf-lan-port', `${lan}`, '-serf-wan-port', `${wan}`, '-dns-port', '-1'];
      const all = [
        'ports { grpc = -1 }',
        'disable_update_check = true',
        ...(isPersistent ? kept : []),
      ].concat(settings);
      const args = [...ports, ...gossip, ...all.flatMap((text) => ['-hcl', text])];
      const consul = new ConsulServer({ http: http!, lan: lan! }, args, options);
      try {
        await consul.restart();
        return consul;
      } catch (error) {
        // Somebody else may have taken a port meanwhile.
        await consul.close();
        if (starts === STARTS_MAX) throw error;
      }
    }
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** On the same ports; with nothing in it, unless it is persistent and not wiped. Resolves when it has a leader. */
  async restart({ isWiped = false } = {}): Promise<void> {
    await this.kill();
    this.#output = '';
    if (isWiped && this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
    const args = [
      'agent',
      ...(this.#folder === null ? ['-dev'] : ['-server', '-data-dir', this.#folder]),
      '-log-level',
      'warn',
      '-bind',
      '127.0.0.1',
      '-client',
      '127.0.0.1',
      ...this.#args,
    ];
    const child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    const keep = (chunk: string): void => {
      this.#output = (this.#output + chunk).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const endMs = Date.now() + START_MS_MAX;
    // Listed by the leader: it is elected and at work.
    while (!(await this.#isReady())) {
      if (child.exitCode !== null || Date.now() > endMs) throw new Error(`no Consul:\n${this.#output}`);
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** One request to its HTTP API; rejects unless it is answered with 2xx. */
  async ask(method: 'GET' | 'PUT', path: string, body?: unknown): Promise<unknown> {
    const headers: Record<string, string> =
      this.#token === undefined ? {} : { 'x-consul-token': this.#token };
    const answer = await fetch(`http://${this.address}/v1/${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  /** At once, without a word to anybody. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Black-holed: connections are accepted, and nothing is answered. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async close(): Promise<void> {
    await this.kill();
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
  }

  async #isReady(): Promise<boolean> {
    try {
      const nodes = (await this.ask('GET', 'catalog/nodes')) as unknown[];
      return nodes.length > 0;
    } catch {
      return false; // not yet: the answer to the question
    }
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
