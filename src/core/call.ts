/**
 * One request on its way through the agent, and what it is made of.
 *
 *   CallHead   what the metadata says: equal for most calls of a connection, so parsed once and shared
 *   Call       one request: its id, its body, who waits for the reply
 *   Attempt    one try of a call on one endpoint (in data/endpoint)
 *
 * Ownership of bytes: `body*` is a view that may point into a read buffer. It is valid until the method that was
 * handed the call returns. Whoever needs it longer calls `retain()` before.
 */
import type { Metadata } from './metadata.js';
import type { Reply } from './reply.js';
import { toInt } from './url.js';

/** Bits of the Motan2 message type byte: spec wire 2.2. */
export const TYPE_RESPONSE = 0x01;
export const TYPE_PROXY = 0x02;
export const TYPE_GZIP = 0x08;
export const TYPE_HEARTBEAT = 0x10;

/** What all calls with the same metadata share. Immutable but for the memos of the data plane. */
export class CallHead {
  readonly service: string;
  readonly method: string;
  readonly methodDesc: string;
  readonly group: string;
  readonly version: string;
  /** `M_pp`: the protocol that the caller asks for; empty means any. */
  readonly proxyProtocol: string;
  /** `M_s`: the calling application, defaults not yet filled in. */
  readonly source: string;
  /** `M_rid` as text; empty when `Call.requestIdHigh` and `Call.requestIdLow` say it. */
  readonly requestId: string;
  /** `M_tmo` in ms; 0 when absent or not a positive number. */
  readonly timeoutMs: number;
  readonly metadata: Metadata;
  /** Address of the caller: metadata `host`, always as the agent saw it (spec wire 3.2). */
  readonly host: string;
  /** Who resolved this head to what, and for which state: owned by data/route. */
  route: unknown = null;
  routeState = 0;
  /** Metadata as sent to endpoints of `encodedGroup`: owned by data/endpoint. */
  encoded: Buffer | null = null;
  encodedGroup = '';
  encodedSource = '';
  /** Service, method and description as log lines have them: owned by data/filter. */
  logNames: Buffer | null = null;
  /** What the provider `preparedBy` made of this head: owned by data/provider. */
  prepared: unknown = null;
  preparedBy: unknown = null;

  constructor(metadata: Metadata, host: string) {
    this.metadata = metadata;
    this.host = host;
    this.service = metadata.text('M_p');
    this.method = metadata.text('M_m');
    this.methodDesc = metadata.text('M_md');
    this.group = metadata.text('M_g');
    this.version = metadata.text('M_v');
    this.proxyProtocol = metadata.text('M_pp');
    this.source = metadata.text('M_s');
    this.requestId = metadata.text('M_rid');
    this.timeoutMs = Math.max(0, toInt(metadata.get('M_tmo'), 0));
  }
}

/** Who gets the reply of a call: a server connection, a bridge, a test. */
export interface CallOrigin {
  /** Called exactly once per call. Views inside `reply` are valid until this returns. */
  onReply(call: Call, reply: Reply): void;
  /** The node of this origin's last call takes bytes too slowly: make no new calls until `onRelief`, one for each. */
  onPressure(): void;
  onRelief(): void;
}

export class Call {
  readonly head: CallHead;
  readonly origin: CallOrigin;
  /** 1 for Motan v1, 2 for Motan2: a call leaves in the protocol in which it came (spec wire 10.4). */
  readonly protocol: 1 | 2;
  readonly idHigh: number;
  readonly idLow: number;
  /**
   * The request id that logs and nodes are told (spec traffic 1.2), when the head has none: the `M_rid` of the caller that was parted from the head,
   * so that calls can share it, else the id of the frame.
   */
  requestIdHigh: number;
  requestIdLow: number;
  /** Message type byte with the proxy bit set. */
  type: number;
  readonly versionStatus: number;
  readonly serialization: number;
  /** Monotonic ms of the first byte's arrival. */
  readonly receivedMs: number;
  /** Body of a Motan2 call; the whole frame of a v1 call. */
  bytes: Buffer;
  bodyStart: number;
  bodyEnd: number;
  /** Over the memory of `bytes`, when the reader has one at hand: copying small bodies is faster with it. */
  view: DataView | null;
  /** True once the bytes are the call's own. */
  isOwned: boolean;
  /** Pooled memory behind the bytes; whoever sends them last gives it back. Null for none. */
  pooled: Buffer | null;
  /** Tries that may still follow; set by the high-availability strategy. */
  triesLeft = 0;

  constructor(
    head: CallHead,
    origin: CallOrigin,
    protocol: 1 | 2,
    idHigh: number,
    idLow: number,
    type: number,
    versionStatus: number,
    serialization: number,
    receivedMs: number,
    bytes: Buffer,
    bodyStart: number,
    bodyEnd: number,
  ) {
    this.head = head;
    this.origin = origin;
    this.protocol = protocol;
    this.idHigh = idHigh;
    this.idLow = idLow;
    this.requestIdHigh = idHigh;
    this.requestIdLow = idLow;
    this.type = type;
    this.versionStatus = versionStatus;
    this.serialization = serialization;
    this.receivedMs = receivedMs;
    this.bytes = bytes;
    this.bodyStart = bodyStart;
    this.bodyEnd = bodyEnd;
    this.view = null;
    this.isOwned = false;
    this.pooled = null;
  }

  get bodyBytes(): number {
    return this.bodyEnd - this.bodyStart;
  }

  /** Makes the body the call's own, so that it outlives the read buffer. */
  retain(): void {
    if (this.isOwned) return;
    this.replaceBody(Buffer.from(this.bytes.subarray(this.bodyStart, this.bodyEnd)));
  }

  /** Gives the call another body; `body` belongs to the call from now on. */
  replaceBody(body: Buffer): void {
    this.bytes = body;
    this.bodyStart = 0;
    this.bodyEnd = body.length;
    this.view = null;
    this.isOwned = true;
    this.pooled = null;
  }
}
