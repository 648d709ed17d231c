/**
 * Provider `cgi`: puts the calls of a service to a script behind PHP-FPM, or another FastCGI backend (spec traffic 4).
 *
 *   Call -> scriptRequest -> CgiCall -> FpmPool (bound and queue) -> Exchange (connection) -> FPM
 */
import type { WheelTimer } from '../../../base/index.js';
import {
  type Call,
  failed,
  failure,
  type HealthCheck,
  type Logger,
  latin1Text,
  type Provider,
  type ProviderObserver,
  type ProviderReport,
  type ProviderTarget,
  type Reply,
} from '../../../core/index.js';
import type { IoLoop } from '../../transport/index.js';
import { probeConnect } from '../probe-connect.js';
import { httpTroubleReply, troubleReply } from './answer.js';
import { type CallOwner, CgiCall } from './cgi-call.js';
import type { ScriptAnswer } from './exchange.js';
import { CHILDREN_GUESS, FpmPool } from './fpm-pool.js';
import { fpmPage, type OwnRequest, scriptPage } from './fpm-request.js';
import { FpmStatusWatch } from './fpm-status.js';
import { isTransparent, type Refusal, type ScriptRequest, scriptRequest } from './script-request.js';
import { type CgiSettings, cgiSettings, timeoutOf } from './settings.js';
import type { Trouble } from './trouble.js';

export interface CgiDeps {
  readonly loop: IoLoop;
  readonly logger: Logger;
  readonly useRaw: boolean;
}

export function createCgiProvider(target: ProviderTarget, deps: CgiDeps): Provider {
  return new CgiProvider(cgiSettings(target.url), deps);
}

const DRAINING: Trouble = { code: 'E_DRAINING', message: 'the service is being closed' };
const ENDED: Trouble = { code: 'E_BACKEND_LOST', message: 'the service was closed before the answer came' };
const FULL: Trouble = {
  code: 'E_BACKEND_BUSY',
  message: 'every child of the pool is busy and the queue is full',
};
const LATE: Trouble = {
  code: 'E_BACKEND_TIMEOUT',
  message: 'the time of the call was over before it was sent',
};

class CgiProvider implements Provider, CallOwner, WheelTimer {
  readonly settings: CgiSettings;
  readonly logger: Logger;
  readonly loop: IoLoop;
  readonly #deps: CgiDeps;
  readonly #pool: FpmPool;
  readonly #statusWatch: FpmStatusWatch | null;
  /** Calls begun whose reply is not given yet. */
  #running = 0;
  #isClosing = false;
  readonly #tried: Promise<void>;
  #onTried: () => void = () => undefined;
  // Armed while closing: the calls begun may finish until then.
  deadlineMs = 0;
  wheelNext: WheelTimer | null = null;
  wheelPrevious: WheelTimer | null = null;
  wheelSlot = -1;

  constructor(settings: CgiSettings, deps: CgiDeps) {
    this.settings = settings;
    this.#deps = deps;
    this.loop = deps.loop;
    this.logger = deps.logger;
    const { target, connectTimeoutMs, queueMax } = settings;
    this.#pool = new FpmPool({ loop: deps.loop, useRaw: deps.useRaw, target, connectTimeoutMs, queueMax });
    if (settings.childrenMax > 0) this.#pool.connectionsMax = settings.childrenMax;
    this.#statusWatch = settings.statusPath === '' ? null : this.#watchStatus();
    const mustLearn = this.#statusWatch !== null && settings.childrenMax === 0;
    this.#tried = mustLearn
      ? new Promise((resolve) => {
          this.#onTried = resolve;
        })
      : Promise.resolve();
    if (!mustLearn) return;
    // The page itself has the only connection, and calls wait for what it says: a moment, when the pool is well.
    this.#pool.connectionsMax = 1;
    this.#pool.runErrands();
  }

  start(call: Call, observer: ProviderObserver): void {
    if (call.protocol === 1) {
      observer.onProviderDone(call, v1Refusal());
      return;
    }
    call.retain();
    const request = scriptRequest(call, this.settings.script);
    if ('message' in request) {
      observer.onProviderDone(call, refused(call, request));
      return;
    }
    const trouble = this.#troubleWith(call);
    if (trouble === null) {
      this.#running += 1;
      if (this.#pool.submit(new CgiCall(call, request, observer, this))) return;
      this.#running -= 1;
    }
    observer.onProviderDone(call, replyTo(call, request, trouble ?? FULL));
  }

  /**
   * `fpm` sends a ping in front of what waits. While the pool is full of calls a ping could only wait with them, and a pool that is busy
   * would be taken for a dead one: then it is well as long as it takes connections and somebody still waits for one of its scripts.
   */
  probe(check: HealthCheck, timeoutMs: number, done: (trouble: string | null) => void): void {
    if (check.kind === 'tcp') {
      probeConnect(this.#deps, this.settings.target, timeoutMs, done);
      return;
    }
    const endMs = this.loop.clock.nowMs() + timeoutMs;
    if (this.#pool.submitNow(this.#probeRequest(check, endMs, done))) return;
    const { connections, inFlight } = this.#pool;
    if (inFlight === 0) {
      // Later, as every other way to the end: whoever asks need not be ready to be told at once.
      queueMicrotask(() => done(`all ${connections} children are busy with calls that were given up`));
      return;
    }
    probeConnect(this.#deps, this.settings.target, timeoutMs, done);
  }

  close(withinMs: number): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#running === 0) {
      this.#end();
      return;
    }
    this.deadlineMs = this.loop.clock.nowMs() + withinMs;
    this.loop.timers.add(this);
  }

  onDeadline(): void {
    this.#end();
  }

  whenTried(): Promise<void> {
    return this.#tried;
  }

  report(): ProviderReport {
    const pool = this.#pool;
    if (!this.#isClosing) pool.runErrands();
    return {
      backend: this.settings.backend,
      inFlight: pool.inFlight,
      queued: pool.queued,
      refused: pool.refused,
      connections: pool.connections,
      connectionsMax: pool.connectionsMax,
      lastError: pool.lastError ?? this.#statusWatch?.trouble ?? null,
      details: this.#statusWatch?.status?.details ?? {},
    };
  }

  onCallDone(): void {
    this.#running -= 1;
    if (this.#isClosing && this.#running === 0) queueMicrotask(() => this.#end());
  }

  #watchStatus(): FpmStatusWatch {
    const { statusPath, childrenMax } = this.settings;
    const watch = new FpmStatusWatch(statusPath, this.logger, (learnt) => {
      if (childrenMax === 0) this.#pool.connectionsMax = learnt ?? CHILDREN_GUESS;
      this.#onTried();
    });
    this.#pool.errands = watch;
    return watch;
  }

  /** What keeps the call from being put to the pool. */
  #troubleWith(call: Call): Trouble | null {
    if (this.#isClosing) return DRAINING;
    const { method, methodDesc, timeoutMs } = call.head;
    const endMs = call.receivedMs + timeoutOf(this.settings, method, methodDesc, timeoutMs);
    return endMs <= this.loop.clock.nowMs() ? LATE : null;
  }

  #probeRequest(check: HealthCheck, endMs: number, done: (trouble: string | null) => void): OwnRequest {
    const path = latin1Text(check.path);
    const { script, answerBytesMax } = this.settings;
    const judge = check.kind === 'fpm' ? pingTrouble : pageTrouble;
    const onEnd = (answer: ScriptAnswer | null, trouble: Trouble | null): void =>
      done(answer === null ? trouble!.message : judge(answer, check.path));
    if (check.kind === 'fpm') return fpmPage(path, '', endMs, onEnd);
    return scriptPage(path, script, endMs, answerBytesMax, onEnd);
  }

  #end(): void {
    this.loop.timers.remove(this);
    this.#statusWatch?.stop();
    this.#onTried();
    this.#pool.cancelAll(DRAINING, ENDED);
  }
}

function pingTrouble(answer: ScriptAnswer, path: string): string | null {
  const body = Buffer.concat(answer.pieces).toString('latin1').trim();
  if (answer.head.status === 200 && body === 'pong') return null;
  return `${path} answers ${answer.head.status} and no pong: is it the ping.path of the pool?`;
}

function pageTrouble(answer: ScriptAnswer, path: string): string | null {
  const { status } = answer.head;
  return status < 400 ? null : `${path} answers ${status}`;
}

function replyTo(call: Call, request: ScriptRequest, trouble: Trouble): Reply {
  return request.httpMethod === ''
    ? troubleReply(trouble)
    : httpTroubleReply(call, trouble, request.httpMethod);
}

function refused(call: Call, { message, httpStatus }: Refusal): Reply {
  const trouble: Trouble = { code: 'E_BAD_ARGUMENTS', message };
  return httpStatus > 0 && isTransparent(call)
    ? httpTroubleReply(call, trouble, '', httpStatus)
    : troubleReply(trouble);
}

/** Motan v1 carries Java objects, and no script could be given any. */
function v1Refusal(): Reply {
  return failed(failure('E_BAD_ARGUMENTS', 'provider cgi serves Motan2 calls, and no Motan v1'));
}
