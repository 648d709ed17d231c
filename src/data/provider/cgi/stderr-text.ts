/** What a script wrote to its error log, fit for ours: bounded, on one line, without anything that a terminal would obey. */
import { isUtf8 } from 'node:buffer';

const BYTES_MAX = 2048;
const NO_BYTES = Buffer.alloc(0);
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;

export class StderrText {
  #bytes: Buffer = NO_BYTES;
  #isCut = false;

  get isEmpty(): boolean {
    return this.#bytes.length === 0;
  }

  add(bytes: Buffer, start: number, end: number): void {
    const take = Math.min(end - start, BYTES_MAX - this.#bytes.length);
    if (take < end - start) this.#isCut = true;
    if (take > 0) this.#bytes = Buffer.concat([this.#bytes, bytes.subarray(start, start + take)]);
  }

  toString(): string {
    const bytes = this.#bytes;
    // A character that the bound cuts in two must not turn the rest into latin1.
    const text = this.#isCut || isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1');
    return text.trimEnd().replace(CONTROL, escaped) + (this.#isCut ? ' ...' : '');
  }
}

function escaped(character: string): string {
  if (character === '\n') return '\\n';
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
