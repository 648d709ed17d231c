/** Which service a path belongs to, and what the backend is asked for: spec traffic 2.4, 2.5. Made by data/route. */

export interface LocationMatcher {
  /** The location of `path` (decoded and normalised, no query), or null when none matches. */
  match(path: string): MatchedLocation | null;
}

export interface MatchedLocation {
  /** Service name. */
  readonly upstream: string;
  /**
   * The path that the first fitting rule makes; `path` itself when none fits.
   * @param query the raw query string, without `?`: rules of kind `regexpVar` read it
   */
  rewrite(path: string, query: string): string;
}
