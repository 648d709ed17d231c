/**
 * The nodes of one service: a directory that is watched, read, and read again.
 *
 *   event of the directory --> scan          sweep, once a second --> directory changed?  --> scan
 *                                                                 --> an owner is gone?   --> scan
 *                                                                 --> every tenth time    --> scan (files edited in place)
 *
 * Events make it quick, sweeps make it right: an event that is lost, a directory that is removed and made again, a process
 * that dies without a word. One scan runs at a time; what happens meanwhile causes one more.
 * A file that makes no sense is left out and named; the others serve.
 */
import { type FSWatcher, watch } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import {
  background,
  type Clock,
  type Logger,
  type MeshUrl,
  messageOf,
  type NodeListener,
} from '../../core/index.js';
import { fileErrorCode, makeDirectory, TEMPORARY_SUFFIX } from './atomic-file.js';
import { atOnce, type FileAccess, later } from './file-access.js';
import { NODE_FILE_BYTES_MAX, NODE_FILE_SUFFIX, type NodeFile, parseNodeFile } from './node-file.js';
import { type Liveness, type ProcessIdentity, processKey, rememberedLiveness } from './process-identity.js';

/** Files read for one service. What is beyond, in the order of names, is left out and named. */
export const NODES_MAX = 4096;
/** A change within one tick of the file system's clock leaves no trace in the time stamp: so long the sweep looks again. */
const STAMP_UNSURE_MS = 100;
/** Many events at once, as of an agent that announces all its services, cost one scan. */
const EVENTS_GATHER_MS = 5;
/** A file that was edited in place leaves no trace in its directory; where the event was lost, this finds it. */
const SWEEPS_PER_FULL_SCAN = 10;
/** What a writer that died between its two steps left behind. */
const TEMPORARY_LIFE_MS = 60_000;

export interface ServiceWatchDeps {
  readonly directory: string;
  readonly group: string;
  readonly service: string;
  readonly self: ProcessIdentity;
  /** Its wall time is compared with time stamps of files. */
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told after every scan that could read the directory. */
  onContact(): void;
}

interface ReadFile {
  /** Time stamp, size and inode: while they stay, so does the content. */
  readonly stamp: string;
  readonly content: NodeFile | null;
  /** Why there is no content; null when there is. */
  readonly problem: string | null;
}

export class ServiceWatch {
  readonly #deps: ServiceWatchDeps;
  readonly #listeners = new Set<NodeListener>();
  #files: ReadonlyMap<string, ReadFile> = new Map();
  /** Of the files, each once. */
  #owners: readonly ProcessIdentity[] = [];
  /** Null before the first scan that could read the directory. */
  #nodes: readonly MeshUrl[] | null = null;
  /** Why the directory cannot be read; null when it can. */
  #trouble: string | null = null;
  #watcher: FSWatcher | null = null;
  /** Inode of the directory that is watched and its state when it was last read. */
  #watchedInode: string | null = null;
  #directoryStamp: string | null = null;
  #sweepCount = 0;
  #scanning: Promise<void> | null = null;
  #scanAgain = false;
  #eventTimer: NodeJS.Timeout | null = null;
  #isClosed = false;
  /** The first scan reads at once, because a start waits for it. */
  #access: FileAccess = atOnce;

  constructor(deps: ServiceWatchDeps) {
    this.#deps = deps;
  }

  get nodeCount(): number {
    return this.#nodes?.length ?? 0;
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** The directory's trouble, else the first file that is left out; null when all is well. */
  get problem(): string | null {
    if (this.#trouble !== null) return this.#trouble;
    for (const [name, { problem }] of this.#files) {
      if (problem !== null) return `${path.join(this.#deps.directory, name)} skipped: ${problem}`;
    }
    return null;
  }

  add(listener: NodeListener): void {
    this.#listeners.add(listener);
    if (this.#nodes === null && this.#trouble === null) return;
    // What is known already is told after `subscribe` has returned.
    queueMicrotask(() => {
      if (!this.#listeners.has(listener)) return;
      if (this.#trouble !== null) listener.onTrouble(this.#trouble);
      else if (this.#nodes !== null) listener.onNodes(this.#nodes);
    });
  }

  remove(listener: NodeListener): void {
    this.#listeners.delete(listener);
  }

  /** The first step: from now on events come, and what is there is told. */
  async watchAndScan(): Promise<void> {
    await this.#keepWatching();
    await this.scan();
    this.#access = later;
  }

  /** Scans when the process of a node is gone. Costs no look at the directory. */
  async sweepOwners(isAlive: Liveness): Promise<void> {
    for (const owner of this.#owners) {
      if (await isAlive(owner)) continue;
      await this.scan();
      return;
    }
  }

  /** Scans when the directory may have changed without an event. */
  async sweepDirectory(): Promise<void> {
    if (this.#isClosed) return;
    this.#sweepCount += 1;
    const stamp = await this.#keepWatching();
    const isSure = stamp !== null && stamp === this.#directoryStamp && this.#trouble === null;
    if (!isSure || this.#sweepCount % SWEEPS_PER_FULL_SCAN === 0) await this.scan();
  }

  /** Reads the directory; resolves when what stood there at the time of the call is known. */
  async scan(): Promise<void> {
    this.#scanAgain = true;
    this.#scanning ??= this.#scanWhileAsked();
    await this.#scanning;
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#dropWatcher();
    if (this.#eventTimer !== null) clearTimeout(this.#eventTimer);
  }

  async #scanWhileAsked(): Promise<void> {
    try {
      while (this.#scanAgain && !this.#isClosed) {
        this.#scanAgain = false;
        await this.#scanOnce();
      }
    } finally {
      this.#scanning = null;
    }
  }

  async #scanOnce(): Promise<void> {
    const { directory } = this.#deps;
    // Before the names are read: a change while reading is then seen as one by the next sweep.
    const { stamp } = await lookAt(this.#access, directory, this.#deps.clock.wallMs());
    let names: string[];
    try {
      names = await this.#access.readdir(directory);
    } catch (error) {
      if (fileErrorCode(error) !== 'ENOENT') {
        this.#onTrouble(`${directory} cannot be read: ${messageOf(error)}`);
        return;
      }
      names = [];
    }
    const files = await this.#readFiles(names);
    if (this.#isClosed) return;
    this.#files = files;
    this.#owners = ownersOf(files);
    this.#directoryStamp = stamp;
    this.#trouble = null;
    this.#deps.onContact();
    this.#publish();
  }

  async #readFiles(names: readonly string[]): Promise<ReadonlyMap<string, ReadFile>> {
    const chosen = names.filter((name) => name.endsWith(NODE_FILE_SUFFIX) && !name.startsWith('.')).sort();
    const left = chosen.splice(NODES_MAX);
    const files = new Map<string, ReadFile>();
    const isAlive = rememberedLiveness(this.#deps.self);
    for (const name of chosen) {
      const file = await this.#readFile(name);
      if (file === null) continue;
      const owner = file.content?.owner ?? null;
      if (owner === null || (await isAlive(owner))) files.set(name, file);
      else await this.#removeStale(name, file, owner);
    }
    if (left.length > 0) {
      const problem = `more than ${NODES_MAX} nodes, ${left.length} left out`;
      this.#logProblem(left[0]!, problem);
      files.set(left[0]!, { stamp: '', content: null, problem });
    }
    for (const name of names) if (name.endsWith(TEMPORARY_SUFFIX)) await this.#removeOldTemporary(name);
    return files;
  }

  /** What stands in a file; what was read before when the file is the same; null when it is gone. */
  async #readFile(name: string): Promise<ReadFile | null> {
    const file = path.join(this.#deps.directory, name);
    const known = this.#files.get(name);
    let stamp = '';
    try {
      const { mtimeNs, size, ino } = await this.#access.stat(file);
      stamp = `${mtimeNs} ${size} ${ino}`;
      if (known?.stamp === stamp) return known;
      const content = parseNodeFile(await this.#access.read(file, NODE_FILE_BYTES_MAX));
      const { node } = content;
      if (node.group !== this.#deps.group || node.path !== this.#deps.service) {
        throw new Error(`is about service "${node.path}" of group "${node.group}"`);
      }
      return { stamp, content: keepNode(known?.content ?? null, content), problem: null };
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return null;
      const problem = messageOf(error);
      if (known?.problem !== problem) this.#logProblem(name, problem);
      return { stamp, content: null, problem };
    }
  }

  /** Removes what a dead process announced, unless the file has become another one meanwhile. */
  async #removeStale(name: string, file: ReadFile, owner: ProcessIdentity): Promise<void> {
    const full = path.join(this.#deps.directory, name);
    try {
      const { mtimeNs, size, ino } = await this.#access.stat(full);
      // Somebody may still write it between the two steps; that one looks after its file and writes it again.
      if (`${mtimeNs} ${size} ${ino}` === file.stamp) await rm(full);
      this.#deps.logger.info({ file: full, pid: owner.pid }, 'removed the node of a process that is gone');
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return;
      // It is left out of the nodes all the same: a reader without the right to write is no trouble.
      this.#deps.logger.debug({ file: full, error: messageOf(error) }, 'a stale node could not be removed');
    }
  }

  async #removeOldTemporary(name: string): Promise<void> {
    const full = path.join(this.#deps.directory, name);
    try {
      const { mtimeMs } = await this.#access.stat(full);
      if (this.#deps.clock.wallMs() - Number(mtimeMs) > TEMPORARY_LIFE_MS) await rm(full, { force: true });
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return;
      this.#deps.logger.debug(
        { file: full, error: messageOf(error) },
        'a left-over file could not be removed',
      );
    }
  }

  #publish(): void {
    const nodes: MeshUrl[] = [];
    for (const { content } of this.#files.values()) {
      if (content?.availability === 'available') nodes.push(content.node);
    }
    const before = this.#nodes;
    if (
      before !== null &&
      before.length === nodes.length &&
      before.every((node, index) => node === nodes[index])
    )
      return;
    this.#nodes = nodes;
    for (const listener of [...this.#listeners]) listener.onNodes(nodes);
  }

  #onTrouble(message: string): void {
    const isNew = this.#trouble === null;
    this.#trouble = message;
    // The next good scan must tell its nodes, changed or not, because that ends the outage.
    this.#nodes = null;
    if (!isNew) return;
    this.#deps.logger.warn({ directory: this.#deps.directory }, message);
    for (const listener of [...this.#listeners]) listener.onTrouble(message);
  }

  /**
   * Watches the directory, made if need be, and again when it has become another one. When that is not possible (no right,
   * no watch left) the sweeps alone do it. Gives the stamp of the directory.
   */
  async #keepWatching(): Promise<string | null> {
    const { directory, logger } = this.#deps;
    let look = await lookAt(this.#access, directory, this.#deps.clock.wallMs());
    try {
      if (look.inode === null) {
        this.#dropWatcher();
        await makeDirectory(directory);
        look = await lookAt(this.#access, directory, this.#deps.clock.wallMs());
      }
      if (this.#isClosed || (this.#watcher !== null && this.#watchedInode === look.inode)) return look.stamp;
      this.#dropWatcher();
      this.#watcher = watch(directory, () => this.#onEvent());
      this.#watcher.on('error', () => this.#dropWatcher());
      this.#watchedInode = look.inode;
    } catch (error) {
      this.#dropWatcher();
      logger.debug({ directory, error: messageOf(error) }, 'a directory is swept, not watched');
    }
    return look.stamp;
  }

  #dropWatcher(): void {
    this.#watcher?.close();
    this.#watcher = null;
  }

  #onEvent(): void {
    if (this.#isClosed || this.#eventTimer !== null) return;
    this.#eventTimer = setTimeout(() => {
      this.#eventTimer = null;
      background('registry-scan', this.#deps.logger, () => this.scan());
    }, EVENTS_GATHER_MS);
  }

  #logProblem(name: string, problem: string): void {
    const { directory, logger } = this.#deps;
    logger.warn({ file: path.join(directory, name) }, `node file skipped: ${problem}`);
  }
}

/** The node object of before while its url is the same, so that whoever compares finds it unchanged. */
function keepNode(before: NodeFile | null, now: NodeFile): NodeFile {
  return before !== null && before.node.toText() === now.node.toText() ? { ...now, node: before.node } : now;
}

interface Look {
  /** Null when there is no directory, or none that we may look at. */
  readonly inode: string | null;
  /** Changes whenever a name in the directory changes. Null while that cannot be relied on. */
  readonly stamp: string | null;
}

async function lookAt(access: FileAccess, directory: string, wallMs: number): Promise<Look> {
  try {
    const { mtimeNs, mtimeMs, ino } = await access.stat(directory);
    const inode = String(ino);
    return { inode, stamp: wallMs - Number(mtimeMs) < STAMP_UNSURE_MS ? null : `${mtimeNs} ${inode}` };
  } catch (error) {
    if (fileErrorCode(error) === '') throw error;
    return { inode: null, stamp: fileErrorCode(error) };
  }
}

/** Each owner once. */
function ownersOf(files: ReadonlyMap<string, ReadFile>): readonly ProcessIdentity[] {
  const owners = new Map<string, ProcessIdentity>();
  for (const { content } of files.values()) {
    if (content?.owner) owners.set(processKey(content.owner), content.owner);
  }
  return [...owners.values()];
}
