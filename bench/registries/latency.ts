/**
 * How long after a node was listed, by a client of its own, the first call of an agent's callers arrives there; and how long after it was taken
 * out the last one does. A call is made every millisecond, and goes to one of two nodes.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { GROUP, type RegistryKind, SERVICE } from '../../test/interop/registry-faults/registry-under-test.js';
import { eventually } from '../../test/interop/support.js';
import { request } from '../../test/support/frames.js';
import { connectPeer, echo, ScriptedUpstream } from '../../test/support/scripted-peer.js';
import { AgentProcess } from './agent-process.js';

const FOUND_MS_MAX = 30_000;
/** Without a call for so long it is let go: half of all calls went there. */
const SILENT_MS = 60;
/** Changes do not keep time with what the agent does. */
const PAUSE_MS_MAX = 60;

export interface Latency {
  readonly changes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly goneP50Ms: number;
  readonly goneP99Ms: number;
}

export async function measureLatency(kind: RegistryKind, changes: number): Promise<Latency> {
  const registry = await kind.start();
  const standing = await startNode();
  const changing = await startNode();
  await registry.list(standing.port);
  const agent = await AgentProcess.start({
    'motan-registry': { r: registry.entry(`127.0.0.1:${registry.port}`) },
    'motan-refer': {
      echo: { protocol: 'motan2', registry: 'r', path: SERVICE, group: GROUP, requestTimeout: 2000 },
    },
  });
  const caller = await connectPeer({ port: agent.port });
  caller.onFrame = () => {};
  let id = 0n;
  const timer = setInterval(() => {
    id += 1n;
    caller.send(request({ id, service: SERVICE, metadata: { M_g: GROUP } }));
  }, 1);

  const [found, gone]: [number[], number[]] = [[], []];
  // The first changes warm up the just-in-time compilers, also the server's.
  for (let change = -10; change < changes; change += 1) {
    await pause(Math.random() * PAUSE_MS_MAX);
    const listMs = performance.now();
    const first = changing.nextCall();
    await registry.list(changing.port);
    const foundMs = await first;
    await pause(Math.random() * PAUSE_MS_MAX);
    const unlistMs = performance.now();
    await registry.unlist(changing.port);
    await eventually('the node is let go', FOUND_MS_MAX, async () => {
      return performance.now() - changing.lastMs > SILENT_MS && performance.now() - unlistMs > SILENT_MS;
    });
    if (change < 0) continue;
    found.push(foundMs - listMs);
    gone.push(Math.max(0, changing.lastMs - unlistMs));
  }
  clearInterval(timer);
  caller.close();
  await agent.stop();
  return {
    changes,
    p50Ms: quantile(found, 0.5),
    p99Ms: quantile(found, 0.99),
    maxMs: quantile(found, 1),
    goneP50Ms: quantile(gone, 0.5),
    goneP99Ms: quantile(gone, 0.99),
  };
}

interface Node {
  readonly port: number;
  lastMs: number;
  /** When the next call arrives. */
  nextCall(): Promise<number>;
}

async function startNode(): Promise<Node> {
  let onCall: ((atMs: number) => void) | null = null;
  const upstream = await ScriptedUpstream.start((frame, connection) => {
    if ((frame.type & 0x10) === 0) {
      node.lastMs = performance.now();
      onCall?.(node.lastMs);
      onCall = null;
    }
    echo(frame, connection);
  });
  upstream.keepsRequests = false;
  const node: Node = {
    port: upstream.port,
    lastMs: 0,
    nextCall: () =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error('a node was not found')), FOUND_MS_MAX);
        onCall = (atMs) => {
          clearTimeout(late);
          resolve(atMs);
        };
      }),
  };
  return node;
}

/** Of the values as they are: p99 of 200 is the third highest. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}
