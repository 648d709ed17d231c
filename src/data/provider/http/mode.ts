/** What all modes have in common: a call comes, its request is made and sent, its answer becomes a reply. */
import {
  type Call,
  type Failure,
  failed,
  type ProviderObserver,
  Reply,
  type ReplyHead,
  TYPE_RESPONSE,
} from '../../../core/index.js';
import type { ResponseHead } from '../../../wire/http1/index.js';
import { BREEZE, SIMPLE } from '../../../wire/serialization/index.js';
import type { HttpFailure } from '../../http-client/index.js';
import { VALUE_FRONT_BYTES_MAX, writeValueFront } from './answer-front.js';
import { serializationOf } from './argument.js';
import type { Backend } from './backend.js';
import type { AnswerMaker, BackendCall } from './backend-call.js';

const VALUE_STATUS = 0x08;
const EXCEPTION_STATUS = 0x09;
const NO_BYTES = Buffer.alloc(0);

export abstract class Mode implements AnswerMaker {
  readonly answerBytesMax: number;
  protected readonly backend: Backend;

  constructor(backend: Backend) {
    this.backend = backend;
    // The value has a front, and a message of exactly the limit is the largest that callers take.
    this.answerBytesMax = backend.settings.answerBytesMax - VALUE_FRONT_BYTES_MAX;
  }

  abstract start(call: Call, observer: ProviderObserver): void;
  abstract answer(
    waiting: BackendCall,
    head: ResponseHead,
    bytes: Buffer,
    start: number,
    end: number,
    isOwned: boolean,
  ): void;
  abstract fail(waiting: BackendCall, cause: HttpFailure): void;

  frontBytes(_waiting: BackendCall, _head: ResponseHead): number {
    return VALUE_FRONT_BYTES_MAX;
  }

  onFinished(waiting: BackendCall): void {
    if (waiting.isCounted) this.backend.inFlight -= 1;
  }

  protected refuse(call: Call, observer: ProviderObserver, cause: Failure): void {
    observer.onProviderDone(call, failed(cause));
  }
}

/** Finishes with `bytes[start, end)`, in front of which there is room, as a string or byte array in the caller's serialization. */
export function finishWithValue(
  waiting: BackendCall,
  head: ReplyHead,
  bytes: Buffer,
  start: number,
  end: number,
  isText: boolean,
  isOwned: boolean,
): void {
  const number = serializationOf(waiting.call) === BREEZE ? BREEZE : SIMPLE;
  const from = writeValueFront(bytes, start, end - start, isText, number);
  finishWith(waiting, head, number, bytes, from, end, isOwned);
}

export function finishWith(
  waiting: BackendCall,
  head: ReplyHead,
  serialization: number,
  bytes: Buffer,
  start: number,
  end: number,
  isOwned: boolean,
): void {
  const reply = new Reply(
    null,
    head,
    null,
    2,
    TYPE_RESPONSE,
    VALUE_STATUS,
    serialization << 3,
    bytes,
    start,
    end,
  );
  reply.isOwned = isOwned;
  waiting.finish(reply);
}

/** Finishes with an exception of the service. */
export function finishWithException(waiting: BackendCall, head: ReplyHead): void {
  const { exception } = head;
  waiting.finish(new Reply(null, head, exception, 2, TYPE_RESPONSE, EXCEPTION_STATUS, 0, NO_BYTES, 0, 0));
}
