/**
 * The framework service that balancers ask for the weights of a node: spec wire 13, traffic 5.4. It answers a breeze map of the
 * dynamic metas whatever serialization was asked for.
 */
import {
  type Call,
  failed,
  failure,
  Metadata,
  type Provider,
  type ProviderObserver,
  type ProviderReport,
  Reply,
  ReplyHead,
  TYPE_RESPONSE,
} from '../../core/index.js';
import { BREEZE, encodeBreezeStringMap } from '../../wire/serialization/index.js';

export const META_SERVICE = 'com.weibo.api.motan.runtime.meta.MetaService';
const VERSION_1_OK = 0x08;

export class MetaService implements Provider {
  readonly #metas: () => ReadonlyMap<string, string>;

  constructor(metas: () => ReadonlyMap<string, string>) {
    this.#metas = metas;
  }

  start(call: Call, observer: ProviderObserver): void {
    if (call.protocol === 1) {
      const text = 'meta provider not support motan1 protocol';
      const exception = { code: 500, type: 0, message: text };
      observer.onProviderDone(call, failed(failure('E_BAD_ARGUMENTS', text, exception)));
      return;
    }
    const bytes = encodeBreezeStringMap(this.#metas());
    const head = new ReplyHead(new Metadata(), null);
    observer.onProviderDone(
      call,
      new Reply(null, head, null, 2, TYPE_RESPONSE, VERSION_1_OK, BREEZE << 3, bytes, 0, bytes.length),
    );
  }

  probe(_check: unknown, _timeoutMs: number, done: (trouble: string | null) => void): void {
    done(null);
  }

  close(): void {}

  async whenTried(): Promise<void> {}

  report(): ProviderReport {
    return {
      backend: 'this agent',
      inFlight: 0,
      queued: 0,
      refused: 0,
      connections: 0,
      connectionsMax: 0,
      lastError: null,
      details: {},
    };
  }
}
