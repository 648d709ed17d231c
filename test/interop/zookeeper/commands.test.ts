/** Commands in a real ZooKeeper: what becomes of them in every fault, and that motan-go reads the same from the same node. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandReport } from '../../../src/core/index.js';
import { CommandWatch } from '../../support/registry-contract.js';
import { zooKeeperPeer } from '../../support/zookeeper-server.js';
import { AGENT_APPLICATION, type Agent, SERVICE, startAgent, startPeony } from '../agent.js';
import { motanGo } from '../motan-go/peers.js';
import { eventually, makeFolder, peerTest, shared } from '../support.js';
import { node as listed, openRegistry, SERVERS, startServer, Tree, Wire } from './scene.js';

const WAIT_MS = 20_000;
const TEXT =
  '{"clientCommandList":[{"index":1,"commandType":0,"pattern":"*","mergeGroups":["cmd:3","other:1"]}]}';
const AGENT_TEXT = '{"clientCommandList":[{"index":1,"commandType":2,"pattern":"metricsReqApp:true"}]}';

const place = shared(async () => {
  const server = await startServer();
  return { server, tree: await Tree.open(server) };
});

/** As Java's registry of kind `zookeeper` writes a text. */
function javaText(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.from([0xac, 0xed, 0, 5, 0x74, 0, 0]);
  head.writeUInt16BE(bytes.length, 5);
  return Buffer.concat([head, bytes]);
}

function config(address: string) {
  const refer = { path: SERVICE, group: 'cmd', protocol: 'motan2', registry: 'zk', requestTimeout: 2000 };
  return {
    'motan-agent': { registry: 'zk' },
    'motan-registry': { zk: { protocol: 'zookeeper', address, registrySessionTimeout: 4 } },
    'motan-refer': { echo: refer },
  };
}

interface Wrapper {
  readonly name: string;
  readonly agentCommand: string;
  readonly serviceCommand: string;
  readonly commandHistory: Readonly<Record<string, string>>;
}

/** What an agent of either kind shows of its only cluster. */
async function wrapperOf(agent: Agent): Promise<Wrapper> {
  const { clusters } = JSON.parse(await agent.management('/runtime/info?keys=clusters')) as {
    clusters: Record<string, { registries: Record<string, Wrapper> }>;
  };
  return Object.values(Object.values(clusters)[0]!.registries)[0]!;
}

async function untilShown(agent: Agent, service: string, ofAgent: string): Promise<Wrapper> {
  return eventually(`${agent.kind} shows ${service} and ${ofAgent}`, WAIT_MS, async () => {
    const wrapper = await wrapperOf(agent);
    return wrapper.serviceCommand === service && wrapper.agentCommand === ofAgent && wrapper;
  });
}

async function scopesOf(agent: Agent): Promise<readonly CommandReport[]> {
  return (JSON.parse(await agent.management('/v1/commands')) as { scopes: CommandReport[] }).scopes;
}

peerTest(
  'motan-go and Peony read the same command from one node, and list themselves alike',
  [zooKeeperPeer, motanGo],
  async () => {
    const { server, tree } = await place();
    const [serviceNode, agentNode] = ['/motan/cmd/command', `/motan/agent/${AGENT_APPLICATION}/command`];
    await tree.write(serviceNode, TEXT);
    await tree.write(agentNode, javaText(AGENT_TEXT));

    const agents = await Promise.all([
      startAgent(config(server.address), 'motan-go'),
      startPeony(config(server.address)),
    ]);
    const [go, ours] = await Promise.all(agents.map((agent) => untilShown(agent, TEXT, AGENT_TEXT)));
    const otherText = TEXT.replace('cmd:3', 'cmd:5');
    await tree.set(serviceNode, javaText(otherText));
    await Promise.all(agents.map((agent) => untilShown(agent, otherText, AGENT_TEXT)));
    assert.equal(ours!.name, go!.name);
    assert.deepEqual(Object.keys(ours!).sort(), Object.keys(go!).sort());
    const scopes = await scopesOf(agents[1]!);
    assert.deepEqual(
      scopes.map((scope) => [scope.place, scope.source, scope.commands.map(({ kind }) => kind)]),
      [
        [agentNode, 'registry', ['switcher']],
        [serviceNode, 'registry', ['traffic']],
      ],
    );
    // motan-go lists itself with port 0 unless its configuration has `mport`.
    const parent = `/motan/agent/${AGENT_APPLICATION}/node`;
    const name = `127.0.0.1:${agents[1]!.managementPort}`;
    await tree.until(parent, ['127.0.0.1:0', name]);
    const [theirs, own] = await Promise.all(
      ['127.0.0.1:0', name].map((node) => tree.text(`${parent}/${node}`)),
    );
    const published = (text: string) => [...new URLSearchParams(text.split('?')[1]).keys()];
    assert.deepEqual(published(own!), published(theirs!));
    assert.match(own!, new RegExp(`^agent://${name}/${AGENT_APPLICATION}\\?.*&nodeType=agent`));
    await agents[1]!.process.stop('SIGTERM');
    assert.ok(!(await tree.names(parent)).includes(name));
  },
);

peerTest(
  'an agent that starts without its registry shows the command of before, until the registry says none',
  [zooKeeperPeer],
  async () => {
    const server = await startServer();
    const tree = await Tree.open(server);
    const folder = makeFolder();
    const settings = config(server.address);
    const kept = { ...settings, 'motan-agent': { ...settings['motan-agent'], snapshot_dir: folder } };
    await tree.write('/motan/cmd/command', TEXT);
    const first = await startPeony(kept);
    await eventually('the command is shown', WAIT_MS, async () => (await scopesOf(first))[1]?.text === TEXT);
    const [, received] = await scopesOf(first);
    await first.process.stop('SIGTERM');

    await server.kill();
    const second = await startPeony(kept);
    const saved = await eventually('the registry is in trouble', WAIT_MS, async () => {
      const [, scope] = await scopesOf(second);
      return scope?.source === 'saved' && scope.trouble !== null && scope;
    });
    await server.restart({ isWiped: true });
    await eventually('the command is cleared', WAIT_MS, async () => {
      const [, scope] = await scopesOf(second);
      return scope?.source === 'registry' && scope.text === null && scope.trouble === null;
    });
    await second.process.stop('SIGTERM');

    assert.equal(saved.text, TEXT);
    assert.equal(saved.receivedAtMs, received!.receivedAtMs);
    assert.deepEqual(
      saved.commands.map(({ kind }) => kind),
      ['traffic'],
    );
    assert.deepEqual(readdirSync(join(folder, '.peony', 'commands')), []);
  },
);

peerTest(
  'a command is followed through deletion, missing parents, odd data and ends of sessions',
  [zooKeeperPeer],
  async () => {
    const { server, tree } = await place();
    const wire = await Wire.to(server.port);
    const { registry } = openRegistry(wire.address);
    const watch = new CommandWatch();
    registry.subscribeCommand({ kind: 'service', group: 'deep/group' }, watch);
    const node = '/motan/deep/group/command';

    await watch.untilText(null);
    await tree.write(node, 'first');
    await watch.untilText('first');
    for (const path of [node, '/motan/deep/group', '/motan/deep']) await tree.delete(path);
    await watch.untilText(null);
    await tree.write(node, javaText('with parents again'));
    await watch.untilText('with parents again');
    await tree.set(node, Buffer.from([0xac, 0xed, 0, 5, 0x73, 1, 2, 3]));
    await watch.until(() =>
      watch.troubles.some((trouble) => trouble.includes('a Java object that is no text')),
    );
    assert.equal(watch.texts.at(-1), 'with parents again');
    await tree.set(node, 'x'.repeat(900_000));
    await watch.untilText('x'.repeat(900_000));
    wire.refuse();
    await watch.until(() => watch.troubles.length > 1);
    await tree.set(node, 'written while we were cut off');
    wire.heal();
    await watch.untilText('written while we were cut off');
    // A node of the session tells when the servers have given it up.
    registry.announce(listed(8001), 'available');
    await tree.until(SERVERS, ['127.0.0.1:8001']);
    wire.refuse();
    await tree.until(SERVERS, []);
    await tree.delete(node);
    wire.heal();
    await watch.untilText(null);
  },
);

peerTest(
  'a command that is deleted, or written all the time, costs few requests',
  [zooKeeperPeer],
  async () => {
    const { server, tree } = await place();
    const { registry } = openRegistry(server.address);
    const watch = new CommandWatch();
    registry.subscribeCommand({ kind: 'service', group: 'busy' }, watch);
    const node = '/motan/busy/command';
    await tree.write(node, 'x');
    await watch.untilText('x');
    await tree.delete(node);
    await watch.untilText(null);
    const received = async (): Promise<number> =>
      Number(/Received: (\d+)/.exec(await server.ask('srvr'))![1]);

    // Our requests take some time, in which a registry that spins makes as many of its own.
    const before = await received();
    for (let count = 0; count < 500; count += 1) await tree.client.stat(node);
    const idle = (await received()) - before - 500;
    await tree.write(node, 'y');
    const beforeWriting = await received();
    for (let count = 0; count < 500; count += 1) await tree.set(node, `text ${count}`);
    const writing = (await received()) - beforeWriting - 500;
    await watch.untilText('text 499');

    assert.ok(idle < 50, `${idle} requests while nothing changed`);
    assert.ok(writing < 250, `${writing} requests for 500 changes`);
  },
);

peerTest(
  'a command that may not be read is told with path and user, and not asked for again at once',
  [zooKeeperPeer],
  async () => {
    const { server, tree } = await place();
    await tree.write('/motan/closed', '');
    await tree.create('/motan/closed/command', TEXT, 'operator:x8Q0OqBNiKFmNZbX0jN1yQn9i4E=');
    const { registry } = openRegistry(server.address);
    const watch = new CommandWatch();
    registry.subscribeCommand({ kind: 'service', group: 'closed' }, watch);

    await watch.until(() => watch.troubles.length > 0);
    for (let count = 0; count < 100; count += 1) await tree.client.stat('/motan/closed');

    assert.equal(watch.troubles.length, 1);
    assert.match(watch.troubles[0]!, /\/motan\/closed\/command.*without credentials/);
    assert.equal(registry.report().lastError, watch.troubles[0]);
  },
);
