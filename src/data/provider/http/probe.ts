/** Looks whether an HTTP backend is well, on connections of its own: a backend with all its connections in use is not ill. */
import { type HealthCheck, latin1Text } from '../../../core/index.js';
import { HTTP1_LIMITS, type ResponseHead } from '../../../wire/http1/index.js';
import {
  type HttpClientDeps,
  type HttpExchange,
  type HttpFailure,
  type HttpHandler,
  type HttpTarget,
  HttpUpstream,
} from '../../http-client/index.js';
import { probeConnect } from '../probe-connect.js';
import { escaped } from './url-format.js';

type Done = (trouble: string | null) => void;

export function probeBackend(
  deps: HttpClientDeps,
  target: HttpTarget,
  host: string,
  check: HealthCheck,
  timeoutMs: number,
  done: Done,
): void {
  if (check.kind === 'fpm') {
    done('healthCheck "fpm" is for provider cgi');
    return;
  }
  if (check.kind === 'tcp') {
    probeConnect(deps, target, timeoutMs, done);
    return;
  }
  const upstream = new HttpUpstream(
    {
      target,
      connectTimeoutMs: timeoutMs,
      connectionsMax: 1,
      queueMax: 0,
      queueTimeoutMs: 0,
      idleTimeoutMs: 0,
      maxAgeMs: 0,
      limits: HTTP1_LIMITS,
    },
    deps,
  );
  new Probe(upstream, done).start(check, host, deps.loop.tick() + timeoutMs);
}

const NO_TIMEOUTS = { writeMs: 0, firstByteMs: 0, betweenBytesMs: 0, answerMs: 0 };

class Probe implements HttpHandler {
  readonly #upstream: HttpUpstream;
  readonly #done: Done;
  #exchange: HttpExchange | null = null;

  constructor(upstream: HttpUpstream, done: Done) {
    this.#upstream = upstream;
    this.#done = done;
  }

  start(check: HealthCheck, host: string, untilMs: number): void {
    const path = escaped(latin1Text(check.path));
    const target = path.startsWith('/') ? path : `/${path}`;
    const text = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: motan\r\nConnection: close\r\n\r\n`;
    const head = Buffer.from(text, 'latin1');
    const request = { method: 'GET', head, body: null, timeouts: NO_TIMEOUTS, untilMs };
    this.#exchange = this.#upstream.start(request, this);
  }

  onHead(head: ResponseHead): void {
    this.#exchange?.cancel();
    this.#end(head.status >= 200 && head.status < 400 ? null : `status ${head.status}`);
  }

  onBody(): void {
    // The head says it all, and the exchange was cancelled.
  }

  onEnd(): void {
    // Likewise.
  }

  onFailed(failure: HttpFailure): void {
    this.#end(failure.text);
  }

  onDrain(): void {
    // There is no body.
  }

  #end(trouble: string | null): void {
    this.#upstream.close(0);
    this.#done(trouble);
  }
}
