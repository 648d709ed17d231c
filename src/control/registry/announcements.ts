/**
 * What this process wants to be listed, against what is listed; repaired until both agree.
 *
 *   announce, withdraw --> pending --write or remove--> true --file lost or changed, seen by a sweep--> pending
 *                             ^------ failed: next sweep -----'
 *
 * The last writer of a node has it: when another live process has taken over our file (a new generation of the agent
 * announces the nodes of the old one), we neither fight for it nor remove it. When that process is gone, it is ours again.
 */
import { rm, stat } from 'node:fs/promises';
import {
  type Availability,
  background,
  type Clock,
  isCopy,
  type Logger,
  type MeshUrl,
  messageOf,
} from '../../core/index.js';
import { fileErrorCode, makeDirectory, readBounded, writeAtomically } from './atomic-file.js';
import {
  NODE_FILE_BYTES_MAX,
  type NodeFile,
  nodeFilePath,
  parseNodeFile,
  serviceDirectory,
  toNodeFileText,
} from './node-file.js';
import { isSameProcess, type Liveness, type ProcessIdentity } from './process-identity.js';

export interface AnnouncementsDeps {
  readonly root: string;
  readonly self: ProcessIdentity;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Announcement {
  node: MeshUrl;
  /** Null: gone. */
  desired: Availability | null;
  isPending: boolean;
  seen: Availability | 'absent';
  /** Stamp of the file as we wrote or last judged it. */
  stamp: string;
  /** Another live process wrote the file after us. */
  isTakenOver: boolean;
  /** The process that wrote what stands there ended without a word. */
  isOwnerGone: boolean;
}

export class Announcements {
  readonly #deps: AnnouncementsDeps;
  /** By the path of the node's file: there is one for an identity. */
  readonly #announcements = new Map<string, Announcement>();
  readonly #waiters = new Set<(isTrue: boolean) => void>();
  /** Those whose turn in the sweeps is still to come. */
  #sweepLine: [string, Announcement][] = [];
  #working: Promise<void> | null = null;
  #lastError: string | null = null;
  #lastContactMs: number | null = null;

  constructor(deps: AnnouncementsDeps) {
    this.#deps = deps;
  }

  /** Why the last write or removal failed; null when it did not. */
  get lastError(): string | null {
    return this.#lastError;
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
    const file = nodeFilePath(this.#deps.root, node);
    const before = this.#announcements.get(file);
    if (before === undefined) {
      if (desired === null) return;
      this.#announcements.set(file, {
        node,
        desired,
        isPending: true,
        seen: 'absent',
        stamp: '',
        isTakenOver: false,
        isOwnerGone: false,
      });
    } else {
      if (before.desired === desired && before.node.toText() === node.toText()) return;
      before.node = node;
      before.desired = desired;
      before.isPending = true;
    }
    this.#start();
  }

  wantNothing(): void {
    for (const { node } of this.#announcements.values()) this.want(node, null);
  }

  /** Resolves with true when nothing is pending, with false after `withinMs`. */
  settled(withinMs: number): Promise<boolean> {
    if (this.#working === null && !this.#hasPending()) return Promise.resolve(true);
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

  /** Looks whether the next `filesMax` files are still as they should be, and repairs; also tries again what failed. */
  async sweep(isAlive: Liveness, filesMax: number): Promise<void> {
    if (this.#working !== null) await this.#working;
    if (this.#sweepLine.length === 0) this.#sweepLine = [...this.#announcements];
    for (const [file, announcement] of this.#sweepLine.splice(0, filesMax)) {
      if (announcement.isPending || this.#announcements.get(file) !== announcement) continue;
      try {
        await this.#check(file, announcement, isAlive);
      } catch (error) {
        this.#onError(file, error);
      }
    }
    await this.work();
  }

  /** One pass over what is pending; resolves when it has ended, well or not. */
  work(): Promise<void> {
    if (!this.#hasPending()) return Promise.resolve();
    this.#working ??= this.#workOff();
    return this.#working;
  }

  #start(): void {
    // A pass that runs already sees what is added meanwhile.
    if (this.#working === null) background('registry-announce', this.#deps.logger, () => this.work());
  }

  async #workOff(): Promise<void> {
    const failed = new Set<string>();
    for (;;) {
      const next = this.#nextPending(failed);
      if (next === null) break;
      const [file, announcement] = next;
      try {
        await this.#apply(file, announcement);
      } catch (error) {
        failed.add(file);
        this.#onError(file, error);
      }
    }
    this.#working = null;
    if (failed.size > 0) return;
    this.#lastError = null;
    for (const waiter of [...this.#waiters]) waiter(true);
  }

  #nextPending(failed: ReadonlySet<string>): [string, Announcement] | null {
    for (const entry of this.#announcements) if (entry[1].isPending && !failed.has(entry[0])) return entry;
    return null;
  }

  #hasPending(): boolean {
    return this.#nextPending(new Set()) !== null;
  }

  async #apply(file: string, announcement: Announcement): Promise<void> {
    const { node, desired } = announcement;
    // What is wanted while this is under way makes it pending again.
    announcement.isPending = false;
    try {
      if (desired === null) await this.#remove(file);
      else await this.#write(file, announcement, desired);
    } catch (error) {
      announcement.isPending = true;
      throw error;
    }
    this.#lastContactMs = this.#deps.clock.wallMs();
    if (desired === null && announcement.desired === null) this.#announcements.delete(file);
    this.#deps.logger.info(
      { node: node.identity, availability: desired ?? 'withdrawn' },
      'announced in the file registry',
    );
  }

  async #write(file: string, announcement: Announcement, desired: Availability): Promise<void> {
    const { root, self, clock } = this.#deps;
    const { node } = announcement;
    if (isCopy(node) && (await this.#givesWay(file, announcement))) return;
    const text = toNodeFileText(node, desired, self, clock.wallMs());
    await makeDirectory(serviceDirectory(root, node.group, node.path));
    await writeAtomically(file, text);
    announcement.stamp = await fileStamp(file);
    announcement.seen = desired;
    announcement.isTakenOver = false;
  }

  /** A copy does not take the place of the node itself; whether that one's process still lives is seen by the sweep. */
  async #givesWay(file: string, announcement: Announcement): Promise<boolean> {
    const there = await readNode(file);
    if (there === null || isCopy(there.node)) return false;
    if (there.owner !== null && announcement.isOwnerGone) return false;
    announcement.seen = there.availability;
    announcement.isTakenOver = true;
    return true;
  }

  async #remove(file: string): Promise<void> {
    const there = await readNode(file);
    if (there?.owner && isSameProcess(there.owner, this.#deps.self)) await rm(file, { force: true });
  }

  async #check(file: string, announcement: Announcement, isAlive: Liveness): Promise<void> {
    const stamp = await fileStamp(file);
    const isKnown =
      stamp !== '' && stamp === announcement.stamp && announcement.seen === announcement.desired;
    if (isKnown && !announcement.isTakenOver) return;
    const there = await readNode(file);
    if (announcement.isPending) return;
    announcement.seen = there?.availability ?? 'absent';
    const { self, logger } = this.#deps;
    const isOurs = there !== null && there.owner !== null && isSameProcess(there.owner, self);
    if (isOurs && isAsWanted(there, announcement)) {
      announcement.stamp = stamp;
      announcement.isTakenOver = false;
      return;
    }
    announcement.isOwnerGone = there?.owner ? !(await isAlive(there.owner)) : false;
    const isCopyInOurPlace = there !== null && isCopy(there.node) && !isCopy(announcement.node);
    const isByHandBesideCopy = there !== null && there.owner === null && isCopy(announcement.node);
    const isTheirs = there?.owner ? !announcement.isOwnerGone && !isCopyInOurPlace : isByHandBesideCopy;
    if (!isOurs && isTheirs) {
      if (!announcement.isTakenOver) {
        logger.warn(
          { file, pid: there?.owner?.pid },
          'another process has taken over a node that is announced here',
        );
      }
      announcement.isTakenOver = true;
      return;
    }
    logger.info({ file }, 'a node file was lost or changed and is written again');
    announcement.isPending = true;
  }

  #onError(file: string, error: unknown): void {
    const message = `${file} cannot be written: ${messageOf(error)}`;
    if (this.#lastError !== message) this.#deps.logger.warn({ file }, message);
    this.#lastError = message;
  }
}

function isAsWanted(there: NodeFile, { node, desired }: Announcement): boolean {
  return there.availability === desired && there.node.toText() === node.toText();
}

/** What stands in the file; null when it is gone or makes no sense. */
async function readNode(file: string): Promise<NodeFile | null> {
  let text: string;
  try {
    text = await readBounded(file, NODE_FILE_BYTES_MAX);
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    return parseNodeFile(text);
  } catch {
    // Whatever it is, it is not what was written here: the caller writes it again.
    return null;
  }
}

/** Changes with every change of the file; empty when it is gone. */
async function fileStamp(file: string): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(file, { bigint: true });
    return `${mtimeNs} ${size} ${ino}`;
  } catch (error) {
    if (fileErrorCode(error) !== 'ENOENT') throw error;
    return '';
  }
}
