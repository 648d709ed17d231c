/** From the method of a call to the path that the backend is asked for: spec traffic 2.5, 3.4, 3.5. */
import { type Failure, failure, type LocationMatcher } from '../../../core/index.js';
import { decodePath, normalizePath } from '../../../wire/http1/index.js';

export class Rewriting {
  /** Null: paths go as they are. */
  readonly #locations: LocationMatcher | null;
  readonly #isEnabled: boolean;

  constructor(isEnabled: boolean, locations: LocationMatcher | null) {
    this.#isEnabled = isEnabled;
    this.#locations = locations;
  }

  /**
   * The decoded path for a decoded and normalised one, or why there is none. What is matched is what is sent, so that no spelling of a
   * path gets around the locations.
   */
  apply(path: string, query: string): string | Failure {
    if (!this.#isEnabled) return path;
    const location = this.#locations?.match(path) ?? null;
    if (location === null) return failure('E_NO_LOCATION', 'service not found');
    const rewritten = location.rewrite(path, query);
    if (rewritten === path) return path;
    // A query parameter that a rule puts into the path must not climb out of it.
    if (/(?:^|\/)\.\.?(?:\/|$)/.test(rewritten) || rewritten.includes('\0'))
      return failure('E_BAD_ARGUMENTS', 'the rewritten path is not a plain one');
    return rewritten;
  }
}

/**
 * A path as an RPC caller names it: escapes are undone, as fasthttp does, and `//`, `.` and `..` resolved. A broken escape stays as it is
 * written. What does not begin with a slash does not get one here: locations see it as it came.
 */
export function pathOfMethod(method: string): string {
  const decoded = decodePath(method) ?? method;
  return decoded.startsWith('/') ? normalizePath(decoded) : normalizePath(`/${decoded}`).slice(1);
}
