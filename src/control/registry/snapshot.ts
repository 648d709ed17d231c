/**
 * The last good nodes on disk: for our own cold start, and for peers that read them while no agent answers.
 *
 *   <directory>/<group>_<path>                      the peers' layout (spec agent 6.7; PHP clients read it)
 *       {"group":"g1","path":"com.x.Echo","nodes":[{"extInfo":"","address":"10.0.0.5:9982"}]}
 *   <directory>/.peony/<group>~<path>.json          ours: whole urls and the time; names as `toFileName` writes them
 *   <directory>/.peony/<group>~<path>.previous.json its generation before
 *
 * Everything is written beside and renamed, at most every `writeEveryMs`, and only what changed. At a start our file is
 * read first, then the generation before, then the peers' one, which a motan-go agent may have left; what makes no sense
 * or is about another service is refused by name, and the next is tried.
 */
import { createHash } from 'node:crypto';
import { link, lstat, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  AgentError,
  background,
  type Clock,
  type Logger,
  type MeshUrl,
  messageOf,
  parseNodeAddress,
  type Snapshot,
  type SnapshotStore,
} from '../../core/index.js';
import { fileErrorCode, makeDirectory, readBounded, writeAtomically } from './atomic-file.js';
import { parseExactUrl, toExactUrl } from './exact-url.js';
import { toFileName } from './file-names.js';

export interface SnapshotFilesOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds between two rounds of writing; default 10,000 as the peers have it. */
  readonly writeEveryMs?: number;
}

/** 20,000 nodes with 400 bytes of url each; what is bigger was not written by us. */
const SNAPSHOT_BYTES_MAX = 8 * 1024 * 1024;
const OWN_DIRECTORY = '.peony';
/** The changes of one moment, as at a start, are written together. */
const GATHER_MS = 100;

interface Wish {
  readonly group: string;
  readonly path: string;
  readonly nodes: readonly MeshUrl[];
}

export class SnapshotFiles implements SnapshotStore {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #writeEveryMs: number;
  /** By `group~path` as a file name; a newer wish replaces an older one. */
  #wishes = new Map<string, Wish>();
  /** What was written last, to leave alone what did not change. */
  readonly #written = new Map<string, string>();
  readonly #refusedNames = new Set<string>();
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();
  #lastWriteMs = Number.NEGATIVE_INFINITY;
  #lastError: string | null = null;
  #isClosed = false;

  constructor(options: SnapshotFilesOptions) {
    this.#directory = path.resolve(options.directory);
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#writeEveryMs = options.writeEveryMs ?? 10_000;
  }

  /** Why the last round of writing failed; null when it did not. */
  get lastError(): string | null {
    return this.#lastError;
  }

  save(group: string, servicePath: string, nodes: readonly MeshUrl[]): void {
    if (this.#isClosed) return;
    this.#wishes.set(ownName(group, servicePath), { group, path: servicePath, nodes });
    if (this.#timer !== null) return;
    const waitMs = Math.max(GATHER_MS, this.#lastWriteMs + this.#writeEveryMs - this.#clock.nowMs());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      background('snapshot-write', this.#logger, () => this.flush());
    }, waitMs);
  }

  async load(refer: MeshUrl): Promise<Snapshot | null> {
    const own = path.join(this.#directory, OWN_DIRECTORY, ownName(refer.group, refer.path));
    const peers = peersName(refer.group, refer.path);
    return (
      (await this.#read(`${own}.json`, (text, file) => parseOwn(text, refer, file))) ??
      (await this.#read(`${own}.previous.json`, (text, file) => parseOwn(text, refer, file))) ??
      (peers === null
        ? null
        : await this.#read(path.join(this.#directory, peers), (text, file, savedAtMs) =>
            parsePeers(text, refer, file, savedAtMs),
          ))
    );
  }

  /** Writes what is wished and not yet written. What fails stays wished, and is tried again in the next round. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeAll());
    return this.#writing;
  }

  /** Resolves when no writing is under way. */
  flushed(): Promise<void> {
    return this.#writing;
  }

  /** Writes what is left, then nothing any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.flush();
  }

  async #writeAll(): Promise<void> {
    const wishes = this.#wishes;
    if (wishes.size === 0) return;
    this.#wishes = new Map();
    this.#lastWriteMs = this.#clock.nowMs();
    this.#lastError = null;
    for (const [name, wish] of wishes) {
      try {
        await this.#write(name, wish);
      } catch (error) {
        const message = `snapshot of ${wish.path} in ${wish.group}: ${messageOf(error)}`;
        // One line a round: on a full disk all fail alike.
        if (this.#lastError === null) this.#logger.warn({ directory: this.#directory }, message);
        this.#lastError = message;
        if (!this.#wishes.has(name)) this.save(wish.group, wish.path, wish.nodes);
      }
    }
  }

  async #write(name: string, { group, path: servicePath, nodes }: Wish): Promise<void> {
    const urls = nodes.map(toExactUrl);
    const content = JSON.stringify(urls);
    if (this.#written.get(name) === content) return;
    const ownDirectory = path.join(this.#directory, OWN_DIRECTORY);
    const own = path.join(ownDirectory, name);
    await makeDirectory(ownDirectory);
    const text = JSON.stringify({ group, path: servicePath, savedAtMs: this.#clock.wallMs(), nodes: urls });
    await keepPrevious(`${own}.json`, `${own}.previous.json`);
    await writeAtomically(`${own}.json`, `${text}\n`);
    const peers = this.#peersFile(group, servicePath);
    if (peers !== null) await writeAtomically(peers, toPeersText(group, servicePath, nodes));
    this.#written.set(name, content);
  }

  /** Null for a name that cannot be one file in the directory; said once. */
  #peersFile(group: string, servicePath: string): string | null {
    const name = peersName(group, servicePath);
    if (name !== null) return path.join(this.#directory, name);
    const refused = `${group}_${servicePath}`;
    if (!this.#refusedNames.has(refused)) {
      this.#refusedNames.add(refused);
      this.#logger.warn(
        { group, service: servicePath },
        'no snapshot for peers: the name cannot be a file name',
      );
    }
    return null;
  }

  async #read(
    file: string,
    parse: (text: string, file: string, savedAtMs: number) => Snapshot,
  ): Promise<Snapshot | null> {
    try {
      const stats = await lstat(file);
      // A link would have us read, and quote in the log, what somebody else points at.
      if (stats.isSymbolicLink()) throw invalid('a symbolic link');
      return parse(await readBounded(file, SNAPSHOT_BYTES_MAX), file, stats.mtimeMs);
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return null;
      this.#logger.warn({ file }, `snapshot refused: ${messageOf(error)}`);
      return null;
    }
  }
}

function ownName(group: string, servicePath: string): string {
  const name = `${toFileName(group)}~${toFileName(servicePath)}`;
  // With our suffix it must stay under the 255 bytes of a file name.
  return name.length <= 220
    ? name
    : `%.${createHash('sha256').update(`${group}\n${servicePath}`).digest('hex')}`;
}

/** The peers do not escape: what would leave the directory, or hide in it, has no such file. */
function peersName(group: string, servicePath: string): string | null {
  const name = `${group}_${servicePath}`;
  if (name.startsWith('.') || name.includes('/') || name.includes('\0') || Buffer.byteLength(name) > 255)
    return null;
  return name;
}

function toPeersText(group: string, servicePath: string, nodes: readonly MeshUrl[]): string {
  // A unix socket is no address for a client that splits at the colon.
  const addresses = new Set(nodes.filter((node) => node.port > 0).map((node) => node.address));
  const entries = [...addresses].map((address) => ({ extInfo: '', address }));
  return JSON.stringify({ group, path: servicePath, nodes: entries });
}

/** A second name for the current file, so that there is no moment without one. */
async function keepPrevious(current: string, previous: string): Promise<void> {
  await rm(previous, { force: true });
  try {
    await link(current, previous);
  } catch (error) {
    // Nothing to keep, or a file system without links: then there is one generation.
    if (!['ENOENT', 'EPERM', 'ENOTSUP', 'EMLINK'].includes(fileErrorCode(error))) throw error;
  }
}

function parseOwn(text: string, refer: MeshUrl, file: string): Snapshot {
  const content = readContent(text, refer);
  const { savedAtMs } = content;
  if (typeof savedAtMs !== 'number' || !Number.isFinite(savedAtMs))
    throw invalid('"savedAtMs" must be a number');
  const nodes = listOf(content.nodes).map((value) => {
    const node = parseExactUrl(value);
    if (node.path !== refer.path) throw invalid(`"nodes" has one of "${node.path}"`);
    if (parseNodeAddress(node.address) === null)
      throw invalid(`"nodes" has one without a usable address: ${node.address}`);
    return node;
  });
  return { nodes, savedAtMs, file };
}

/** The peers keep addresses only; the rest of such a node is as the refer has it. */
function parsePeers(text: string, refer: MeshUrl, file: string, savedAtMs: number): Snapshot {
  const content = readContent(text, refer);
  const nodes = listOf(content.nodes).map((entry) => {
    const given = (Object(entry) as Record<string, unknown>).address;
    const address = typeof given === 'string' ? parseNodeAddress(given) : null;
    if (address === null)
      throw invalid(`"nodes" has an entry without a usable "address": ${JSON.stringify(entry)}`);
    return refer.with(address);
  });
  return { nodes, savedAtMs, file };
}

function readContent(text: string, refer: MeshUrl): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new AgentError('E_SNAPSHOT', `not JSON: ${messageOf(error)}`, { cause: error });
  }
  const content = Object(parsed) as Record<string, unknown>;
  if (content.group !== refer.group || content.path !== refer.path) {
    throw invalid(`is about "${String(content.path)}" in "${String(content.group)}"`);
  }
  return content;
}

function listOf(nodes: unknown): readonly unknown[] {
  if (!Array.isArray(nodes)) throw invalid('"nodes" must be a list');
  if (nodes.length === 0) throw invalid('"nodes" is empty');
  return nodes;
}

function invalid(message: string): AgentError {
  return new AgentError('E_SNAPSHOT', message);
}
