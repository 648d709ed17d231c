/** A file that is read by others is either the old one or the new one, never half of it. */
import fs from 'node:fs/promises';
import path from 'node:path';

/** Writes beside `file` and renames over it; makes its directory. Rejects with the error of the file system. */
export async function writeAtomically(file: string, text: string, mode: number): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true });
  const beside = `${file}.${process.pid}.new`;
  try {
    const handle = await fs.open(beside, 'w', mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(beside, file);
  } catch (error) {
    await fs.rm(beside, { force: true });
    throw error;
  }
}
