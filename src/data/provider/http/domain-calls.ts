/**
 * Motan callers that address a domain in place of a service (spec traffic 2.10): PHP clients do, with the path as the method.
 *
 *   call --path is servable--> cluster of its service --anything but 1001--> answered
 *     '----- not servable -----------.--- 1001: nobody serves it
 *                                    v
 *             a request to the domain itself, made as provider http makes it for RPC callers --> answered
 *
 * The service gets the arguments untouched. The domain's own answer comes back as bytes with its fields as metadata, whatever its status;
 * what goes wrong on that way has code 400 and type 1, as with motan-go.
 */
import {
  Call,
  CallHead,
  type CallOrigin,
  type Failure,
  failed,
  failure,
  type HttpDomain,
  latin1Text,
  type MeshUrl,
  Metadata,
  type ProviderObserver,
  Reply,
  ReplyHead,
} from '../../../core/index.js';
import {
  type HttpTarget,
  type HttpUpstream,
  type Outbound,
  type OutboundWaiter,
  parseTarget,
} from '../../http-client/index.js';
import { Argument } from './argument.js';
import { Backend, type HttpProviderDeps } from './backend.js';
import { Rewriting } from './rewriting.js';
import { RpcMode } from './rpc-mode.js';
import { type BackendSettings, httpSettings } from './settings.js';

export interface DomainCallsDeps extends HttpProviderDeps {
  readonly outbound: Outbound;
}

/** Nobody serves the call: spec traffic 1.1. */
const NO_ENDPOINT_CODE = 1001;
const HTTP_PORT = 80;

export class DomainCalls {
  readonly deps: DomainCallsDeps;
  readonly #timeoutMs: number;
  readonly #argument = new Argument();
  /** What callers' heads are for the service behind their path. */
  readonly #heads = new WeakMap<CallHead, ServiceHead>();
  readonly #modes = new WeakMap<HttpUpstream, DomainMode>();
  /** Heads of answers without what provider http adds. */
  readonly #answers = new WeakMap<ReplyHead, ReplyHead>();

  /** @param upstreamTimeoutMs `httpProxyTimeout`: to connect to a domain, to write and to read, each */
  constructor(upstreamTimeoutMs: number, deps: DomainCallsDeps) {
    this.#timeoutMs = upstreamTimeoutMs;
    this.deps = deps;
  }

  /** Takes a call whose service is the name of `domain`; its origin is told exactly once. */
  call(domain: HttpDomain, call: Call): void {
    if (call.protocol === 1) {
      // The service stands inside of a v1 frame, which goes on as it came.
      const text = 'a domain cannot be called by Motan v1';
      call.origin.onReply(call, failed(failure('E_BAD_ARGUMENTS', text)));
      return;
    }
    const service = domain.serviceOf(call.head.method);
    // The arguments may be needed a second time, when the buffer of the first has long been read over.
    call.retain();
    const pending = new DomainCall(this, domain, call);
    if (service === null) pending.askDomain();
    else domain.call(service, serviceCall(this.#headFor(call.head, domain, service), pending, call));
  }

  /** Why the arguments of a call cannot be read; null when they can. */
  argumentTrouble(call: Call): string | null {
    const argument = this.#argument;
    argument.read(call);
    return argument.kind === 'unreadable' ? argument.type : null;
  }

  modeOf(upstream: HttpUpstream, domain: HttpDomain, target: HttpTarget): RpcMode {
    const known = this.#modes.get(upstream);
    if (known !== undefined && known.url === domain.url) return known.mode;
    const backend = new DomainBackend(domainSettings(domain, this.#timeoutMs), this.deps, upstream);
    const mode = new RpcMode(backend, target, new Rewriting(false, null));
    this.#modes.set(upstream, { url: domain.url, mode });
    return mode;
  }

  /** The answer of a domain as callers know it: without `upstreamCode`. */
  withoutStatus(reply: Reply): Reply {
    const head = reply.head!;
    let plain = this.#answers.get(head);
    if (plain === undefined) {
      const metadata = head.metadata.copy();
      metadata.delete('upstreamCode');
      plain = new ReplyHead(metadata, null);
      this.#answers.set(head, plain);
    }
    const { protocol, type, versionStatus, serialization, bytes, bodyStart, bodyEnd } = reply;
    const own = new Reply(
      null,
      plain,
      null,
      protocol,
      type,
      versionStatus,
      serialization,
      bytes,
      bodyStart,
      bodyEnd,
    );
    own.view = reply.view;
    own.isOwned = reply.isOwned;
    own.pooled = reply.pooled;
    return own;
  }

  #headFor(head: CallHead, domain: HttpDomain, service: string): CallHead {
    const known = this.#heads.get(head);
    if (known !== undefined && known.service === service && known.url === domain.url) return known.head;
    const made = { service, url: domain.url, head: headFor(head, domain.url, service) };
    this.#heads.set(head, made);
    return made.head;
  }
}

interface DomainMode {
  readonly url: MeshUrl;
  readonly mode: RpcMode;
}

interface ServiceHead {
  readonly service: string;
  readonly url: MeshUrl;
  readonly head: CallHead;
}

/** One call that addresses a domain. */
class DomainCall implements CallOrigin, OutboundWaiter, ProviderObserver {
  readonly #calls: DomainCalls;
  readonly #domain: HttpDomain;
  readonly #call: Call;
  #target: HttpTarget | null = null;

  constructor(calls: DomainCalls, domain: HttpDomain, call: Call) {
    this.#calls = calls;
    this.#domain = domain;
    this.#call = call;
  }

  askDomain(): void {
    const trouble = this.#calls.argumentTrouble(this.#call);
    if (trouble !== null) {
      this.#answer(failed(badRequest(`bad request: ${trouble}`)));
      return;
    }
    const target = parseTarget(this.#domain.domain, HTTP_PORT);
    if (target === null || 'path' in target) this.onNoUpstream(false, 'the domain is no host');
    else {
      this.#target = target;
      this.#calls.deps.outbound.find({ ...target, isTls: false, isDomain: true }, this);
    }
  }

  // --- The way through the mesh

  onReply(_call: Call, reply: Reply): void {
    if (reply.exception?.code === NO_ENDPOINT_CODE) this.askDomain();
    else this.#answer(reply);
  }

  onPressure(): void {
    this.#call.origin.onPressure();
  }

  onRelief(): void {
    this.#call.origin.onRelief();
  }

  // --- The way to the domain itself

  onUpstream(upstream: HttpUpstream): void {
    this.#calls.modeOf(upstream, this.#domain, this.#target!).start(this.#call, this);
  }

  onNoUpstream(isForbidden: boolean, text: string): void {
    const cause = isForbidden ? failure('E_FORBIDDEN', text) : requestFailed('E_BACKEND_DOWN', text);
    this.#log(text);
    this.#answer(failed(cause));
  }

  onProviderDone(_call: Call, reply: Reply): void {
    const { failure: cause } = reply;
    this.#log(cause?.message ?? null);
    if (cause === null) this.#answer(this.#calls.withoutStatus(reply));
    else if (cause.exception === null)
      this.#answer(failed(badRequest(`bad motan-http request: ${cause.message}`)));
    else this.#answer(failed(requestFailed(cause.code, cause.message)));
  }

  #answer(reply: Reply): void {
    this.#call.origin.onReply(this.#call, reply);
  }

  /** No filter sees what leaves the mesh. */
  #log(trouble: string | null): void {
    const { loop, logger } = this.#calls.deps;
    const fields = {
      host: this.#domain.domain,
      path: this.#call.head.method,
      ms: Math.round((loop.nowMs - this.#call.receivedMs) * 10) / 10,
    };
    logger.info(trouble === null ? fields : { ...fields, trouble }, 'domain-call');
  }
}

/** Sends on an upstream that the policy has let through for this request. */
class DomainBackend extends Backend {
  readonly #upstream: HttpUpstream;

  constructor(settings: BackendSettings, deps: HttpProviderDeps, upstream: HttpUpstream) {
    super(settings, deps, 2);
    this.#upstream = upstream;
  }

  override upstreamOf(): HttpUpstream {
    return this.#upstream;
  }
}

/** Of a backend at the domain itself, with the times of the direct proxy. */
function domainSettings(domain: HttpDomain, timeoutMs: number): BackendSettings {
  return {
    ...httpSettings(domain.url),
    domain: latin1Text(domain.domain),
    defaultMethod: 'GET',
    isHttpExceptionEnabled: false,
    isRewriteEnabled: false,
    requestTimeoutMs: timeoutMs,
    connectTimeoutMs: timeoutMs,
    isTimeoutWhole: false,
    timeouts: { writeMs: timeoutMs, firstByteMs: timeoutMs, betweenBytesMs: 0, answerMs: timeoutMs },
  };
}

/** The call as the cluster of `service` gets it. The bytes are the caller's, who may need them again. */
function serviceCall(head: CallHead, origin: CallOrigin, from: Call): Call {
  const { protocol, idHigh, idLow, type, versionStatus, serialization, receivedMs } = from;
  const { bytes, bodyStart, bodyEnd } = from;
  const call = new Call(
    head,
    origin,
    protocol,
    idHigh,
    idLow,
    type,
    versionStatus,
    serialization,
    receivedMs,
    bytes,
    bodyStart,
    bodyEnd,
  );
  call.view = from.view;
  call.isOwned = true;
  return call;
}

/** With the real service, and what a caller of a refer may leave out: spec traffic 5.2. */
function headFor(head: CallHead, url: MeshUrl, service: string): CallHead {
  const metadata = Metadata.of(head.metadata.entries());
  metadata.set('M_p', latin1Text(service));
  if (head.source === '') {
    metadata.set('M_s', metadata.text('application') || latin1Text(url.text('application')));
  }
  if (head.group === '') metadata.set('M_g', latin1Text(url.group));
  return new CallHead(metadata, head.host);
}

function badRequest(text: string): Failure {
  return failure('E_BAD_ARGUMENTS', text, { code: 400, type: 1, message: text });
}

function requestFailed(code: Failure['code'], trouble: string): Failure {
  const text = `do http request failed : ${trouble}`;
  return failure(code, text, { code: 400, type: 1, message: text });
}
