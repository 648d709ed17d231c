/**
 * Looks at the backend of an exported service from time to time.
 *
 *   healthy --failuresMax failed checks in a row--> unhealthy --successesMax good ones in a row--> healthy
 *
 * Calls are served in both states: what changes is that nobody is sent here by the registries. Who calls all the same gets the
 * error of the backend itself, which tells more than ours would.
 */
import type { HealthCheck, MeshUrl, Provider } from '../../core/index.js';

export interface HealthSettings {
  readonly check: HealthCheck;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly failuresMax: number;
  readonly successesMax: number;
}

const KINDS: readonly HealthCheck['kind'][] = ['tcp', 'http', 'fpm'];

/** The health check of a service, or null when it has none; the peers have none. */
export function healthSettings(url: MeshUrl): HealthSettings | null {
  const kind = KINDS.find((name) => name === url.text('healthCheck'));
  if (kind === undefined) return null;
  return {
    check: { kind, path: url.text('healthCheckPath') || '/ping' },
    intervalMs: Math.max(100, url.positiveInt('healthCheckInterval', 5000)),
    timeoutMs: url.positiveInt('healthCheckTimeout', 1000),
    failuresMax: url.positiveInt('healthCheckFailures', 3),
    successesMax: url.positiveInt('healthCheckSuccesses', 2),
  };
}

export class BackendHealth {
  readonly #settings: HealthSettings;
  readonly #provider: Provider;
  readonly #onChanged: (isHealthy: boolean) => void;
  #isHealthy = true;
  #trouble: string | null = null;
  /** Checks in a row that contradict the state. */
  #contrary = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(settings: HealthSettings, provider: Provider, onChanged: (isHealthy: boolean) => void) {
    this.#settings = settings;
    this.#provider = provider;
    this.#onChanged = onChanged;
    this.#look();
  }

  get isHealthy(): boolean {
    return this.#isHealthy;
  }

  /** What the last check found; null when all was well. */
  get trouble(): string | null {
    return this.#trouble;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #look(): void {
    const { check, timeoutMs } = this.#settings;
    this.#provider.probe(check, timeoutMs, (trouble) => this.#onProbed(trouble));
  }

  #onProbed(trouble: string | null): void {
    if (this.#isClosed) return;
    this.#trouble = trouble;
    this.#contrary = (trouble === null) === this.#isHealthy ? 0 : this.#contrary + 1;
    const { intervalMs, failuresMax, successesMax } = this.#settings;
    if (this.#contrary >= (this.#isHealthy ? failuresMax : successesMax)) {
      this.#isHealthy = !this.#isHealthy;
      this.#contrary = 0;
      this.#onChanged(this.#isHealthy);
    }
    this.#timer = setTimeout(() => this.#look(), intervalMs);
    this.#timer.unref();
  }
}
