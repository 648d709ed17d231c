/**
 * Appends lines to a log file, or to standard output, without ever waiting for it.
 *
 *   append --> queue (bounded) --> one writev in flight --> fd
 *                 | full: dropped, counted   | error: fd closed, queue kept, tried again after a pause
 *
 * Invariants: `append` neither blocks nor throws; a chunk is released once and after that
 * not touched; at most one file descriptor is open and
 * at most one operation is in flight. No timer lives here: `tick`, called about once a second by the owner, rotates,
 * retries, and notices that the file was moved away or its directory removed.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type Clock, messageOf } from '../core/index.js';

export interface RotatingFileOptions {
  /** Path of the file, or `stdout`. */
  readonly target: string;
  /** Renames the file at each full local hour: spec agent 9.4. */
  readonly rotatePerHour: boolean;
  /** Bytes that may wait; more is dropped and counted. */
  readonly waitingBytesMax: number;
  readonly clock: Clock;
  /** Told once per outage, in words for an operator. */
  readonly onTrouble?: (message: string) => void;
}

interface Waiting {
  chunk: Buffer;
  /** Bytes of `chunk` that are written. */
  offset: number;
  readonly lines: number;
  readonly release: ((chunk: Buffer) => void) | null;
}

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 10_000;
/** How often the file is compared with what its path names. */
const IDENTITY_CHECK_MS = 5_000;
/** Below IOV_MAX (1,024 on Linux); more gains nothing. */
const CHUNKS_PER_WRITE_MAX = 128;
// Without O_NONBLOCK, opening a FIFO that nobody reads holds a thread of the pool for ever; with it that is ENXIO.
const OPEN_FLAGS = fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_NONBLOCK;

export class RotatingFile {
  readonly #options: RotatingFileOptions;
  readonly #isStdout: boolean;
  readonly #queue: Waiting[] = [];
  #fd = -1;
  /** True while an operation of the file system has not answered. */
  #isBusy = false;
  #isClosed = false;
  #hour: number;
  #retryAtMs = 0;
  #pauseMs = 0;
  #checkAtMs = 0;
  #onIdle: (() => void) | null = null;

  /** Since start. */
  linesDropped = 0;
  bytesWaiting = 0;
  errors = 0;
  trouble: string | null = null;

  constructor(options: RotatingFileOptions) {
    this.#options = options;
    this.#isStdout = options.target === 'stdout';
    this.#hour = hourOf(options.clock.wallMs());
  }

  get target(): string {
    return this.#options.target;
  }

  /** Takes whole lines. `release` gets the chunk back when it was written or dropped. */
  append(chunk: Buffer, lines: number, release: ((chunk: Buffer) => void) | null): void {
    if (this.#isClosed || this.bytesWaiting + chunk.length > this.#options.waitingBytesMax) {
      this.linesDropped += lines;
      release?.(chunk);
      return;
    }
    this.bytesWaiting += chunk.length;
    this.#queue.push({ chunk, offset: 0, lines, release });
    this.#proceed();
  }

  /** Rotation, retry and a look at whether the path still names our file. To be called about once a second. */
  tick(): void {
    if (this.#isBusy || this.#isClosed) return;
    const nowMs = this.#options.clock.nowMs();
    if (this.#fd >= 0 && !this.#isStdout && nowMs >= this.#checkAtMs) {
      this.#checkAtMs = nowMs + IDENTITY_CHECK_MS;
      this.#checkIdentity();
    } else {
      this.#proceed();
    }
  }

  /** Writes what waits, at most `withinMs`; what is left then is dropped and counted. Later lines are dropped. */
  async close(withinMs = 1000): Promise<void> {
    if (this.#isClosed) return;
    this.#retryAtMs = 0;
    this.#proceed();
    await this.#idle(withinMs);
    this.#isClosed = true;
    for (const waiting of this.#queue.splice(0)) this.#drop(waiting);
    if (!this.#isBusy) this.#closeFd(); // else the operation in flight does when it answers
  }

  /** For the last words of a process that dies: writes what waits before it returns. Gives up at the first error, and
   * when a write is in flight: writing past it could tear its lines. */
  flushSync(): void {
    if (this.#isBusy || (this.#fd < 0 && !this.#isStdout)) return;
    const fd = this.#fd < 0 ? 1 : this.#fd;
    try {
      for (let waiting = this.#queue[0]; waiting !== undefined; waiting = this.#queue[0]) {
        this.#written(fs.writeSync(fd, waiting.chunk, waiting.offset));
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Resolves when nothing waits or when writing is in trouble, at the latest after `withinMs`. */
  async #idle(withinMs: number): Promise<void> {
    if (!this.#isBusy) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#onIdle = null;
  }

  /** The next step of the one chain of operations: rotate, open, or write. */
  #proceed(): void {
    if (this.#isBusy || this.#isClosed) return;
    const { clock, rotatePerHour } = this.#options;
    const hour = hourOf(clock.wallMs());
    if (hour !== this.#hour && rotatePerHour && !this.#isStdout) {
      this.#hour = hour;
      this.#rotate();
    } else if (clock.nowMs() < this.#retryAtMs) {
      this.#rest();
    } else if (this.#fd < 0) {
      this.#open();
    } else if (this.#queue.length > 0) {
      this.#write();
    } else {
      this.#rest();
    }
  }

  #rest(): void {
    this.#onIdle?.();
  }

  #write(): void {
    const batch = this.#queue.slice(0, CHUNKS_PER_WRITE_MAX);
    const views = batch.map(({ chunk, offset }) => (offset === 0 ? chunk : chunk.subarray(offset)));
    this.#isBusy = true;
    fs.writev(this.#fd, views, (error, bytes) => {
      this.#isBusy = false;
      if (this.#isClosed) {
        this.#closeFd();
      } else if (error === null) {
        this.#recovered();
        this.#written(bytes);
      } else {
        this.#failed(error);
      }
      this.#proceed();
    });
  }

  #written(bytes: number): void {
    this.bytesWaiting -= bytes;
    let left = bytes;
    let done = 0;
    for (const waiting of this.#queue) {
      const rest = waiting.chunk.length - waiting.offset;
      if (left < rest) {
        waiting.offset += left;
        break;
      }
      left -= rest;
      done += 1;
    }
    // Releasing may append again: by then the queue must be whole.
    for (const waiting of this.#queue.splice(0, done)) waiting.release?.(waiting.chunk);
  }

  #drop(waiting: Waiting): void {
    this.linesDropped += waiting.lines;
    this.bytesWaiting -= waiting.chunk.length - waiting.offset;
    // What a write in flight still reads is not given back: the process is about to end anyway.
    if (!this.#isBusy) waiting.release?.(waiting.chunk);
  }

  #open(): void {
    this.#isBusy = true;
    const opened = (error: NodeJS.ErrnoException | null, fd: number): void => {
      this.#isBusy = false;
      if (error !== null) this.#failed(error);
      else this.#fd = fd;
      if (this.#isClosed) this.#closeFd();
      else this.#proceed();
    };
    if (this.#isStdout) {
      openStdout(opened);
      return;
    }
    fs.mkdir(path.dirname(this.target), { recursive: true, mode: 0o755 }, (error) => {
      if (error === null) fs.open(this.target, OPEN_FLAGS | fs.constants.O_CREAT, 0o644, opened);
      else opened(error, -1);
    });
  }

  /** Only a regular file is renamed: a device, a FIFO or a link that an operator chose as target stays where it is. */
  #rotate(): void {
    this.#closeFd();
    this.#isBusy = true;
    const done = (error: NodeJS.ErrnoException | null): void => {
      this.#isBusy = false;
      // A file that is not there was moved by somebody else; there is nothing to keep.
      if (error !== null && error.code !== 'ENOENT') this.#failed(error);
      if (this.#isClosed) this.#closeFd();
      else this.#proceed();
    };
    const renamed = rotatedPath(this.target, this.#options.clock.wallMs());
    fs.lstat(this.target, (error, stat) => {
      if (error === null && stat.isFile()) fs.rename(this.target, renamed, done);
      else done(error);
    });
  }

  #checkIdentity(): void {
    this.#isBusy = true;
    const fd = this.#fd;
    fs.stat(this.target, (error, named) => {
      fs.fstat(fd, (fdError, ours) => {
        this.#isBusy = false;
        const isSame = error === null && fdError === null && named.ino === ours.ino && named.dev === ours.dev;
        if (!isSame || this.#isClosed) this.#closeFd();
        this.#proceed();
      });
    });
  }

  #failed(error: unknown): void {
    this.errors += 1;
    this.#pauseMs = Math.min(RETRY_MS_MAX, Math.max(RETRY_MS_MIN, this.#pauseMs * 2));
    this.#retryAtMs = this.#options.clock.nowMs() + this.#pauseMs;
    // EAGAIN: the reader of a FIFO is slow. Reopening would not help it.
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#closeFd();
    if (this.trouble !== null) return;
    this.trouble = messageOf(error);
    this.#options.onTrouble?.(`${this.target} cannot be written: ${this.trouble}`);
  }

  #recovered(): void {
    this.#pauseMs = 0;
    this.trouble = null;
  }

  #closeFd(): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd > 1) fs.close(fd, (error) => this.#noteCloseError(error));
  }

  #noteCloseError(error: Error | null | undefined): void {
    if (error) this.errors += 1;
  }
}

/** The name of an hour's file: `<name>-YYYYMMDD-HH.log`, HH the local hour before `wallMs`. */
export function rotatedPath(target: string, wallMs: number): string {
  const before = new Date(wallMs - 3_600_000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${before.getFullYear()}${two(before.getMonth() + 1)}${two(before.getDate())}`;
  const extension = path.extname(target);
  return `${target.slice(0, target.length - extension.length)}-${day}-${two(before.getHours())}${extension}`;
}

/** Full hours of local time since 1970; zones with half hours rotate at their own full hour. */
function hourOf(wallMs: number): number {
  return Math.floor((wallMs - new Date(wallMs).getTimezoneOffset() * 60_000) / 3_600_000);
}

/**
 * A pipe is opened a second time, so that it can be made non-blocking for us alone: a write to a full blocking pipe would hold a
 * thread of the pool, and the exit of the process with it.
 */
function openStdout(opened: (error: NodeJS.ErrnoException | null, fd: number) => void): void {
  fs.fstat(1, (error, stat) => {
    if (error !== null) opened(error, -1);
    else if (stat.isFIFO())
      fs.open('/proc/self/fd/1', OPEN_FLAGS, (openError, fd) => opened(null, openError ? 1 : fd));
    else opened(null, 1);
  });
}
