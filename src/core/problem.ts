/**
 * One thing that is wrong with what an operator wrote, with its place.
 *
 * `fatal` ends the start (a file cannot be read or parsed); `error` quarantines the entry that holds it, the others
 * serve; `warning` is likely a mistake, but it works as the peers do.
 */
export interface Problem {
  readonly severity: 'fatal' | 'error' | 'warning';
  /** Stable kebab-case word for programs, for example `unknown-key`. */
  readonly code: string;
  /** Path of the key, for example `motan-refer.echo.requestTimeout`; empty for a whole file. */
  readonly key: string;
  /** The value found, as text; null when there is none. */
  readonly value: string | null;
  readonly message: string;
  /** What would have been right; null when there is nothing to say. */
  readonly expected: string | null;
  /** A name that was probably meant; null when none is near. */
  readonly didYouMean: string | null;
  /** Where it was written; null for environment variables and flags. */
  readonly place: Place | null;
  /** Section and id of the quarantined entry, for example `motan-refer.echo`; null when no entry is lost. */
  readonly entry: string | null;
}

/** A place in a file. Line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export function placeText(place: Place | null): string {
  return place === null ? '(environment or flags)' : `${place.file}:${place.line}:${place.column}`;
}
