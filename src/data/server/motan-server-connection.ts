/**
 * One caller's connection: frames in, calls out, answers back in whatever order they come.
 *
 *   open --caller sends no more--> answering --last answer written--> closed
 *
 * Reading stops while too much is in flight or unwritten for this caller, or while a node that it calls takes bytes too slowly;
 * others go on. A caller that does not take its answers at all is closed when they reach UNSENT_BYTES_MAX.
 */
import { DECIMAL_BYTES_MAX, equalBytes, parsed64, parseSigned64 } from '../../base/index.js';
import {
  Call,
  CallHead,
  type CallOrigin,
  type Failure,
  failure,
  Metadata,
  ProtocolError,
  type Reply,
  TYPE_GZIP,
  TYPE_HEARTBEAT,
  TYPE_PROXY,
} from '../../core/index.js';
import { FrameReader } from '../../wire/framing/index.js';
import {
  encodeV1Exception,
  encodeV1HeartbeatAnswer,
  isV1Heartbeat,
  parseV1Request,
  readV1Header,
  type V1Request,
  withV1RequestId,
} from '../../wire/motan1/index.js';
import { encodeHeartbeat, parseMetadata } from '../../wire/motan2/index.js';
import type { ByteStream, StreamOwner } from '../transport/index.js';
import { writeAnswer } from './answer-encoder.js';

/** Metadata up to this size is kept for the next call: an idle connection must not hold megabytes. */
const KEPT_HEAD_BYTES_MAX = 16 * 1024;
/** Calls of one connection in flight before its reading pauses. */
const IN_FLIGHT_MAX = 10_000;
/** A draining connection on which nothing came for this long has nothing on its way. */
const QUIET_MS = 100;
/** One that is never quiet ends after this. */
const END_MS_MAX = 1000;
/** Unwritten answers before its reading pauses. */
const UNSENT_BYTES_PAUSE = 4 * 1024 * 1024;
/** Unwritten answers before it is given up: its calls were made, their answers need memory. */
const UNSENT_BYTES_MAX = 128 * 1024 * 1024;

/** The server that the connection belongs to: it keeps the balance of calls and sends them on their way. */
export interface CallIntake {
  readonly frameBytesMax: number;
  /** One more call has come. It is then carried or refused, at once or later. */
  begin(): void;
  carry(call: Call): void;
  refuse(call: Call, cause: Failure): void;
  onAnswered(reply: Reply): void;
  onHeartbeat(): void;
  onProtocolError(caller: string, error: ProtocolError): void;
  onSlowReader(caller: string): void;
  onConnectionClosed(connection: MotanServerConnection): void;
}

export class MotanServerConnection implements StreamOwner, CallOrigin {
  readonly #server: CallIntake;
  readonly #stream: ByteStream;
  readonly #reader: FrameReader;
  #head: CallHead | null = null;
  #headBytes: Buffer = Buffer.alloc(0);
  /** The current frame has its `M_rid` in `parsed64`. */
  #hasPartedId = false;
  #inFlight = 0;
  /** Nodes that asked for a pause, plus one for each own bound that is reached. */
  #pauses = 0;
  #isUnsentPaused = false;
  #isInFlightPaused = false;
  #hasEnded = false;
  /** Monotonic ms at which the drain began; 0 before. */
  #drainMs = 0;
  #hasSaidEnd = false;
  #lastReadMs: number;
  #bytesIn = 0;

  constructor(server: CallIntake, stream: ByteStream) {
    this.#server = server;
    this.#stream = stream;
    this.#reader = new FrameReader(server.frameBytesMax, stream.loop.buffers);
    this.#lastReadMs = stream.loop.nowMs;
    stream.owner = this;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#stream.bytesOut;
  }

  /** From now on calls are refused; `sayEndWhenQuiet` ends the connection. */
  drain(): void {
    this.#drainMs = this.#stream.loop.clock.nowMs();
  }

  /**
   * Says the end once the calls in flight are answered and the caller has been quiet for a moment: a request that is on its way then
   * would get no answer. A caller that never is quiet has refusals for END_MS_MAX to learn from.
   */
  sayEndWhenQuiet(nowMs: number): void {
    if (this.#hasSaidEnd || this.#inFlight > 0) return;
    const isQuiet = nowMs - this.#lastReadMs >= QUIET_MS;
    if (!isQuiet && nowMs - this.#drainMs < END_MS_MAX) return;
    this.#hasSaidEnd = true;
    // Only half-closed: closing with requests unread would reset the connection and take back its last answers.
    this.#stream.end();
  }

  /** True when a draining connection has said all it had to say. */
  get hasSaidAll(): boolean {
    return this.#hasSaidEnd && this.#stream.pendingBytes === 0;
  }

  close(reason: string | null): void {
    this.#stream.close(reason);
  }

  onBytes(input: Buffer, view: DataView, length: number): Buffer | null {
    this.#bytesIn += length;
    if (this.#hasSaidEnd) return null; // no answer could follow
    this.#lastReadMs = this.#stream.loop.nowMs;
    this.#reader.push(input, view, length);
    return this.#readFrames();
  }

  onDirectBytes(length: number): Buffer | null {
    this.#bytesIn += length;
    this.#reader.pushDirect(length);
    return this.#readFrames();
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#endWhenAnswered();
  }

  onDrained(): void {
    this.#relieveUnsent();
  }

  onClosed(): void {
    this.#server.onConnectionClosed(this);
  }

  onPressure(): void {
    this.#pause();
  }

  onRelief(): void {
    this.#resume();
  }

  onReply(call: Call, reply: Reply): void {
    this.#inFlight -= 1;
    this.#server.onAnswered(reply);
    const stream = this.#stream;
    if (stream.isClosed) return;
    if (call.protocol === 2) {
      writeAnswer(stream, call, reply, stream.loop.nowMs);
    } else if (reply.protocol === 1) {
      const frame = reply.bytes.subarray(reply.bodyStart, reply.bodyEnd);
      stream.appendBuffer(withV1RequestId(frame, call.idHigh, call.idLow));
    } else {
      stream.appendBuffer(encodeV1Exception(call.idHigh, call.idLow, reply.exception!.message));
    }
    if (stream.pendingBytes > UNSENT_BYTES_PAUSE) this.#onUnsent();
    if (this.#isInFlightPaused && this.#inFlight < IN_FLIGHT_MAX / 2) {
      this.#isInFlightPaused = false;
      this.#resume();
    }
    if (this.#hasEnded) this.#endWhenAnswered();
  }

  #endWhenAnswered(): void {
    if (this.#inFlight === 0) this.#stream.closeWhenWritten();
  }

  #readFrames(): Buffer | null {
    const reader = this.#reader;
    try {
      while (reader.next()) {
        if (reader.oversize) this.#onOversize();
        else if (reader.version === 2) this.#onFrame();
        else this.#onV1Frame();
        if (this.#stream.isClosed) return null;
      }
    } catch (error) {
      // Only bytes that make no sense end the connection, without an answer (spec wire 1); the rest is a fault of ours.
      if (!(error instanceof ProtocolError)) throw error;
      this.#server.onProtocolError(this.#stream.remoteHost, error);
      this.#stream.close(error.message);
      return null;
    }
    if (this.#inFlight >= IN_FLIGHT_MAX && !this.#isInFlightPaused) {
      this.#isInFlightPaused = true;
      this.#pause();
    }
    return reader.readTarget() ?? (reader.expectsLarge ? this.#stream.loop.headBuffer : null);
  }

  #onFrame(): void {
    const reader = this.#reader;
    if ((reader.type & TYPE_HEARTBEAT) !== 0) {
      this.#server.onHeartbeat();
      this.#stream.appendBuffer(encodeHeartbeat(reader.idHigh, reader.idLow, true));
      if (this.#stream.pendingBytes > UNSENT_BYTES_PAUSE) this.#onUnsent();
      return;
    }
    const head = this.#readHead();
    const { bytes, bodyStart, bodyEnd } = reader;
    const call = new Call(
      head,
      this,
      2,
      reader.idHigh,
      reader.idLow,
      reader.type | TYPE_PROXY,
      reader.versionStatus,
      reader.serialization,
      this.#stream.loop.nowMs,
      bytes,
      bodyStart,
      bodyEnd,
    );
    call.view = reader.view;
    call.isOwned = reader.isOwnBuffer;
    call.pooled = reader.pooled;
    if (this.#hasPartedId) {
      call.requestIdHigh = parsed64.high;
      call.requestIdLow = parsed64.low;
    }
    this.#inFlight += 1;
    this.#server.begin();
    if ((reader.type & TYPE_GZIP) === 0) this.#server.carry(call);
    else this.#inflateCall(call);
  }

  /** Zipped calls travel unzipped; the bit goes even when the body was not gzip: spec wire 9. */
  #inflateCall(call: Call): void {
    const { frameBytesMax } = this.#server;
    call.type &= ~TYPE_GZIP;
    const zipped = call.bytes.subarray(call.bodyStart, call.bodyEnd);
    const { gzip } = this.#stream.loop;
    let isDone = false;
    let isPaused = false;
    gzip.inflate(zipped, frameBytesMax, (plain) => {
      this.#stream.loop.tick();
      isDone = true;
      if (isPaused) this.#resume();
      if (plain === 'too-large') {
        this.#server.refuse(call, tooLarge(frameBytesMax));
        return;
      }
      call.replaceBody(plain);
      this.#server.carry(call);
    });
    if (isDone || !gzip.isLoaded) return;
    isPaused = true;
    this.#pause();
  }

  /** A frame whose sizes are wrong ends the connection; one whose content cannot be read is answered: spec wire 10.5. */
  #onV1Frame(): void {
    const reader = this.#reader;
    const frame = reader.bytes.subarray(reader.start, reader.end);
    readV1Header(frame);
    const request = readV1Request(frame);
    if (request !== null && isV1Heartbeat(request)) {
      this.#server.onHeartbeat();
      this.#stream.appendBuffer(encodeV1HeartbeatAnswer(reader.idHigh, reader.idLow));
      if (this.#stream.pendingBytes > UNSENT_BYTES_PAUSE) this.#onUnsent();
      return;
    }
    const { remoteHost, loop } = this.#stream;
    const head = new CallHead(request === null ? new Metadata() : v1Metadata(request), remoteHost);
    const { idHigh, idLow, bytes, start, end } = reader;
    const call = new Call(head, this, 1, idHigh, idLow, 0, 0, 0, loop.nowMs, bytes, start, end);
    call.isOwned = reader.isOwnBuffer;
    this.#inFlight += 1;
    this.#server.begin();
    if (request === null) {
      this.#server.refuse(call, failure('E_BAD_REQUEST', 'the Motan v1 request cannot be read'));
    } else if (request.isSigned) {
      this.#server.refuse(call, failure('E_BAD_REQUEST', 'signed Motan v1 requests name no service'));
    } else {
      this.#server.carry(call);
    }
  }

  #onOversize(): void {
    const { version, idHigh, idLow, type, versionStatus, serialization, bytes } = this.#reader;
    const head = new CallHead(new Metadata(), this.#stream.remoteHost);
    const now = this.#stream.loop.nowMs;
    const call = new Call(
      head,
      this,
      version,
      idHigh,
      idLow,
      type,
      versionStatus,
      serialization,
      now,
      bytes,
      0,
      0,
    );
    this.#inFlight += 1;
    this.#server.begin();
    this.#server.refuse(call, tooLarge(this.#server.frameBytesMax));
  }

  /**
   * The head of the current frame. Equal metadata is parsed once, and an `M_rid` at its end, which differs in each call that comes from an
   * agent, is parted from it before: then `#hasPartedId` is true and the id in `parsed64`.
   */
  #readHead(): CallHead {
    const { bytes, metaStart, metaEnd } = this.#reader;
    const partedEnd = endBeforeRequestId(bytes, metaStart, metaEnd);
    this.#hasPartedId = partedEnd < metaEnd;
    const known = this.#head;
    if (
      known !== null &&
      partedEnd - metaStart === this.#headBytes.length &&
      equalBytes(bytes, metaStart, this.#headBytes)
    ) {
      return known;
    }
    const head = new CallHead(parseMetadata(bytes, metaStart, partedEnd), this.#stream.remoteHost);
    if (this.#hasPartedId && head.requestId !== '') {
      // Two of them: the last one counts, and this head is of no use to other calls.
      this.#hasPartedId = false;
      return new CallHead(parseMetadata(bytes, metaStart, metaEnd), this.#stream.remoteHost);
    }
    if (partedEnd - metaStart > KEPT_HEAD_BYTES_MAX) return head;
    this.#head = head;
    this.#headBytes = Buffer.from(bytes.subarray(metaStart, partedEnd));
    return head;
  }

  #onUnsent(): void {
    if (this.#stream.pendingBytes > UNSENT_BYTES_MAX) {
      this.#server.onSlowReader(this.#stream.remoteHost);
      this.#stream.close('the caller takes its answers too slowly');
      return;
    }
    if (this.#isUnsentPaused) return;
    this.#isUnsentPaused = true;
    this.#stream.notifyWhenDrained();
    this.#pause();
  }

  #relieveUnsent(): void {
    if (!this.#isUnsentPaused) return;
    this.#isUnsentPaused = false;
    this.#resume();
  }

  #pause(): void {
    this.#pauses += 1;
    if (this.#pauses === 1) this.#stream.pauseReading();
  }

  #resume(): void {
    this.#pauses -= 1;
    if (this.#pauses === 0 && !this.#hasEnded) this.#stream.resumeReading();
  }
}

function readV1Request(frame: Buffer): V1Request | null {
  try {
    return parseV1Request(frame);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

/** Attachments with the names of the service block beside them, and v2 names filled from v1's: spec wire 10.4. */
function v1Metadata(request: V1Request): Metadata {
  const metadata = request.attachments.copy();
  for (const [name, from] of V2_NAMES) {
    if (metadata.text(name) === '') metadata.set(name, metadata.text(from));
  }
  metadata.set('M_p', request.service);
  metadata.set('M_m', request.method);
  metadata.set('M_md', request.description);
  return metadata;
}

const V2_NAMES = [
  ['M_g', 'group'],
  ['M_v', 'version'],
  ['M_s', 'application'],
] as const;

const REQUEST_ID_KEY = Buffer.from('\nM_rid\n');
const NEWLINE = 0x0a;

/**
 * Where the metadata ends without an `M_rid` that is its last key and a number; `end` when there is none. The number is then in `parsed64`.
 */
function endBeforeRequestId(bytes: Buffer, start: number, end: number): number {
  const least = Math.max(start + REQUEST_ID_KEY.length, end - DECIMAL_BYTES_MAX);
  let at = end;
  while (at > least && bytes[at - 1] !== NEWLINE) at -= 1;
  const keyStart = at - REQUEST_ID_KEY.length;
  if (keyStart <= start || at === end || !equalBytes(bytes, keyStart, REQUEST_ID_KEY)) return end;
  return parseSigned64(bytes, at, end) ? keyStart : end;
}

function tooLarge(bytesMax: number): Failure {
  return failure('E_TOO_LARGE', `the message is larger than ${bytesMax} bytes`);
}
