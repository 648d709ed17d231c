/** The version of the package, read once. */
import fs from 'node:fs';

let known: string | null = null;

export function version(): string {
  if (known === null) {
    const manifest = new URL('../../package.json', import.meta.url);
    known = String((JSON.parse(fs.readFileSync(manifest, 'utf8')) as { version: unknown }).version);
  }
  return known;
}
