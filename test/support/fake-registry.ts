/** A registry whose answers the test gives. Passes what is announced to nobody. */
import type {
  Availability,
  MeshUrl,
  NodeListener,
  Registry,
  RegistryReport,
  Subscription,
} from '../../src/core/index.js';

export class FakeRegistry implements Registry {
  readonly id: string;
  readonly protocol: string;
  readonly subscriptions = new Set<{ readonly refer: MeshUrl; readonly listener: NodeListener }>();
  readonly announced = new Map<string, Availability>();

  constructor(id: string, protocol = 'fake') {
    this.id = id;
    this.protocol = protocol;
  }

  /** Tells all subscribers of a service; `group` narrows it. */
  tell(service: string, nodes: readonly MeshUrl[], group: string | null = null): void {
    for (const { refer, listener } of [...this.subscriptions]) {
      if (refer.path === service && (group === null || refer.group === group)) listener.onNodes(nodes);
    }
  }

  trouble(message: string): void {
    for (const { listener } of [...this.subscriptions]) listener.onTrouble(message);
  }

  subscribe(refer: MeshUrl, listener: NodeListener): Subscription {
    const subscription = { refer, listener };
    this.subscriptions.add(subscription);
    return { close: () => void this.subscriptions.delete(subscription) };
  }

  announce(node: MeshUrl, availability: Availability): void {
    this.announced.set(node.identity, availability);
  }

  withdraw(node: MeshUrl): void {
    this.announced.delete(node.identity);
  }

  async settled(): Promise<boolean> {
    return true;
  }

  report(): RegistryReport {
    const { id, protocol } = this;
    return { id, protocol, address: '', lastContactMs: null, lastError: null, announced: [], subscribed: [] };
  }

  async close(): Promise<void> {
    this.subscriptions.clear();
  }
}
