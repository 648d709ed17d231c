/**
 * A command text in a file of the shared directory. It is looked at once a second; an operator replaces it as a whole (`mv`), or edits it.
 *
 *   <directory>/.command/service/<group>.json         names as `toFileName` writes them: no group has a directory that begins with a dot
 *   <directory>/.command/agent/<application>.json
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type Clock,
  COMMAND_BYTES_MAX,
  type CommandListener,
  type CommandScope,
  messageOf,
} from '../../core/index.js';
import { fileErrorCode, readBounded } from './atomic-file.js';
import { toFileName } from './file-names.js';

const DIRECTORY = '.command';
/** A change within one tick of the file system's clock leaves no trace in the time stamp: so long the next look reads again. */
const STAMP_UNSURE_MS = 100;

export function commandFile(directory: string, scope: CommandScope): string {
  const name = scope.kind === 'service' ? scope.group : scope.application;
  return path.join(directory, DIRECTORY, scope.kind, `${toFileName(name)}.json`);
}

export class FileCommandWatch {
  readonly file: string;
  readonly #listeners = new Set<CommandListener>();
  /** Time stamp, size and inode of what was read; null before that, and after trouble. */
  #stamp: string | null = null;
  #text: string | null = null;
  #trouble: string | null = null;
  #isLooking = false;

  readonly #clock: Clock;

  constructor(file: string, clock: Clock) {
    this.file = file;
    this.#clock = clock;
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  get problem(): string | null {
    return this.#trouble;
  }

  add(listener: CommandListener): void {
    this.#listeners.add(listener);
    if (this.#stamp === null && this.#trouble === null) return; // the first look tells
    queueMicrotask(() => {
      if (!this.#listeners.has(listener)) return;
      if (this.#trouble !== null) listener.onTrouble(this.#trouble);
      else listener.onCommand(this.#text);
    });
  }

  remove(listener: CommandListener): void {
    this.#listeners.delete(listener);
  }

  close(): void {
    this.#listeners.clear();
  }

  /** Reads the file when it is another one than before. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const stamp = await this.#stampNow();
      if (stamp === this.#stamp && !stamp.endsWith('unsure')) return;
      const text = stamp === '' ? null : await readBounded(this.file, COMMAND_BYTES_MAX);
      this.#onRead(stamp, text);
    } catch (error) {
      // Gone between the two steps: the next look finds that.
      if (fileErrorCode(error) !== 'ENOENT')
        this.#onTrouble(`${this.file} cannot be read: ${messageOf(error)}`);
    } finally {
      this.#isLooking = false;
    }
  }

  /** Empty when there is no file. */
  async #stampNow(): Promise<string> {
    try {
      const { mtimeNs, mtimeMs, size, ino } = await stat(this.file, { bigint: true });
      const isSure = this.#clock.wallMs() - Number(mtimeMs) >= STAMP_UNSURE_MS;
      return `${mtimeNs} ${size} ${ino}${isSure ? '' : ' unsure'}`;
    } catch (error) {
      if (fileErrorCode(error) === 'ENOENT') return '';
      throw error;
    }
  }

  #onRead(stamp: string, text: string | null): void {
    this.#stamp = stamp;
    this.#trouble = null;
    this.#text = text === null || text.trim() === '' ? null : text;
    for (const listener of [...this.#listeners]) listener.onCommand(this.#text);
  }

  #onTrouble(trouble: string): void {
    // The next good look must tell, changed or not, because that ends the trouble.
    this.#stamp = null;
    if (this.#trouble === trouble) return;
    this.#trouble = trouble;
    for (const listener of [...this.#listeners]) listener.onTrouble(trouble);
  }
}
