/**
 * One multiplexed connection to a node: many calls in flight, answers in any order.
 *
 * Calls wait in an array of slots; the id towards the node names the slot and, in its high word, which use of the slot is meant. So an
 * answer that comes late, twice, or with an id nobody gave finds nothing and is dropped and counted.
 *
 *   id: | sequence, process-wide, 32 | connection salt 12 | slot 20 |
 */
import { equalBytes } from '../../base/index.js';
import {
  type Call,
  type Failure,
  failed,
  failure,
  type Metadata,
  type MotanException,
  ProtocolError,
  Reply,
  ReplyHead,
  TYPE_GZIP,
  TYPE_HEARTBEAT,
} from '../../core/index.js';
import { FrameReader } from '../../wire/framing/index.js';
import {
  encodeV1Heartbeat,
  isV1HeartbeatAnswer,
  parseV1Response,
  readV1Header,
  rewriteV1Request,
  type V1Exception,
  type V1Response,
} from '../../wire/motan1/index.js';
import { encodeHeartbeat, parseException, parseMetadata } from '../../wire/motan2/index.js';
import type { ByteStream, StreamOwner } from '../transport/index.js';
import type { Attempt } from './attempt.js';
import { addForwardedFor, encodedBackendMetadata, encodedMetadata, writeRequest } from './request-encoder.js';

const SLOT_BITS = 20;
/** Calls in flight on one connection; the next ones are refused. Bounds the slot array. */
export const IN_FLIGHT_MAX = 1 << SLOT_BITS;
/** A connection whose other end vanished without a word would be asked for ever; after these it is opened anew. */
const SILENT_HEARTBEATS_MAX = 3;
const SLOT_MASK = IN_FLIGHT_MAX - 1;
/** Unsent bytes from which callers are asked to pause. */
const PRESSURE_BYTES = 4 * 1024 * 1024;
/** Unsent bytes from which calls are refused: callers that could not be paused. */
const SEND_QUEUE_BYTES_MAX = 64 * 1024 * 1024;

/** Metadata up to this size is kept for the next answer. */
const KEPT_HEAD_BYTES_MAX = 16 * 1024;

const NO_BYTES = Buffer.alloc(0);

let sequence = (Math.random() * 0x7fffffff) >>> 0;
let salts = 0;

/** The endpoint that the connection belongs to. */
export interface ConnectionOwner {
  readonly address: string;
  readonly group: string;
  readonly application: string;
  /** The node is a backend beside this agent, not a node of the mesh. */
  readonly isBackend: boolean;
  readonly frameBytesMax: number;
  finish(attempt: Attempt, reply: Reply, nowMs: number): void;
  onHeartbeatAnswer(): void;
  onConnectionClosed(connection: MotanConnection, error: string | null): void;
}

export class MotanConnection implements StreamOwner {
  readonly #endpoint: ConnectionOwner;
  readonly #stream: ByteStream;
  readonly #reader: FrameReader;
  readonly #salt: number;
  readonly #slots: (Attempt | null)[] = [];
  readonly #freeSlots: number[] = [];
  #inFlight = 0;
  #pausedCalls: Call[] = [];
  /** Zipped answers that have to be unpacked before more is read. */
  #pauses = 0;
  /** Id of the heartbeat that waits for its answer; -1 for none. */
  #heartbeatSequence = -1;
  /** Heartbeats sent since the node last sent a byte. */
  #silentHeartbeats = 0;
  #replyHead: ReplyHead | null = null;
  #replyHeadBytes: Buffer = Buffer.alloc(0);
  #unmatched = 0;

  constructor(endpoint: ConnectionOwner, stream: ByteStream, frameBytesMax: number) {
    this.#endpoint = endpoint;
    this.#stream = stream;
    this.#reader = new FrameReader(frameBytesMax, stream.loop.buffers);
    this.#salt = (salts++ << SLOT_BITS) >>> 0;
    stream.owner = this;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get pendingBytes(): number {
    return this.#stream.pendingBytes;
  }

  /** Answers that matched no call. */
  get unmatched(): number {
    return this.#unmatched;
  }

  get canTake(): boolean {
    return this.#inFlight < IN_FLIGHT_MAX && this.#stream.pendingBytes < SEND_QUEUE_BYTES_MAX;
  }

  /** Sends the call of `attempt`; its answer, or the loss of the connection, goes to the endpoint. Check `canTake` before. */
  send(attempt: Attempt): void {
    const call = attempt.call;
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    sequence = (sequence + 1) >>> 0;
    attempt.slot = slot;
    attempt.idHigh = sequence;
    attempt.connection = this;
    const idLow = (this.#salt | slot) >>> 0;
    this.#slots[slot] = attempt;
    this.#inFlight += 1;
    const { group, application, isBackend } = this.#endpoint;
    if (call.protocol === 2) {
      const metadata = isBackend
        ? encodedBackendMetadata(call.head)
        : encodedMetadata(call.head, group, application);
      writeRequest(this.#stream, call, metadata, sequence, idLow);
    } else {
      const frame = call.bytes.subarray(call.bodyStart, call.bodyEnd);
      const attachments = isBackend ? v1BackendAttachments(call) : v1Attachments(call, group, application);
      this.#stream.appendBuffer(rewriteV1Request(frame, attachments.entries(), sequence, idLow));
    }
    // What waits for an answer must not keep its body: callers would decide how much memory a slow node costs.
    if (call.triesLeft === 0) {
      call.bytes = NO_BYTES;
      call.view = null;
    }
    if (this.#stream.pendingBytes > PRESSURE_BYTES) {
      this.#pausedCalls.push(call);
      this.#stream.notifyWhenDrained();
      call.origin.onPressure();
    }
  }

  /** The attempt is over without an answer: its slot may be used again. */
  forget(attempt: Attempt): void {
    this.#release(attempt.slot);
  }

  /** The last heartbeat has no answer yet. */
  get isAsked(): boolean {
    return this.#heartbeatSequence !== -1;
  }

  /** Asks the node for a sign of life, in the protocol that its calls use. */
  sendHeartbeat(protocol: 1 | 2): void {
    if (this.#silentHeartbeats === SILENT_HEARTBEATS_MAX) {
      this.#stream.close('the node gives no sign of life');
      return;
    }
    this.#silentHeartbeats += 1;
    sequence = (sequence + 1) >>> 0;
    this.#heartbeatSequence = sequence;
    const idLow = (this.#salt | SLOT_MASK) >>> 0;
    const frame =
      protocol === 2 ? encodeHeartbeat(sequence, idLow, false) : encodeV1Heartbeat(sequence, idLow);
    this.#stream.appendBuffer(frame);
  }

  close(reason: string | null): void {
    this.#stream.close(reason);
  }

  onBytes(input: Buffer, view: DataView, length: number): Buffer | null {
    this.#silentHeartbeats = 0;
    this.#reader.push(input, view, length);
    return this.#readFrames();
  }

  onDirectBytes(length: number): Buffer | null {
    this.#silentHeartbeats = 0;
    this.#reader.pushDirect(length);
    return this.#readFrames();
  }

  onEnd(): void {
    this.#stream.close('the node closed the connection');
  }

  onDrained(): void {
    this.#relieve();
  }

  onClosed(error: string | null): void {
    this.#endpoint.onConnectionClosed(this, error);
    const cause = failure('E_CONNECTION_LOST', 'channel call error:the channel has been shutdown');
    const nowMs = this.#stream.loop.tick();
    for (const attempt of this.#slots) {
      if (attempt === null || attempt === undefined) continue;
      this.#stream.loop.timers.remove(attempt);
      this.#release(attempt.slot);
      this.#endpoint.finish(attempt, failed(cause, this.#endpoint.address), nowMs);
    }
    this.#relieve();
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
      // Only bytes that make no sense end the connection; anything else is a fault of ours.
      if (!(error instanceof ProtocolError)) throw error;
      this.#stream.close(`unreadable answer: ${error.message}`);
      return null;
    }
    return reader.readTarget() ?? (reader.expectsLarge ? this.#stream.loop.headBuffer : null);
  }

  #onFrame(): void {
    const reader = this.#reader;
    if ((reader.type & TYPE_HEARTBEAT) !== 0) {
      this.#onHeartbeatAnswer(reader.idHigh);
      return;
    }
    const attempt = this.#take(reader.idHigh, reader.idLow);
    if (attempt === null) return;
    const head = this.#readHead();
    const { address } = this.#endpoint;
    const nowMs = this.#stream.loop.nowMs;
    if (!(head instanceof ReplyHead)) {
      this.#endpoint.finish(attempt, failed(head, address), nowMs);
      return;
    }
    if (attempt.call.protocol === 1 && head.exception === null) {
      const cause = failure('E_BAD_ANSWER', 'a Motan v1 call was answered in Motan2');
      this.#endpoint.finish(attempt, failed(cause, address), nowMs);
      return;
    }
    const { type, versionStatus, bytes, bodyStart, bodyEnd } = reader;
    // Zipped answers reach callers unzipped, exceptions stay as they are: spec wire 9.
    if ((type & TYPE_GZIP) !== 0 && (versionStatus & 7) === 0 && bodyEnd > bodyStart) {
      this.#inflateAnswer(attempt, head, bytes.subarray(bodyStart, bodyEnd));
      return;
    }
    const { serialization } = reader;
    const { exception } = head;
    const reply = new Reply(
      null,
      head,
      exception,
      2,
      type,
      versionStatus,
      serialization,
      bytes,
      bodyStart,
      bodyEnd,
    );
    reply.view = reader.view;
    reply.isOwned = reader.isOwnBuffer;
    reply.pooled = reader.pooled;
    reply.address = address;
    this.#endpoint.finish(attempt, reply, nowMs);
  }

  #inflateAnswer(attempt: Attempt, head: ReplyHead, zipped: Buffer): void {
    const { type, versionStatus, serialization } = this.#reader;
    const { address, frameBytesMax } = this.#endpoint;
    const { loop } = this.#stream;
    let isDone = false;
    let isPaused = false;
    loop.gzip.inflate(zipped, frameBytesMax, (plain) => {
      isDone = true;
      if (isPaused) this.#resume();
      if (plain === 'too-large') {
        this.#endpoint.finish(attempt, failed(answerTooLarge(frameBytesMax), address), loop.tick());
        return;
      }
      const plainType = type & ~TYPE_GZIP;
      const reply = new Reply(
        null,
        head,
        null,
        2,
        plainType,
        versionStatus,
        serialization,
        plain,
        0,
        plain.length,
      );
      reply.isOwned = true;
      reply.address = address;
      this.#endpoint.finish(attempt, reply, loop.tick());
    });
    if (isDone || !loop.gzip.isLoaded) return;
    isPaused = true;
    this.#pauses += 1;
    if (this.#pauses === 1) this.#stream.pauseReading();
  }

  #resume(): void {
    this.#pauses -= 1;
    if (this.#pauses === 0) this.#stream.resumeReading();
  }

  #onV1Frame(): void {
    const reader = this.#reader;
    const frame = reader.bytes.subarray(reader.start, reader.end);
    readV1Header(frame);
    const answer = readV1Response(frame);
    // By id first: a service may answer with the very text that heartbeats answer with.
    if (reader.idHigh === this.#heartbeatSequence && answer !== null && isV1HeartbeatAnswer(answer)) {
      this.#onHeartbeatAnswer(reader.idHigh);
      return;
    }
    const attempt = this.#take(reader.idHigh, reader.idLow);
    if (attempt === null) return;
    const { address } = this.#endpoint;
    const nowMs = this.#stream.loop.nowMs;
    if (answer === null || attempt.call.protocol === 2) {
      const text = answer === null ? 'unreadable Motan v1 answer' : 'a Motan2 call was answered in Motan v1';
      this.#endpoint.finish(attempt, failed(failure('E_BAD_ANSWER', text), address), nowMs);
      return;
    }
    const exception = answer.exception === null ? null : v1Exception(answer.exception);
    const metadata = answer.attachments.copy();
    metadata.set('M_pt', String(answer.processMs));
    const head = new ReplyHead(metadata, exception);
    const reply = new Reply(null, head, exception, 1, 0, 0, 0, reader.bytes, reader.start, reader.end);
    reply.address = address;
    this.#endpoint.finish(attempt, reply, nowMs);
  }

  #onOversize(): void {
    const attempt = this.#take(this.#reader.idHigh, this.#reader.idLow);
    if (attempt === null) return;
    const cause = answerTooLarge(this.#endpoint.frameBytesMax);
    this.#endpoint.finish(attempt, failed(cause, this.#endpoint.address), this.#stream.loop.nowMs);
  }

  #onHeartbeatAnswer(idHigh: number): void {
    if (idHigh !== this.#heartbeatSequence) return;
    this.#heartbeatSequence = -1;
    this.#endpoint.onHeartbeatAnswer();
  }

  /** The attempt that an id names, out of its slot and its deadline; null for ids that nobody waits for. */
  #take(idHigh: number, idLow: number): Attempt | null {
    const slot = idLow & SLOT_MASK;
    const attempt = this.#slots[slot];
    const isMeant =
      attempt !== null &&
      attempt !== undefined &&
      attempt.idHigh === idHigh &&
      (this.#salt | slot) >>> 0 === idLow;
    if (!isMeant) {
      this.#unmatched += 1;
      return null;
    }
    this.#stream.loop.timers.remove(attempt);
    this.#release(slot);
    return attempt;
  }

  #release(slot: number): void {
    this.#slots[slot] = null;
    this.#freeSlots.push(slot);
    this.#inFlight -= 1;
  }

  /**
   * The head of the current frame, or why it cannot be read: that is the trouble of its call alone, because the sizes of the
   * frame were good. Equal metadata is parsed once.
   */
  #readHead(): ReplyHead | Failure {
    const { bytes, metaStart, metaEnd, versionStatus } = this.#reader;
    const known = this.#replyHead;
    const isException = (versionStatus & 7) === 1;
    if (
      known !== null &&
      !isException &&
      metaEnd - metaStart === this.#replyHeadBytes.length &&
      equalBytes(bytes, metaStart, this.#replyHeadBytes)
    ) {
      return known;
    }
    const metadata = readMetadata(bytes, metaStart, metaEnd);
    if (metadata === null) return failure('E_BAD_ANSWER', 'the metadata of the answer cannot be read');
    if (isException) return exceptionHead(metadata);
    const head = new ReplyHead(metadata, null);
    if (metaEnd - metaStart > KEPT_HEAD_BYTES_MAX) return head;
    this.#replyHead = head;
    this.#replyHeadBytes = Buffer.from(bytes.subarray(metaStart, metaEnd));
    return head;
  }

  #relieve(): void {
    if (this.#pausedCalls.length === 0) return;
    const paused = this.#pausedCalls;
    this.#pausedCalls = [];
    for (const call of paused) call.origin.onRelief();
  }
}

/** Status 1 without `M_e`, or with a JSON null, counts as an answer; an unreadable one is a failure: spec wire 4.4. */
function exceptionHead(metadata: Metadata): ReplyHead | Failure {
  const text = metadata.text('M_e');
  if (text === '') return new ReplyHead(metadata, null);
  const exception: MotanException | null | 'unreadable' = parseException(text);
  if (exception === 'unreadable') return failure('E_BAD_EXCEPTION', 'convert response fail');
  return new ReplyHead(metadata, exception);
}

function readMetadata(bytes: Buffer, start: number, end: number): Metadata | null {
  try {
    return parseMetadata(bytes, start, end);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

function answerTooLarge(bytesMax: number): ReturnType<typeof failure> {
  return failure('E_ANSWER_TOO_LARGE', `channel call error:the answer is larger than ${bytesMax} bytes`);
}

function readV1Response(frame: Buffer): V1Response | null {
  try {
    return parseV1Response(frame);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

/** Motan's business exception is type 2, everything else type 1, the code always 500: spec wire 10.4. */
function v1Exception(exception: V1Exception): MotanException {
  return { code: 500, type: exception.isBusiness ? 2 : 1, message: exception.text };
}

/** What the server agent changes in a v1 call: spec wire 10.4. */
function v1BackendAttachments(call: Call): Metadata {
  const metadata = call.head.metadata.copy();
  for (const name of ['M_p', 'M_m', 'M_md']) metadata.delete(name);
  metadata.set('host', call.head.host);
  addForwardedFor(metadata, call.head.host);
  return metadata;
}

/** What the client agent changes in a v1 call: spec wire 10.4. The names of the service block are no attachments. */
function v1Attachments(call: Call, group: string, application: string): Metadata {
  const metadata = call.head.metadata.copy();
  for (const name of ['M_p', 'M_m', 'M_md']) metadata.delete(name);
  metadata.set('host', call.head.host);
  if (metadata.text('application') === '') metadata.set('application', application);
  if (group !== '') metadata.set('group', group);
  return metadata;
}
