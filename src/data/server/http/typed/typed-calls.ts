/**
 * Typed calls: any language that has HTTP and JSON calls any service of the mesh.
 *
 *   POST /v1/call/{service}/{method}   JSON array of arguments -> Motan2 with `simple` -> the value as JSON, or a problem document
 *   GET  /v1/services                  what can be called from here
 *   GET  /v1/openapi.json              the same for programs, with the types that the configuration knows
 *
 * A head is understood once (CallPlan), and kept with it: the next request that has an equal head costs its body only.
 */
import {
  Call,
  failure,
  type HttpSettings,
  type Logger,
  type MeshState,
  type Random,
  TYPE_PROXY,
} from '../../../../core/index.js';
import type { IoLoop } from '../../../transport/index.js';
import type { BodyCollector, HttpExchange, HttpHandler } from '../exchange.js';
import { accepts } from './accept.js';
import { CALL_PREFIX, CallPlan, methodProblem, optionsAnswer, planOf } from './call-plan.js';
import { isOwnName } from './caller.js';
import { type Catalog, servicesPage } from './catalog.js';
import { encodeArguments, JSON_BYTES_MAX } from './json-body.js';
import { openApiDocument } from './openapi.js';
import { AnswerMetadata, PendingCall } from './pending-call.js';
import { failureProblem, type PlainAnswer, requestProblem } from './problem.js';

/** Byte of the frame for `simple`: spec wire 2.2. */
const SIMPLE_BYTE = 0x30;
const VERSION_STATUS = 0x08;
const READ_METHODS = 'GET, HEAD, OPTIONS';
const JSON_FIELDS = ['Content-Type', 'application/json', 'Cache-Control', 'no-store'];
const NO_SCHEMAS = new Map();

export interface TypedCallDeps {
  readonly loop: IoLoop;
  readonly logger: Logger;
  readonly random: Random;
  readonly settings: HttpSettings;
  readonly frameBytesMax: number;
  /** Carries a call to the cluster of its service; its origin is told exactly once. */
  readonly routeRpc: (call: Call) => void;
  /** The state that is applied; null before the first. */
  readonly mesh: () => MeshState | null;
  /** What the data plane counts, for the list of services. */
  readonly report: () => Catalog;
}

export class TypedCalls implements HttpHandler, BodyCollector {
  readonly #deps: TypedCallDeps;
  readonly #bodyBytesMax: number;
  readonly #answerMetadata: AnswerMetadata;
  /** High half of the ids of calls: other agents and other lives of this one have others, so that logs can be joined by them. */
  #idHigh: number;
  #idLow = 0;
  #document: Buffer | null = null;
  #documentState: MeshState | null = null;

  constructor(deps: TypedCallDeps) {
    this.#deps = deps;
    const { settings, frameBytesMax, logger } = deps;
    this.#bodyBytesMax = Math.min(settings.bodyBytesMax, frameBytesMax, JSON_BYTES_MAX);
    this.#answerMetadata = new AnswerMetadata(settings.metadataAllow, logger);
    this.#idHigh = Math.floor(deps.random() * 0x7fffffff);
  }

  handle(exchange: HttpExchange): void {
    const { rawPath } = exchange.target;
    if (rawPath.startsWith(CALL_PREFIX)) this.#handleCall(exchange);
    else if (rawPath === '/v1/services') this.#handleRead(exchange, () => this.#services(exchange));
    else if (rawPath === '/v1/openapi.json') this.#handleRead(exchange, () => this.#openApi());
    else
      answer(
        exchange,
        requestProblem(
          404,
          `${CALL_PREFIX}{service}/{method}, /v1/services and /v1/openapi.json are served here`,
        ),
      );
  }

  #handleCall(exchange: HttpExchange): void {
    const plan = this.#planOf(exchange);
    if (!(plan instanceof CallPlan)) answer(exchange, plan);
    else if (exchange.bodyLength > this.#bodyBytesMax) answer(exchange, this.#tooLarge(plan));
    else exchange.collectBody(this.#bodyBytesMax, this);
  }

  onBodyCollected(exchange: HttpExchange): void {
    const plan = this.#planOf(exchange) as CallPlan;
    const { body, bodyStart, bodyEnd, nowMs } = exchange;
    const leftMs = plan.timeoutMs === 0 ? 0 : Math.floor(plan.timeoutMs - (nowMs - exchange.receivedMs));
    if (leftMs <= 0 && plan.timeoutMs !== 0) {
      answer(
        exchange,
        failureProblem(failure('E_TIMEOUT', `no body came within ${plan.timeoutMs} ms`), plan.subject),
      );
      return;
    }
    const encoded = encodeArguments(body.subarray(bodyStart, bodyEnd), plan.schema);
    if (!Buffer.isBuffer(encoded)) {
      answer(exchange, failureProblem(encoded, plan.subject));
    } else if (encoded.length > this.#deps.frameBytesMax) {
      answer(exchange, this.#tooLarge(plan));
    } else {
      const pending = new PendingCall(plan, this.#deps.loop.timers, this.#answerMetadata);
      const call = this.#makeCall(exchange, plan, leftMs, encoded);
      pending.begin(exchange, call, nowMs + leftMs);
      this.#deps.routeRpc(call);
    }
  }

  /** A new configuration may know other types. */
  #planOf(exchange: HttpExchange): CallPlan | PlainAnswer {
    const { memo } = exchange;
    const schemas = this.#deps.mesh()?.schemas ?? NO_SCHEMAS;
    const known = memo.typed as CallPlan | PlainAnswer | null;
    if (known !== null && (!(known instanceof CallPlan) || known.schemas === schemas)) return known;
    const plan = planOf(exchange, schemas, this.#deps.settings.metadataAllow);
    memo.typed = plan;
    return plan;
  }

  #makeCall(origin: HttpExchange, plan: CallPlan, leftMs: number, body: Buffer): Call {
    this.#idLow = (this.#idLow + 1) >>> 0;
    if (this.#idLow === 0) this.#idHigh = (this.#idHigh + 1) & 0x7fffffff;
    const call = new Call(
      plan.headFor(leftMs),
      origin,
      2,
      this.#idHigh,
      this.#idLow,
      TYPE_PROXY,
      VERSION_STATUS,
      SIMPLE_BYTE,
      // The timeout in the head is what is left from now on.
      origin.nowMs,
      body,
      0,
      body.length,
    );
    call.isOwned = true;
    return call;
  }

  #tooLarge(plan: CallPlan): PlainAnswer {
    const cause = failure('E_TOO_LARGE', `the arguments are larger than ${this.#bodyBytesMax} bytes`);
    return failureProblem(cause, plan.subject);
  }

  #handleRead(exchange: HttpExchange, make: () => PlainAnswer): void {
    const { head, target, remoteHost } = exchange;
    if (head.method === 'OPTIONS') answer(exchange, optionsAnswer(READ_METHODS));
    else if (head.method !== 'GET' && head.method !== 'HEAD') {
      answer(exchange, methodProblem(head.method, READ_METHODS));
    } else if (!isOwnName(target, remoteHost, this.#deps.settings.ownHosts)) {
      answer(
        exchange,
        requestProblem(421, 'the agent is asked by an address, localhost or its own name only'),
      );
    } else if (!accepts(head, 'application', 'json')) {
      answer(exchange, requestProblem(406, 'the answer is application/json'));
    } else {
      answer(exchange, make());
    }
  }

  #services(exchange: HttpExchange): PlainAnswer {
    const state = this.#deps.mesh();
    if (state === null) return requestProblem(503, 'the agent is starting');
    const page = servicesPage(state, this.#deps.report(), exchange.target.query);
    if (typeof page === 'string') return requestProblem(400, page, [], 'E_BAD_REQUEST');
    return { status: 200, fields: JSON_FIELDS, body: Buffer.from(JSON.stringify(page)) };
  }

  /** Made once for a state: it depends on nothing else. */
  #openApi(): PlainAnswer {
    const state = this.#deps.mesh();
    if (state === null) return requestProblem(503, 'the agent is starting');
    if (this.#document === null || this.#documentState !== state) {
      this.#document = Buffer.from(JSON.stringify(openApiDocument(state)));
      this.#documentState = state;
    }
    return { status: 200, fields: JSON_FIELDS, body: this.#document };
  }
}

/** What the agent says by itself: an error, or what was asked of it. */
function answer(exchange: HttpExchange, { status, fields, body }: PlainAnswer): void {
  exchange.outcome = status < 400 ? 'ok' : 'failed';
  exchange.respond(status, fields, body);
}
