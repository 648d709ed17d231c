/** A registry whose answers the test gives. Passes what is announced to nobody. */
import type {
  Availability,
  CommandListener,
  CommandScope,
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
  readonly commandSubscriptions = new Set<{
    readonly scope: CommandScope;
    readonly listener: CommandListener;
  }>();
  holdsCommands = true;

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
    for (const { listener } of [...this.commandSubscriptions]) listener.onTrouble(message);
  }

  subscribe(refer: MeshUrl, listener: NodeListener): Subscription {
    const subscription = { refer, listener };
    this.subscriptions.add(subscription);
    return { close: () => void this.subscriptions.delete(subscription) };
  }

  commandPlace(scope: CommandScope): string | null {
    return this.holdsCommands ? `/fake/${keyOf(scope)}` : null;
  }

  subscribeCommand(scope: CommandScope, listener: CommandListener): Subscription {
    const subscription = { scope, listener };
    this.commandSubscriptions.add(subscription);
    return { close: () => void this.commandSubscriptions.delete(subscription) };
  }

  /** Tells all who watch the commands of a group; `agent:` before it means the agents of an application. */
  tellCommand(name: string, text: string | null): void {
    for (const { scope, listener } of [...this.commandSubscriptions])
      if (keyOf(scope) === name) listener.onCommand(text);
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
    this.commandSubscriptions.clear();
  }
}

function keyOf(scope: CommandScope): string {
  return scope.kind === 'service' ? scope.group : `agent:${scope.application}`;
}
