/** What a bridge tells while it runs. */

/**
 * `copied`, `changed`, `removed`: of a copy. `yielded`: the node itself is in the target now. `restored`: a copy was lost there. `held`:
 * nodes vanished too suddenly to be believed at once. `let-go`: they stayed away. `skipped`: a node that is not copied, and why.
 * `trouble`, `recovered`: a registry, or one service of it, cannot be asked; it can again.
 */
export type BridgeEventKind =
  | 'copied'
  | 'changed'
  | 'removed'
  | 'yielded'
  | 'restored'
  | 'held'
  | 'let-go'
  | 'skipped'
  | 'trouble'
  | 'recovered';

export interface BridgeEvent {
  readonly kind: BridgeEventKind;
  /** Ids of the registries. */
  readonly from: string;
  readonly to: string;
  /** Null for what is about a whole registry. */
  readonly group: string | null;
  readonly service: string | null;
  /** Its url; null for what is about more than one. */
  readonly node: string | null;
  readonly detail: string | null;
}

export type TellBridgeEvent = (kind: BridgeEventKind, node: string | null, detail?: string) => void;
