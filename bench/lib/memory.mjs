/** Memory and scale of Peony alone; where motan-go is there, its memory beside it. Each figure comes from a fresh process. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './build.mjs';
import { freePort, portOpen, rssKib, runOnce, stop } from './processes.mjs';
import { agentSection, startAgent, startSystem } from './systems.mjs';

const IDLE_CONNECTIONS = 10_000;
/** Also the load generator holds a descriptor for each. */
const DESCRIPTORS_NEEDED = IDLE_CONNECTIONS + 500;
const SETTLE_MS = 2000;
const REFERS = 5000;
const NODES_PER_REFER = 4;
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
export async function connections(name, programs, echoPort, folder) {
  const limit = Number(await runOnce('bash', ['-c', 'ulimit -Hn'], { timeoutMs: SETTLE_MS }));
  if (limit < DESCRIPTORS_NEEDED) {
    throw new Error(
      `10,000 connections need ${DESCRIPTORS_NEEDED} open files, the limit of this machine is ${limit}`,
    );
  }
  const system = await startSystem(name, programs, echoPort, folder);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const args = ['idle', '--target', `127.0.0.1:${system.port}`, '--connections', String(IDLE_CONNECTIONS)];
  const watched = [...args, '--watch-pid', String(system.child.pid)];
  const result = JSON.parse(await runOnce(programs.meshload, watched, { timeoutMs: 120_000 }));
  await stop(system.child);
  return result.kib_per_connection;
}

/** Seconds from starting the process to its open forward port. The nodes are lazy: nobody listens there. */
export async function scaleStart(name, programs, _echoPort, folder) {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'agent.yaml');
  writeFileSync(config, scaleConfig(folder));
  const port = await freePort();
  const startedMs = performance.now();
  const child = await startAgent(name, programs, { config, port, folder });
  try {
    await portOpen(port, child, SCALE_START_MS);
    return (performance.now() - startedMs) / 1000;
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

function scaleConfig(folder) {
  const registries = [];
  const refers = [];
  for (let i = 0; i < REFERS; i += 1) {
    const nodes = Array.from(
      { length: NODES_PER_REFER },
      (_, n) => `127.0.${1 + (i >> 8)}.${i & 255 || 1}:${20_000 + n}`,
    );
    registries.push(`  nodes-${i}:\n    protocol: direct\n    address: "${nodes.join(',')}"\n`);
    refers.push(
      `  refer-${i}:\n    path: com.example.scale.Service${i}\n    registry: nodes-${i}\n    basicRefer: common\n`,
    );
  }
  return `${agentSection(folder)}
motan-registry:
${registries.join('')}
motan-basicRefer:
  common:
    group: bench-group
    protocol: motan2
    lazyInit: true
    filter: "accessLog,metrics"
motan-refer:
${refers.join('')}`;
}
