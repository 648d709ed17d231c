/**
 * The nodes of one refer in one group: what each of its registries said last, and what is held against its word.
 *
 *   usable nodes          they replace what this registry said before, unless too many are missing: those are held
 *   nothing usable        the same; and without nodes of another registry at hand the last ones stay (spec agent 6.2)
 *   trouble               the last ones stay
 *
 * So a registry that loses its contents, or answers for an empty moment, never takes the last node away.
 */
import type {
  Clock,
  HeldNodeReport,
  HoldSettings,
  Logger,
  MeshUrl,
  ReferRegistryReport,
  Registry,
  Subscription,
} from '../../core/index.js';
import { KnownNodes } from './known-nodes.js';
import { isUsable } from './usable-node.js';

export interface GroupNodesDeps {
  /** The refer, with this group. */
  readonly refer: MeshUrl;
  readonly registries: readonly Registry[];
  /** Place of a registry's id among the priorities: 0 is the best. */
  readonly priorityOf: (registryId: string) => number;
  readonly hold: HoldSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told after every answer and every trouble. */
  onHeard(): void;
}

export interface RegistryAnswer {
  readonly registry: Registry;
  readonly priority: number;
  readonly known: KnownNodes;
  /** An answer or trouble has come. */
  isHeard: boolean;
  /** In words for an operator; null when the last thing heard was an answer. */
  trouble: string | null;
}

export class GroupNodes {
  readonly refer: MeshUrl;
  /** The best priority first, and of equals in the order of the refer. */
  readonly answers: readonly RegistryAnswer[];
  readonly #deps: GroupNodesDeps;
  readonly #subscriptions: Subscription[] = [];

  constructor(deps: GroupNodesDeps) {
    this.#deps = deps;
    this.refer = deps.refer;
    this.answers = deps.registries
      .map((registry) => ({
        registry,
        priority: deps.priorityOf(registry.id),
        known: new KnownNodes(),
        isHeard: false,
        trouble: null,
      }))
      .sort((one, other) => one.priority - other.priority);
  }

  get hasNodes(): boolean {
    return this.answers.some(({ known }) => known.all.length > 0);
  }

  get isHeard(): boolean {
    return this.answers.every((answer) => answer.isHeard);
  }

  get heldCount(): number {
    return this.answers.reduce((sum, { known }) => sum + known.held.size, 0);
  }

  /** How many priorities have nodes. */
  get levelCount(): number {
    return new Set(this.answers.flatMap(({ priority, known }) => (known.all.length > 0 ? [priority] : [])))
      .size;
  }

  subscribe(): void {
    for (const answer of this.answers) {
      const subscription = answer.registry.subscribe(this.refer, {
        onNodes: (nodes) => this.#onNodes(answer, nodes),
        onTrouble: (message) => this.#onTrouble(answer, message),
      });
      this.#subscriptions.push(subscription);
    }
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.close();
    this.#subscriptions.length = 0;
  }

  /** Lets go what is overdue, but never all that there is, nor when all are silent: then it may be us. Returns whether anything went. */
  expire(): boolean {
    const { hold, clock, logger } = this.#deps;
    if (hold.lossPercent === 0 || !this.answers.some(({ known }) => known.hasLife)) return false;
    const overdue = this.answers.map(({ known }) => known.overdue(hold, clock.nowMs()));
    const overdueCount = overdue.reduce((sum, addresses) => sum + addresses.length, 0);
    const allCount = this.answers.reduce((sum, { known }) => sum + known.all.length, 0);
    if (overdueCount === 0 || overdueCount === allCount) return false;
    for (const [index, { known, registry }] of this.answers.entries()) {
      const addresses = overdue[index]!;
      if (addresses.length === 0) continue;
      known.letGo(addresses);
      const about = { ...this.#about(registry), nodes: addresses.length, still: known.held.size };
      logger.info(about, 'held nodes go: they do not answer, or were held for long enough');
    }
    return true;
  }

  /** Believes all registries. Returns how many held nodes go. */
  accept(): number {
    const count = this.heldCount;
    for (const { known } of this.answers) known.accept();
    return count;
  }

  reports(): ReferRegistryReport[] {
    return this.answers.map(({ registry, priority, known, isHeard, trouble }) => ({
      id: registry.id,
      group: this.refer.group,
      nodes: known.all.length,
      held: [...known.held.values()].map(
        ({ node, sinceWallMs, why, probe }): HeldNodeReport => ({
          node: node.identity,
          sinceMs: sinceWallMs,
          why,
          probe,
        }),
      ),
      priority,
      isHeard,
      trouble,
    }));
  }

  #onNodes(answer: RegistryAnswer, nodes: readonly MeshUrl[]): void {
    const { hold, clock, logger } = this.#deps;
    const usable = nodes.filter((node) => isUsable(this.refer, node));
    answer.isHeard = true;
    answer.trouble = null;
    const heldBefore = answer.known.held.size;
    const newlyHeld = answer.known.take(usable, hold, !this.#othersHaveNodes(answer), {
      nowMs: clock.nowMs(),
      wallMs: clock.wallMs(),
    });
    if (newlyHeld > 0)
      logger.warn(
        {
          ...this.#about(answer.registry),
          listed: usable.length,
          held: answer.known.held.size,
          unusable: nodes.length - usable.length,
        },
        'a sudden loss of nodes is not believed: they are held, and used while they answer',
      );
    else if (heldBefore > 0 && answer.known.held.size === 0)
      logger.info(this.#about(answer.registry), 'the registry lists the held nodes again');
    this.#deps.onHeard();
  }

  #onTrouble(answer: RegistryAnswer, message: string): void {
    answer.isHeard = true;
    answer.trouble = message;
    this.#deps.onHeard();
  }

  #othersHaveNodes(answer: RegistryAnswer): boolean {
    return this.answers.some((other) => other !== answer && other.known.all.length > 0);
  }

  #about(registry: Registry): Record<string, string> {
    return { service: this.refer.path, group: this.refer.group, registry: registry.id };
  }
}
