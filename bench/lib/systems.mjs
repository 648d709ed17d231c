/**
 * The systems under test, each in front of one echo server, pinned to CPU 0. Both agents are started from the same
 * configuration, with the access log and the metrics filter on.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, portOpen, runOnce, start, stop } from './processes.mjs';

export const AGENT_CPU = 0;
export const LOAD_CPU = 1;
const START_MS = 30_000;
const MOTAN_GO = 'motan-go';

/** Programs: { meshload, peony, motanGo }. @returns { name, child, port } that answers calls */
export async function startSystem(name, programs, echoPort, folder) {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const logFile = join(folder, 'output');
  const options = { cpu: AGENT_CPU, cwd: folder, logFile };
  let child;
  if (name === 'relay') {
    const args = [
      'relay',
      '--listen',
      `127.0.0.1:${port}`,
      '--target',
      `127.0.0.1:${echoPort}`,
      '--mode',
      'motan2',
    ];
    child = start(programs.meshload, args, options);
  } else {
    const config = join(folder, 'agent.yaml');
    writeFileSync(config, agentConfig(echoPort, folder));
    child = await startAgent(name, programs, { config, port, folder });
  }
  try {
    await portOpen(port, child, START_MS);
    await answers(programs.meshload, port);
  } catch (error) {
    await stop(child);
    throw new Error(`${name} does not serve: ${error.message}`);
  }
  return { name, child, port };
}

/** Starts Peony or motan-go on a configuration file; does not wait. */
export async function startAgent(name, programs, { config, port, folder }) {
  const ports = ['-port', String(port), '-mport', String(await freePort())];
  const args = ['-c', config, ...ports, '-log_dir', join(folder, 'log'), '-localIP', '127.0.0.1'];
  const options = { cpu: AGENT_CPU, cwd: folder, logFile: join(folder, 'output') };
  return name === MOTAN_GO
    ? start(programs.motanGo, args, options)
    : start(programs.peony, ['run', ...args], options);
}

export async function startEcho(programs, folder) {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const args = ['echo', '--listen', `127.0.0.1:${port}`];
  const child = start(programs.meshload, args, { cpu: LOAD_CPU, cwd: folder, logFile: join(folder, 'echo') });
  await portOpen(port, child, START_MS);
  return { child, port };
}

export function agentSection(folder) {
  return `motan-agent:
  application: bench-agent
  pidfile: ${folder}/agent.pid
  runtime_dir: ${folder}/runtime
  snapshot_dir: ${folder}/snapshot
`;
}

function agentConfig(echoPort, folder) {
  return `${agentSection(folder)}
motan-registry:
  direct:
    protocol: direct
    host: 127.0.0.1
    port: ${echoPort}
motan-refer:
  bench:
    path: com.example.EchoService
    group: bench-group
    protocol: motan2
    registry: direct
    serialization: simple
    requestTimeout: 5000
    filter: "accessLog,metrics"
`;
}

/**
 * Waits for a tenth of a second of nothing but answers: the connections to the nodes are made in the background.
 * @returns how often it had to try
 */
export async function answers(meshload, port, more = []) {
  const deadlineMs = performance.now() + START_MS;
  const target = ['--target', `127.0.0.1:${port}`, '--cpu', String(LOAD_CPU)];
  const args = ['load', ...target, '--duration', '0.1', '--warmup', '0', ...more];
  for (let tries = 1; ; tries += 1) {
    const result = JSON.parse(await runOnce(meshload, args, { timeoutMs: START_MS }));
    if (result.ok > 0 && result.errors === 0) return tries;
    if (performance.now() > deadlineMs) throw new Error(`calls fail: ${result.first_error ?? 'no answers'}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
