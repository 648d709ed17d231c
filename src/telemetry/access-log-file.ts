/**
 * The access log: `<log_dir>/<prog>-access.log`, or standard output. The filter makes the lines; here they only meet the disk.
 * Lines are always written in the background: a slow or full disk costs at most `waitingBytesMax` and then lines, never calls.
 */
import type { AccessLogSink, Clock, LogReport } from '../core/index.js';
import { logReport, logTarget } from './log.js';
import { RotatingFile } from './rotating-file.js';

export interface AccessLogFileOptions {
  /** A directory, or `stdout`. */
  readonly logDir: string;
  /** Base name of the executable. */
  readonly program: string;
  readonly rotatePerHour: boolean;
  readonly clock: Clock;
  /** Bytes that may wait for the disk; default 8 MiB, about a second of lines at 50,000 calls/s. */
  readonly waitingBytesMax?: number;
  /** Told once per outage; for the main log. */
  readonly onTrouble?: (message: string) => void;
}

const WAITING_BYTES_MAX = 8 * 1024 * 1024;

export class AccessLogFile implements AccessLogSink {
  readonly #file: RotatingFile;
  enabled = true;

  constructor(options: AccessLogFileOptions) {
    const { logDir, program, clock, rotatePerHour, waitingBytesMax = WAITING_BYTES_MAX, onTrouble } = options;
    this.#file = new RotatingFile({
      target: logTarget(logDir, `${program}-access.log`),
      rotatePerHour,
      waitingBytesMax,
      clock,
      ...(onTrouble === undefined ? {} : { onTrouble }),
    });
  }

  write(chunk: Buffer, lines: number, release: (chunk: Buffer) => void): void {
    this.#file.append(chunk, lines, release);
  }

  report(): LogReport {
    return logReport('access', this.#file);
  }

  /** See RotatingFile.tick: about once a second. */
  tick(): void {
    this.#file.tick();
  }

  flushSync(): void {
    this.#file.flushSync();
  }

  async close(withinMs?: number): Promise<void> {
    await this.#file.close(withinMs);
  }
}
