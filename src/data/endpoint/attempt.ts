/**
 * One try of a call on one node: what waits for an answer, and until when.
 *
 *   new --start--> waiting for a connection --> sent --answer, deadline or loss--> done
 *        '--------------------------------------^
 */
import type { WheelTimer } from '../../base/index.js';
import { type AttemptObserver, type Call, failed, failure, type Reply } from '../../core/index.js';

/** The endpoint that makes the try. */
interface AttemptOwner {
  readonly address: string;
  /** Ends an attempt whose slot and deadline are free already. */
  finish(attempt: Attempt, reply: Reply, nowMs: number): void;
}

/** The connection on which the try waits for its answer. */
interface AttemptSlots {
  forget(attempt: Attempt): void;
}

export class Attempt implements WheelTimer {
  readonly call: Call;
  readonly observer: AttemptObserver;
  readonly endpoint: AttemptOwner;
  readonly startedMs: number;
  deadlineMs: number;
  /** Null until sent. */
  connection: AttemptSlots | null = null;
  /** The id towards the node: high word to tell uses of a slot apart, low word with the slot. */
  idHigh = 0;
  slot = -1;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(
    call: Call,
    observer: AttemptObserver,
    endpoint: AttemptOwner,
    startedMs: number,
    deadlineMs: number,
  ) {
    this.call = call;
    this.observer = observer;
    this.endpoint = endpoint;
    this.startedMs = startedMs;
    this.deadlineMs = deadlineMs;
  }

  onDeadline(nowMs: number): void {
    this.connection?.forget(this);
    const cause = failure('E_TIMEOUT', 'channel call error:timeout err: receive request timeout');
    this.endpoint.finish(this, failed(cause, this.endpoint.address), nowMs);
  }
}
