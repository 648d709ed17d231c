/**
 * The part that registries without a server share: every subscription is answered once, after `subscribe` has returned,
 * and announcing has no effect, because there is nowhere to announce to (spec agent 6.3).
 */
import type {
  Availability,
  CommandListener,
  CommandScope,
  MeshUrl,
  NodeListener,
  Registry,
  RegistryReport,
  Subscription,
} from '../../core/index.js';

interface FixedSubscription {
  readonly refer: MeshUrl;
  readonly nodes: number;
}

export abstract class FixedAnswerRegistry implements Registry {
  readonly id: string;
  readonly protocol: string;
  readonly #subscriptions = new Set<FixedSubscription>();

  constructor(id: string, protocol: string) {
    this.id = id;
    this.protocol = protocol;
  }

  /** What every subscription to `refer` is told: the nodes, or the trouble as text. */
  protected abstract answer(refer: MeshUrl): readonly MeshUrl[] | string;
  protected abstract readonly address: string;
  protected abstract readonly lastError: string | null;
  /** Unix ms; null for a registry that never answers. */
  protected abstract readonly lastContactMs: number | null;

  subscribe(refer: MeshUrl, listener: NodeListener): Subscription {
    const answer = this.answer(refer);
    const subscription: FixedSubscription = { refer, nodes: typeof answer === 'string' ? 0 : answer.length };
    this.#subscriptions.add(subscription);
    queueMicrotask(() => {
      if (!this.#subscriptions.has(subscription)) return;
      if (typeof answer === 'string') listener.onTrouble(answer);
      else listener.onNodes(answer);
    });
    return { close: () => void this.#subscriptions.delete(subscription) };
  }

  commandPlace(_scope: CommandScope): string | null {
    return null;
  }

  subscribeCommand(_scope: CommandScope, _listener: CommandListener): Subscription {
    return { close: () => {} };
  }

  announce(_node: MeshUrl, _availability: Availability): void {}

  withdraw(_node: MeshUrl): void {}

  async settled(_withinMs: number): Promise<boolean> {
    return true;
  }

  report(): RegistryReport {
    return {
      id: this.id,
      protocol: this.protocol,
      address: this.address,
      lastContactMs: this.lastContactMs,
      lastError: this.lastError,
      announced: [],
      subscribed: [...this.#subscriptions].map(({ refer, nodes }) => ({
        service: refer.path,
        group: refer.group,
        nodes,
      })),
    };
  }

  async close(): Promise<void> {
    this.#subscriptions.clear();
  }
}
