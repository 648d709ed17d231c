/**
 * What stands in for a registry that cannot be had: a protocol that nobody knows, or an entry whose values
 * make no sense. Every refer hears of the trouble at once and starts from its snapshot; the report says why.
 */
import type { Availability, MeshUrl, RegistryConfig, RegistryReport } from '../../core/index.js';
import { FixedAnswerRegistry } from './fixed-answer.js';

export class UnsupportedRegistry extends FixedAnswerRegistry {
  protected readonly address: string;
  protected readonly lastError: string;
  protected readonly lastContactMs = null;
  readonly #desired = new Map<string, RegistryReport['announced'][number]>();

  constructor(config: RegistryConfig, reason: string) {
    super(config.id, config.url.protocol);
    this.address = config.url.host === '' ? config.url.text('address') : config.url.address;
    this.lastError = reason;
  }

  protected answer(_refer: MeshUrl): string {
    return this.lastError;
  }

  override announce(node: MeshUrl, availability: Availability): void {
    this.#desired.set(node.identity, { node: node.toText(), desired: availability, seen: 'absent' });
  }

  override withdraw(node: MeshUrl): void {
    this.#desired.delete(node.identity);
  }

  /** At once: what was announced here is never going to be true. */
  override async settled(_withinMs: number): Promise<boolean> {
    return this.#desired.size === 0;
  }

  override report(): RegistryReport {
    return { ...super.report(), announced: [...this.#desired.values()] };
  }
}
