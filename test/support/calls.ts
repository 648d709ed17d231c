/** Calls and replies without sockets: for what works on them in the middle of the data plane. */
import {
  Call,
  CallHead,
  type CallOrigin,
  type ClusterState,
  type Endpoint,
  type EndpointReport,
  type EndpointState,
  Metadata,
  type MotanException,
  Reply,
  ReplyHead,
} from '../../src/core/index.js';

export interface CallFields {
  metadata?: Record<string, string>;
  origin?: CallOrigin;
  bytes?: Buffer;
  bodyStart?: number;
  bodyEnd?: number;
  id?: number;
}

const NOBODY: CallOrigin = { onReply() {}, onPressure() {}, onRelief() {} };

/** A Motan2 call for `svc.one`, method `hello`. */
export function call(fields: CallFields = {}): Call {
  const { metadata = {}, origin = NOBODY, bytes = Buffer.from('body'), id = 1 } = fields;
  const { bodyStart = 0, bodyEnd = bytes.length } = fields;
  const pairs = Object.entries({ M_p: 'svc.one', M_m: 'hello', ...metadata });
  const head = new CallHead(Metadata.of(pairs), '127.0.0.1');
  return new Call(head, origin, 2, 0, id, 0x02, 0x08, 0x30, 0, bytes, bodyStart, bodyEnd);
}

/** An answer of a service; with `exception` the exception of a service. */
export function answer(exception: MotanException | null = null): Reply {
  const head = new ReplyHead(new Metadata(), exception);
  return new Reply(null, head, exception, 2, 0x01, 0x08, 0x30, Buffer.from('ok'), 0, 2);
}

/** An endpoint that answers from a list, and remembers what it was asked. */
export class FakeEndpoint implements Endpoint {
  readonly id: string;
  readonly address: string;
  readonly group = 'g1';
  isAvailable = true;
  isLastResort = false;
  inFlight = 0;
  isClosed = false;
  readonly calls: Call[] = [];
  answers: (Reply | (() => Reply))[] = [];

  constructor(id: string) {
    this.id = id;
    this.address = id;
  }

  start(started: Call, observer: Parameters<Endpoint['start']>[1]): void {
    this.calls.push(started);
    const next = this.answers.shift() ?? answer();
    observer.onAttemptDone(started, typeof next === 'function' ? next() : next, this);
  }

  updates: EndpointState[] = [];
  canUpdate = true;

  update(_cluster: ClusterState, endpoint: EndpointState): boolean {
    if (this.canUpdate) this.updates.push(endpoint);
    return this.canUpdate;
  }

  probe(): number | null {
    return null;
  }

  close(): void {
    this.isClosed = true;
    this.isAvailable = false;
  }

  async whenTried(): Promise<void> {}

  report(): EndpointReport {
    return {
      id: this.id,
      address: this.address,
      available: this.isAvailable,
      connections: 1,
      inFlight: 0,
      errorCount: 0,
      keepaliveRunning: false,
      keepaliveType: 0,
      lastError: null,
    };
  }
}
