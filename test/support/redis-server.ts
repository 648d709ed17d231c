/**
 * Real Redis servers for tests, on loopback and with folders of their own: one, a master with a replica and three Sentinels, a cluster of
 * three. Each can be killed, stopped, wiped and restarted.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const START_MS_MAX = 30_000;
const LOOK_AGAIN_MS = 20;
const ASK_MS_MAX = 1_000;
const STARTS_MAX = 3;
const OUTPUT_CHARS_MAX = 16_000;

/** For `peerTest` and `peerOrSkip`. */
export const redisPeer = {
  name: 'redis',
  available: ['redis-server', 'redis-cli'].every(isOnPath),
  hint: 'install the package redis-server',
} as const;

export interface RedisServerOptions {
  readonly password?: string;
  /** Whether what is written outlives the process. */
  readonly isPersistent?: boolean;
  /** More lines of the configuration. */
  readonly settings?: readonly string[];
  readonly isSentinel?: boolean;
}

export class RedisServer {
  readonly port: number;
  readonly #folder: string;
  readonly #options: RedisServerOptions;
  #child: ChildProcess | null = null;
  #output = '';

  private constructor(port: number, folder: string, options: RedisServerOptions) {
    this.port = port;
    this.#folder = folder;
    this.#options = options;
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    for (let starts = 1; ; starts += 1) {
      const server = new RedisServer(await freePort(), mkdtempSync(join(tmpdir(), 'redis-')), options);
      try {
        server.#writeSettings();
        await server.restart();
        return server;
      } catch (error) {
        // Somebody else may have taken the port meanwhile.
        await server.close();
        if (starts === STARTS_MAX) throw error;
      }
    }
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** On the same port; with what it had, unless wiped. Resolves when it serves. */
  async restart({ isWiped = false } = {}): Promise<void> {
    await this.kill();
    const data = join(this.#folder, 'data');
    if (isWiped) rmSync(data, { recursive: true, force: true });
    mkdirSync(data, { recursive: true });
    this.#output = '';
    const words = [join(this.#folder, 'redis.conf'), ...(this.#options.isSentinel ? ['--sentinel'] : [])];
    const child = spawn('redis-server', words, {
      cwd: data,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const keep = (chunk: string): void => {
      this.#output = (this.#output + chunk).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const endMs = Date.now() + START_MS_MAX;
    while (!/^(?:\+PONG|-NOAUTH)/.test(await this.#ping())) {
      if (child.exitCode !== null || Date.now() > endMs) throw new Error(`no Redis:\n${this.#output}`);
      await pause(LOOK_AGAIN_MS);
    }
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
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #writeSettings(): void {
    const { password, isPersistent = false, settings = [], isSentinel = false } = this.#options;
    const lines = [
      `port ${this.port}`,
      'bind 127.0.0.1',
      'protected-mode no',
      `dir ${join(this.#folder, 'data')}`,
      ...(isSentinel ? [] : ['save ""', `appendonly ${isPersistent ? 'yes' : 'no'}`, 'appendfsync always']),
      ...(password === undefined ? [] : [`requirepass ${password}`, `masterauth ${password}`]),
      ...settings,
    ];
    mkdirSync(join(this.#folder, 'data'), { recursive: true });
    writeFileSync(join(this.#folder, 'redis.conf'), `${lines.join('\n')}\n`);
  }

  async #ping(): Promise<string> {
    const socket = net.connect(this.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      socket.destroy();
    });
    socket.on('error', () => {}); // nobody listens: the answer to the question
    socket.setTimeout(ASK_MS_MAX, () => socket.destroy());
    socket.write('PING\r\n');
    await once(socket, 'close').catch(() => {}); // rejects with the error that was heard above
    return text;
  }
}

export const MASTER_NAME = 'mymaster';

/** A master and its replica, with three Sentinels that agree within a second. */
export class SentinelTrio {
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];

  private constructor(master: RedisServer, replica: RedisServer, sentinels: readonly RedisServer[]) {
    this.master = master;
    this.replica = replica;
    this.sentinels = sentinels;
  }

  static async start(): Promise<SentinelTrio> {
    const master = await RedisServer.start({ settings: ['repl-diskless-sync-delay 0'] });
    const replica = await RedisServer.start({ settings: [`replicaof 127.0.0.1 ${master.port}`] });
    await untilSays(replica, ['info', 'replication'], /master_link_status:up/);
    const settings = [
      `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${master.port} 2`,
      `sentinel down-after-milliseconds ${MASTER_NAME} 600`,
      `sentinel failover-timeout ${MASTER_NAME} 3000`,
    ];
    const sentinels = [];
    for (let index = 0; index < 3; index += 1)
      sentinels.push(await RedisServer.start({ isSentinel: true, settings }));
    // Before each has found the others and the replica, there is no failover.
    const isReady = /num-slaves\n1\n[\s\S]*num-other-sentinels\n2\n/;
    for (const each of sentinels) await untilSays(each, ['sentinel', 'master', MASTER_NAME], isReady);
    return new SentinelTrio(master, replica, sentinels);
  }

  get addresses(): string {
    return this.sentinels.map(({ address }) => address).join(',');
  }

  async close(): Promise<void> {
    await Promise.all([this.master, this.replica, ...this.sentinels].map((each) => each.close()));
  }
}

/** Three masters that share the slots. */
export class RedisCluster {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  static async start(): Promise<RedisCluster> {
    const servers = [];
    for (let index = 0; index < 3; index += 1) {
      const settings = [
        'cluster-enabled yes',
        'cluster-config-file nodes.conf',
        'cluster-node-timeout 1000',
        'cluster-require-full-coverage no',
        `cluster-port ${await freePort()}`,
      ];
      servers.push(await RedisServer.start({ settings }));
    }
    const addresses = servers.map(({ address }) => address);
    await promisify(execFile)('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes']);
    for (const each of servers)
      await untilSays(each, ['cluster', 'info'], /cluster_state:ok[\s\S]*cluster_known_nodes:3/);
    return new RedisCluster(servers);
  }

  get addresses(): string {
    return this.servers.map(({ address }) => address).join(',');
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((each) => each.close()));
  }
}

/** What redis-cli prints for a command. */
export async function redisCli(server: RedisServer, ...words: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(server.port), ...words]);
  return stdout;
}

async function untilSays(server: RedisServer, words: readonly string[], wanted: RegExp): Promise<void> {
  const endMs = Date.now() + START_MS_MAX;
  for (;;) {
    const said = await redisCli(server, ...words);
    if (wanted.test(said)) return;
    if (Date.now() > endMs) throw new Error(`${words.join(' ')} never said ${wanted}, but ${said}`);
    await pause(LOOK_AGAIN_MS);
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function isOnPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}
