/**
 * Tries again, on an endpoint chosen anew, up to `retries` times (spec traffic 8.1).
 *
 * A business exception is an answer. The last reply is given unchanged. The tries together may take (1 + retries) timeouts,
 * as with the peers.
 */
import { signed64Text } from '../../../base/index.js';
import {
  type AttemptObserver,
  type Call,
  type CallObserver,
  type ClusterState,
  type Endpoint,
  failed,
  failure,
  type HighAvailability,
  type LoadBalancer,
  type Reply,
  utf8Text,
} from '../../../core/index.js';

/** A refused try is followed by the next at once, on the same stack: a typing error in `retries` must not exhaust it. */
const RETRIES_MAX = 100;

export class Failover implements HighAvailability, AttemptObserver {
  readonly #lb: LoadBalancer;
  readonly #cluster: ClusterState;
  readonly #done: CallObserver;
  readonly #retries: number;
  readonly #hasMethodRetries: boolean;

  constructor(lb: LoadBalancer, cluster: ClusterState, done: CallObserver) {
    this.#lb = lb;
    this.#cluster = cluster;
    this.#done = done;
    this.#retries = boundedRetries(cluster.url.int('retries', 0));
    this.#hasMethodRetries = [...cluster.url.parameters.keys()].some((name) => name.endsWith(').retries'));
  }

  begin(call: Call): void {
    const retries = this.#hasMethodRetries ? this.#retriesOf(call) : this.#retries;
    call.triesLeft = retries;
    if (retries > 0) {
      call.retain(); // the read buffer is gone when a second try is made
      call.pooled = null; // an earlier try may still be unsent when the last one has been sent
    }
    this.#try(call);
  }

  onAttemptDone(call: Call, reply: Reply): void {
    const exception = reply.exception;
    if (exception === null || exception.type === 2 || call.triesLeft === 0) {
      this.#done.onCallDone(call, reply);
      return;
    }
    call.triesLeft -= 1;
    this.#try(call);
  }

  #try(call: Call): void {
    const endpoint: Endpoint | null = this.#lb.pick(call);
    if (endpoint === null)
      this.#done.onCallDone(call, failed(failure('E_NO_ENDPOINT', noEndpointText(call, this.#cluster))));
    else endpoint.start(call, this);
  }

  #retriesOf(call: Call): number {
    const { method, methodDesc } = call.head;
    return boundedRetries(this.#cluster.url.methodInt(method, methodDesc, 'retries', 0));
  }
}

function boundedRetries(retries: number): number {
  return Math.min(Math.max(0, retries), RETRIES_MAX);
}

/** The text of motan-go, with the request's metadata sorted by key: operators and tests look for it. */
function noEndpointText(call: Call, cluster: ClusterState): string {
  const metadata = call.head.metadata.copy();
  const id =
    call.head.requestId === '' ? signed64Text(call.requestIdHigh, call.requestIdLow) : call.head.requestId;
  metadata.set('M_rid', id);
  metadata.set('host', call.head.host);
  if (metadata.text('M_s') === '')
    metadata.set('M_s', metadata.text('application') || cluster.url.text('application'));
  if (metadata.text('M_g') === '') metadata.set('M_g', cluster.url.group);
  const pairs = [...metadata.entries()].filter(([, value]) => value !== '');
  pairs.sort(([left], [right]) => (left < right ? -1 : 1));
  const info = pairs.map(([key, value]) => `${key}:${value}`).join(' ');
  return `No refers for request, RequestID: ${id}, Request info: map[${utf8Text(info)}]`;
}
