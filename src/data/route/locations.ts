/**
 * The locations of a domain: which service a path belongs to, and how it is rewritten (spec traffic 2.4, 2.5).
 *
 * Order: exact paths, then expressions as the configuration has them, then the longest prefix. Nothing that is broken gets here: the
 * configuration leaves it out and says so; what does is left out once more.
 */
import type { HttpLocationConfig, LocationMatcher, MatchedLocation } from '../../core/index.js';
import { compile, type Expression, toBytes, toCharacters } from './re2.js';
import { RewriteRule } from './rewrite-rule.js';

/** A longer path matches nothing: expressions take time with every byte, and metadata may be megabytes. */
const PATH_BYTES_MAX = 32 * 1024;

export class LocationTable implements LocationMatcher {
  readonly #exact = new Map<string, Location>();
  readonly #expressions: (readonly [Expression, Location])[] = [];
  /** Longest first; of equal length in configuration order. */
  readonly #prefixes: (readonly [string, Location])[] = [];

  constructor(configs: readonly HttpLocationConfig[]) {
    for (const config of configs) this.#add(config);
    this.#prefixes.sort(([one], [other]) => other.length - one.length);
  }

  match(path: string): MatchedLocation | null {
    if (path.length > PATH_BYTES_MAX) return null;
    return this.#exact.get(path) ?? this.#matchExpression(path) ?? this.#matchPrefix(path);
  }

  #add(config: HttpLocationConfig): void {
    const location = new Location(config);
    const literal = toBytes(config.match, true);
    switch (config.type) {
      case 'exact':
        if (!this.#exact.has(literal)) this.#exact.set(literal, location);
        break;
      case 'start':
        if (literal !== '') this.#prefixes.push([literal, location]);
        break;
      case 'regexp':
      case 'iregexp': {
        const expression = compile(config.type === 'iregexp' ? `(?i)${config.match}` : config.match);
        if (expression !== null) this.#expressions.push([expression, location]);
        break;
      }
    }
  }

  #matchExpression(path: string): Location | null {
    if (this.#expressions.length === 0) return null;
    const characters = toCharacters(path);
    for (const [expression, location] of this.#expressions) {
      if (expression.matcher(characters).find()) return location;
    }
    return null;
  }

  #matchPrefix(path: string): Location | null {
    for (const [prefix, location] of this.#prefixes) if (path.startsWith(prefix)) return location;
    return null;
  }
}

class Location implements MatchedLocation {
  readonly upstream: string;
  readonly #rules: readonly RewriteRule[];

  constructor(config: HttpLocationConfig) {
    this.upstream = config.upstream;
    this.#rules = config.rewriteRules.map((rule) => RewriteRule.parse(rule)).filter((rule) => rule !== null);
  }

  rewrite(path: string, query: string): string {
    for (const rule of this.#rules) {
      const made = rule.apply(path, query);
      if (made !== null) return made;
    }
    return path;
  }
}
