/**
 * What ends registrations by themselves, on monotonic time: a wall clock that jumps ends nothing.
 *
 * Time in which this process itself did not run (it was stopped, the machine slept) is not counted: the renewals of that time
 * wait in its sockets.
 */
import type { Clock, HeldConnection, LeaseReport } from '../../core/index.js';

/** Which process: pid, start time and boot, so that a reused pid is not taken for its predecessor. */
export interface ProcessMark {
  readonly pid: number;
  readonly startTicks: string | null;
  readonly boot: string | null;
  readonly pidNamespace: string | null;
}

export type Lease =
  | { readonly kind: 'none' }
  | { readonly kind: 'ttl'; readonly seconds: number; endsAtMs: number }
  | { readonly kind: 'process'; readonly owner: ProcessMark }
  | { readonly kind: 'connection'; readonly connection: HeldConnection };

export interface LeaseClockDeps {
  readonly clock: Clock;
  isRunning(owner: ProcessMark): Promise<boolean>;
}

/** `tick` is called about once a second; a much longer pause means that we did not run. */
const PAUSE_MS_MAX = 3_000;

export class LeaseClock {
  readonly #deps: LeaseClockDeps;
  #lastTickMs: number;
  /** Ms in which this process did not run, as far as ticks tell. */
  #lostMs = 0;

  constructor(deps: LeaseClockDeps) {
    this.#deps = deps;
    this.#lastTickMs = deps.clock.nowMs();
  }

  /** Monotonic ms without those in which we did not run. */
  nowMs(): number {
    return this.#deps.clock.nowMs() - this.#lostMs;
  }

  ttl(seconds: number): Lease {
    return { kind: 'ttl', seconds, endsAtMs: this.nowMs() + seconds * 1000 };
  }

  /** What was before is no pause. */
  begin(): void {
    this.#lastTickMs = this.#deps.clock.nowMs();
  }

  tick(): void {
    const nowMs = this.#deps.clock.nowMs();
    const pausedMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    if (pausedMs > PAUSE_MS_MAX) this.#lostMs += pausedMs;
  }

  /** Those that have ended; each process is asked about once. */
  async ended(leases: Iterable<Lease>): Promise<ReadonlySet<Lease>> {
    const nowMs = this.nowMs();
    const ended = new Set<Lease>();
    const byProcess = new Map<string, { owner: ProcessMark; leases: Lease[] }>();
    for (const lease of leases) {
      if (lease.kind === 'ttl' && lease.endsAtMs <= nowMs) ended.add(lease);
      else if (lease.kind === 'connection' && lease.connection.isClosed) ended.add(lease);
      else if (lease.kind === 'process') {
        const key = `${lease.owner.pid} ${lease.owner.startTicks}`;
        const known = byProcess.get(key);
        if (known === undefined) byProcess.set(key, { owner: lease.owner, leases: [lease] });
        else known.leases.push(lease);
      }
    }
    for (const { owner, leases: theirs } of byProcess.values()) {
      if (!(await this.#deps.isRunning(owner))) for (const lease of theirs) ended.add(lease);
    }
    return ended;
  }

  report(lease: Lease): LeaseReport {
    const isTtl = lease.kind === 'ttl';
    return {
      kind: lease.kind,
      seconds: isTtl ? lease.seconds : null,
      endsInMs: isTtl ? Math.max(0, Math.round(lease.endsAtMs - this.nowMs())) : null,
      pid: lease.kind === 'process' ? lease.owner.pid : null,
    };
  }
}

/** Of two who want the same refer: it stays for the one who needs it longer. */
export function longerLease(one: Lease, other: Lease): Lease {
  if (one.kind === 'none' || other.kind === 'none') return { kind: 'none' };
  if (one.kind === 'ttl' && other.kind === 'ttl') return one.endsAtMs > other.endsAtMs ? one : other;
  // Which of a time and a process ends first nobody knows: the newer word counts.
  return other;
}
