/**
 * The fault matrix: everything that happens to registries, on each of them, under calls. Of every cell the same holds:
 *
 *   no call fails, or stays without an answer; what an agent was asked is ok, failed, shed or in flight
 *   within two intervals the registration is true again, as a client of its own sees it
 *   a node that is listed then is found and called, and let go when it is taken out
 *
 * The kinds run beside each other, so the file takes as long as the slowest. `PEONY_FAULT_ROUNDS=N` goes through the table N times,
 * `PEONY_FAULT_KINDS=redis,consul` through some columns, `PEONY_FAULT_RESULTS=FILE` appends a line of JSON for each cell,
 * `PEONY_FAULT_LONG=1` adds the cells that take a minute.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Agent } from '../../../src/agent/agent.js';
import { peerOrSkip } from '../../support/peers.js';
import { echo, ScriptedUpstream } from '../../support/scripted-peer.js';
import { atEnd, endAll, eventually, shared } from '../support.js';
import { consul } from './consul-kind.js';
import { Mesh } from './mesh.js';
import { redis } from './redis-kind.js';
import { CROWD, type RegistryKind, type RegistryUnderTest, SERVICE } from './registry-under-test.js';
import { zookeeper } from './zookeeper-kind.js';

const ALL = [zookeeper, consul, redis];
const KINDS = (process.env.PEONY_FAULT_KINDS ?? 'zookeeper,consul,redis').split(',');
const ROUNDS = Number(process.env.PEONY_FAULT_ROUNDS ?? 1);
const IS_LONG = (process.env.PEONY_FAULT_LONG ?? '') !== '';
const RESULTS = process.env.PEONY_FAULT_RESULTS ?? '';

/** What a loaded machine takes beside. */
const SLACK_MS = 10_000;
const SEEN_MS_MAX = 30_000;
/** Where nodes do not lapse within a test, an outage is longer than any answer is waited for. */
const OUTAGE_MS = 5_500;
const FLAPS = 50;
const FLAP_MS = 80;
const CROWD_NODES = 10_000;
const ODD_NODES = 2_000;
const DAY_MS = 86_400_000;

interface Scene {
  readonly registry: RegistryUnderTest;
  readonly mesh: Mesh;
  /** A node that is there and not listed. */
  readonly newcomer: ScriptedUpstream;
  newcomerCalls: number;
}

interface Fault {
  readonly name: string;
  /** Resolves when it is over. */
  happen(scene: Scene): Promise<void>;
  appliesTo?(registry: RegistryUnderTest): boolean;
}

/** In the order in which they happen to one pair of agents, which lives through all of them. */
const FAULTS: readonly Fault[] = [
  {
    name: 'is killed and restarted with its data',
    async happen({ registry }) {
      await registry.kill();
      await registry.restart({ isWiped: false });
    },
  },
  {
    name: 'is killed and restarted without its data',
    async happen({ registry }) {
      await registry.kill();
      await registry.restart({ isWiped: true });
    },
  },
  {
    name: 'is emptied while it runs',
    async happen({ registry }) {
      await registry.empty();
    },
  },
  {
    name: 'refuses connections',
    async happen({ registry, mesh }) {
      for (const wire of mesh.wires) wire.refuse();
      for (const agent of agentsOf(mesh)) await untilTrouble(agent, /ECONN|refused|closed|hang up/i);
      await pause((registry.lapseMs ?? 0) + 500);
      for (const wire of mesh.wires) wire.heal();
    },
  },
  {
    name: 'is black-holed by the network',
    async happen({ registry, mesh }) {
      for (const wire of mesh.wires) wire.blackHole();
      await pause(registry.lapseMs === null ? OUTAGE_MS : registry.lapseMs + 500);
      for (const wire of mesh.wires) wire.heal();
    },
  },
  {
    name: 'stands still',
    async happen({ registry }) {
      registry.pause();
      await pause(registry.lapseMs === null ? OUTAGE_MS : registry.lapseMs + 500);
      registry.resume();
    },
  },
  {
    name: 'loses the provider alone, until its nodes have lapsed',
    appliesTo: ({ lapseMs }) => lapseMs !== null || IS_LONG,
    async happen({ registry, mesh }) {
      mesh.providerWire.blackHole();
      await eventually(
        'the nodes have lapsed',
        60_000,
        async () => (await registry.addresses()).length === 0,
      );
      mesh.providerWire.heal();
    },
  },
  {
    name: 'is slow by half a second',
    async happen({ registry, mesh, newcomer }) {
      for (const wire of mesh.wires) wire.slow(500);
      await registry.list(newcomer.port);
      await untilKnown(mesh, [newcomer.port]);
      await registry.unlist(newcomer.port);
      await untilKnown(mesh, []);
      for (const wire of mesh.wires) wire.heal();
    },
  },
  {
    name: 'is full of rubbish',
    async happen({ registry, mesh, newcomer }) {
      await registry.addRubbish(ODD_NODES);
      await untilTrouble(mesh.caller, /left out|no JSON|makes no sense|; and \d+ more/);
      await registry.list(newcomer.port);
      await untilKnown(mesh, [newcomer.port]);
      await registry.unlist(newcomer.port);
      await registry.removeRubbish();
    },
  },
  {
    name: 'is another server',
    async happen({ mesh }) {
      const stranger = http.createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
      await once(stranger, 'listening');
      const { port } = stranger.address() as AddressInfo;
      for (const wire of mesh.wires) wire.lead(port);
      for (const [index, agent] of agentsOf(mesh).entries()) {
        const trouble = await untilTrouble(agent, /./);
        assert.ok(trouble.startsWith(mesh.wires[index]!.address), trouble);
      }
      for (const wire of mesh.wires) wire.heal();
      stranger.close();
    },
  },
  {
    name: 'refuses the credentials',
    async happen({ registry, mesh }) {
      const letIn = await registry.lockOut(mesh.wires);
      await untilTrouble(mesh.caller, /auth|403|not permitted/i);
      await untilTrouble(mesh.provider, /auth|403|not permitted/i);
      for (const wire of mesh.wires) wire.heal();
      await letIn();
    },
  },
  {
    name: 'is lost and found fifty times',
    async happen({ mesh }) {
      for (let flap = 0; flap < FLAPS; flap += 1) {
        for (const wire of mesh.wires) wire.cut();
        await pause(FLAP_MS);
      }
    },
  },
  {
    name: 'has ten thousand nodes that come, and change, at once',
    async happen({ registry, mesh }) {
      for (const weight of [1, 2]) {
        await registry.listCrowd(CROWD_NODES, weight);
        await eventually(`all have weight ${weight}`, SEEN_MS_MAX, async () => {
          const urls = [...mesh.endpoints(CROWD).values()];
          return urls.length === CROWD_NODES && urls.every((url) => url.includes(`weight=${weight}`));
        });
      }
    },
  },
  {
    name: 'is used by agents whose clocks jump by a day',
    async happen({ mesh }) {
      for (const aheadMs of [DAY_MS, -DAY_MS, 0]) {
        mesh.clock.aheadMs = aheadMs;
        for (const wire of mesh.wires) wire.cut();
        await pause(300);
      }
    },
  },
];

describe('the fault matrix', { concurrency: ALL.length }, () => {
  after(endAll);
  for (const kind of ALL.filter(({ name }) => KINDS.includes(name))) ofKind(kind);
});

function ofKind(kind: RegistryKind): void {
  describe(kind.name, { concurrency: 1 }, () => {
    const scene = shared(() => startScene(kind));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const fault of FAULTS) {
        test(`no call fails, and all is true again, when ${kind.name} ${fault.name}`, async (t) => {
          const { name, available, hint } = kind.peer;
          if (!peerOrSkip(t, name, available, hint)) return;
          const prepared = await scene();
          if (fault.appliesTo?.(prepared.registry) ?? true) await prove(t, kind, fault, prepared);
        });
      }
    }
  });
}

async function startScene(kind: RegistryKind): Promise<Scene> {
  const registry = await kind.start();
  const mesh = await Mesh.start(registry);
  const newcomer = await ScriptedUpstream.start((frame, connection) => {
    if ((frame.type & 0x10) === 0) scene.newcomerCalls += 1;
    echo(frame, connection);
  });
  newcomer.keepsRequests = false;
  atEnd(() => newcomer.stop());
  const scene: Scene = { registry, mesh, newcomer, newcomerCalls: 0 };
  return scene;
}

async function prove(t: TestContext, kind: RegistryKind, fault: Fault, scene: Scene): Promise<void> {
  const { registry, mesh, newcomer } = scene;
  const { calls } = mesh;
  const answeredBefore = calls.answered;
  calls.slowestMs = 0;

  const beganMs = performance.now();
  await fault.happen(scene);
  const overMs = performance.now();
  await eventually('the registration is true', 2 * registry.intervalMs + SLACK_MS, async () => {
    const addresses = await registry.addresses().catch((): string[] => []); // it may be on its way back
    return addresses.includes(`127.0.0.1:${mesh.exportPort}`);
  });
  const trueMs = performance.now();
  const callsBefore = scene.newcomerCalls;
  await registry.list(newcomer.port);
  await eventually('a new node is called', SEEN_MS_MAX, async () => scene.newcomerCalls > callsBefore);
  const foundMs = performance.now();
  await registry.unlist(newcomer.port);
  await untilKnown(mesh, []);
  for (const agent of agentsOf(mesh)) await untilTrue(agent);
  await calls.allAnswered();

  const failures = calls.failures.splice(0);
  const round = (ms: number): number => Math.round(ms);
  const cell = {
    kind: kind.name,
    fault: fault.name,
    faultMs: round(overMs - beganMs),
    trueAfterMs: round(trueMs - overMs),
    foundAfterMs: round(foundMs - trueMs),
    calls: calls.answered - answeredBefore,
    failed: failures.length,
    slowestMs: round(calls.slowestMs),
  };
  t.diagnostic(JSON.stringify(cell));
  if (RESULTS !== '') appendFileSync(RESULTS, `${JSON.stringify(cell)}\n`);
  assert.deepEqual(failures, [], `of ${cell.calls} calls`);
  for (const agent of agentsOf(mesh)) assertBalanced(agent);
}

function agentsOf(mesh: Mesh): readonly [provider: Agent, caller: Agent] {
  return [mesh.provider, mesh.caller];
}

/** Waits until the caller's agent knows the provider and these, and nobody else. */
async function untilKnown(mesh: Mesh, ports: readonly number[]): Promise<void> {
  const wanted = [mesh.exportPort, ...ports].map((port) => `127.0.0.1:${port}`).sort();
  await eventually(`the caller knows ${wanted.join(' and ')}`, SEEN_MS_MAX, async () => {
    return [...mesh.endpoints(SERVICE).keys()].sort().join() === wanted.join();
  });
}

/** What the agent's only registry says is wrong. */
async function untilTrouble(agent: Agent, wanted: RegExp): Promise<string> {
  return await eventually(`the report says ${wanted}`, SEEN_MS_MAX, async () => {
    const { lastError } = agent.registries()[0]!;
    return lastError !== null && wanted.test(lastError) ? lastError : null;
  });
}

/** By its own report nothing is wrong, and all that it wants is there. */
async function untilTrue(agent: Agent): Promise<void> {
  let last = '';
  try {
    await eventually('the report is good', SEEN_MS_MAX, async () => {
      const { announced, lastError } = agent.registries()[0]!;
      last = JSON.stringify({ announced, lastError });
      return lastError === null && announced.every(({ desired, seen }) => desired === seen);
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${last}`);
  }
}

function assertBalanced(agent: Agent): void {
  for (const { name, in: all, ok, failed, shed, inFlight } of agent.report().listeners)
    assert.equal(all, ok + failed + shed + inFlight, name);
}
