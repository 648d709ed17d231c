/** Memory and scale of Peony alone; where motan-go is there, its memory beside it. Each figure comes from a fresh process. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './build.mjs';
import { freePort, portOpen, rssKib, runOnce, stop } from './processes.mjs';
import { agentSection, answers, startAgent, startSystem } from './systems.mjs';

const IDLE_CONNECTIONS = 10_000;
/** Also the load generator holds a descriptor for each. */
const DESCRIPTORS_NEEDED = IDLE_CONNECTIONS + 500;
const SETTLE_MS = 2000;
const REFERS = 5000;
const NODES_PER_REFER = 4;
const GROUP = 'bench-group';
/** Below the ports that the system gives out, so that none of them is the echo server's. */
const FIRST_PORT = 20_000;
const SCALE_START_MS = 120_000;

/** Resident memory in MB, some seconds after the first calls were answered. */
export async function idle(name, programs, echoPort, folder) {
  const system = await startSystem(name, programs, echoPort, folder);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const mb = rssKib(system.child.pid) / 1024;
  await stop(system.child);
  return mb;
}

/** KB (1,024 bytes) of resident memory for each connection that was opened, and has said nothing yet. */
export function connections(name, programs, echoPort, folder) {
  return perConnection(name, programs, echoPort, folder, []);
}

/** As `connections`, when each has had one heartbeat answered: what a connection allocates at its first bytes is in. */
export function connectionsUsed(name, programs, echoPort, folder) {
  return perConnection(name, programs, echoPort, folder, ['--heartbeat']);
}

async function perConnection(name, programs, echoPort, folder, more) {
  const limit = Number(await runOnce('bash', ['-c', 'ulimit -Hn'], { timeoutMs: SETTLE_MS }));
  if (limit < DESCRIPTORS_NEEDED) {
    throw new Error(
      `10,000 connections need ${DESCRIPTORS_NEEDED} open files, the limit of this machine is ${limit}`,
    );
  }
  const system = await startSystem(name, programs, echoPort, folder);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const args = ['idle', '--target', `127.0.0.1:${system.port}`, '--connections', String(IDLE_CONNECTIONS)];
  const watched = [...args, '--watch-pid', String(system.child.pid), ...more];
  const result = JSON.parse(await runOnce(programs.meshload, watched, { timeoutMs: 120_000 }));
  await stop(system.child);
  return result.kib_per_connection;
}

/**
 * Seconds from starting the process until the service that is discovered last is answered: 5,000 refers, whose 20,000 nodes are
 * found in the `file` registry. All nodes but one are lazy and nobody listens there.
 */
export async function scaleStart(name, programs, echoPort, folder) {
  const registry = join(folder, 'nodes');
  writeNodes(registry, echoPort);
  const config = join(folder, 'agent.yaml');
  writeFileSync(config, scaleConfig(folder, registry));
  const port = await freePort();
  const startedMs = performance.now();
  const child = await startAgent(name, programs, { config, port, folder });
  try {
    await portOpen(port, child, SCALE_START_MS);
    const openMs = performance.now() - startedMs;
    // When the first probe is answered nothing was missing when the port opened: the probe's own time is not counted.
    const probes = await answers(programs.meshload, port, ['--service', serviceName(REFERS - 1)]);
    return (probes === 1 ? openMs : performance.now() - startedMs) / 1000;
  } finally {
    await stop(child);
  }
}

/** Milliseconds that the data plane takes for a state in which one node of all is another: median over many changes. */
export async function scaleApply() {
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
  return `${agentSection(folder)}
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
