/**
 * Names from configuration and from peers as names of files: one component, never a way out of its directory.
 *
 *   letters, digits, '_', '-', and '.' but not as the first    stand for themselves
 *   every other byte of the UTF-8 text                         %XX
 *   the empty name                                             %
 *   more than 180 characters                                   the first 140, then "%." and 32 hex digits of SHA-256
 *
 * Two names never give the same file, and no result is empty, `.` or `..`, or has a slash, a blank or a control character.
 */
import { createHash } from 'node:crypto';

/** With a suffix of ours it stays under 255 bytes, the limit of every Linux file system. */
const NAME_CHARACTERS_MAX = 180;
const KEPT_CHARACTERS = 140;

export function toFileName(name: string): string {
  if (name === '') return '%';
  const escaped = name
    .replace(/[^A-Za-z0-9_.-]/gu, (character) => percentEscaped(Buffer.from(character)))
    .replace(/^\./, '%2E');
  if (escaped.length <= NAME_CHARACTERS_MAX) return escaped;
  return `${escaped.slice(0, KEPT_CHARACTERS)}%.${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
}

/** The name that `toFileName` made the file's of; null when that cannot be told, as of a name that was cut. */
export function fromFileName(file: string): string | null {
  if (file === '%') return '';
  try {
    const name = decodeURIComponent(file);
    return toFileName(name) === file ? name : null;
  } catch {
    return null; // nothing that `toFileName` gives
  }
}

function percentEscaped(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return out;
}
