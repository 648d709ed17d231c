/**
 * One service on its way from one registry to another.
 *
 *   source says its nodes --held when too many vanish at once--> wanted --not there itself--> copy in the target, with a mark
 *                                                                       --the node itself comes--> copy withdrawn
 *
 * What keeps bridges from going round in circles: a node with the mark is never copied, by any bridge; and what is in the target without
 * it is never touched, because drivers let a copy give way. A node is known by its address: two protocols at one address are one process.
 */
import {
  type Clock,
  COPY_MARK,
  isCopy,
  MeshUrl,
  type Registry,
  type ServiceName,
  type Subscription,
} from '../../core/index.js';
import type { TellBridgeEvent } from './bridge-event.js';
import { HeldNodes, type NodesByAddress } from './held-nodes.js';

/** A process that ends leaves both registries, and the target may be the first to tell. */
const NATIVE_GONE_MS = 5_000;
/** A copy that is lost again and again is put back no more often. */
const RESTORE_MS = 5_000;

export interface ServiceCopyDeps {
  readonly service: ServiceName;
  readonly from: Registry;
  readonly to: Registry;
  /** Value of the mark: which registry the copies are from. */
  readonly mark: string;
  readonly holdMs: number;
  /** Nothing is written. */
  readonly isDry: boolean;
  readonly clock: Clock;
  readonly tell: TellBridgeEvent;
}

interface Copy {
  readonly node: MeshUrl;
  /** The target has told it. */
  wasSeen: boolean;
  restoredMs: number;
}

export interface ServiceCounts {
  readonly copied: number;
  /** Among them those that the source does not tell any more. */
  readonly held: number;
  readonly skipped: number;
}

export class ServiceCopy {
  readonly #deps: ServiceCopyDeps;
  readonly #held: HeldNodes;
  readonly #copies = new Map<string, Copy>();
  /** Address, perhaps with the protocol before it, to why it is not copied, as it was told. */
  #skipped = new Map<string, string>();
  /** Of the source's last answer, what cannot be copied. */
  #unfit = new Map<string, string>();
  /** Addresses that the target has itself; null before its first answer. */
  #natives: ReadonlySet<string> | null = null;
  /** Those that it had, until when they are waited for. */
  readonly #goneUntilMs = new Map<string, number>();
  #sourceTrouble: string | null = null;
  #targetTrouble: string | null = null;
  #isSourceHeard = false;
  readonly #subscriptions: readonly Subscription[];
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: ServiceCopyDeps) {
    this.#deps = deps;
    this.#held = new HeldNodes(deps.holdMs);
    const { from, to, service } = deps;
    const refer = referOf(service);
    this.#subscriptions = [
      from.subscribe(refer, {
        onNodes: (nodes) => this.#onSource(nodes),
        onTrouble: (message) => this.#onSourceTrouble(message),
      }),
      to.subscribe(refer, {
        onNodes: (nodes) => this.#onTarget(nodes),
        onTrouble: (message) => this.#onTargetTrouble(message),
      }),
    ];
  }

  /** Both registries have answered. */
  get isHeard(): boolean {
    return this.#isSourceHeard && this.#natives !== null;
  }

  /** Nothing is left to do for a service that the source lists no more. */
  get isIdle(): boolean {
    return this.#isSourceHeard && this.#held.nodes.size === 0 && this.#copies.size === 0;
  }

  get counts(): ServiceCounts {
    return { copied: this.#copies.size, held: this.#held.heldCount, skipped: this.#skipped.size };
  }

  /** Withdraws all copies. */
  close(): void {
    for (const subscription of this.#subscriptions) subscription.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { node } of this.#copies.values()) if (!this.#deps.isDry) this.#deps.to.withdraw(node);
    this.#copies.clear();
  }

  #onSource(nodes: readonly MeshUrl[]): void {
    const { clock, tell } = this.#deps;
    if (this.#sourceTrouble !== null) tell('recovered', null, this.#deps.from.id);
    this.#sourceTrouble = null;
    this.#isSourceHeard = true;
    const wasHeld = this.#held.heldCount;
    this.#held.resume(clock.nowMs());
    this.#held.take(this.#fitOf(nodes), clock.nowMs());
    const { heldCount } = this.#held;
    if (heldCount > 0 && wasHeld === 0)
      tell('held', null, `${heldCount} nodes vanished at once: they stay for ${this.#deps.holdMs / 1000} s`);
    this.#settle();
  }

  #onSourceTrouble(message: string): void {
    if (this.#sourceTrouble === null) this.#deps.tell('trouble', null, `${this.#deps.from.id}: ${message}`);
    this.#sourceTrouble = message;
    this.#held.suspend();
  }

  #onTarget(nodes: readonly MeshUrl[]): void {
    const { clock, tell, to } = this.#deps;
    if (this.#targetTrouble !== null) tell('recovered', null, to.id);
    this.#targetTrouble = null;
    const natives = new Set<string>();
    const listed = new Set<string>();
    for (const node of nodes) {
      listed.add(node.address);
      if (!isCopy(node)) natives.add(node.address);
    }
    for (const address of this.#natives ?? [])
      if (!natives.has(address)) this.#goneUntilMs.set(address, clock.nowMs() + NATIVE_GONE_MS);
    this.#natives = natives;
    this.#settle();
    for (const [address, copy] of this.#copies) {
      if (listed.has(address)) copy.wasSeen = true;
      else if (copy.wasSeen) this.#restore(copy);
    }
  }

  #onTargetTrouble(message: string): void {
    if (this.#targetTrouble === null) this.#deps.tell('trouble', null, `${this.#deps.to.id}: ${message}`);
    this.#targetTrouble = message;
  }

  /** Nodes that may be copied, by address; others are noted, but for copies. */
  #fitOf(nodes: readonly MeshUrl[]): NodesByAddress {
    const fit = new Map<string, MeshUrl>();
    this.#unfit = new Map();
    // In one order, so that every bridge chooses the same of two at one address.
    const natives = nodes.filter((node) => !isCopy(node));
    for (const node of natives.sort((one, other) => (one.identity < other.identity ? -1 : 1))) {
      const reason =
        this.#whyUnfit(node) ?? (fit.has(node.address) ? 'another protocol at this address' : null);
      if (reason === null) fit.set(node.address, node);
      else this.#unfit.set(`${node.protocol}://${node.address}`, reason);
    }
    return fit;
  }

  #whyUnfit(node: MeshUrl): string | null {
    const { group, path } = this.#deps.service;
    if (node.group !== group || node.path !== path)
      return `its url is of service ${node.path} in group ${node.group}`;
    return null;
  }

  /** Makes the copies those that should be. */
  #settle(): void {
    if (!this.isHeard) return;
    const { clock, mark } = this.#deps;
    const natives = this.#natives!;
    const nowMs = clock.nowMs();
    for (const [address, untilMs] of this.#goneUntilMs)
      if (untilMs <= nowMs || natives.has(address)) this.#goneUntilMs.delete(address);
    const skipped = new Map(this.#unfit);
    const wanted = new Map<string, MeshUrl>();
    for (const [address, node] of this.#held.nodes) {
      if (natives.has(address)) skipped.set(address, 'there itself');
      else if (this.#goneUntilMs.has(address)) skipped.set(address, 'was there itself until just now');
      else wanted.set(address, node.withParameter(COPY_MARK, mark));
    }
    for (const [address, { node }] of this.#copies)
      if (!wanted.has(address)) this.#withdraw(address, node, natives.has(address));
    // A source that cannot be asked may be wrong about who is there, and the target is right about who is.
    if (this.#sourceTrouble === null) for (const [address, node] of wanted) this.#announce(address, node);
    this.#tellSkipped(skipped);
    this.#plan();
  }

  #announce(address: string, node: MeshUrl): void {
    const { to, isDry, tell } = this.#deps;
    const before = this.#copies.get(address);
    if (before !== undefined && before.node.toText() === node.toText()) return;
    if (before !== undefined && before.node.identity !== node.identity && !isDry) to.withdraw(before.node);
    this.#copies.set(address, {
      node,
      wasSeen: before?.wasSeen ?? false,
      restoredMs: before?.restoredMs ?? Number.NEGATIVE_INFINITY,
    });
    if (!isDry) to.announce(node, 'available');
    tell(before === undefined ? 'copied' : 'changed', node.toText());
  }

  #withdraw(address: string, node: MeshUrl, isNative: boolean): void {
    const { to, isDry, tell } = this.#deps;
    this.#copies.delete(address);
    if (!isDry) to.withdraw(node);
    tell(isNative ? 'yielded' : 'removed', node.toText());
  }

  /** Somebody has taken a copy out, such as another bridge that had it too and ended. */
  #restore(copy: Copy): void {
    const { to, clock, isDry, tell } = this.#deps;
    const nowMs = clock.nowMs();
    copy.wasSeen = false;
    if (isDry || nowMs - copy.restoredMs < RESTORE_MS) return; // the registry looks after it, a little later
    copy.restoredMs = nowMs;
    to.withdraw(copy.node);
    to.announce(copy.node, 'available');
    tell('restored', copy.node.toText());
  }

  #tellSkipped(skipped: Map<string, string>): void {
    for (const [address, reason] of skipped)
      if (this.#skipped.get(address) !== reason) this.#deps.tell('skipped', address, reason);
    this.#skipped = skipped;
  }

  /** Comes back when something is over. */
  #plan(): void {
    const { clock, tell } = this.#deps;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const atMs = Math.min(this.#held.untilMs ?? Number.POSITIVE_INFINITY, ...this.#goneUntilMs.values());
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        const { heldCount } = this.#held;
        if (this.#held.expire(clock.nowMs())) tell('let-go', null, `${heldCount} nodes stayed away`);
        this.#settle();
      },
      Math.max(1, Math.ceil(atMs - clock.nowMs())),
    );
  }
}

function referOf({ group, path }: ServiceName): MeshUrl {
  return new MeshUrl({ protocol: 'motan2', group, path, parameters: new Map([['nodeType', 'referer']]) });
}
