/** A real ZooKeeper for tests: one server of its own on loopback, with a folder of its own, that can be killed, stopped, wiped and restarted. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const JAR = '/usr/share/java/zookeeper.jar';
const MAIN = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
const START_MS_MAX = 30_000;
const LOOK_AGAIN_MS = 30;
const ASK_MS_MAX = 1_000;
const STARTS_MAX = 3;
const OUTPUT_CHARS_MAX = 16_000;

/** For `peerTest` and `peerOrSkip`. */
export const zooKeeperPeer = {
  name: 'zookeeper',
  available: existsSync(JAR) && isOnPath('java'),
  hint: 'install the package zookeeperd and Java',
} as const;

export interface ZooKeeperServerOptions {
  /** Sessions last from 2 to 20 of these. */
  readonly tickMs?: number;
}

export class ZooKeeperServer {
  readonly port: number;
  readonly #folder: string;
  #child: ChildProcess | null = null;
  #output = '';

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  static async start({ tickMs = 200 }: ZooKeeperServerOptions = {}): Promise<ZooKeeperServer> {
    for (let starts = 1; ; starts += 1) {
      const folder = mkdtempSync(join(tmpdir(), 'zookeeper-'));
      const port = await freePort();
      const settings = [
        `dataDir=${join(folder, 'data')}`,
        `clientPort=${port}`,
        'clientPortAddress=127.0.0.1',
        `tickTime=${tickMs}`,
        'admin.enableServer=false',
        'maxClientCnxns=0',
      ];
      writeFileSync(join(folder, 'zoo.cfg'), `${settings.join('\n')}\n`);
      const server = new ZooKeeperServer(port, folder);
      try {
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
    const flags = [
      '-Xmx256m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Dzookeeper.forceSync=no',
      '-Dzookeeper.4lw.commands.whitelist=srvr,wchs,cons',
    ];
    this.#output = '';
    const child = spawn('java', [...flags, '-cp', JAR, MAIN, join(this.#folder, 'zoo.cfg')], {
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const keep = (chunk: string): void => {
      this.#output = (this.#output + chunk).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const endMs = Date.now() + START_MS_MAX;
    while (!(await this.ask('srvr')).includes('Mode:')) {
      if (child.exitCode !== null || Date.now() > endMs) throw new Error(`no ZooKeeper:\n${this.#output}`);
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** Answer to a command of four letters; empty while nobody answers. */
  async ask(word: string): Promise<string> {
    const socket = net.connect(this.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => {}); // nobody listens: the answer to the question
    socket.setTimeout(ASK_MS_MAX, () => socket.destroy());
    socket.write(word);
    await once(socket, 'close').catch(() => {}); // rejects with the error that was heard above
    return text;
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
