/**
 * A small mesh under load: a scripted caller, an agent that refers to a service, an agent that exports it, a backend. Both agents are whole
 * Peony agents, and what they know of each other they know from a registry, each over a wire of its own.
 *
 *   caller --Motan2--> agent (refer) --Motan2--> agent (export) --Motan2--> backend
 *                        '---wire--- registry ---wire---'
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Agent } from '../../../src/agent/agent.js';
import { FLAGS, loadConfig, parseGoFlags } from '../../../src/control/config/index.js';
import type { Clock } from '../../../src/core/index.js';
import { exceptionOf, type Frame, request } from '../../support/frames.js';
import { connectPeer, echo, type PeerConnection, ScriptedUpstream } from '../../support/scripted-peer.js';
import { atEnd, eventually, freePort, makeFolder } from '../support.js';
import { CROWD, GROUP, type RegistryUnderTest, SERVICE } from './registry-under-test.js';
import { Wire } from './wire.js';

/** Of a loaded machine; what is waited for takes milliseconds. */
const START_MS_MAX = 30_000;
const CALLS_PER_SECOND = 200;
/** No call takes so long, however the machine is: one that does got no answer. */
const ANSWER_MS_MAX = 10_000;

/** A clock that can jump, as that of a machine does that was set wrong. */
export class JumpyClock implements Clock {
  aheadMs = 0;

  nowMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now() + this.aheadMs;
  }
}

export class Mesh {
  readonly clock: JumpyClock;
  readonly provider: Agent;
  readonly caller: Agent;
  readonly providerWire: Wire;
  readonly callerWire: Wire;
  /** Where the provider's agent takes calls. */
  readonly exportPort: number;
  readonly calls: CallStream;

  private constructor(parts: Omit<Mesh, 'wires' | 'endpoints'>) {
    this.clock = parts.clock;
    this.provider = parts.provider;
    this.caller = parts.caller;
    this.providerWire = parts.providerWire;
    this.callerWire = parts.callerWire;
    this.exportPort = parts.exportPort;
    this.calls = parts.calls;
  }

  static async start(registry: RegistryUnderTest): Promise<Mesh> {
    const clock = new JumpyClock();
    const backend = await ScriptedUpstream.start(echo);
    backend.keepsRequests = false;
    atEnd(() => backend.stop());
    const [providerWire, callerWire] = [await Wire.to(registry.port), await Wire.to(registry.port)];
    const exportPort = await freePort();
    const provider = await startAgent(clock, {
      'motan-agent': { application: 'provider', registry: 'r' },
      'motan-registry': { r: registry.entry(providerWire.address) },
      'motan-service': {
        echo: {
          path: SERVICE,
          group: GROUP,
          registry: 'r',
          serialization: 'simple',
          provider: 'motan2',
          proxy: `motan2:${backend.port}`,
          export: `motan2:${exportPort}`,
        },
      },
    });
    await provider.setServing(true);
    const refer = { protocol: 'motan2', registry: 'r', requestTimeout: 2000, retries: 0 };
    const caller = await startAgent(clock, {
      'motan-agent': { application: 'caller' },
      'motan-registry': { r: registry.entry(callerWire.address) },
      'motan-refer': {
        echo: { ...refer, path: SERVICE, group: GROUP, connectRetryInterval: 100 },
        crowd: { ...refer, path: CROWD, group: CROWD, lazyInit: true },
      },
    });
    const mesh = { clock, provider, caller, providerWire, callerWire, exportPort };
    await eventually('the caller knows the provider', START_MS_MAX, async () =>
      isAvailable(caller, `127.0.0.1:${exportPort}`),
    );
    const calls = await CallStream.start(caller.port('forward'));
    return new Mesh({ ...mesh, calls });
  }

  get wires(): readonly Wire[] {
    return [this.providerWire, this.callerWire];
  }

  /** What the caller's agent knows of a service: address to text of the url. */
  endpoints(service: string): ReadonlyMap<string, string> {
    const cluster = this.caller.state()?.clusters.find(({ url }) => url.path === service);
    return new Map(cluster?.endpoints.map(({ node }) => [node.address, node.toText()]));
  }
}

function isAvailable(agent: Agent, address: string): boolean {
  return agent
    .report()
    .clusters.some(({ endpoints }) => endpoints.some((one) => one.address === address && one.available));
}

async function startAgent(clock: Clock, sections: Record<string, Record<string, unknown>>): Promise<Agent> {
  const folder = makeFolder();
  const section = {
    host: '127.0.0.1',
    runtime_dir: join(folder, 'runtime'),
    snapshot_dir: join(folder, 'snapshot'),
    pidfile: join(folder, 'agent.pid'),
    log_dir: folder,
    ...sections['motan-agent'],
  };
  const file = join(folder, 'agent.yaml');
  writeFileSync(file, stringify({ ...sections, 'motan-agent': section }));
  const [port, mport] = [await freePort(), await freePort()];
  const words = ['-c', file, '-port', `${port}`, '-mport', `${mport}`, '-localIP', '127.0.0.1'];
  const { flags, exit } = parseGoFlags(words);
  assert.equal(exit, null, `the flags are those of ${Object.keys(FLAGS).join()}`);
  const { config } = loadConfig({ flags, env: {}, cwd: folder });
  const agent = new Agent({ config, program: 'peony', clock });
  atEnd(async () => void (await agent.stop(1_000)));
  assert.equal(await agent.start(), true);
  return agent;
}

/** Calls at an even pace, whatever becomes of them. */
export class CallStream {
  readonly #connection: PeerConnection;
  readonly #open = new Map<bigint, number>();
  readonly #timer: NodeJS.Timeout;
  #nextId = 1n;
  answered = 0;
  slowestMs = 0;
  /** What failed calls were told. */
  readonly failures: string[] = [];

  private constructor(connection: PeerConnection) {
    this.#connection = connection;
    connection.onFrame = (frame) => this.#onAnswer(frame);
    this.#timer = setInterval(() => this.#call(), 1000 / CALLS_PER_SECOND);
    atEnd(async () => {
      clearInterval(this.#timer);
      connection.close();
    });
  }

  static async start(port: number): Promise<CallStream> {
    return new CallStream(await connectPeer({ port }));
  }

  /** Resolves when all calls that were made until now are answered. */
  async allAnswered(): Promise<void> {
    const lastId = this.#nextId - 1n;
    await eventually('all calls are answered', ANSWER_MS_MAX, async () => {
      for (const id of this.#open.keys()) return id > lastId;
      return true;
    });
  }

  #call(): void {
    const id = this.#nextId;
    this.#nextId += 1n;
    this.#open.set(id, performance.now());
    this.#connection.send(request({ id, service: SERVICE, metadata: { M_g: GROUP } }));
  }

  #onAnswer(frame: Frame): void {
    const beganMs = this.#open.get(frame.id);
    if (beganMs === undefined) this.failures.push(`an answer to call ${frame.id}, which is not open`);
    else this.slowestMs = Math.max(this.slowestMs, performance.now() - beganMs);
    this.#open.delete(frame.id);
    this.answered += 1;
    if ((frame.versionStatus & 7) !== 0) this.failures.push(exceptionOf(frame).errmsg);
  }
}
