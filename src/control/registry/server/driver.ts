/**
 * What a registry server can be asked to do, one step at a time. The loop around it (`server-registry.ts`) decides what, when, and how often
 * again: a driver never retries, and keeps no wishes.
 *
 *   down --onUp--> up --onDown--> down      `isFresh` of onUp: what was announced before is gone with the old session
 */
import type {
  Availability,
  CommandListener,
  CommandScope,
  MeshUrl,
  ServiceName,
} from '../../../core/index.js';

export interface DriverEvents {
  /** The server answers. Said at most once until `onDown`. */
  onUp(isFresh: boolean): void;
  /** It does not, or not as it should; in words for an operator, with address and cause. May be said again with other words. */
  onDown(trouble: string): void;
  /** It has answered something, and there is nothing new. */
  onHeard(): void;
  /** A node that was put is not there any more, as the driver found by itself. It is put again as soon as may be. */
  onLost(node: MeshUrl): void;
}

export interface WatchEvents {
  /** The whole list, whenever it changed and after every reconnection. Nodes that make no sense are left out and told by `onOdd`. */
  onNodes(nodes: readonly MeshUrl[]): void;
  /** Content that makes no sense: which, where, and why. Null when the last look found none. */
  onOdd(trouble: string | null): void;
  /** This service alone cannot be asked; the rest can. */
  onTrouble(trouble: string): void;
}

export interface DriverWatch {
  close(): void;
}

/** The commands that a server holds. */
export interface CommandSource {
  /** Where an operator writes them, for people. Throws AgentError `E_REGISTRY` for a scope that can have no place there. */
  placeOf(scope: CommandScope): string;
  /** Called while up or down. All is told anew after every reconnection; only what is wrong with this text alone is `onTrouble`. */
  watch(scope: CommandScope, listener: CommandListener): DriverWatch;
}

export interface RegistryDriver {
  /** Absent where the server holds none. */
  readonly commands?: CommandSource;
  /** `host:port` of the servers, for people. */
  readonly address: string;
  /** Begins to connect, and goes on until `close`. Called once. */
  start(events: DriverEvents): void;
  /**
   * Lists the node with this availability, whatever was there. Rejects with the cause. A copy is left out while another process lists a node
   * at its address that is none, and is never taken for it by `remove` and `look`.
   */
  put(node: MeshUrl, availability: Availability): Promise<void>;
  /** Takes the node out; fine when it is not there. */
  remove(node: MeshUrl): Promise<void>;
  /** What is listed of this node by this process now. Null when the server cannot be asked so: then nothing is compared. */
  look(node: MeshUrl): Promise<Availability | 'absent' | null>;
  /** How many nodes are looked at in one round; by default as many as may each cost a question. */
  readonly looksMax?: number;
  /** Watches the nodes that serve `refer`. Called while up or down; answers come when there are some. */
  watch(refer: MeshUrl, events: WatchEvents): DriverWatch;
  /** The services of which something is listed, once. Absent where the server cannot tell. */
  listServices?(): Promise<readonly ServiceName[]>;
  /** Ends everything at once; what is listed and can only be kept alive by this process goes with it. */
  close(): Promise<void>;
}
