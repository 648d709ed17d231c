/** An agent with very many exports and refers at one registry: how it starts, what it costs while nothing changes, how it stops. */
import { setTimeout as pause } from 'node:timers/promises';
import { type RegistryKind, upTo } from '../../test/interop/registry-faults/registry-under-test.js';
import { Wire } from '../../test/interop/registry-faults/wire.js';
import { eventually, freePort } from '../../test/interop/support.js';
import { AgentProcess, type Sections } from './agent-process.js';
import { countRequests } from './requests.js';

const EXPORTS = 1_000;
const REFERS = 5_000;
const GROUPS = 20;
const START_MS_MAX = 120_000;
/** After the start, what it left behind is collected, in steps of eight seconds, and all that is due later for the first time has been. */
const SETTLE_MS = 25_000;
/** A look at everything costs the agent a tenth of a second. */
const LOOK_EVERY_MS = 500;
const FIRST_PORT = 10_000;

export interface Scale {
  readonly servingMs: number;
  readonly announcedMs: number;
  readonly rssMib: number;
  readonly cpuPercent: number;
  readonly requestsPerSecond: number;
  readonly stopMs: number;
  readonly leftListed: number;
}

/** Null: the same agent with the registry `direct`, which costs nothing. */
export async function measureScale(kind: RegistryKind | null, seconds: number): Promise<Scale> {
  const registry = kind === null ? null : await kind.start();
  const wire = registry === null ? null : await Wire.to(registry.port);
  if (registry !== null) await registry.listUrls(upTo(REFERS).map(nodeUrl));
  const requests = wire === null ? { count: 0 } : countRequests(kind!.name, wire);
  const entry =
    registry === null
      ? { protocol: 'direct', address: '127.0.0.1:10000' }
      : { ...registry.entry(wire!.address), registrySessionTimeout: 10, leaseTime: 15, lookInterval: 5 };

  const agent = await AgentProcess.start(sections(entry, await freePort()));
  await agent.get('/200');
  await eventually('all is announced and found', START_MS_MAX, async () => {
    await pause(LOOK_EVERY_MS);
    return await isComplete(agent, kind !== null);
  });
  const announcedMs = performance.now() - agent.beganMs;
  await pause(SETTLE_MS);
  const [cpuBefore, countBefore] = [agent.cpuSeconds, requests.count];
  await pause(seconds * 1000);
  const [cpu, count] = [agent.cpuSeconds - cpuBefore, requests.count - countBefore];
  const { rssMib } = agent;
  const stopMs = await agent.stop();
  let leftListed = 0;
  if (registry !== null)
    for (const index of upTo(EXPORTS))
      if (await registry.isListed(EXPORT_GROUP, `com.bench.Export${index}`)) leftListed += 1;
  return {
    servingMs: agent.servingMs,
    announcedMs,
    rssMib,
    cpuPercent: (cpu / seconds) * 100,
    requestsPerSecond: count / seconds,
    stopMs,
    leftListed,
  };
}

const EXPORT_GROUP = 'bench-export';

function sections(entry: Record<string, unknown>, exportPort: number): Sections {
  const shared = { registry: 'r', protocol: 'motan2' };
  const services = upTo(EXPORTS).map((index) => [
    `export-${index}`,
    {
      ...shared,
      path: `com.bench.Export${index}`,
      group: EXPORT_GROUP,
      serialization: 'simple',
      provider: 'http',
      proxyAddress: '127.0.0.1:9',
      export: `motan2:${exportPort}`,
    },
  ]);
  const refers = upTo(REFERS).map((index) => [
    `refer-${index}`,
    { ...shared, path: `com.bench.Refer${index}`, group: groupOf(index), lazyInit: true },
  ]);
  return {
    'motan-agent': { registry: 'r' },
    'motan-registry': { r: entry },
    'motan-service': Object.fromEntries(services),
    'motan-refer': Object.fromEntries(refers),
  };
}

function groupOf(index: number): string {
  return `bench-${index % GROUPS}`;
}

function nodeUrl(index: number): string {
  return `motan2://127.0.0.1:${FIRST_PORT + index}/com.bench.Refer${index}?group=${groupOf(index)}&nodeType=service`;
}

interface Status {
  readonly clusters: readonly { readonly endpoints: readonly unknown[] }[];
}

interface Registries {
  readonly registries: readonly {
    readonly announced: readonly { readonly desired: string; readonly seen: string }[];
  }[];
}

async function isComplete(agent: AgentProcess, isAnnounced: boolean): Promise<boolean> {
  const status = JSON.parse(await agent.get('/v1/status')) as Status & Registries;
  if (status.clusters.some(({ endpoints }) => endpoints.length === 0)) return false;
  if (!isAnnounced) return true;
  const { announced } = status.registries[0]!;
  return (
    announced.length === EXPORTS + 1 &&
    announced.every(({ desired, seen }) => desired === 'available' && seen === 'available')
  );
}
