/**
 * The books of an agent under load: what went in is what was answered, failed, refused or is still open, at every look. A look is one
 * answer of `/v1/status`, so the figures of a listener are of one moment.
 */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Agent } from './agent.js';
import { eventually } from './support.js';

/** One listener as `/v1/status` tells it; spread over all its looks by `keepsBooks`. */
export interface ListenerBook {
  readonly name: string;
  readonly in: number;
  readonly ok: number;
  readonly failed: number;
  readonly shed: number;
  readonly inFlight: number;
}

/** One backend as `/v1/status` tells it. */
export interface BackendBook {
  readonly inFlight: number;
  readonly queued: number;
  readonly refused: number;
  readonly connections: number;
  readonly connectionsMax: number;
  readonly lastError: string | null;
}

export interface AgentStatus {
  readonly listeners: readonly ListenerBook[];
  readonly exports: readonly { readonly service: string; readonly backend: BackendBook }[];
}

export async function statusOf(agent: Agent): Promise<AgentStatus> {
  return JSON.parse(await agent.management('/v1/status')) as AgentStatus;
}

/** By name: `forward`, `http`, or an export. */
export function listenerOf(status: AgentStatus, name: string): ListenerBook {
  const found = status.listeners.find((listener) => listener.name === name);
  assert.ok(found !== undefined, `no listener ${name} in ${JSON.stringify(status.listeners)}`);
  return found;
}

/** Resident bytes of the agent's process, as its own metrics say. */
export async function residentBytes(agent: Agent): Promise<number> {
  const metrics = await agent.management('/metrics');
  const found = /^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)$/m.exec(metrics);
  assert.ok(found !== null, 'the metrics tell the memory of the process');
  return Number(found[1]);
}

/** Between two looks: often enough to meet calls in every state, seldom enough to leave the agent its core. */
const LOOK_MS = 25;
/** Until calls that nobody waits for any more are over. */
const SETTLE_MS_MAX = 15_000;

export interface Watched<T> {
  readonly value: T;
  readonly looks: number;
  /** The last status of each agent, when nothing was in flight any more. */
  readonly statuses: readonly AgentStatus[];
  /** Largest figures of the backends over all looks and agents. */
  readonly most: { inFlight: number; queued: number; connections: number };
}

/** Runs `load` and asserts the balance of every listener of the agents at every look, and that nothing is left in flight in the end. */
export async function keepsBooks<T>(agents: readonly Agent[], load: () => Promise<T>): Promise<Watched<T>> {
  let isOver = false;
  let looks = 0;
  const most = { inFlight: 0, queued: 0, connections: 0 };
  const look = async (agent: Agent): Promise<AgentStatus> => {
    const status = await statusOf(agent);
    for (const listener of status.listeners) assertBalanced(listener);
    for (const { backend } of status.exports) {
      most.inFlight = Math.max(most.inFlight, backend.inFlight);
      most.queued = Math.max(most.queued, backend.queued);
      most.connections = Math.max(most.connections, backend.connections);
    }
    looks += 1;
    return status;
  };
  const watch = async (agent: Agent): Promise<void> => {
    while (!isOver) {
      await look(agent);
      await pause(LOOK_MS);
    }
  };
  const watching = Promise.all(agents.map(watch));
  // A breach is told at once; the load of a test that failed ends with its processes.
  const breach = new Promise<never>((_resolve, reject) => watching.catch(reject));
  const value = await Promise.race([load(), breach]);
  isOver = true;
  await watching;
  const statuses: AgentStatus[] = [];
  for (const agent of agents) {
    const settled = await eventually('nothing is in flight', SETTLE_MS_MAX, async () => {
      const status = await look(agent);
      return status.listeners.every((listener) => listener.inFlight === 0) ? status : null;
    });
    statuses.push(settled);
  }
  return { value, looks, statuses, most };
}

function assertBalanced(listener: ListenerBook): void {
  const { name, ok, failed, shed, inFlight } = listener;
  assert.equal(
    ok + failed + shed + inFlight,
    listener.in,
    `books of listener ${name} do not balance: ${JSON.stringify(listener)}`,
  );
}
