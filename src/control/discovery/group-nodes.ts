/**
 * The nodes of one refer in one group: what each of its registries said last.
 *
 *   usable nodes          they replace what this registry said before
 *   nothing usable        with nodes of another registry at hand, this one's go; else the last ones stay (spec agent 6.2)
 *   trouble               the last ones stay
 *
 * So a registry that loses its contents, or answers for an empty moment, never takes the last node away.
 */
import type { Logger, MeshUrl, Registry, Subscription } from '../../core/index.js';
import { isUsable } from './usable-node.js';

export interface GroupNodesDeps {
  /** The refer, with this group. */
  readonly refer: MeshUrl;
  readonly registries: readonly Registry[];
  readonly logger: Logger;
  /** Told after every answer and every trouble. */
  onHeard(): void;
}

export interface RegistryAnswer {
  readonly registry: Registry;
  /** The last usable nodes; empty when there never were any or another registry has some. */
  nodes: readonly MeshUrl[];
  /** An answer or trouble has come. */
  isHeard: boolean;
  /** In words for an operator; null when the last thing heard was an answer. */
  trouble: string | null;
}

export class GroupNodes {
  readonly refer: MeshUrl;
  readonly answers: readonly RegistryAnswer[];
  readonly #deps: GroupNodesDeps;
  readonly #subscriptions: Subscription[] = [];

  constructor(deps: GroupNodesDeps) {
    this.#deps = deps;
    this.refer = deps.refer;
    this.answers = deps.registries.map((registry) => ({
      registry,
      nodes: [],
      isHeard: false,
      trouble: null,
    }));
  }

  get hasNodes(): boolean {
    return this.answers.some((answer) => answer.nodes.length > 0);
  }

  get isHeard(): boolean {
    return this.answers.every((answer) => answer.isHeard);
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

  #onNodes(answer: RegistryAnswer, nodes: readonly MeshUrl[]): void {
    const usable = nodes.filter((node) => isUsable(this.refer, node));
    answer.isHeard = true;
    answer.trouble = null;
    if (usable.length > 0 || this.#othersHaveNodes(answer)) {
      answer.nodes = usable;
    } else if (answer.nodes.length > 0) {
      this.#deps.logger.warn(
        {
          service: this.refer.path,
          group: this.refer.group,
          registry: answer.registry.id,
          nodes: nodes.length,
        },
        'an answer without usable nodes is ignored, the last nodes stay',
      );
    }
    this.#deps.onHeard();
  }

  #onTrouble(answer: RegistryAnswer, message: string): void {
    answer.isHeard = true;
    answer.trouble = message;
    this.#deps.onHeard();
  }

  #othersHaveNodes(answer: RegistryAnswer): boolean {
    return this.answers.some((other) => other !== answer && other.nodes.length > 0);
  }
}
