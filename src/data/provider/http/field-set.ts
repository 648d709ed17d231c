/**
 * The fields of a request that is made from metadata: by name without case, in the order in which they came, each once.
 *
 * Nothing gets in that could end a line, frame the message, or was for one connection alone. Metadata that cannot be a field is an
 * error and not dropped: who sent it would not learn, and who reads the request would be told something else.
 */
import type { Metadata } from '../../../core/index.js';
import { canonicalName, HOP_BY_HOP, isFieldValue, isToken } from '../../../wire/http1/index.js';

/** Metadata of the mesh under the names that backends know it by. */
export const INNER_FIELDS: ReadonlyMap<string, string> = new Map(
  ['p', 'm', 'md', 'g', 'pp', 'v', 'mdu', 's', 'rid', 'tmo'].map((name) => [
    `M_${name}`,
    canonicalName(`MOTAN-${name}`),
  ]),
);
const INNER_NAMES: ReadonlySet<string> = new Set(
  [...INNER_FIELDS.values()].map((name) => name.toLowerCase()),
);

/** What is left of the time that a caller waits. Ours to write: a caller's own would not shrink. */
export const TIMEOUT_FIELD = 'X-Peony-Timeout-Ms';

/**
 * Never passed: what frames the message is ours to say, `Expect` is answered by us, and a backend behind CGI would read `Proxy` as
 * the environment variable HTTP_PROXY.
 */
const NEVER: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'content-length',
  'expect',
  'proxy',
  TIMEOUT_FIELD.toLowerCase(),
]);

/** Whether a caller's field of that lower-case name is kept from the backend. */
export function isNeverPassed(lowerName: string): boolean {
  return NEVER.has(lowerName);
}

/** Whether the agent itself writes fields of that lower-case name. */
export function isInnerName(lowerName: string): boolean {
  return INNER_NAMES.has(lowerName);
}

export class FieldSet {
  readonly #fields = new Map<string, readonly [string, string]>();
  /** Why some metadata cannot be sent; null when all can. */
  trouble: string | null = null;

  has(lowerName: string): boolean {
    return this.#fields.has(lowerName);
  }

  get(lowerName: string): string | undefined {
    return this.#fields.get(lowerName)?.[1];
  }

  delete(lowerName: string): void {
    this.#fields.delete(lowerName);
  }

  /** Sets a field of a caller, unless it is one that never passes. */
  set(name: string, value: string): void {
    const lower = name.toLowerCase();
    if (NEVER.has(lower)) return;
    if (!isToken(name)) {
      this.trouble ??= `metadata ${quoted(name)} cannot be the name of an HTTP header`;
    } else if (!isFieldValue(value)) {
      this.trouble ??= `metadata ${quoted(name)} has a value that no HTTP header can have`;
    } else {
      this.#fields.set(lower, [canonicalName(name), trimmed(value)]);
    }
  }

  /** Sets what the mesh says of the call; callers cannot say it in its place. */
  setInner(metadata: Metadata): void {
    for (const [key, name] of INNER_FIELDS) {
      const value = metadata.get(key);
      if (value === undefined || value === '') this.#fields.delete(name.toLowerCase());
      else this.set(name, value);
    }
  }

  /** Field lines, each with its line end. */
  toText(): string {
    let text = '';
    for (const [name, value] of this.#fields.values()) text += `${name}: ${value}\r\n`;
    return text;
  }
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}

function trimmed(value: string): string {
  return /^[ \t]|[ \t]$/.test(value) ? value.replace(/^[ \t]+|[ \t]+$/g, '') : value;
}
