/** One service offered through the agent, in one group: its filters around its provider (spec agent 5.2). */
import {
  type Call,
  type ChainBuilder,
  type ExportReport,
  type ExportState,
  type FilterChain,
  failed,
  failure,
  type Logger,
  type MeshUrl,
  type Provider,
  type ProviderObserver,
  type Reply,
} from '../../core/index.js';
import { BackendHealth, healthSettings } from './health.js';

export interface ExportDeps {
  readonly createProvider: (state: ExportState) => Provider;
  readonly chains: ChainBuilder;
  readonly logger: Logger;
  /** Monotonic ms of the current batch of bytes. */
  readonly nowMs: () => number;
  readonly onHealth: (exportId: string, isHealthy: boolean) => void;
}

export class Export implements ProviderObserver {
  readonly state: ExportState;
  readonly #deps: ExportDeps;
  readonly #provider: Provider;
  readonly #chain: FilterChain | null;
  readonly #health: BackendHealth | null;
  #isClosed = false;

  constructor(state: ExportState, deps: ExportDeps) {
    this.state = state;
    this.#deps = deps;
    this.#provider = deps.createProvider(state);
    this.#chain = deps.chains(state.url.text('filter'), 'endpoint', {
      refer: state.url,
      address: '',
      role: 'server-agent',
    });
    const settings = healthSettings(state.url);
    this.#health =
      settings === null
        ? null
        : new BackendHealth(settings, this.#provider, (isHealthy) => this.#onHealth(isHealthy));
  }

  get url(): MeshUrl {
    return this.state.url;
  }

  get isHealthy(): boolean {
    return this.#health === null || this.#health.isHealthy;
  }

  /** Takes the call; its origin is told exactly once. */
  call(call: Call): void {
    if (this.#chain !== null) {
      const refusal = this.#chain.before(call, call.receivedMs);
      if (refusal !== null) {
        call.origin.onReply(call, refusal);
        return;
      }
    }
    if (this.#isClosed)
      this.onProviderDone(call, failed(failure('E_DRAINING', 'the service is being closed')));
    else this.#provider.start(call, this);
  }

  onProviderDone(call: Call, reply: Reply): void {
    if (this.#chain !== null) this.#chain.after(call, reply, call.receivedMs, this.#deps.nowMs());
    call.origin.onReply(call, reply);
  }

  whenTried(): Promise<void> {
    return this.#provider.whenTried();
  }

  /** Takes no new calls and lets those begun finish, at most `withinMs`. */
  close(withinMs: number): void {
    this.#isClosed = true;
    this.#health?.close();
    this.#provider.close(withinMs);
  }

  report(): ExportReport {
    const { id, listener, provider, url } = this.state;
    return {
      id,
      service: url.path,
      group: url.group,
      listener,
      provider,
      isHealthy: this.isHealthy,
      healthTrouble: this.#health?.trouble ?? null,
      backend: this.#provider.report(),
    };
  }

  #onHealth(isHealthy: boolean): void {
    const { id, url } = this.state;
    const fields = { service: url.path, group: url.group, trouble: this.#health?.trouble ?? null };
    if (isHealthy) this.#deps.logger.info(fields, 'the backend of a service is well again');
    else this.#deps.logger.warn(fields, 'the backend of a service fails its health check');
    this.#deps.onHealth(id, isHealthy);
  }
}
