/**
 * How the directory of a service is read: `later`, off the loop, or `atOnce`.
 *
 * Off the loop a file costs five hops to another thread, some 100 us of CPU; at once it costs 15 us. A start that reads thousands of
 * services uses the second, in short pieces; everything after that the first, so that a slow disk holds up nobody.
 */
import fs, { type BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { readBounded, readBoundedAtOnce } from './atomic-file.js';

export interface FileAccess {
  stat(file: string): Promise<BigIntStats> | BigIntStats;
  readdir(directory: string): Promise<string[]> | string[];
  /** As `readBounded` of atomic-file.ts. */
  read(file: string, bytesMax: number): Promise<string> | string;
}

export const later: FileAccess = {
  stat: (file) => stat(file, { bigint: true }),
  readdir: (directory) => readdir(directory),
  read: readBounded,
};

export const atOnce: FileAccess = {
  stat: (file) => fs.statSync(file, { bigint: true }),
  readdir: (directory) => fs.readdirSync(directory),
  read: readBoundedAtOnce,
};
