/**
 * Files that other processes read while we write: a reader sees the old content or the new one, never a part.
 *
 * Nothing is synced to the disk: what stands here is worthless after a power failure anyway, or has an older generation.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

const FILE_MODE = 0o664;
const DIRECTORY_MODE = 0o775;

/** Temporary files start with a dot and end with this; readers of a directory pass over them. */
export const TEMPORARY_SUFFIX = '.tmp';

/** Replaces `file` by `content`. Rejects with the file system's error; then `file` is as it was. */
export async function writeAtomically(file: string, content: string): Promise<void> {
  const name = `.${randomBytes(8).toString('hex')}${TEMPORARY_SUFFIX}`;
  const temporary = path.join(path.dirname(file), name);
  try {
    const handle = await open(temporary, 'wx', FILE_MODE);
    try {
      await handle.writeFile(content);
      // Agents of several users share these files: the umask of one must not lock out the others.
      await handle.chmod(FILE_MODE);
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Makes `directory` with its parents; what exists keeps its mode. */
export async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true });
  if (first === undefined) return;
  for (let made = directory; ; made = path.dirname(made)) {
    await chmod(made, DIRECTORY_MODE);
    if (made === first || made === path.dirname(made)) return;
  }
}

/** The error code of the file system (`ENOENT`), or an empty text for any other error. */
export function fileErrorCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? '';
}

/** The whole of `file` as text. Throws when it has more than `bytesMax` bytes, or is no file. */
export async function readBounded(file: string, bytesMax: number): Promise<string> {
  // Without blocking: a pipe by that name must not hold up a thread of the pool.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error('not a regular file');
    const buffer = Buffer.alloc(Math.min(stat.size, bytesMax) + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > bytesMax) throw new Error(`over ${bytesMax} bytes`);
    return buffer.toString('utf8', 0, length);
  } finally {
    await handle.close();
  }
}

/** `readBounded` without leaving the loop. */
export function readBoundedAtOnce(file: string, bytesMax: number): string {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new Error('not a regular file');
    const buffer = Buffer.alloc(Math.min(stat.size, bytesMax) + 1);
    let length = 0;
    while (length < buffer.length) {
      const bytesRead = readSync(descriptor, buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > bytesMax) throw new Error(`over ${bytesMax} bytes`);
    return buffer.toString('utf8', 0, length);
  } finally {
    closeSync(descriptor);
  }
}
