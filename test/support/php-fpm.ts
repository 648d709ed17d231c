/**
 * A real PHP-FPM for tests: a pool of its own on loopback or a unix socket, with scripts in a folder of its own.
 *
 * Its status page is served by a listener of its own (`pm.status_listen`), so that it can be read while every child is busy.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './clock.js';
import { askFcgi } from './fastcgi.js';

const PROGRAMS = ['php-fpm8.2', 'php-fpm8.4', 'php-fpm8.3', 'php-fpm8.1', 'php-fpm'].flatMap((name) =>
  ['/usr/sbin', '/usr/local/sbin', '/usr/bin'].map((folder) => `${folder}/${name}`),
);
const program = PROGRAMS.find((path) => existsSync(path)) ?? null;

/** For `peerTest` and `peerOrSkip`. */
export const phpFpmPeer = {
  name: 'php-fpm',
  available: program !== null,
  hint: 'install the package php8.2-fpm',
} as const;

export interface PhpFpmOptions {
  readonly listen?: 'tcp' | 'unix';
  readonly maxChildren?: number;
  /** `pm.max_requests`. */
  readonly maxRequests?: number;
  /** Further lines of the pool's section; the last of a setting counts. */
  readonly extra?: readonly string[];
  /** File name to text, below `www` of the folder. */
  readonly scripts: Readonly<Record<string, string>>;
}

export interface FpmPage {
  readonly 'accepted conn': number;
  readonly 'listen queue': number;
  readonly 'active processes': number;
  readonly 'total processes': number;
  readonly 'max active processes': number;
  readonly 'max children reached': number;
}

const STARTS_MAX = 5;
const END_MS_MAX = 3000;

export class PhpFpm {
  readonly folder: string;
  /** Where it listens: one of both. */
  readonly port: number | null;
  readonly path: string | null;
  readonly #child: ChildProcess;
  #hasEnded = false;

  private constructor(folder: string, port: number | null, path: string | null, child: ChildProcess) {
    this.folder = folder;
    this.port = port;
    this.path = path;
    this.#child = child;
    child.once('exit', () => {
      this.#hasEnded = true;
    });
  }

  static async start(options: PhpFpmOptions): Promise<PhpFpm> {
    const folder = mkdtempSync(join(tmpdir(), 'fpm-'));
    try {
      // The children are another user.
      chmodSync(folder, 0o755);
      mkdirSync(join(folder, 'www'));
      mkdirSync(join(folder, 'run'));
      chmodSync(join(folder, 'run'), 0o777);
      for (const [name, text] of Object.entries(options.scripts))
        writeFileSync(join(folder, 'www', name), text);
      return await PhpFpm.#startIn(folder, options);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** A port that was free a moment ago may be taken by then: once more, with another. */
  static async #startIn(folder: string, options: PhpFpmOptions): Promise<PhpFpm> {
    let log = '';
    for (let count = 0; count < STARTS_MAX; count += 1) {
      const fpm = await PhpFpm.#startOnce(folder, options);
      await until(
        'php-fpm is ready, or ended',
        () => fpm.#hasEnded || fpm.log.includes('ready to handle'),
        20_000,
      );
      if (!fpm.#hasEnded) return fpm;
      log = fpm.log;
      if (!log.includes('already in use')) break;
      rmSync(join(folder, 'log'));
    }
    throw new Error(`php-fpm does not start:\n${log}`);
  }

  static async #startOnce(folder: string, options: PhpFpmOptions): Promise<PhpFpm> {
    const path = options.listen === 'unix' ? join(folder, 'php.sock') : null;
    const port = path === null ? await freePort() : null;
    writeFileSync(join(folder, 'fpm.conf'), configuration(folder, path ?? `127.0.0.1:${port}`, options));
    const isRoot = process.getuid?.() === 0;
    const args = ['--nodaemonize', '--no-php-ini', '--fpm-config', join(folder, 'fpm.conf')];
    const child = spawn(program!, isRoot ? [...args, '--allow-to-run-as-root'] : args, { stdio: 'ignore' });
    return new PhpFpm(folder, port, path, child);
  }

  /** Settings of a service whose script is `script`. */
  parameters(script: string): Record<string, string> {
    const where: Record<string, string> =
      this.path === null ? { CGI_PORT: String(this.port) } : { CGI_HOST: `unix://${this.path}` };
    const www = join(this.folder, 'www');
    return {
      ...where,
      CGI_SCRIPT_FILENAME: join(www, script),
      CGI_DOCUMENT_ROOT: www,
      CGI_REQUEST_METHOD: 'GET',
    };
  }

  get log(): string {
    const path = join(this.folder, 'log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** A file that a script wrote below `run`; empty when it is not there. */
  read(name: string): string {
    const path = join(this.folder, 'run', name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** The status page, without a child of the pool. */
  async status(): Promise<FpmPage> {
    const params = {
      SCRIPT_NAME: '/status',
      SCRIPT_FILENAME: '/status',
      REQUEST_METHOD: 'GET',
      QUERY_STRING: 'json',
    };
    const output = await askFcgi({ path: join(this.folder, 'status.sock') }, params);
    return JSON.parse(output.slice(output.indexOf('{'))) as FpmPage;
  }

  async stop(): Promise<void> {
    if (!this.#hasEnded) {
      const ended = new Promise<void>((resolve) => {
        this.#child.once('exit', () => resolve());
      });
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS_MAX);
      await ended;
      clearTimeout(timer);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function configuration(folder: string, listen: string, options: PhpFpmOptions): string {
  const isRoot = process.getuid?.() === 0;
  return `${[
    '[global]',
    `error_log = ${join(folder, 'log')}`,
    `pid = ${join(folder, 'pid')}`,
    '[www]',
    `listen = ${listen}`,
    ...(isRoot ? ['user = www-data', 'group = www-data', 'listen.mode = 0666'] : []),
    'pm = static',
    `pm.max_children = ${options.maxChildren ?? 2}`,
    ...(options.maxRequests === undefined ? [] : [`pm.max_requests = ${options.maxRequests}`]),
    'pm.status_path = /status',
    `pm.status_listen = ${join(folder, 'status.sock')}`,
    'ping.path = /ping',
    'php_admin_flag[display_errors] = off',
    'php_admin_flag[log_errors] = on',
    ...(options.extra ?? []),
  ].join('\n')}\n`;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
