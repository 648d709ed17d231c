/** The pid file: decimal, no newline, as the peers write it. Deploy scripts read it; the agent does not. */
import fs from 'node:fs/promises';
import { type Logger, messageOf } from '../core/index.js';
import { writeAtomically } from './write-atomically.js';

/** A failure is logged only, as with the peers. */
export async function writePidFile(file: string, pid: number, logger: Logger): Promise<void> {
  try {
    await writeAtomically(file, String(pid), 0o644);
  } catch (error) {
    logger.error({ file, error: messageOf(error) }, 'the pid file cannot be written');
  }
}

/** The pid in the file; null when there is none to be read. */
export async function readPidFile(file: string, logger: Logger): Promise<number | null> {
  try {
    const text = (await fs.readFile(file, 'utf8')).trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
  } catch (error) {
    logger.debug({ file, error: messageOf(error) }, 'no pid file');
    return null;
  }
}
