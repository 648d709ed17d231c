/** One call on its way through the pool: the request that it becomes, and the reply that its observer is told, once. */
import { signed64Text } from '../../../base/index.js';
import type { Call, Logger, ProviderObserver, Reply } from '../../../core/index.js';
import type { IoLoop } from '../../transport/index.js';
import { httpReply, httpTroubleReply, rpcReply, troubleReply } from './answer.js';
import type { Job, ScriptAnswer } from './exchange.js';
import type { ScriptRequest } from './script-request.js';
import { type CgiSettings, timeoutOf } from './settings.js';
import { StderrText } from './stderr-text.js';
import type { Trouble } from './trouble.js';

const NO_BYTES = Buffer.alloc(0);

/** The provider, as a call needs it. */
export interface CallOwner {
  readonly settings: CgiSettings;
  readonly logger: Logger;
  readonly loop: IoLoop;
  /** The call has its reply. */
  onCallDone(): void;
}

export class CgiCall implements Job {
  readonly endMs: number;
  readonly queueEndMs: number;
  readonly firstByteTimeoutMs: number;
  readonly answerBytesMax: number;
  readonly bytes: number;
  pooled: Buffer | null = null;
  readonly #call: Call;
  readonly #observer: ProviderObserver;
  readonly #owner: CallOwner;
  /** Null once it was sent: what waits for an answer must not keep its body. */
  #request: ScriptRequest | null;
  readonly #httpMethod: string;
  #stderr: StderrText | null = null;

  constructor(call: Call, request: ScriptRequest, observer: ProviderObserver, owner: CallOwner) {
    const { settings, loop } = owner;
    const { head } = call;
    this.endMs = call.receivedMs + timeoutOf(settings, head.method, head.methodDesc, head.timeoutMs);
    this.queueEndMs = loop.clock.nowMs() + settings.queueTimeoutMs;
    this.firstByteTimeoutMs = settings.firstByteTimeoutMs;
    this.answerBytesMax = settings.answerBytesMax;
    this.bytes = call.bodyBytes;
    this.#call = call;
    this.#observer = observer;
    this.#owner = owner;
    this.#request = request;
    this.#httpMethod = request.httpMethod;
  }

  slices(leftMs: number): readonly Uint8Array[] {
    const { encoder, body } = this.#request!;
    const call = this.#call;
    this.#request = null;
    // Only a caller that said how long it waits has its scripts told.
    if (call.head.timeoutMs > 0) encoder.param('HTTP_X_PEONY_TIMEOUT_MS', String(leftMs));
    const slices = encoder.finish(body);
    this.pooled = call.pooled;
    this.#dropBody();
    return slices;
  }

  onStderr(bytes: Buffer, start: number, end: number): void {
    this.#stderr ??= new StderrText();
    this.#stderr.add(bytes, start, end);
  }

  onAnswer(answer: ScriptAnswer): void {
    const call = this.#call;
    const reply =
      this.#httpMethod === ''
        ? rpcReply(call, answer, this.#owner.settings.throwsStatus)
        : httpReply(call, answer, this.#httpMethod);
    this.#done(reply);
  }

  onTrouble(trouble: Trouble): void {
    this.#request = null;
    this.#dropBody();
    const isHttp = this.#httpMethod !== '';
    this.#done(isHttp ? httpTroubleReply(this.#call, trouble, this.#httpMethod) : troubleReply(trouble));
  }

  onReleased(): void {
    const stderr = this.#stderr;
    if (stderr === null || stderr.isEmpty) return;
    const { head, requestIdHigh, requestIdLow } = this.#call;
    const requestId = head.requestId.slice(0, 128) || signed64Text(requestIdHigh, requestIdLow);
    const fields = { service: this.#owner.settings.service, requestId, stderr: stderr.toString() };
    this.#owner.logger.warn(fields, 'a script wrote to its error log');
  }

  /** The view's bounds stay, for those who ask how large the body was. */
  #dropBody(): void {
    const call = this.#call;
    call.bytes = NO_BYTES;
    call.view = null;
    call.pooled = null;
  }

  #done(reply: Reply): void {
    this.#owner.onCallDone();
    this.#observer.onProviderDone(this.#call, reply);
  }
}
