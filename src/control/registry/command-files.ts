/**
 * The last command texts on disk, for a start while the registry is silent.
 *
 *   <directory>/.peony/commands/<registry>~<service|agent>~<name>.json     names as `toFileName` writes them
 *       {"registry":"zk","scope":{"kind":"service","group":"g1"},"receivedAtMs":1700000000000,"text":"{...}"}
 *
 * Written beside and renamed. What makes no sense, or is about another scope, is refused by name.
 */
import { createHash } from 'node:crypto';
import { lstat, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  AgentError,
  background,
  COMMAND_BYTES_MAX,
  type CommandScope,
  type CommandStore,
  commandScopeKey,
  type Logger,
  messageOf,
  type SavedCommand,
} from '../../core/index.js';
import { fileErrorCode, makeDirectory, readBounded, writeAtomically } from './atomic-file.js';
import { toFileName } from './file-names.js';

export interface CommandFilesOptions {
  /** Where the snapshots are. */
  readonly directory: string;
  readonly logger: Logger;
  /** Milliseconds after which a writing that failed is tried again; default 10,000. */
  readonly retryMs?: number;
}

/** In JSON a byte of a text may take six. */
const FILE_BYTES_MAX = 6 * COMMAND_BYTES_MAX + 4_096;
/** The changes of one moment are written together. */
const GATHER_MS = 100;

interface Wish {
  readonly registry: string;
  readonly scope: CommandScope;
  /** Null: forgotten. */
  readonly saved: SavedCommand | null;
}

export class CommandFiles implements CommandStore {
  readonly #directory: string;
  readonly #logger: Logger;
  readonly #retryMs: number;
  /** By name of the file; a newer wish replaces an older one. */
  #wishes = new Map<string, Wish>();
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();
  #lastError: string | null = null;
  #isClosed = false;

  constructor(options: CommandFilesOptions) {
    this.#directory = path.join(path.resolve(options.directory), '.peony', 'commands');
    this.#logger = options.logger;
    this.#retryMs = options.retryMs ?? 10_000;
  }

  /** Why the last round of writing failed; null when it did not. */
  get lastError(): string | null {
    return this.#lastError;
  }

  save(registry: string, scope: CommandScope, saved: SavedCommand | null): void {
    if (this.#isClosed) return;
    this.#wishes.set(fileName(registry, scope), { registry, scope, saved });
    this.#flushLater(GATHER_MS);
  }

  async load(registry: string, scope: CommandScope): Promise<SavedCommand | null> {
    const name = fileName(registry, scope);
    const wish = this.#wishes.get(name);
    if (wish !== undefined) return wish.saved;
    await this.#writing;
    const file = path.join(this.#directory, name);
    try {
      // A link would have us read, and quote in the log, what somebody else points at.
      if ((await lstat(file)).isSymbolicLink()) throw new AgentError('E_SNAPSHOT', 'a symbolic link');
      return parseSaved(await readBounded(file, FILE_BYTES_MAX), registry, scope);
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return null;
      this.#logger.warn({ file }, `saved command refused: ${messageOf(error)}`);
      return null;
    }
  }

  /** Writes what is wished. What fails stays wished. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeAll());
    return this.#writing;
  }

  /** Writes what is left, then nothing any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.flush();
  }

  #flushLater(afterMs: number): void {
    if (this.#timer !== null || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      background('command-write', this.#logger, () => this.flush());
    }, afterMs);
  }

  async #writeAll(): Promise<void> {
    const wishes = this.#wishes;
    this.#wishes = new Map();
    let trouble: string | null = null;
    for (const [name, wish] of wishes) {
      try {
        await this.#write(path.join(this.#directory, name), wish);
      } catch (error) {
        trouble ??= `command of ${commandScopeKey(wish.scope)}: ${messageOf(error)}`;
        if (!this.#wishes.has(name)) this.#wishes.set(name, wish);
      }
    }
    // One line for an outage: on a full disk all fail alike.
    if (trouble !== null && this.#lastError === null)
      this.#logger.warn({ directory: this.#directory }, `commands cannot be saved: ${trouble}`);
    this.#lastError = trouble;
    if (trouble !== null) this.#flushLater(this.#retryMs);
  }

  async #write(file: string, { registry, scope, saved }: Wish): Promise<void> {
    if (saved === null) {
      await rm(file, { force: true });
      return;
    }
    await makeDirectory(this.#directory);
    const { receivedAtMs, text } = saved;
    await writeAtomically(file, `${JSON.stringify({ registry, scope, receivedAtMs, text })}\n`);
  }
}

function fileName(registry: string, scope: CommandScope): string {
  const of = scope.kind === 'service' ? scope.group : scope.application;
  const name = `${toFileName(registry)}~${scope.kind}~${toFileName(of)}`;
  // With our suffix it must stay under the 255 bytes of a file name.
  if (name.length <= 220) return `${name}.json`;
  const digest = createHash('sha256')
    .update(`${registry}\n${commandScopeKey(scope)}`)
    .digest('hex');
  return `%.${digest}.json`;
}

function parseSaved(text: string, registry: string, scope: CommandScope): SavedCommand {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new AgentError('E_SNAPSHOT', `not JSON: ${messageOf(error)}`, { cause: error });
  }
  const content = Object(parsed) as Record<string, unknown>;
  const { kind, group, application } = Object(content.scope) as Record<string, unknown>;
  const isSame =
    content.registry === registry &&
    kind === scope.kind &&
    (scope.kind === 'service' ? group === scope.group : application === scope.application);
  if (!isSame)
    throw new AgentError('E_SNAPSHOT', `it is not about ${commandScopeKey(scope)} of registry ${registry}`);
  const { receivedAtMs, text: command } = content;
  if (typeof command !== 'string' || Buffer.byteLength(command) > COMMAND_BYTES_MAX || command.trim() === '')
    throw new AgentError('E_SNAPSHOT', '"text" must be a command text');
  if (typeof receivedAtMs !== 'number' || !Number.isFinite(receivedAtMs))
    throw new AgentError('E_SNAPSHOT', '"receivedAtMs" must be a number');
  return { text: command, receivedAtMs };
}
