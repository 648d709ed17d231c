/**
 * The answer to a call: what a service said, or why it was not asked.
 *
 * Ownership of bytes: `body*` is a view that is valid while `CallOrigin.onReply` runs.
 */
import { type Failure, type MotanException, toMotanException } from './failure.js';
import type { Metadata } from './metadata.js';

/** What the metadata of an answer says. Shared by the answers of a connection whose metadata is equal. */
export class ReplyHead {
  readonly metadata: Metadata;
  /** `M_pt` in ms; -1 when absent or not a number. */
  readonly processMs: number;
  /** True when `M_pt` is there and not empty, number or not. */
  readonly hasProcessTime: boolean;
  /** Exception of the service; null for a normal answer. */
  readonly exception: MotanException | null;
  /** `M_e` as it came; empty for none. */
  readonly exceptionText: string;
  readonly upstreamCode: string;
  /** Metadata as sent to callers, without `M_pt` when it is to be added: owned by data/server. */
  encoded: Buffer | null = null;
  encodedAddress = '';
  /** Metadata as fields of an HTTP answer: owned by data/server/http. */
  front: unknown = null;

  constructor(metadata: Metadata, exception: MotanException | null) {
    this.metadata = metadata;
    const processTime = metadata.text('M_pt');
    this.hasProcessTime = processTime !== '';
    this.processMs = /^-?\d{1,15}$/.test(processTime) ? Number(processTime) : -1;
    this.exception = exception;
    this.exceptionText = metadata.text('M_e');
    this.upstreamCode = metadata.text('upstreamCode');
  }
}

const NO_BYTES = Buffer.alloc(0);

export class Reply {
  /** Null when the service answered. */
  readonly failure: Failure | null;
  /** Exception that the caller gets: of the service, or made from the failure. Null for a value. */
  readonly exception: MotanException | null;
  /** Null for failures. */
  readonly head: ReplyHead | null;
  /** Protocol of the answer; a failure has the one of its call. */
  readonly protocol: 1 | 2;
  readonly type: number;
  readonly versionStatus: number;
  readonly serialization: number;
  readonly bytes: Buffer;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** Over the memory of `bytes`, when the reader has one at hand. */
  view: DataView | null = null;
  /** True when nobody else changes the bytes later, so that they may be kept without a copy. */
  isOwned = false;
  /** Pooled memory behind the bytes; whoever sends them gives it back. Null for none. */
  pooled: Buffer | null = null;
  /** `host:port` of the node that was asked; empty when none was chosen. */
  address = '';

  constructor(
    failure: Failure | null,
    head: ReplyHead | null,
    exception: MotanException | null,
    protocol: 1 | 2,
    type: number,
    versionStatus: number,
    serialization: number,
    bytes: Buffer,
    bodyStart: number,
    bodyEnd: number,
  ) {
    this.failure = failure;
    this.head = head;
    this.exception = exception;
    this.protocol = protocol;
    this.type = type;
    this.versionStatus = versionStatus;
    this.serialization = serialization;
    this.bytes = bytes;
    this.bodyStart = bodyStart;
    this.bodyEnd = bodyEnd;
  }

  get bodyBytes(): number {
    return this.bodyEnd - this.bodyStart;
  }
}

/** A reply that says that the call failed. */
export function failed(cause: Failure, address = ''): Reply {
  const reply = new Reply(cause, null, toMotanException(cause), 2, 0, 0, 0, NO_BYTES, 0, 0);
  reply.address = address;
  return reply;
}
