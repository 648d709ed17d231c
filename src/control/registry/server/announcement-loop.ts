/**
 * What should be listed in a registry server, against what is; repaired until both agree.
 *
 *   wanted --put or remove--> true --a look finds otherwise, or the session is gone--> wanted
 *     ^------- failed: again after a pause that doubles, with jitter ------'
 *
 * Nothing is tried while the server is down. The last word about a node counts; one node is never worked on twice at once.
 */
import {
  type Availability,
  background,
  type Clock,
  type Logger,
  type MeshUrl,
  messageOf,
  type Random,
} from '../../../core/index.js';
import type { RegistryDriver } from './driver.js';

/** Steps under way at the same time: enough for a start with a thousand services, few enough for a busy server. */
const STEPS_AT_ONCE = 64;
const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 10_000;
/** Nodes looked at in one round, where each is a question of its own; more take their turn. */
const LOOKS_MAX = 64;

export interface AnnouncementLoopDeps {
  readonly driver: RegistryDriver;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Pause between two rounds of looking whether all is still true. */
  readonly lookEveryMs: number;
}

interface Announcement {
  node: MeshUrl;
  /** Null: gone. */
  desired: Availability | null;
  seen: Availability | 'absent';
  isDirty: boolean;
  isBusy: boolean;
  retryMs: number;
  /** Monotonic ms before which it is not tried again. */
  notBeforeMs: number;
}

export class AnnouncementLoop {
  readonly #deps: AnnouncementLoopDeps;
  readonly #announcements = new Map<string, Announcement>();
  readonly #waiters = new Set<(isTrue: boolean) => void>();
  #lookLine: Announcement[] = [];
  #steps = 0;
  #isUp = false;
  #isClosed = false;
  #lastError: string | null = null;
  /** Of the last round of looking. */
  #lookError: string | null = null;
  #lastContactMs: number | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #lookTimer: NodeJS.Timeout | null = null;

  constructor(deps: AnnouncementLoopDeps) {
    this.#deps = deps;
  }

  /** Why the last step failed, or the last round of looking; null when all went well since. */
  get lastError(): string | null {
    return this.#lastError ?? this.#lookError;
  }

  get lastContactMs(): number | null {
    return this.#lastContactMs;
  }

  get list(): { node: string; desired: Availability; seen: Availability | 'absent' }[] {
    const list = [];
    for (const { node, desired, seen } of this.#announcements.values()) {
      if (desired !== null) list.push({ node: node.toText(), desired, seen });
    }
    return list;
  }

  /** Null wants the node to be gone. */
  want(node: MeshUrl, desired: Availability | null): void {
    const key = node.identity;
    let announcement = this.#announcements.get(key);
    if (announcement === undefined) {
      if (desired === null) return;
      announcement = {
        node,
        desired,
        seen: 'absent',
        isDirty: true,
        isBusy: false,
        retryMs: RETRY_MS_MIN,
        notBeforeMs: 0,
      };
      this.#announcements.set(key, announcement);
    } else {
      if (announcement.desired === desired && announcement.node.toText() === node.toText()) return;
      announcement.node = node;
      announcement.desired = desired;
      announcement.isDirty = true;
      announcement.notBeforeMs = 0;
    }
    this.#work();
  }

  wantNothing(): void {
    for (const { node } of [...this.#announcements.values()]) this.want(node, null);
  }

  /** The server answers; `isFresh` says that nothing of ours is there any more. */
  onUp(isFresh: boolean): void {
    this.#isUp = true;
    this.#lastContactMs = this.#deps.clock.wallMs();
    for (const announcement of this.#announcements.values()) {
      announcement.notBeforeMs = 0;
      announcement.retryMs = RETRY_MS_MIN;
      if (!isFresh) continue;
      announcement.seen = 'absent';
      announcement.isDirty = true;
    }
    this.#lookLater(isFresh ? this.#deps.lookEveryMs : 0);
    this.#work();
  }

  onDown(): void {
    this.#isUp = false;
  }

  /** What was listed of this node is gone. */
  onLost(node: MeshUrl): void {
    const announcement = this.#announcements.get(node.identity);
    if (announcement === undefined || announcement.isDirty || announcement.isBusy) return;
    if (announcement.desired === null) return;
    this.#onFound(announcement, 'absent');
    this.#work();
  }

  /** Resolves with true when all that is wanted is true, with false after `withinMs`. */
  settled(withinMs: number): Promise<boolean> {
    if (this.#isSettled()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiter = (isTrue: boolean): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(isTrue);
      };
      const timer = setTimeout(() => waiter(false), withinMs);
      this.#waiters.add(waiter);
    });
  }

  close(): void {
    this.#isClosed = true;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    if (this.#lookTimer !== null) clearTimeout(this.#lookTimer);
    for (const waiter of [...this.#waiters]) waiter(false);
  }

  #isSettled(): boolean {
    for (const { isDirty, isBusy } of this.#announcements.values()) if (isDirty || isBusy) return false;
    return true;
  }

  /** Starts as many steps as there is room for, and plans the next try of those that must wait. */
  #work(): void {
    if (this.#isClosed || !this.#isUp) return;
    const nowMs = this.#deps.clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const announcement of this.#announcements.values()) {
      if (this.#steps >= STEPS_AT_ONCE) break; // the end of a step comes back here
      if (!announcement.isDirty || announcement.isBusy) continue;
      if (announcement.notBeforeMs > nowMs) nextMs = Math.min(nextMs, announcement.notBeforeMs);
      else this.#step(announcement);
    }
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    if (nextMs < Number.POSITIVE_INFINITY)
      this.#retryTimer = setTimeout(() => this.#work(), Math.max(1, nextMs - nowMs));
  }

  #step(announcement: Announcement): void {
    announcement.isBusy = true;
    this.#steps += 1;
    background('registry-announce', this.#deps.logger, async () => {
      try {
        await this.#make(announcement);
      } catch (error) {
        this.#onFailed(announcement, error);
      }
      announcement.isBusy = false;
      this.#steps -= 1;
      this.#work();
      if (this.#isSettled()) for (const waiter of [...this.#waiters]) waiter(true);
    });
  }

  async #make(announcement: Announcement): Promise<void> {
    const { driver, clock, logger } = this.#deps;
    const { node, desired } = announcement;
    // What is wanted while this is under way makes it dirty again.
    announcement.isDirty = false;
    try {
      if (desired === null) await driver.remove(node);
      else await driver.put(node, desired);
    } catch (error) {
      announcement.isDirty = true;
      throw error;
    }
    this.#lastContactMs = clock.wallMs();
    this.#lastError = null;
    announcement.retryMs = RETRY_MS_MIN;
    if (desired !== null) announcement.seen = desired;
    else if (announcement.desired === null) this.#announcements.delete(node.identity);
    logger.info({ node: node.identity, availability: desired ?? 'withdrawn' }, 'announced in the registry');
  }

  #onFailed(announcement: Announcement, error: unknown): void {
    if (this.#isClosed) return; // it was ended, not refused
    const { clock, random, logger } = this.#deps;
    const message = `${announcement.node.identity}: ${messageOf(error)}`;
    if (this.#lastError !== message) logger.warn({ error: message }, 'a node could not be announced');
    this.#lastError = message;
    // Between half and the whole pause: agents that lost a server together must not come back together.
    announcement.notBeforeMs = clock.nowMs() + announcement.retryMs * (0.5 + random() / 2);
    announcement.retryMs = Math.min(announcement.retryMs * 2, RETRY_MS_MAX);
  }

  #lookLater(afterMs: number): void {
    if (this.#lookTimer !== null) clearTimeout(this.#lookTimer);
    if (this.#isClosed) return;
    this.#lookTimer = setTimeout(() => {
      background('registry-look', this.#deps.logger, async () => {
        try {
          await this.#look();
        } finally {
          // Not all agents of a mesh at the same moment.
          this.#lookLater(this.#deps.lookEveryMs * (0.8 + 0.4 * this.#deps.random()));
        }
      });
    }, afterMs);
    this.#lookTimer.unref();
  }

  /** Whether the next nodes are still as they should be. */
  async #look(): Promise<void> {
    if (!this.#isUp) return;
    if (this.#lookLine.length === 0) this.#lookLine = [...this.#announcements.values()];
    const turn = this.#lookLine.splice(0, this.#deps.driver.looksMax ?? LOOKS_MAX);
    const troubles = await Promise.all(turn.map((announcement) => this.#compare(announcement)));
    this.#lookError = troubles.find((trouble) => trouble !== null) ?? null;
    this.#work();
  }

  /** Resolves with why it cannot be looked at. */
  async #compare(announcement: Announcement): Promise<string | null> {
    if (announcement.isDirty || announcement.isBusy || this.#isClosed) return null;
    const { driver, clock } = this.#deps;
    const { node } = announcement;
    let found: Availability | 'absent' | null;
    try {
      found = await driver.look(node);
    } catch (error) {
      return `${node.identity} cannot be looked at: ${messageOf(error)}`;
    }
    this.#lastContactMs = clock.wallMs();
    if (found !== null && !announcement.isDirty && !announcement.isBusy) this.#onFound(announcement, found);
    return null;
  }

  #onFound(announcement: Announcement, found: Availability | 'absent'): void {
    const { node, desired } = announcement;
    announcement.seen = found;
    if (found === (desired ?? 'absent')) return;
    this.#deps.logger.warn(
      { node: node.identity, found, wanted: desired },
      'the registry lost a node; it is announced again',
    );
    announcement.isDirty = true;
  }
}
