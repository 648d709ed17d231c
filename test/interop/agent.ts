/**
 * The agent between the peers: Peony, or with `PEONY_INTEROP_AGENT=motan-go` the motan-go agent in its place, started with the
 * same command line and configuration. What holds for both is compatible; where a test expects a difference it asks `agentKind`.
 * `PEONY_INTEROP_PROGRAM` is another `peony` than that of this checkout: a packaged one, say.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { motanGoBin } from './motan-go/peers.js';
import { accepts, freePort, makeFolder, type Running, start } from './support.js';

export type AgentKind = 'peony' | 'motan-go';

/** Which agent the tests are about. */
export const agentKind: AgentKind = process.env.PEONY_INTEROP_AGENT === 'motan-go' ? 'motan-go' : 'peony';

/** Application of every agent here, so the `M_s` of calls that come without one. */
export const AGENT_APPLICATION = 'interop-agent';
export const SERVICE = 'peony.interop.EchoService';

const PROGRAM: Record<AgentKind, readonly string[]> = {
  peony: [
    process.env.PEONY_INTEROP_PROGRAM ?? fileURLToPath(new URL('../../bin/peony', import.meta.url)),
    'run',
  ],
  'motan-go': [motanGoBin('agent')],
};

/** Sections of the configuration file as a motan-go user writes them. */
export type AgentConfig = Record<string, Record<string, unknown>>;

export interface Agent {
  readonly kind: AgentKind;
  readonly process: Running;
  /** Of the forward listener; nobody listens there when `unixSock` is configured. */
  readonly port: number;
  readonly managementPort: number;
  /** GET on the management port. */
  management(path: string): Promise<string>;
}

/** Resolves when the management port answers and the forward listener accepts. */
export async function startAgent(config: AgentConfig, kind: AgentKind = agentKind): Promise<Agent> {
  const folder = makeFolder();
  const port = await freePort();
  const managementPort = await freePort();
  const section: Record<string, unknown> = {
    application: AGENT_APPLICATION,
    runtime_dir: join(folder, 'runtime'),
    snapshot_dir: join(folder, 'snapshot'),
    pidfile: join(folder, 'agent.pid'),
    ...config['motan-agent'],
  };
  const file = join(folder, 'agent.yaml');
  writeFileSync(file, stringify({ ...config, 'motan-agent': section }));

  const management = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${managementPort}${path}`);
    return response.text();
  };
  const listener = typeof section.unixSock === 'string' ? section.unixSock : port;
  const isReady = async (): Promise<boolean> =>
    (await accepts(managementPort)) && (await management('/version')) !== '' && (await accepts(listener));

  const [command, ...first] = PROGRAM[kind] as [string, ...string[]];
  const flags = [
    '-c',
    file,
    '-port',
    `${port}`,
    '-mport',
    `${managementPort}`,
    '-log_dir',
    folder,
    '-localIP',
    '127.0.0.1',
  ];
  const running = await start(
    { name: `${kind} agent`, command, args: [...first, ...flags], cwd: folder },
    isReady,
  );
  return { kind, process: running, port, managementPort, management };
}

/** Peony itself, whatever the tests are about. */
export function startPeony(config: AgentConfig): Promise<Agent> {
  return startAgent(config, 'peony');
}

/** One refer: its group, where its nodes are, and parameters beyond the usual. */
export interface Refer {
  readonly group: string;
  /** Ports on loopback, or `unix://path`. */
  readonly nodes: readonly (number | string)[];
  readonly parameters?: Record<string, unknown>;
}

/**
 * Sections for refers of the echo service with direct registries. The default window of a call is 500 to 4000 ms around
 * a `requestTimeout` of 2000, and a node is retried soon.
 */
export function referSections(refers: readonly Refer[]): AgentConfig {
  const registries: Record<string, unknown> = {};
  const entries: Record<string, unknown> = {};
  for (const { group, nodes, parameters } of refers) {
    const address = nodes.map((node) => (typeof node === 'number' ? `127.0.0.1:${node}` : node)).join(',');
    registries[group] = { protocol: 'direct', address };
    entries[group] = {
      path: SERVICE,
      group,
      protocol: 'motan2',
      registry: group,
      requestTimeout: 2000,
      minRequestTimeout: 500,
      connectRetryInterval: 200,
      ...parameters,
    };
  }
  return { 'motan-registry': registries, 'motan-refer': entries };
}
