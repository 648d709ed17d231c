/**
 * A typed call on its way: its answer becomes the answer of the exchange, unless its time is over before. An answer that comes later is dropped.
 */
import { signed64Text, type TimerWheel, type WheelTimer } from '../../../../base/index.js';
import { type Call, failure, type Logger, type Reply } from '../../../../core/index.js';
import { isFieldValue } from '../../../../wire/http1/index.js';
import { AnswerFront } from '../answer-front.js';
import { type ExchangeWatcher, type HttpExchange, outcomeOf, type ReplyReceiver } from '../exchange.js';
import type { CallPlan } from './call-plan.js';
import { answerToJson } from './json-body.js';
import { exceptionProblem, failureProblem, type PlainAnswer, type ProblemSubject } from './problem.js';

const OK_FIELDS = ['Content-Type', 'application/json'];
const OK_FRONT = new AnswerFront(200, OK_FIELDS);
const NO_FIELDS: readonly string[] = [];
/** The far side was told what is left in whole ms, so it gives up as much before us. */
const ROUNDING_MS = 2;

export class PendingCall implements ReplyReceiver, ExchangeWatcher, WheelTimer {
  deadlineMs = 0;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;
  readonly #plan: CallPlan;
  readonly #timers: TimerWheel;
  readonly #answerMetadata: AnswerMetadata;
  /** Only with a timeout. */
  #exchange: HttpExchange | null = null;
  #call: Call | null = null;

  constructor(plan: CallPlan, timers: TimerWheel, answerMetadata: AnswerMetadata) {
    this.#plan = plan;
    this.#timers = timers;
    this.#answerMetadata = answerMetadata;
  }

  /** The call is made next. Clusters have a timeout for each try and take the caller's only within bounds; this one is for all tries. */
  begin(exchange: HttpExchange, call: Call, deadlineMs: number): void {
    exchange.awaitReply(this);
    if (this.#plan.timeoutMs === 0) return;
    exchange.watch(this);
    this.#exchange = exchange;
    this.#call = call;
    this.deadlineMs = deadlineMs;
    this.#timers.add(this);
  }

  onReply(exchange: HttpExchange, call: Call, reply: Reply): void {
    this.#timers.remove(this);
    if (!exchange.isOpen) return;
    if (this.#hasGivenUp(exchange, reply)) {
      this.onDeadline();
      return;
    }
    const fields = this.#answerMetadata.fieldsOf(reply);
    exchange.outcome = outcomeOf(reply);
    const problem = this.#problemOf(call, reply);
    if (problem !== null) {
      respondProblem(exchange, problem, fields);
      return;
    }
    const json = answerToJson(reply, this.#plan.schema);
    if (!Buffer.isBuffer(json)) {
      exchange.outcome = 'failed';
      respondProblem(exchange, failureProblem(json, this.#subject(call, reply.address)), fields);
      return;
    }
    const front = fields.length === 0 ? OK_FRONT : new AnswerFront(200, [...OK_FIELDS, ...fields]);
    exchange.respondWith(front, json, null, 0, json.length, true, null);
  }

  onDeadline(): void {
    const exchange = this.#exchange!;
    const cause = failure('E_TIMEOUT', `no answer came within ${this.#plan.timeoutMs} ms`);
    exchange.outcome = 'failed';
    respondProblem(exchange, failureProblem(cause, this.#subject(this.#call!, '')), NO_FIELDS);
  }

  /** Who is out of time by our own deadline says so in many codes: the caller is told in one. */
  #hasGivenUp(exchange: HttpExchange, { exception }: Reply): boolean {
    if (this.#exchange === null || exception === null) return false;
    const isTrouble = exception.type !== 2 || exception.code === 503;
    return isTrouble && exchange.nowMs >= this.deadlineMs - ROUNDING_MS;
  }

  onAborted(): void {
    this.#timers.remove(this);
  }

  onWritable(): void {
    // Answers are given whole: nothing waits for room.
  }

  #problemOf(call: Call, reply: Reply): PlainAnswer | null {
    const { failure: cause, exception, address } = reply;
    if (cause !== null) return failureProblem(cause, this.#subject(call, address));
    return exception === null ? null : exceptionProblem(exception, this.#subject(call, address));
  }

  #subject(call: Call, node: string): ProblemSubject {
    const requestId = signed64Text(call.idHigh, call.idLow);
    return { ...this.#plan.subject, requestId, ...(node === '' ? {} : { node }) };
  }
}

function respondProblem(exchange: HttpExchange, problem: PlainAnswer, more: readonly string[]): void {
  exchange.respond(problem.status, [...problem.fields, ...more], problem.body);
}

/** Metadata of answers that goes back as fields: names of `httpMetadataAllow`, whatever their case. */
export class AnswerMetadata {
  readonly #names: ReadonlySet<string>;
  readonly #logger: Logger;
  /** Names whose values were left out, each told once. */
  readonly #told = new Set<string>();

  constructor(names: readonly string[], logger: Logger) {
    this.#names = new Set(names);
    this.#logger = logger;
  }

  fieldsOf(reply: Reply): readonly string[] {
    if (this.#names.size === 0 || reply.head === null) return NO_FIELDS;
    const fields: string[] = [];
    for (const [key, value] of reply.head.metadata.entries()) {
      const name = key.toLowerCase();
      if (value === '' || !this.#names.has(name)) continue;
      if (isFieldValue(value)) fields.push(name, value);
      else this.#tell(name, reply.address);
    }
    return fields;
  }

  /** A control character would make a second field, or a second answer. */
  #tell(name: string, node: string): void {
    if (this.#told.has(name)) return;
    this.#told.add(name);
    this.#logger.warn(
      { metadata: name, node },
      'left a value with control characters out of an answer; said once',
    );
  }
}
