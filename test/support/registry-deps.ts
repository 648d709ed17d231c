/** What registries and discovery are given in tests: the real clock, a log that can be read, directories of their own. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Clock, Logger } from '../../src/core/index.js';

export const realClock: Clock = { nowMs: () => performance.now(), wallMs: () => Date.now() };

export interface LoggedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** Keeps what is logged. */
export class RecordingLogger implements Logger {
  readonly lines: LoggedLine[] = [];

  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', fields: { ...fields }, message });
  }

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields: { ...fields }, message });
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields: { ...fields }, message });
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields: { ...fields }, message });
  }

  child(): Logger {
    return this;
  }
}

export async function temporaryDirectory(): Promise<string> {
  return await mkdtemp(path.join(os.tmpdir(), 'peony-test-'));
}

export async function removeDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
