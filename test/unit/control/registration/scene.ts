/** Registrations over a configuration from text, with a clock that a test moves and an `apply` that it watches. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadConfig, parseGoFlags } from '../../../../src/control/config/index.js';
import {
  DynamicRegistrations,
  type ProcessMark,
  SnapFile,
} from '../../../../src/control/registration/index.js';
import {
  type AgentConfig,
  AgentError,
  type ReferConfig,
  type ServiceConfig,
  silentLogger,
} from '../../../../src/core/index.js';
import { FakeClock } from '../../../support/clock.js';

const CONFIG = `
motan-agent: {application: app, eport: 9990, defaultFilter: accessLog}
motan-registry:
  zk: {protocol: zookeeper, address: "10.0.0.1:2181,10.0.0.2:2181"}
  lone: {protocol: zk, host: 10.0.0.9, port: 2181}
  con: {protocol: consul, host: 127.0.0.1, port: 8500}
motan-service:
  fixed: {path: com.x.Fixed, group: g1, registry: zk, export: "motan2:9990", proxy: "motan2:7000"}
motan-refer:
  fixed: {path: com.x.Fixed, group: g1, protocol: motan2, registry: zk}
`;

export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'peony-registration-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function configOf(folder: string, env: Record<string, string> = {}): AgentConfig {
  writeFileSync(join(folder, 'agent.yaml'), CONFIG);
  const { flags } = parseGoFlags(['-c', 'agent.yaml']);
  return loadConfig({ flags, env, cwd: folder, localIp: '10.9.9.9' }).config;
}

export class Scene {
  readonly clock = new FakeClock();
  readonly config: AgentConfig;
  readonly snap: SnapFile;
  readonly registrations: DynamicRegistrations;
  /** What was applied last. */
  services: readonly ServiceConfig[] = [];
  refers: readonly ReferConfig[] = [];
  applied = 0;
  /** Paths of services that cannot be applied. */
  readonly refused = new Set<string>();
  readonly running = new Set<number>([41, 42]);

  constructor(folder: string, env: Record<string, string> = {}) {
    mkdirSync(join(folder, 'run'), { recursive: true });
    this.config = configOf(folder, env);
    this.snap = new SnapFile(join(folder, 'run'), silentLogger);
    this.registrations = new DynamicRegistrations({
      config: this.config,
      snap: this.snap,
      clock: this.clock,
      logger: silentLogger,
      apply: async (services, refers) => {
        if (services.some(({ url }) => this.refused.has(url.path)))
          throw new AgentError('E_PORT_BUSY', 'port 9990 is in use');
        this.applied += 1;
        this.services = services;
        this.refers = refers;
      },
      settled: async () => true,
      processOf: (pid) => (this.running.has(pid) ? markOf(pid) : null),
      isRunning: async ({ pid }) => this.running.has(pid),
    });
  }

  static async open(t: TestContext, env: Record<string, string> = {}): Promise<Scene> {
    const scene = new Scene(makeFolder(t), env);
    await scene.registrations.open(false);
    return scene;
  }

  get paths(): string[] {
    return this.services.map(({ url }) => url.path);
  }

  /** A second passes, as the agent tells. */
  async tick(seconds = 1): Promise<void> {
    for (let passed = 0; passed < seconds; passed += 1) {
      this.clock.advanceMs(1000);
      await this.registrations.tick();
    }
  }
}

function markOf(pid: number): ProcessMark {
  return { pid, startTicks: `${pid}00`, boot: 'boot', pidNamespace: null };
}

export function posted(more: object = {}, parameters: Record<string, string> = {}): object {
  const url = { protocol: 'motan2', host: '10.1.2.3', port: 8100, path: 'com.x.Echo', group: 'g1' };
  return { ...url, parameters: { proxyRegistry: 'zk', ...parameters }, ...more };
}
