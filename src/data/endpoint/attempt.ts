/**
 * One try of a call on one node: what waits for an answer, and until when.
 *
 *   new --start--> waiting for a connection --> sent --answer, deadline or loss--> done
 *        '--------------------------------------^
 */
import type { WheelTimer } from '../../base/index.js';
import { type AttemptObserver, type Call, failed, failure } from '../../core/index.js';
import type { MotanConnection } from './motan-connection.js';
import type { MotanEndpoint } from './motan-endpoint.js';

export class Attempt implements WheelTimer {
  readonly call: Call;
  readonly observer: AttemptObserver;
  readonly endpoint: MotanEndpoint;
  readonly startedMs: number;
  deadlineMs: number;
  /** Null until sent. */
  connection: MotanConnection | null = null;
  /** The id towards the node: high word to tell uses of a slot apart, low word with the slot. */
  idHigh = 0;
  slot = -1;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(
    call: Call,
    observer: AttemptObserver,
    endpoint: MotanEndpoint,
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
