/** What became of a call made by hand: an answer, an exception of the service, or a failure; and how people see it. */
import { type Metadata, ProtocolError, TYPE_GZIP, utf8Text } from '../core/index.js';
import { gunzipBody, parseException } from '../wire/motan2/index.js';
import {
  BREEZE,
  breezeToJson,
  decodeBreezeArguments,
  decodeSimpleArguments,
  SIMPLE,
  serializationName,
  simpleToJson,
} from '../wire/serialization/index.js';
import type { CallAnswer, CallRequest } from './motan-client.js';
import { EXIT_EXCEPTION, EXIT_FAILURE, EXIT_OK, measuredMs, printable, roundedMs } from './output.js';

const UNZIPPED_BYTES_MAX = 64 * 1024 * 1024;
const JSON_TEXT = 2;
/** Codes that an agent gives with type 1: spec wire 4.3. */
const AGENT_CODES: ReadonlySet<number> = new Set([400, 500, 503, 1001, 1002, 1003, 1004]);

/** Field names are those of `peony call --json`. */
export interface AnswerFacts {
  /** `host:port` of the node that served, as the agent tells it; null without an agent between. */
  readonly node: string | null;
  readonly serialization: string;
  readonly requestId: string;
  readonly requestBytes: number;
  readonly answerBytes: number;
  readonly timeMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ExceptionFacts {
  readonly code: number;
  /** 0 framework, 1 service, 2 business. */
  readonly type: number;
  readonly message: string;
}

export type CallOutcome =
  | (AnswerFacts & { readonly outcome: 'ok'; readonly value: unknown; readonly note?: string })
  | (AnswerFacts & { readonly outcome: 'exception'; readonly exception: ExceptionFacts })
  /** An exception that an agent made: the service was not reached, or its answer could not be used. */
  | (AnswerFacts & { readonly outcome: 'agent-exception'; readonly exception: ExceptionFacts })
  | {
      readonly outcome: 'failure';
      readonly failure: { readonly code: string; readonly message: string };
      readonly timeMs: number;
    };

export function outcomeOf(answer: CallAnswer, isTyped: boolean): CallOutcome {
  const { metadata } = answer;
  const facts: AnswerFacts = {
    node: metadata.get('x-forwarded-for') ?? null,
    serialization: serializationName(answer.serialization),
    requestId: String(answer.requestId),
    requestBytes: answer.requestBytes,
    answerBytes: answer.answerBytes,
    timeMs: roundedMs(answer.elapsedMs),
    metadata: toPlain(metadata),
  };
  const text = metadata.text('M_e');
  if (text === '' && answer.status === 0) return { ...facts, outcome: 'ok', ...decodeValue(answer, isTyped) };
  const read = text === '' ? null : parseException(text);
  const exception =
    read === null || read === 'unreadable'
      ? { code: 0, type: 0, message: `status ${answer.status} without a readable M_e: ${utf8Text(text)}` }
      : read;
  return { ...facts, outcome: isAgentMade(answer, exception) ? 'agent-exception' : 'exception', exception };
}

/**
 * Nothing in an answer says who made its exception, but an agent's has serialization 0, no body and one of few codes,
 * while services answer in the serialization of the request or with codes of their own.
 */
export function isAgentMade(
  answer: Pick<CallAnswer, 'serialization' | 'body'>,
  { code, type }: Pick<ExceptionFacts, 'code' | 'type'>,
): boolean {
  if (answer.serialization !== 0 || answer.body.length > 0) return false;
  // The second: a motan-go agent in front of a service whose backend cannot be reached.
  return (type === 1 && AGENT_CODES.has(code)) || (type === 503 && code === 503);
}

export function exitCodeOf(outcome: CallOutcome): number {
  switch (outcome.outcome) {
    case 'ok':
      return EXIT_OK;
    case 'exception':
      return EXIT_EXCEPTION;
    case 'agent-exception':
    case 'failure':
      return EXIT_FAILURE;
  }
}

/** The value as JSON; what cannot be read becomes hex with a note that says why. */
function decodeValue(answer: CallAnswer, exact: boolean): { value: unknown; note?: string } {
  const body = (answer.type & TYPE_GZIP) === 0 ? answer.body : gunzipBody(answer.body, UNZIPPED_BYTES_MAX);
  if (body === 'too-large') {
    return { value: null, note: `the body unzips to more than ${UNZIPPED_BYTES_MAX} bytes and is not shown` };
  }
  if (body === null) return hexOf(answer.body, 'the body is marked as gzip and is not');
  try {
    if (answer.serialization === SIMPLE) {
      return oneOf(decodeSimpleArguments(body).map((value) => simpleToJson(value, { exact })));
    }
    if (answer.serialization === BREEZE) {
      return oneOf(decodeBreezeArguments(body).map((value) => breezeToJson(value, { exact })));
    }
    if (body.length === 0) return { value: null };
    if (answer.serialization === JSON_TEXT) return { value: JSON.parse(body.toString('utf8')) };
  } catch (error) {
    if (error instanceof ProtocolError)
      return hexOf(body, `${error.message} at byte ${error.offset} of the body`);
    if (error instanceof SyntaxError) return hexOf(body, error.message);
    throw error;
  }
  return hexOf(body, `bodies in ${serializationName(answer.serialization)} are not read`);
}

/** A void answer has an empty body; more than one value breaks the rule and is shown as it is. */
function oneOf(values: readonly unknown[]): { value: unknown; note?: string } {
  if (values.length <= 1) return { value: values[0] ?? null };
  return { value: values, note: `the answer holds ${values.length} values instead of one` };
}

function hexOf(body: Buffer, reason: string): { value: unknown; note: string } {
  return { value: body.toString('hex'), note: `shown as hex: ${reason}` };
}

function toPlain(metadata: Metadata): Record<string, string> {
  return Object.fromEntries([...metadata.entries()].map(([key, value]) => [utf8Text(key), utf8Text(value)]));
}

const EXCEPTION_TYPES = ['framework', 'service', 'business'];

/** Sentences for people. */
export const describe = {
  request(request: CallRequest, target: string): string {
    const lines = [
      `> to ${target}, ${serializationName(request.serialization)}, body of ${request.body.length} bytes`,
    ];
    for (const [key, value] of Object.entries(toPlain(request.metadata))) lines.push(`> ${key}: ${value}`);
    return `${lines.map(printable).join('\n')}\n`;
  },

  answer(outcome: CallOutcome): string {
    if (outcome.outcome === 'failure') return `< nothing, after ${measuredMs(outcome.timeMs)}\n`;
    const { timeMs, node, requestId, requestBytes, answerBytes, serialization, metadata } = outcome;
    const lines = [
      `< in ${measuredMs(timeMs)}${node === null ? '' : ` from node ${node}`}, request ${requestId}`,
      `< ${requestBytes} bytes sent, ${answerBytes} bytes received, ${serialization}`,
    ];
    for (const [key, value] of Object.entries(metadata)) lines.push(`< ${key}: ${value}`);
    return `${lines.map(printable).join('\n')}\n`;
  },

  /** Text and bytes alone, nothing behind them; other values as `value`. */
  raw(outcome: Extract<CallOutcome, { outcome: 'ok' }>): string | Buffer {
    const { value } = outcome;
    if (typeof value === 'string') return value;
    const isBytes = typeof value === 'object' && value !== null && '$bytes' in value;
    return isBytes ? Buffer.from(String(value.$bytes), 'base64') : `${describe.value(outcome)}\n`;
  },

  value(outcome: Extract<CallOutcome, { outcome: 'ok' }>): string {
    return JSON.stringify(outcome.value);
  },

  trouble(outcome: Exclude<CallOutcome, { outcome: 'ok' }>): string {
    if (outcome.outcome === 'failure') return `failed: ${outcome.failure.message}`;
    const { code, type, message } = outcome.exception;
    const maker = outcome.outcome === 'exception' ? 'service' : 'agent';
    const typeText =
      EXCEPTION_TYPES[type] === undefined ? String(type) : `${type} (${EXCEPTION_TYPES[type]})`;
    return `exception of the ${maker}: code ${code}, type ${typeText}: ${message}`;
  },
};

const TROUBLES_SHOWN = 5;
/** Enough for an exact median of any run by hand; beyond, the newest replace the oldest. */
const TIMES_KEPT = 100_000;

/** Repeated calls in a few lines. */
export class CallSummary {
  readonly #counts = { ok: 0, exceptions: 0, failures: 0 };
  readonly #nodes = new Map<string, number>();
  readonly #times: number[] = [];
  /** Text to count, the first few different ones. */
  readonly #troubles = new Map<string, number>();

  add(outcome: CallOutcome): void {
    this.#times[this.#calls % TIMES_KEPT] = outcome.timeMs;
    if (outcome.outcome === 'ok') this.#counts.ok += 1;
    else if (outcome.outcome === 'exception') this.#counts.exceptions += 1;
    else this.#counts.failures += 1;
    if (outcome.outcome !== 'failure') {
      const node = outcome.node ?? 'unknown';
      this.#nodes.set(node, (this.#nodes.get(node) ?? 0) + 1);
    }
    if (outcome.outcome === 'ok') return;
    const text = describe.trouble(outcome);
    const known = this.#troubles.get(text);
    if (known !== undefined || this.#troubles.size < TROUBLES_SHOWN)
      this.#troubles.set(text, (known ?? 0) + 1);
  }

  get exitCode(): number {
    if (this.#counts.failures > 0) return EXIT_FAILURE;
    return this.#counts.exceptions > 0 ? EXIT_EXCEPTION : EXIT_OK;
  }

  toJSON(): object {
    return {
      calls: this.#calls,
      ...this.#counts,
      timeMs: this.#timesMs(),
      nodes: Object.fromEntries(this.#nodes),
      troubles: Object.fromEntries(this.#troubles),
    };
  }

  toText(): string {
    const { ok, exceptions, failures } = this.#counts;
    const { p50, p99, max } = this.#timesMs();
    const lines = [
      `${this.#calls} calls: ${ok} ok, ${exceptions} exceptions, ${failures} failures`,
      `time: p50 ${measuredMs(p50)}, p99 ${measuredMs(p99)}, longest ${measuredMs(max)}`,
    ];
    for (const [node, count] of this.#nodes) lines.push(`node ${node}: ${count}`);
    for (const [text, count] of this.#troubles) lines.push(`${count} x ${text}`);
    return `${lines.map(printable).join('\n')}\n`;
  }

  get #calls(): number {
    return this.#counts.ok + this.#counts.exceptions + this.#counts.failures;
  }

  #timesMs(): { p50: number; p99: number; max: number } {
    const sorted = [...this.#times].sort((a, b) => a - b);
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
  }
}
