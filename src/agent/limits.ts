/** What the operating system allows this process. */
import fs from 'node:fs';
import { messageOf } from '../core/index.js';

/** Used when the system does not tell: the customary soft limit. */
const DESCRIPTORS_DEFAULT = 1024;

/** Soft limit of open files. Node raises it to the hard limit at start. */
export function descriptorsMax(onTrouble: (message: string) => void): number {
  try {
    const found = /^Max open files\s+(\d+|unlimited)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'));
    if (found?.[1] === 'unlimited') return 1_000_000;
    if (found?.[1] !== undefined) return Number(found[1]);
    onTrouble('/proc/self/limits does not name the open files');
  } catch (error) {
    onTrouble(messageOf(error));
  }
  return DESCRIPTORS_DEFAULT;
}
