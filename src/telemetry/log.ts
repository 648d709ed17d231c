/**
 * The main log: one JSON object a line, by pino, to `<log_dir>/<prog>.log` or to standard output.
 *
 * What is written never stops the agent: see rotating-file.ts. JSON escapes control characters, so a line is always one line;
 * the values of secret keys are replaced.
 */
import path from 'node:path';
import { type Logger as Pino, pino } from 'pino';
import { type Clock, type Logger, type LogReport, redactText, redactTree } from '../core/index.js';
import { RotatingFile } from './rotating-file.js';

export interface MainLogOptions {
  /** A directory, or `stdout`. */
  readonly logDir: string;
  /** Base name of the executable. */
  readonly program: string;
  /** trace, debug, info, warn, error, dpanic, panic or fatal, in any case; anything else is info. */
  readonly level: string;
  readonly rotatePerHour: boolean;
  readonly clock: Clock;
  /** Bytes that may wait for the disk; default 1 MiB, thousands of lines. */
  readonly waitingBytesMax?: number;
}

/** The level names of the peers, each with the pino level that lets the same lines pass. */
const LEVELS: ReadonlyMap<string, string> = new Map([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['error', 'error'],
  ['dpanic', 'fatal'],
  ['panic', 'fatal'],
  ['fatal', 'fatal'],
]);
const WAITING_BYTES_MAX = 1024 * 1024;

export class MainLog {
  readonly #file: RotatingFile;
  readonly #pino: Pino;
  #level = 'info';

  constructor(options: MainLogOptions) {
    const { logDir, program, clock } = options;
    this.#file = new RotatingFile({
      target: logTarget(logDir, `${program}.log`),
      rotatePerHour: options.rotatePerHour,
      waitingBytesMax: options.waitingBytesMax ?? WAITING_BYTES_MAX,
      clock,
    });
    this.#pino = pino(
      {
        base: null,
        timestamp: () => `,"time":"${new Date(clock.wallMs()).toISOString()}"`,
        formatters: { level: (label) => ({ level: label }), log: redactFields },
        hooks: {
          logMethod(given, method) {
            method.apply(
              this,
              given.map((one) => (typeof one === 'string' ? redactText(one) : one)) as typeof given,
            );
          },
        },
      },
      { write: (line: string) => this.#file.append(Buffer.from(line), 1, null) },
    );
    this.setLevel(options.level);
  }

  /** Follows later changes of the level, as its children do. */
  get logger(): Logger {
    return new LeveledLogger(this.#pino, this.#pino);
  }

  get level(): string {
    return this.#level;
  }

  /** False for an unknown name; then nothing changes. */
  setLevel(name: string): boolean {
    const level = name.toLowerCase();
    const own = LEVELS.get(level);
    if (own === undefined) return false;
    this.#level = level;
    this.#pino.level = own;
    return true;
  }

  report(): LogReport {
    return logReport('main', this.#file);
  }

  /** See RotatingFile.tick: about once a second. */
  tick(): void {
    this.#file.tick();
  }

  /** For the last words of a process that dies. */
  flushSync(): void {
    this.#file.flushSync();
  }

  async close(withinMs?: number): Promise<void> {
    await this.#file.close(withinMs);
  }
}

/** A pino child copies its level when it is made; this one asks the root, so that a change reaches everybody. */
class LeveledLogger implements Logger {
  readonly #root: Pino;
  readonly #pino: Pino;

  constructor(root: Pino, own: Pino) {
    this.#root = root;
    this.#pino = own;
    // The gate is `isLevelEnabled` of the root; the child itself lets everything pass.
    if (own !== root) own.level = 'trace';
  }

  debug(fields: object, message: string): void {
    if (this.#root.isLevelEnabled('debug')) this.#pino.debug(fields, message);
  }

  info(fields: object, message: string): void {
    if (this.#root.isLevelEnabled('info')) this.#pino.info(fields, message);
  }

  warn(fields: object, message: string): void {
    if (this.#root.isLevelEnabled('warn')) this.#pino.warn(fields, message);
  }

  error(fields: object, message: string): void {
    if (this.#root.isLevelEnabled('error')) this.#pino.error(fields, message);
  }

  child(fields: object): Logger {
    return new LeveledLogger(this.#root, this.#pino.child({ ...redactFields(fields) }));
  }
}

export function logTarget(logDir: string, fileName: string): string {
  return logDir === 'stdout' ? 'stdout' : path.join(logDir, fileName);
}

export function logReport(name: string, file: RotatingFile): LogReport {
  const { target, linesDropped, bytesWaiting, errors, trouble } = file;
  return { name, target, linesDropped, bytesWaiting, errors, trouble };
}

function redactFields(fields: object): Record<string, unknown> {
  return redactTree(fields) as Record<string, unknown>;
}
