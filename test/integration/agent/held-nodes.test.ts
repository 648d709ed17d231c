/** A registry that loses nodes suddenly, seen from outside: they are used while they answer, until somebody says that it is right. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { exceptionReply, HEARTBEAT, heartbeatReply } from '../../support/frames.js';
import type { ScriptedUpstream } from '../../support/scripted-peer.js';
import { peony } from '../cli-programs.js';
import {
  type AgentProcess,
  call,
  eventually,
  fileRegistry,
  Home,
  listNode,
  SERVICE,
  startUpstream,
} from './agent-process.js';

const WAIT_MS = 20_000;

interface Scene {
  readonly agent: AgentProcess;
  readonly upstreams: readonly ScriptedUpstream[];
  /** Takes the nodes with these indexes out of the registry, all at once. */
  lose(...indexes: number[]): void;
  peony(...words: string[]): ReturnType<typeof peony>;
}

interface Held {
  readonly node: string;
  readonly why: string;
  readonly probe: string;
}

/** Five nodes in the file registry, all in use. */
async function scene(t: TestContext): Promise<Scene> {
  const home = await Home.make(t);
  const directory = home.path('registry');
  mkdirSync(directory);
  const upstreams: ScriptedUpstream[] = [];
  for (let count = 0; count < 5; count += 1) upstreams.push(await startUpstream(t));
  const files = upstreams.map(({ port }) => listNode(directory, port));
  const config = { ...fileRegistry(directory), 'motan-agent': { discoveryHoldSilence: 3 } };
  const agent = await home.start(t, { config });
  await eventually('five nodes', async () => (await agent.nodes()).length === 5, WAIT_MS);
  return {
    agent,
    upstreams,
    lose: (...indexes) => {
      for (const index of indexes) rmSync(files[index]!);
    },
    peony: (...words) => peony([...words, '--mport', `${home.managementPort}`]),
  };
}

/** Nodes of the cluster, also those that cannot be called. */
async function nodeCount({ agent }: Scene): Promise<number> {
  return (await agent.status()).clusters[0]!.endpoints.length;
}

async function held({ agent }: Scene): Promise<readonly Held[]> {
  const { body } = await agent.get('/v1/discovery');
  const { refers } = JSON.parse(body) as { refers: { registries: { held: Held[] }[] }[] };
  return refers.flatMap(({ registries }) => registries.flatMap((registry) => registry.held));
}

describe('held nodes', { concurrency: 3 }, () => {
  test('of five nodes three that are lost at once stay in use while they answer, and go when the registry is accepted', async (t) => {
    const made = await scene(t);
    const { agent, upstreams } = made;

    made.lose(0, 1, 2);
    await eventually(
      'three held nodes that answer',
      async () => {
        const nodes = await held(made);
        return nodes.length === 3 && nodes.every(({ probe }) => probe === 'answers');
      },
      WAIT_MS,
    );
    const inUse = await agent.nodes();
    const shown = await made.peony('registry');
    const status = JSON.parse((await agent.get('/status')).body);
    const metric = await agent.metric(
      `peony_discovery_held_nodes{cluster="g1_1.0_motan2_${SERVICE}",service="${SERVICE}",group="g1"}`,
    );
    const refused = await made.peony('registry', 'accept');
    const accepted = await made.peony('registry', 'accept', '--service', SERVICE);
    await eventually('two nodes', async () => (await agent.nodes()).length === 2, WAIT_MS);

    assert.equal(inUse.length, 5);
    assert.match(shown.stdout, /5 nodes, 3 of them held/);
    assert.match(shown.stdout, /too many lost at once +answers/);
    assert.deepEqual(status.body.held, [{ group: 'g1', name: SERVICE, nodes: 3 }]);
    assert.equal(metric, 3);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /group, service or all=true is needed/);
    assert.equal(accepted.stdout, 'refer hello: 3 nodes let go\n');
    assert.deepEqual(
      (await agent.nodes()).sort(),
      upstreams
        .slice(3)
        .map(({ port }) => `127.0.0.1:${port}`)
        .sort(),
    );
    assert.equal((await call(await agent.caller(t), 1n)).versionStatus & 7, 0);
  });

  test('a held node that ends, and one that does not have the service any more, go; the others stay', async (t) => {
    const made = await scene(t);
    const { agent, upstreams } = made;
    upstreams[1]!.script = (frame, connection) => {
      if ((frame.type & HEARTBEAT) !== 0) connection.send(heartbeatReply(frame.id));
      else connection.send(exceptionReply(frame.id, 404, 1, `provider not exist serviceKey=${SERVICE}`));
    };

    made.lose(0, 1, 2);
    await eventually('three held nodes', async () => (await held(made)).length === 3, WAIT_MS);
    await upstreams[0]!.stop();
    const caller = await agent.caller(t);
    let id = 0n;
    await eventually(
      'two of them to be gone',
      async () => {
        id += 1n;
        await call(caller, id);
        return (await held(made)).length === 1;
      },
      WAIT_MS,
    );

    assert.match((await held(made))[0]!.node, new RegExp(`:${upstreams[2]!.port}/`));
    assert.equal((await agent.nodes()).length, 3);
  });

  test('the last nodes stay although nobody answers, and go when the registry is accepted', async (t) => {
    const made = await scene(t);

    for (const upstream of made.upstreams) await upstream.stop();
    made.lose(0, 1, 2, 3, 4);
    await eventually(
      'five silent nodes',
      async () => {
        const nodes = await held(made);
        return nodes.length === 5 && nodes.every(({ probe }) => probe === 'silent');
      },
      WAIT_MS,
    );
    const inUse = await nodeCount(made);
    await made.peony('registry', 'accept', '--all');

    assert.equal(inUse, 5);
    await eventually('no node', async () => (await nodeCount(made)) === 0, WAIT_MS);
  });
});
