/**
 * A registry server as the tests of bridges play it: what is listed in a map, for registries that are opened on it. It keeps the rule for
 * copies, counts every write, and can be down or wiped.
 */
import {
  type Availability,
  isCopy,
  type MeshUrl,
  type NodeListener,
  type Registry,
  type ServiceName,
} from '../../src/core/index.js';

interface Listed {
  readonly node: MeshUrl;
  readonly owner: object;
}

interface Listening {
  readonly refer: MeshUrl;
  readonly listener: NodeListener;
}

export class FakePlace {
  readonly name: string;
  /** `group path address` to what is listed there. */
  readonly #listed = new Map<string, Listed>();
  readonly #listening = new Set<Listening>();
  readonly #opened = new Set<{ repair(): void }>();
  #isDown = false;
  /** Of all registries on it. */
  writes = 0;

  constructor(name: string) {
    this.name = name;
  }

  get texts(): string[] {
    return [...this.#listed.values()].map(({ node }) => node.toText()).sort();
  }

  nodeAt(address: string): MeshUrl | undefined {
    return [...this.#listed.values()].find(({ node }) => node.address === address)?.node;
  }

  /** As a program of the mesh does it: over whatever is there. */
  add(...nodes: readonly MeshUrl[]): void {
    for (const node of nodes) this.#listed.set(keyOf(node), { node, owner: this });
    this.#tellAll();
  }

  drop(...nodes: readonly MeshUrl[]): void {
    for (const node of nodes) this.#listed.delete(keyOf(node));
    this.#tellAll();
  }

  /** All is gone; registries put theirs again when `heal` is called. */
  wipe(): void {
    this.#listed.clear();
    this.#tellAll();
  }

  goDown(): void {
    this.#isDown = true;
    for (const { listener } of [...this.#listening]) listener.onTrouble(`${this.name} is down`);
  }

  comeUp(): void {
    this.#isDown = false;
    for (const registry of this.#opened) registry.repair();
    this.#tellAll();
  }

  open(id: string): Registry {
    const wanted = new Map<string, MeshUrl>();
    const owner = {};
    const put = (node: MeshUrl): void => {
      const there = this.#listed.get(keyOf(node));
      const isTheirs = there !== undefined && there.owner !== owner;
      if (this.#isDown || (isTheirs && isCopy(node) && !isCopy(there.node))) return;
      if (there?.owner === owner && there.node.toText() === node.toText()) return;
      this.writes += 1;
      this.#listed.set(keyOf(node), { node, owner });
      this.#tellAll();
    };
    const take = (node: MeshUrl): void => {
      if (this.#isDown || this.#listed.get(keyOf(node))?.owner !== owner) return;
      this.writes += 1;
      this.#listed.delete(keyOf(node));
      this.#tellAll();
    };
    this.#opened.add({ repair: () => [...wanted.values()].forEach(put) });
    return {
      id,
      protocol: 'fake',
      listServices: async () => this.#services(),
      subscribe: (refer, listener) => {
        const listening = { refer, listener };
        this.#listening.add(listening);
        setImmediate(() => this.#tell(listening));
        return { close: () => void this.#listening.delete(listening) };
      },
      commandPlace: () => null,
      subscribeCommand: () => ({ close: () => {} }),
      announce: (node: MeshUrl, _availability: Availability) => {
        wanted.set(node.identity, node);
        put(node);
      },
      withdraw: (node) => {
        wanted.delete(node.identity);
        take(node);
      },
      settled: async () => !this.#isDown,
      report: () => ({
        id,
        protocol: 'fake',
        address: this.name,
        lastContactMs: 0,
        lastError: null,
        announced: [],
        subscribed: [],
      }),
      close: async () => {
        for (const node of wanted.values()) take(node);
      },
    };
  }

  #services(): ServiceName[] {
    if (this.#isDown) throw new Error(`${this.name} is down`);
    const services = new Map<string, ServiceName>();
    for (const { node } of this.#listed.values())
      services.set(`${node.group} ${node.path}`, { group: node.group, path: node.path });
    return [...services.values()];
  }

  #tellAll(): void {
    for (const listening of [...this.#listening]) setImmediate(() => this.#tell(listening));
  }

  #tell(listening: Listening): void {
    if (!this.#listening.has(listening)) return;
    const { refer, listener } = listening;
    if (this.#isDown) {
      listener.onTrouble(`${this.name} is down`);
      return;
    }
    const nodes = [...this.#listed.values()].map(({ node }) => node);
    listener.onNodes(nodes.filter(({ group, path }) => group === refer.group && path === refer.path));
  }
}

function keyOf(node: MeshUrl): string {
  return `${node.group} ${node.path} ${node.address}`;
}
