/** ZooKeeper for the fault matrix. Sessions last two seconds, as the server is told. */
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { JuteWriter } from '../../../src/control/registry/zookeeper/jute.js';
import { MeshUrl } from '../../../src/core/index.js';
import { type ZooKeeperServer, zooKeeperPeer } from '../../support/zookeeper-server.js';
import { startServer, Tree } from '../zookeeper/scene.js';
import {
  CROWD,
  crowdUrl,
  GROUP,
  inSlices,
  nodeUrl,
  type RegistryKind,
  type RegistryUnderTest,
  SERVICE,
  upTo,
} from './registry-under-test.js';
import type { Wire } from './wire.js';

const SERVERS = `/motan/${GROUP}/${SERVICE}/server`;
const CROWD_SERVERS = `/motan/${CROWD}/${CROWD}/server`;
const SET_ACL = 7;
const ALL_RIGHTS = 31;
/** Who owns the tree while the agents may not use it. */
const OWNER = 'owner:word';
const OWNER_ID = `owner:${createHash('sha1').update(OWNER).digest('base64')}`;
const SESSION_MS = 2_000;

/** Content that no node has: no url, no port, a Java object that is cut off, one that is no text, JSON, and names nobody expects. */
const RUBBISH: readonly (readonly [name: string, data: string | Buffer])[] = [
  ['broken', 'motan2://'],
  ['no-port', `motan2://127.0.0.1/${SERVICE}?group=${GROUP}`],
  ['cut-off', Buffer.from('aced00057400', 'hex')],
  ['java-text', Buffer.concat([Buffer.from('aced0005740005', 'hex'), Buffer.from('hello')])],
  ['java-map', Buffer.from('aced0005737200116a6176612e7574696c2e486173684d6170', 'hex')],
  ['json', '{"url":"motan2://127.0.0.1:1/x"}'],
  ['dubbo', `dubbo://127.0.0.1:1/${SERVICE}?group=${GROUP}`],
  ['bytes', Buffer.from([0, 255, 254, 13, 10])],
  ['%2F..%2F\u00e9', 'motan2://127.0.0.1:99999/x'],
];

class ZooKeeperUnderTest implements RegistryUnderTest {
  readonly intervalMs = 10_000;
  readonly lapseMs = SESSION_MS;
  readonly #server: ZooKeeperServer;
  #tree: Promise<Tree> | null = null;

  constructor(server: ZooKeeperServer) {
    this.#server = server;
  }

  get port(): number {
    return this.#server.port;
  }

  entry(address: string): Record<string, unknown> {
    return { protocol: 'zookeeper', address, registrySessionTimeout: SESSION_MS / 1000 };
  }

  kill(): Promise<void> {
    return this.#server.kill();
  }

  async restart(options: { readonly isWiped: boolean }): Promise<void> {
    await this.#server.restart(options);
    // A session knows how much it has seen, and refuses a server that has less.
    if (options.isWiped) this.#tree = null;
  }

  pause(): void {
    this.#server.pause();
  }

  resume(): void {
    this.#server.resume();
  }

  async addresses(): Promise<readonly string[]> {
    return await (await this.#open()).names(SERVERS);
  }

  async isListed(group: string, path: string): Promise<boolean> {
    return (await (await this.#open()).names(`/motan/${group}/${path}/server`)).length > 0;
  }

  async list(port: number): Promise<void> {
    await (await this.#open()).write(`${SERVERS}/127.0.0.1:${port}`, nodeUrl(port));
  }

  async unlist(port: number): Promise<void> {
    await (await this.#open()).delete(`${SERVERS}/127.0.0.1:${port}`);
  }

  async empty(): Promise<void> {
    await removeBelow(await this.#open(), '/motan');
  }

  async addRubbish(count: number): Promise<void> {
    const tree = await this.#open();
    await inSlices(upTo(count), 500, (some) =>
      Promise.all(
        some.map((index) => {
          const [name, data] = RUBBISH[index % RUBBISH.length]!;
          return tree.create(`${SERVERS}/${name}-${index}`, data);
        }),
      ),
    );
  }

  async removeRubbish(): Promise<void> {
    const tree = await this.#open();
    const odd = (await tree.names(SERVERS)).filter((name) => !name.startsWith('127.0.0.1:'));
    await inSlices(odd, 500, (some) => Promise.all(some.map((name) => tree.delete(`${SERVERS}/${name}`))));
  }

  async listCrowd(count: number, weight: number): Promise<void> {
    const tree = await this.#open();
    if (weight === 1) await tree.write(CROWD_SERVERS, '');
    await inSlices(upTo(count), 1_000, (some) =>
      Promise.all(
        some.map((index) => {
          const path = `${CROWD_SERVERS}/127.0.0.1:${10_000 + index}`;
          const url = crowdUrl(index, weight);
          return weight === 1 ? tree.create(path, url) : tree.set(path, url);
        }),
      ),
    );
  }

  async listUrls(urls: readonly string[]): Promise<void> {
    const tree = await this.#open();
    // Parents that they share are made once, not by all at the same time.
    for (const group of new Set(urls.map((text) => MeshUrl.parse(text).group)))
      await tree.write(`/motan/${group}/first`, '');
    await inSlices(urls, 500, (some) =>
      Promise.all(
        some.map((text) => {
          const { group, path, address } = MeshUrl.parse(text);
          return tree.write(`/motan/${group}/${path}/server/${address}`, text);
        }),
      ),
    );
  }

  async lockOut(wires: readonly Wire[]): Promise<() => Promise<void>> {
    const tree = await this.#open();
    const paths = ['server', 'unavailableServer'].map((role) => `/motan/${GROUP}/${SERVICE}/${role}`);
    await Promise.all(paths.map((path) => setRights(tree, path, 'digest', OWNER_ID)));
    // Rights are asked for when something is read or written, so by a session that is new.
    for (const wire of wires) wire.blackHole();
    await pause(SESSION_MS + 500);
    for (const wire of wires) wire.heal();
    return async () => {
      await Promise.all(paths.map((path) => setRights(tree, path, 'world', 'anyone')));
    };
  }

  async #open(): Promise<Tree> {
    this.#tree ??= Tree.open(this.#server, OWNER);
    return await this.#tree;
  }
}

async function removeBelow(tree: Tree, path: string): Promise<void> {
  const names = await tree.names(path);
  await Promise.all(names.map((name) => removeBelow(tree, `${path}/${name}`)));
  await tree.delete(path).catch(() => {}); // somebody was quicker, or has listed something below again
}

async function setRights(tree: Tree, path: string, scheme: string, id: string): Promise<void> {
  if ((await tree.client.stat(path)) === null) return;
  const write = (writer: JuteWriter): void => {
    writer.text(path).int(1).int(ALL_RIGHTS).text(scheme).text(id).int(-1);
  };
  await tree.session.request(path, SET_ACL, write, () => {});
}

export const zookeeper: RegistryKind = {
  name: 'zookeeper',
  peer: zooKeeperPeer,
  start: async () => new ZooKeeperUnderTest(await startServer()),
};
