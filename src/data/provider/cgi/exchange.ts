/**
 * One request to the backend on a connection of its own, from the wait for a free child to the end of the script.
 *
 *   queued --> connecting --> sent --first byte--> answering --END_REQUEST--> closed
 *     |            |            '---- deadline ----'  |
 *     v            v                    v             v END_REQUEST, end of the connection, or ABANDONED_MS_MAX
 *   refused      closed             abandoned ----> closed
 *
 * The job is told its result exactly once: an answer, or a trouble. The connection counts against the bound of the pool until it is
 * closed. When a deadline passes, the script runs on: FPM tells a script of its lost caller only when it writes, and one that
 * waits never learns. So the connection of a request that was sent whole is kept, what comes is thrown away, and its end says that the
 * child is free. Closing it at once would let the next call into the backlog of a pool that has no child left, and so on.
 *
 * Connections are never used again: a child that waits for the next request of one caller serves nobody else, and between its
 * answer and the next request it may reach pm.max_requests and go, which no caller could tell from a lost call.
 */
import type { WheelTimer } from '../../../base/index.js';
import { type FailureCode, ProtocolError } from '../../../core/index.js';
import {
  CGI_HEAD_LIMITS,
  type CgiHead,
  CgiHeadReader,
  END_REQUEST,
  NEED_MORE,
  PROTOCOL_STATUS,
  RecordReader,
  STDERR,
  STDOUT,
} from '../../../wire/fastcgi/index.js';
import { type ByteStream, dial, type IoLoop, type StreamOwner } from '../../transport/index.js';
import type { ConnectTarget } from '../probe-connect.js';
import { CANNOT_PARSE, dialTrouble, type Trouble } from './trouble.js';

/** A script that runs this long after it was given up holds its child no more in our count: the peer's host may be gone. */
export const ABANDONED_MS_MAX = 10 * 60 * 1000;

/** What a script said. Pieces are the exchange's own memory. */
export interface ScriptAnswer {
  readonly head: CgiHead;
  readonly pieces: readonly Buffer[];
  readonly bodyBytes: number;
}

/** What an exchange is for: a call, the status page, a ping. */
export interface Job {
  /** Monotonic ms at which the result must be there. */
  readonly endMs: number;
  /** Monotonic ms until which it may wait for a free child. */
  readonly queueEndMs: number;
  /** From the request to the first byte of the answer; 0 for no bound of its own. */
  readonly firstByteTimeoutMs: number;
  readonly answerBytesMax: number;
  /** Bytes that wait with it. */
  readonly bytes: number;
  /** The request, asked for once, with the time that is left for it. */
  slices(leftMs: number): readonly Uint8Array[];
  /** Pooled memory behind the slices, to be given back when they are written; null for none. Read after `slices`. */
  readonly pooled: Buffer | null;
  /** What the script says besides, as it comes; even after the result. */
  onStderr(bytes: Buffer, start: number, end: number): void;
  onAnswer(answer: ScriptAnswer): void;
  onTrouble(trouble: Trouble): void;
  /** The connection is gone: nothing more comes. */
  onReleased(): void;
}

/** The pool that the exchange belongs to. */
export interface ExchangeOwner {
  readonly loop: IoLoop;
  readonly useRaw: boolean;
  readonly target: ConnectTarget;
  readonly connectTimeoutMs: number;
  /** It waits no more. */
  onQueueDeadline(exchange: Exchange): void;
  /** The result is known; `isGood` when the backend gave an answer. The connection may still be there. */
  onSettled(exchange: Exchange, trouble: Trouble | null): void;
  /** Its connection is gone. */
  onReleased(exchange: Exchange): void;
}

type State = 'queued' | 'connecting' | 'sent' | 'answering' | 'abandoned' | 'closed';

export class Exchange implements StreamOwner, WheelTimer {
  readonly job: Job;
  readonly #owner: ExchangeOwner;
  readonly #records = new RecordReader();
  readonly #head = new CgiHeadReader(CGI_HEAD_LIMITS);
  #state: State = 'queued';
  #isSettled = false;
  #stream: ByteStream | null = null;
  #pieces: Buffer[] = [];
  #bodyBytes = 0;
  /** All output, to be held against the bound. */
  #outputBytes = 0;
  deadlineMs = 0;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(job: Job, owner: ExchangeOwner) {
    this.job = job;
    this.#owner = owner;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Waits for a free child, which the pool announces by `dispatch`. */
  wait(): void {
    this.#arm(Math.min(this.job.queueEndMs, this.job.endMs));
  }

  /** Connects and sends. */
  dispatch(): void {
    const { loop, target, useRaw, connectTimeoutMs } = this.#owner;
    const leftMs = Math.max(1, this.job.endMs - loop.clock.nowMs());
    this.#state = 'connecting';
    this.#arm(this.job.endMs);
    dial(loop, target, Math.min(connectTimeoutMs, leftMs), useRaw, (stream, error) => {
      if (stream === null) this.#onNotConnected(error ?? 'no connection');
      else this.#send(stream);
    });
  }

  /** The call is not wanted any more, for a reason of ours. */
  cancel(trouble: Trouble): void {
    this.#settle(trouble);
    if (this.#stream !== null) this.#stream.close(trouble.message);
    else if (this.#state === 'queued') this.#close();
    // Else it is connecting, and ends when that does.
  }

  onDeadline(): void {
    switch (this.#state) {
      case 'queued':
        this.#owner.onQueueDeadline(this);
        this.#settle({ code: 'E_BACKEND_BUSY', message: 'no child of the pool became free in time' });
        this.#close();
        break;
      case 'connecting':
        // The connection ends it when it is made or given up, at most the same time later.
        this.#settle(dialTrouble(this.#owner.target, TIMED_OUT.message));
        break;
      case 'abandoned':
        this.#stream?.close(TIMED_OUT.message);
        break;
      default:
        this.#settle(TIMED_OUT);
        this.#abandon();
    }
  }

  onBytes(input: Buffer, _view: DataView, length: number): Buffer | null {
    if (this.#state === 'sent') {
      this.#state = 'answering';
      if (this.deadlineMs < this.job.endMs) this.#arm(this.job.endMs);
    }
    try {
      this.#records.push(input, length);
      this.#read();
    } catch (error) {
      // Only bytes that make no sense end it; anything else is a fault of ours.
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail('E_BACKEND_BAD_ANSWER', error.message);
    }
    return null;
  }

  onDirectBytes(): Buffer | null {
    return null; // no other buffer is ever asked for
  }

  onEnd(): void {
    this.#fail('E_BACKEND_LOST', 'the backend ended the connection before its answer was complete');
  }

  onDrained(): void {}

  onClosed(error: string | null): void {
    this.#stream = null;
    // Some of it may have been sent and done, whatever the error says: never tried again.
    this.#settle({ code: 'E_BACKEND_LOST', message: error ?? 'the connection to the backend was closed' });
    this.#close();
  }

  #onNotConnected(error: string): void {
    this.#settle(dialTrouble(this.#owner.target, error));
    this.#close();
  }

  #send(stream: ByteStream): void {
    if (this.#isSettled) {
      stream.close(null);
      this.#close();
      return;
    }
    const nowMs = this.#owner.loop.clock.nowMs();
    const { endMs, firstByteTimeoutMs } = this.job;
    this.#stream = stream;
    this.#state = 'sent';
    stream.owner = this;
    if (firstByteTimeoutMs > 0) this.#arm(Math.min(endMs, nowMs + firstByteTimeoutMs));
    const slices = this.job.slices(Math.max(1, Math.trunc(endMs - nowMs)));
    const last = slices.length - 1;
    for (let index = 0; index <= last && !stream.isClosed; index += 1)
      stream.appendBuffer(slices[index]!, index === last ? this.job.pooled : null);
    // Nothing else is on its way to this peer, and a child may be waiting.
    stream.flush();
  }

  #read(): void {
    const records = this.#records;
    for (let found = records.next(); found !== NEED_MORE; found = records.next()) {
      if (found === STDOUT) this.#onOutput(records.bytes, records.start, records.end);
      else if (found === STDERR) this.job.onStderr(records.bytes, records.start, records.end);
      else if (found === END_REQUEST) this.#onScriptEnd();
      if (this.#state === 'closed') return;
    }
  }

  #onOutput(bytes: Buffer, start: number, end: number): void {
    this.#outputBytes += end - start;
    if (this.#outputBytes > this.job.answerBytesMax + CGI_HEAD_LIMITS.headBytesMax) {
      this.#failTooLarge();
      return;
    }
    if (this.#isSettled) return;
    let bodyAt = start;
    if (this.#head.head === null) {
      bodyAt = this.#head.push(bytes, start, end);
      if (bodyAt < 0) return;
    }
    if (bodyAt === end) return;
    this.#bodyBytes += end - bodyAt;
    if (this.#bodyBytes > this.job.answerBytesMax) this.#failTooLarge();
    else this.#pieces.push(Buffer.from(bytes.subarray(bodyAt, end)));
  }

  #onScriptEnd(): void {
    const { protocolStatus } = this.#records;
    const { head } = this.#head;
    if (protocolStatus === PROTOCOL_STATUS.overloaded) {
      this.#fail('E_BACKEND_BUSY', 'the backend says that it is overloaded');
    } else if (protocolStatus !== PROTOCOL_STATUS.complete) {
      this.#fail('E_BACKEND_BAD_ANSWER', `the backend refuses the request, FastCGI status ${protocolStatus}`);
    } else if (head === null) {
      this.#fail('E_BACKEND_BAD_ANSWER', CANNOT_PARSE);
    } else {
      const answer = { head, pieces: this.#pieces, bodyBytes: this.#bodyBytes };
      const isFirst = !this.#isSettled;
      this.#isSettled = true;
      if (isFirst) this.#owner.onSettled(this, null);
      // Closed first: the child waits for that before it takes the next call.
      this.#stream?.close(null);
      if (isFirst) this.job.onAnswer(answer);
    }
  }

  /** Closed at once: a script that writes on is told so. */
  #failTooLarge(): void {
    this.#fail('E_ANSWER_TOO_LARGE', `the answer is larger than ${this.job.answerBytesMax} bytes`);
  }

  #fail(code: FailureCode, message: string): void {
    this.#settle({ code, message });
    this.#stream?.close(message);
  }

  #settle(trouble: Trouble): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#pieces = [];
    this.#owner.onSettled(this, trouble);
    this.job.onTrouble(trouble);
  }

  #abandon(): void {
    const stream = this.#stream!;
    // The child still reads: it will see the end of the request, and that it is cut.
    if (stream.pendingBytes > 0) {
      stream.close(TIMED_OUT.message);
      return;
    }
    this.#state = 'abandoned';
    this.#outputBytes = 0;
    this.#arm(this.#owner.loop.clock.nowMs() + ABANDONED_MS_MAX);
  }

  #close(): void {
    if (this.#state === 'closed') return;
    const wasQueued = this.#state === 'queued';
    this.#state = 'closed';
    this.#owner.loop.timers.remove(this);
    this.job.onReleased();
    if (!wasQueued) this.#owner.onReleased(this);
  }

  #arm(atMs: number): void {
    const { timers } = this.#owner.loop;
    timers.remove(this);
    this.deadlineMs = atMs;
    timers.add(this);
  }
}

const TIMED_OUT: Trouble = { code: 'E_BACKEND_TIMEOUT', message: 'the backend did not answer in time' };
