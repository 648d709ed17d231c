/**
 * `<runtime_dir>/status`: the three bytes `200` or `503`, read at a start with `-recover`.
 *
 * motan-go writes 200 whatever happened; its files are accepted as they are, since what they meant cannot be known.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { type Logger, messageOf } from '../core/index.js';
import { writeAtomically } from './write-atomically.js';

/** A failure is logged only: the status in force does not depend on the file. Resolves with whether it was written. */
export async function writeStatusFile(
  runtimeDir: string,
  isServing: boolean,
  logger: Logger,
): Promise<boolean> {
  const file = path.join(runtimeDir, 'status');
  try {
    await writeAtomically(file, isServing ? '200' : '503', 0o644);
    return true;
  } catch (error) {
    logger.error(
      { file, error: messageOf(error) },
      'the status cannot be stored; a start with -recover would restore another',
    );
    return false;
  }
}

/** True only when the file says 200; without a readable file the agent starts at 503. */
export async function readStatusFile(runtimeDir: string, logger: Logger): Promise<boolean> {
  const file = path.join(runtimeDir, 'status');
  try {
    const text = (await fs.readFile(file, 'utf8')).trim();
    if (text !== '200' && text !== '503')
      logger.warn({ file, text: text.slice(0, 20) }, 'the stored status is neither 200 nor 503');
    return text === '200';
  } catch (error) {
    logger.warn({ file, error: messageOf(error) }, 'there is no stored status to recover');
    return false;
  }
}
