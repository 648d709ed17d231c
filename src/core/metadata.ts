/**
 * The key-value part of a message, in the order in which it came.
 *
 * Keys and values are latin1 strings: one character is one byte, so bytes that are not valid UTF-8 pass unchanged
 * (spec wire 2.6). `utf8Text` gives the text for people.
 */
export class Metadata {
  readonly #pairs = new Map<string, string>();

  get size(): number {
    return this.#pairs.size;
  }

  get(key: string): string | undefined {
    return this.#pairs.get(key);
  }

  /** The value, or the empty string. */
  text(key: string): string {
    return this.#pairs.get(key) ?? '';
  }

  /** Sets a value; a known key keeps its place. */
  set(key: string, value: string): void {
    this.#pairs.set(key, value);
  }

  delete(key: string): void {
    this.#pairs.delete(key);
  }

  copy(): Metadata {
    return Metadata.of(this.#pairs);
  }

  entries(): IterableIterator<[string, string]> {
    return this.#pairs.entries();
  }

  static of(entries: Iterable<readonly [string, string]>): Metadata {
    const metadata = new Metadata();
    for (const [key, value] of entries) metadata.#pairs.set(key, value);
    return metadata;
  }
}

/** latin1 bytes-as-text to readable text. */
export function utf8Text(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

/** Readable text to latin1 bytes-as-text. */
export function latin1Text(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
