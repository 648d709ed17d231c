/**
 * Whether a node may be chosen, judged by its answers: spec wire 6.5.
 *
 *   good --errors in a row reach the bound--> fused --heartbeat answered--> good
 *
 * A node that says "provider not exist" answers heartbeats well and still serves nothing. motan-go then waits for ever; here
 * it gets one probe after a back-off: the sign of life makes it good again, but the next such answer fuses it at once.
 */
import type { Reply } from '../../core/index.js';
import type { EndpointSettings } from './settings.js';

/** Peers compare this text: spec wire 4.5. */
const PROVIDER_MISSING = 'provider not exist serviceKey=';
const PROBE_MS_MAX = 30_000;

interface Heart {
  sendHeartbeat(protocol: 1 | 2): void;
}

export class EndpointHealth {
  readonly #heart: Heart;
  #intervalMs: number;
  #errorsMax: number;
  errorCount = 0;
  /** 0 none, 1 heartbeats, 2 provider missing. */
  keepaliveType: 0 | 1 | 2 = 0;
  isGood = true;
  /** Its last answer was that it does not have the service. */
  isProviderMissing = false;
  #timer: NodeJS.Timeout | null = null;
  #probeMs: number;
  /** Motan2 until the first good answer says otherwise: heartbeats follow the calls (spec wire 5). */
  #protocol: 1 | 2 = 2;
  #isProtocolKnown = false;

  constructor(heart: Heart, settings: EndpointSettings) {
    this.#heart = heart;
    this.#intervalMs = settings.keepaliveIntervalMs;
    this.#errorsMax = settings.errorCountMax;
    this.#probeMs = settings.keepaliveIntervalMs;
  }

  /** From the next reply on. */
  update(settings: EndpointSettings): void {
    this.#intervalMs = settings.keepaliveIntervalMs;
    this.#errorsMax = settings.errorCountMax;
    this.#probeMs = settings.keepaliveIntervalMs;
  }

  /** Of heartbeats. */
  get protocol(): 1 | 2 {
    return this.#protocol;
  }

  onReply(reply: Reply, protocol: 1 | 2): void {
    const exception = reply.exception;
    if (exception === null || exception.type === 2) {
      this.errorCount = 0;
      this.isProviderMissing = false;
      if (!this.#isProtocolKnown && exception === null) {
        this.#isProtocolKnown = true;
        this.#protocol = protocol;
      }
      if (exception === null) this.#probeMs = this.#intervalMs;
      return;
    }
    this.errorCount += 1;
    this.isProviderMissing = exception.code === 404 && exception.message.includes(PROVIDER_MISSING);
    if (this.#errorsMax === 0 || this.errorCount < this.#errorsMax) return;
    this.#fuse(this.isProviderMissing ? 2 : 1);
  }

  /** A heartbeat was answered. */
  onSignOfLife(): void {
    if (this.isGood) return;
    const wasProviderMissing = this.keepaliveType === 2;
    this.#stop();
    this.isGood = true;
    this.errorCount = wasProviderMissing ? Math.max(0, this.#errorsMax - 1) : 0;
  }

  /** A connection is there again: the next heartbeat need not wait. */
  onConnected(): void {
    if (!this.isGood && this.keepaliveType === 1) this.#heart.sendHeartbeat(this.#protocol);
  }

  close(): void {
    this.#stop();
  }

  #fuse(type: 1 | 2): void {
    this.isGood = false;
    if (this.keepaliveType === type) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.keepaliveType = type;
    this.#beat(type === 1 ? this.#intervalMs : this.#nextProbeMs());
  }

  #nextProbeMs(): number {
    const afterMs = this.#probeMs;
    this.#probeMs = Math.min(this.#probeMs * 2, Math.max(PROBE_MS_MAX, this.#intervalMs));
    return afterMs;
  }

  #beat(afterMs: number): void {
    this.#timer = setTimeout(() => {
      this.#heart.sendHeartbeat(this.#protocol);
      this.#beat(this.#intervalMs);
    }, afterMs);
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.keepaliveType = 0;
  }
}
