/**
 * Memory and scale of Peony alone; where motan-go can do the same, its figure beside it. Each comes from a fresh process.
 *
 *   measure   (name of the system, { programs, folder }) => figure
 *   systems   those that are measured
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './build.mjs';
import { forgetPeakRss, freePorts, listening, peakRssKib, rssKib, runOnce, stop } from './processes.mjs';
import { forward } from './scenarios/forward.mjs';
import { upload } from './scenarios/upload.mjs';
import { agentSection, answers, LOAD_CPU, launchAgent, startBackends, startSystem } from './systems.mjs';

const BOTH = ['peony', 'motan-go'];
/** Only Peony has the file registry, and only Peony's data plane is a part that can be run alone. */
const PEONY = ['peony'];

export const MEMORY_CASES = [
  { name: 'idle', title: 'memory of the idle agent', unit: 'MB', atMost: 80, systems: BOTH, measure: idle },
  {
    name: 'connections',
    title: 'memory of each of 10,000 idle connections',
    unit: 'KB',
    atMost: 8,
    systems: BOTH,
    measure: connections,
  },
  {
    name: 'connections-used',
    title: 'memory of each of them after one heartbeat',
    unit: 'KB',
    atMost: 8,
    systems: BOTH,
    measure: connectionsUsed,
  },
  {
    name: 'upload',
    title: 'growth of the peak while a body of 64 MiB passes through the HTTP port and back',
    unit: 'MB',
    atMost: 24,
    systems: BOTH,
    measure: streaming,
  },
  {
    name: 'scale-start',
    title: 'start with 5,000 refers and 20,000 endpoints',
    unit: 's',
    atMost: 5,
    systems: PEONY,
    measure: scaleStart,
  },
  {
    name: 'scale-apply',
    title: 'applying the change of one node of these 20,000',
    unit: 'ms',
    atMost: 10,
    systems: PEONY,
    measure: scaleApply,
  },
];

const IDLE_CONNECTIONS = 10_000;
/** Also the load generator holds a descriptor for each. */
const DESCRIPTORS_NEEDED = IDLE_CONNECTIONS + 500;
const SETTLE_MS = 2000;
const REFERS = 5000;
const NODES_PER_REFER = 4;
const GROUP = 'bench-group';
/** Below the ports that the system gives out, so that none of them is the echo server's. */
const FIRST_PORT = 20_000;
/** A few megabytes of code and heap belong to the first calls whatever their size. */
const WARMUP_SECONDS = 2;
const STREAM_BYTES = 64 * 1024 * 1024;
const STREAM_SECONDS = 3;
const SCALE_START_MS = 120_000;

/** Resident memory in MB, some seconds after the first calls were answered. */
function idle(name, context) {
  return withSystem(forward, name, context, async ({ children }) => {
    await settle();
    return rssKib(children[0].pid) / 1024;
  });
}

/** KB (1,024 bytes) of resident memory for each connection that was opened, and has said nothing yet. */
function connections(name, context) {
  return perConnection(name, context, []);
}

/** As `connections`, when each has had one heartbeat answered: what a connection allocates at its first bytes is in. */
function connectionsUsed(name, context) {
  return perConnection(name, context, ['--heartbeat']);
}

async function perConnection(name, context, more) {
  const limit = Number(await runOnce('bash', ['-c', 'ulimit -Hn'], { timeoutMs: SETTLE_MS }));
  if (limit < DESCRIPTORS_NEEDED) {
    throw new Error(
      `10,000 connections need ${DESCRIPTORS_NEEDED} open files, the limit of this machine is ${limit}`,
    );
  }
  return withSystem(forward, name, context, async ({ children, load }) => {
    await settle();
    const target = load.slice(0, 2); // --target and its address
    const args = ['idle', ...target, '--connections', String(IDLE_CONNECTIONS)];
    const watched = [...args, '--watch-pid', String(children[0].pid), ...more];
    return JSON.parse(await runOnce(context.programs.meshload, watched, { timeoutMs: 120_000 }))
      .kib_per_connection;
  });
}

/** MB by which the most that was ever resident while bodies of 64 MiB pass is over what small calls had left. */
function streaming(name, context) {
  return withSystem(upload, name, context, async ({ children, load }) => {
    const { pid } = children[0];
    const run = async (bytes, seconds) => {
      const size = ['--body-bytes', String(bytes), '--timeout-ms', '60000'];
      const time = ['--duration', String(seconds), '--warmup', '0', '--cpu', String(LOAD_CPU)];
      const args = ['load', ...load, ...size, ...time];
      const result = JSON.parse(await runOnce(context.programs.meshload, args, { timeoutMs: 120_000 }));
      if (result.ok === 0 || result.errors > 0)
        throw new Error(
          `calls of ${bytes} bytes through ${name} fail: ${result.first_error ?? 'no answers'}`,
        );
    };
    await run(1024, WARMUP_SECONDS);
    await settle();
    const before = rssKib(pid);
    forgetPeakRss(pid);
    await run(STREAM_BYTES, STREAM_SECONDS);
    return (peakRssKib(pid) - before) / 1024;
  });
}

async function withSystem(scenario, name, { programs, folder }, use) {
  const backends = await startBackends(scenario, { programs, folder });
  try {
    const system = await startSystem(scenario, name, { programs, folder, backends: backends.ports });
    try {
      return await use(system);
    } finally {
      await system.stop();
    }
  } finally {
    await backends.stop();
  }
}

function settle() {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

/**
 * Seconds from starting the process until the service that is discovered last is answered: 5,000 refers, whose 20,000 nodes are
 * found in the `file` registry. All nodes but one are lazy and nobody listens there.
 */
async function scaleStart(name, { programs, folder }) {
  const backends = await startBackends(forward, { programs, folder });
  const registry = join(folder, 'nodes');
  writeNodes(registry, backends.ports.motan);
  const config = join(folder, 'agent.yaml');
  writeFileSync(config, scaleConfig(folder, registry));
  const [port] = await freePorts(1);
  const startedMs = performance.now();
  const child = await launchAgent(name, programs, { config, forward: port, folder });
  try {
    await listening(port, child, SCALE_START_MS);
    const openMs = performance.now() - startedMs;
    // When the first probe is answered nothing was missing when the port opened: the probe's own time is not counted.
    const load = ['--target', `127.0.0.1:${port}`, '--service', serviceName(REFERS - 1)];
    const probes = await answers(programs.meshload, load, [child]);
    return (probes === 1 ? openMs : performance.now() - startedMs) / 1000;
  } finally {
    await stop(child);
    await backends.stop();
  }
}

/** Milliseconds that the data plane takes for a state in which one node of all is another: median over many changes. */
async function scaleApply() {
  const args = ['--import', 'tsx', join(ROOT, 'bench/micro/apply-state.ts'), '--json'];
  const said = await runOnce('taskset', ['-c', '0', process.execPath, ...args], {
    cwd: ROOT,
    timeoutMs: 120_000,
  });
  return JSON.parse(said.split('\n').at(-1)).applyMs;
}

function scaleConfig(folder, registry) {
  const refers = Array.from(
    { length: REFERS },
    (_, index) => `  refer-${index}:\n    path: ${serviceName(index)}\n    basicRefer: common\n`,
  );
  return `motan-agent: ${JSON.stringify(agentSection(folder))}
motan-registry:
  nodes:
    protocol: file
    path: ${registry}
motan-basicRefer:
  common:
    group: ${GROUP}
    protocol: motan2
    registry: nodes
    lazyInit: true
    filter: "accessLog,metrics"
motan-refer:
${refers.join('')}`;
}

/** Four nodes a service; the last has the echo server alone, and the first what it lacks of the 20,000. */
function writeNodes(registry, echoPort) {
  for (let index = 0; index < REFERS; index += 1) {
    const folder = join(registry, GROUP, serviceName(index));
    mkdirSync(folder, { recursive: true });
    const nodes = index === 0 ? NODES_PER_REFER * 2 - 1 : NODES_PER_REFER;
    const ports =
      index === REFERS - 1 ? [echoPort] : Array.from({ length: nodes }, (_, node) => FIRST_PORT + node);
    for (const port of ports) {
      const url = `motan2://127.0.0.1:${port}/${serviceName(index)}?group=${GROUP}`;
      writeFileSync(join(folder, `motan2~127.0.0.1~${port}.json`), JSON.stringify({ url }));
    }
  }
}

function serviceName(index) {
  return `com.example.scale.Service${index}`;
}
