/** Consul for the fault matrix, with the intervals that users have: they are Motan Java's, and no entry changes them. */
import { MeshUrl } from '../../../src/core/index.js';
import { type ConsulServer, consulPeer } from '../../support/consul-server.js';
import { startServer } from '../consul/scene.js';
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

/** A transaction takes no more. */
const STEPS_MAX = 64;
/** Rubbish and the crowd stand at machines of their own: what stands at the agent's own it takes for a mistake. */
const ODD_NODE = 'odd';
const CROWD_NODE = 'crowd';
const ACL = ['acl { enabled = true, default_policy = "deny", tokens { master = "root", agent = "root" } }'];

/** Tags of services that are none: not escaped, no url, no port, another protocol, a Java object, too long. */
const RUBBISH: readonly (readonly string[])[] = [
  ['URL_%zz'],
  [],
  ['URL_', 'protocol_motan2'],
  [`URL_${encodeURIComponent(`motan2://h/${SERVICE}?group=${GROUP}`)}`],
  [`URL_${encodeURIComponent(`dubbo://127.0.0.1:1/${SERVICE}?group=${GROUP}`)}`],
  ['URL_\u00ac\u00ed\u0000\u0005t\u0000\u0005hello'],
  [`URL_${'a'.repeat(3_000)}`, 'protocol_motan'],
  ['URL_{"url":"motan2://127.0.0.1:1/x"}'],
];

interface HealthEntry {
  readonly Service: { readonly ID: string; readonly Address: string; readonly Port: number };
}

class ConsulUnderTest implements RegistryUnderTest {
  readonly intervalMs = 20_000;
  readonly lapseMs = null;
  readonly #server: ConsulServer;

  constructor(server: ConsulServer) {
    this.#server = server;
  }

  get port(): number {
    return this.#server.port;
  }

  entry(address: string): Record<string, unknown> {
    return { protocol: 'consul', address, token: 'agents-word' }; // where nothing is closed a token is not looked at
  }

  kill(): Promise<void> {
    return this.#server.kill();
  }

  restart(options: { readonly isWiped: boolean }): Promise<void> {
    return this.#server.restart(options);
  }

  pause(): void {
    this.#server.pause();
  }

  resume(): void {
    this.#server.resume();
  }

  async addresses(): Promise<readonly string[]> {
    const entries = (await this.#server.ask(
      'GET',
      `health/service/motanrpc_${GROUP}?passing`,
    )) as HealthEntry[];
    return entries
      .filter(({ Service }) => Service.ID.includes(`-${SERVICE}`))
      .map(({ Service }) => `${Service.Address}:${Service.Port}`);
  }

  async isListed(group: string, path: string): Promise<boolean> {
    const entries = (await this.#server.ask(
      'GET',
      `health/service/motanrpc_${group}?passing`,
    )) as HealthEntry[];
    return entries.some(({ Service }) => Service.ID.includes(`-${path}@`));
  }

  async list(port: number): Promise<void> {
    await this.#server.ask('PUT', 'agent/service/register', {
      ID: `127.0.0.1:${port}-${SERVICE}`,
      Name: `motanrpc_${GROUP}`,
      Tags: tagsOf(nodeUrl(port)),
      Address: '127.0.0.1',
      Port: port,
    });
  }

  async unlist(port: number): Promise<void> {
    await this.#server.ask('PUT', `agent/service/deregister/127.0.0.1:${port}-${SERVICE}`);
  }

  async empty(): Promise<void> {
    const services = (await this.#server.ask('GET', 'agent/services')) as Record<string, unknown>;
    for (const id of Object.keys(services))
      await this.#server.ask('PUT', `agent/service/deregister/${encodeURIComponent(id)}`);
  }

  async addRubbish(count: number): Promise<void> {
    await this.#register(
      ODD_NODE,
      upTo(count).map((index) =>
        entryOf(`odd-${index}`, RUBBISH[index % RUBBISH.length]!, 1, `motanrpc_${GROUP}`),
      ),
    );
  }

  async removeRubbish(): Promise<void> {
    await this.#server.ask('PUT', 'catalog/deregister', { Node: ODD_NODE });
  }

  async listCrowd(count: number, weight: number): Promise<void> {
    await this.#register(
      CROWD_NODE,
      upTo(count).map((index) => {
        const port = 10_000 + index;
        const id = `127.0.0.1:${port}-${CROWD}`;
        return entryOf(id, tagsOf(crowdUrl(index, weight)), port, `motanrpc_${CROWD}`);
      }),
    );
  }

  async listUrls(urls: readonly string[]): Promise<void> {
    await this.#register(
      CROWD_NODE,
      urls.map((text) => {
        const { group, path, address, port } = MeshUrl.parse(text);
        return entryOf(`${address}-${path}`, tagsOf(text), port, `motanrpc_${group}`);
      }),
    );
  }

  async lockOut(wires: readonly Wire[]): Promise<() => Promise<void>> {
    const closed = await startServer({ settings: ACL, token: 'root' });
    for (const wire of wires) wire.lead(closed.port);
    return () => closed.close();
  }

  async #register(node: string, entries: readonly object[]): Promise<void> {
    await this.#server.ask('PUT', 'catalog/register', { Node: node, Address: '127.0.0.1' });
    await inSlices(entries, STEPS_MAX, (some) =>
      this.#server.ask(
        'PUT',
        'txn',
        some.map((entry) => ({ Service: { Verb: 'set', Node: node, Service: entry } })),
      ),
    );
  }
}

function entryOf(id: string, tags: readonly string[], port: number, name: string): object {
  return { ID: id, Service: name, Tags: tags, Address: '127.0.0.1', Port: port };
}

function tagsOf(url: string): readonly string[] {
  return ['protocol_motan2', `URL_${encodeURIComponent(url)}`];
}

export const consul: RegistryKind = {
  name: 'consul',
  peer: consulPeer,
  start: async () => new ConsulUnderTest(await startServer({ isPersistent: true })),
};
