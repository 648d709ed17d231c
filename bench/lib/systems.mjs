/**
 * The programs that stand between load and backend, pinned to CPU 0, and the backends, which share CPU 1 with the load. A scenario
 * (scenarios/*.mjs) says how they are put together. Peony and motan-go are started from the same configuration.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  family,
  freePorts,
  listening,
  PortTaken,
  requireRunning,
  runOnce,
  start,
  stop,
} from './processes.mjs';

export const AGENT_CPU = 0;
export const LOAD_CPU = 1;
const START_MS = 30_000;
const START_TRIES = 3;
const MOTAN_GO = 'motan-go';

/**
 * Starts one system of a scenario and waits until calls through it succeed.
 *
 * @param context { programs, folder, backends, spec (the case) }
 * @returns { name, load (options of `meshload load`), children, stop() }
 */
export async function startSystem(scenario, name, context) {
  for (let tries = 1; ; tries += 1) {
    const folder = join(context.folder, `${name}-${tries}`);
    mkdirSync(folder, { recursive: true });
    const children = [];
    const system = { name, children, stop: () => stopAll(children) };
    try {
      const load = await scenario.start(name, { ...context, folder, children });
      await answers(context.programs.meshload, load, children);
      return { ...system, load };
    } catch (error) {
      await system.stop();
      if (error instanceof PortTaken && tries < START_TRIES) continue;
      throw new Error(`${name} does not serve: ${error.message}`);
    }
  }
}

/** The ids of a system's processes with their workers. */
export function pidsOf(children) {
  return children.flatMap(({ pid }) => family(pid));
}

/** The last started first: nobody loses its backend while it runs. */
async function stopAll(children) {
  for (const child of children.toReversed()) await stop(child);
}

/**
 * Starts Peony or motan-go and waits for its ports.
 *
 * @param config what agent.yaml says, beside the places of files
 * @param ports { forward, http }: where the agent listens; `exports` lists what the configuration's services open
 */
export async function startAgent(name, context, { config, forward, http, exports = [] }) {
  const { folder, children } = context;
  const place = join(folder, `agent-${children.length}`);
  mkdirSync(place, { recursive: true });
  const file = join(place, 'agent.yaml');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(agentConfig(place, config), null, 2));
  const child = await launchAgent(name, context.programs, { config: file, forward, http, folder: place });
  children.push(child);
  for (const port of [forward, http, ...exports]) {
    if (port !== undefined) await listening(port, child, START_MS);
  }
  return child;
}

/** Starts the process and waits for nothing. */
export async function launchAgent(name, programs, { config, forward, http, folder }) {
  const [management] = await freePorts(1);
  const ports = ['-port', String(forward), '-mport', String(management)];
  if (http !== undefined) ports.push('-hport', String(http));
  const args = ['-c', config, ...ports, '-log_dir', join(folder, 'log'), '-localIP', '127.0.0.1'];
  const options = { cpu: AGENT_CPU, cwd: folder, logFile: join(folder, 'output') };
  return name === MOTAN_GO
    ? start(programs.motanGo, args, options)
    : start(programs.peony, ['run', ...args], options);
}

/** The section `motan-agent` that every agent of the benchmark has. */
export function agentSection(folder) {
  return {
    application: 'bench-agent',
    pidfile: join(folder, 'agent.pid'),
    runtime_dir: join(folder, 'runtime'),
    snapshot_dir: join(folder, 'snapshot'),
  };
}

function agentConfig(folder, config) {
  return { ...config, 'motan-agent': { ...agentSection(folder), ...config['motan-agent'] } };
}

/** `meshload relay` in front of a port. @returns its own port */
export async function startRelay(context, mode, targetPort) {
  const [port] = await freePorts(1);
  const where = ['--listen', `127.0.0.1:${port}`, '--target', `127.0.0.1:${targetPort}`];
  await startProgram(context, {
    command: context.programs.meshload,
    args: ['relay', ...where, '--mode', mode],
    cpu: AGENT_CPU,
    port,
  });
  return port;
}

/** `meshload echo` as a backend. @returns its port */
export async function startEcho(context, wire, ...more) {
  const [port] = await freePorts(1);
  await startProgram(context, {
    command: context.programs.meshload,
    args: ['echo', '--listen', `127.0.0.1:${port}`, '--wire', wire, ...more],
    cpu: LOAD_CPU,
    port,
  });
  return port;
}

/** Starts a program among the context's children and waits until it listens. */
export async function startProgram({ folder, children }, { command, args, cpu, port }) {
  mkdirSync(folder, { recursive: true });
  const logFile = join(folder, `output-${children.length}`);
  const child = start(command, args, { cpu, cwd: folder, logFile });
  children.push(child);
  await listening(port, child, START_MS);
}

/** Starts what a scenario's systems share. @returns { ports (as the scenario names them), children, stop() } */
export async function startBackends(scenario, { programs, folder }) {
  for (let tries = 1; ; tries += 1) {
    const children = [];
    const context = { programs, folder: join(folder, `backends-${tries}`), children };
    try {
      const ports = await scenario.startBackends(context);
      return { ports, children, stop: () => stopAll(children) };
    } catch (error) {
      await stopAll(children);
      if (!(error instanceof PortTaken) || tries === START_TRIES) throw error;
    }
  }
}

/**
 * Waits for a tenth of a second of nothing but answers: the connections to the nodes are made in the background.
 * @returns how often it had to try
 */
export async function answers(meshload, load, children) {
  const deadlineMs = performance.now() + START_MS;
  const args = ['load', ...load, '--cpu', String(LOAD_CPU), '--duration', '0.1', '--warmup', '0'];
  for (let tries = 1; ; tries += 1) {
    const result = await tryLoad(meshload, args);
    if (result.ok > 0 && result.errors === 0) return tries;
    for (const child of children) await requireRunning(child);
    if (performance.now() > deadlineMs) throw new Error(`calls fail: ${result.first_error ?? 'no answers'}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A load program that cannot connect ends with an error: that too is a call that failed. */
async function tryLoad(meshload, args) {
  try {
    return JSON.parse(await runOnce(meshload, args, { timeoutMs: START_MS }));
  } catch (error) {
    return { ok: 0, errors: 1, first_error: error.message };
  }
}
