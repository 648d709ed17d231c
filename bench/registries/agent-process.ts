/** `bin/peony run` as a process whose time, memory and end are measured. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { freePort } from '../../test/interop/support.js';

const PEONY = fileURLToPath(new URL('../../bin/peony', import.meta.url));
/** USER_HZ of Linux. */
const TICKS_PER_SECOND = 100;

export type Sections = Record<string, Record<string, unknown>>;

export class AgentProcess {
  readonly port: number;
  readonly managementPort: number;
  /** From starting the process until its forward port was open. */
  readonly servingMs: number;
  readonly beganMs: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(parts: {
    readonly ports: readonly [number, number];
    readonly beganMs: number;
    readonly child: ChildProcess;
    readonly folder: string;
  }) {
    [this.port, this.managementPort] = parts.ports;
    this.beganMs = parts.beganMs;
    this.servingMs = performance.now() - parts.beganMs;
    this.#child = parts.child;
    this.#folder = parts.folder;
  }

  static async start(sections: Sections): Promise<AgentProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'peony-bench-'));
    const ports = [await freePort(), await freePort()] as const;
    const section = { host: '127.0.0.1', application: 'bench', ...sections['motan-agent'] };
    writeFileSync(join(folder, 'agent.yaml'), stringify({ ...sections, 'motan-agent': section }));
    const words = ['-c', 'agent.yaml', '-port', `${ports[0]}`, '-mport', `${ports[1]}`, '-log_dir', 'log'];
    const beganMs = performance.now();
    const child = spawn(PEONY, ['run', ...words, '-localIP', '127.0.0.1'], { cwd: folder });
    process.once('exit', () => child.kill('SIGKILL'));
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const hear = (chunk: Buffer): void => {
        said += chunk.toString();
        if (said.includes('agent started')) resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', () => reject(new Error(`the agent ended: ${said.slice(-2_000)}`)));
    });
    return new AgentProcess({ ports, beganMs, child, folder });
  }

  async get(path: string): Promise<string> {
    return await (await fetch(`http://127.0.0.1:${this.managementPort}${path}`)).text();
  }

  get rssMib(): number {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(this.#proc('status'))![1]) / 1024;
  }

  /** User and system time so far. */
  get cpuSeconds(): number {
    const fields = this.#proc('stat').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** Resolves with how long it took to end. */
  async stop(): Promise<number> {
    const beganMs = performance.now();
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
    const tookMs = performance.now() - beganMs;
    rmSync(this.#folder, { recursive: true, force: true });
    return tookMs;
  }

  #proc(file: string): string {
    return readFileSync(`/proc/${this.#child.pid}/${file}`, 'utf8');
  }
}
