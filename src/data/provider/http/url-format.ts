/**
 * A URL_FORMAT: an absolute url in which one `%s` stands for the method of the call (spec traffic 3.6).
 *
 * Where the request goes is the configuration's to say: a format whose host depends on the method is refused, and so is a method that would
 * end the host, climb out of the path or break the request line.
 */
import { isHostAndPort } from '../../../wire/http1/index.js';
import { type HttpTarget, parseTarget } from '../../http-client/index.js';

const PLACE = '%s';

export class UrlFormat {
  readonly target: HttpTarget;
  /** As the Host field has it. */
  readonly host: string;
  readonly scheme: 'http' | 'https';
  /** What stands before and behind the method; `after` is null when the method does not occur. */
  readonly #before: string;
  readonly #after: string | null;

  private constructor(
    target: HttpTarget,
    scheme: 'http' | 'https',
    host: string,
    before: string,
    after: string | null,
  ) {
    this.target = target;
    this.scheme = scheme;
    this.host = host;
    this.#before = before;
    this.#after = after;
  }

  /** Null for a format that cannot be used. */
  static parse(text: string): UrlFormat | null {
    const found = /^(https?):\/\/([^/?#%\s]+)(.*)$/i.exec(text);
    if (found === null || text.split(PLACE).length > 2) return null;
    const scheme = found[1]!.toLowerCase() === 'https' ? 'https' : 'http';
    const host = found[2]!;
    const rest = found[3]!;
    const isTls = scheme === 'https';
    const target = isHostAndPort(host) ? parseTarget(host, isTls ? 443 : 80, isTls ? '' : null) : null;
    if (target === null || !isPlain(rest.replace(PLACE, ''))) return null;
    const at = rest.indexOf(PLACE);
    if (at < 0) return new UrlFormat(target, scheme, host, rest, null);
    return new UrlFormat(target, scheme, host, rest.slice(0, at), rest.slice(at + PLACE.length));
  }

  /** Path and query for that method; null when the method cannot stand in a url of this format. */
  targetOf(method: string): string | null {
    if (this.#after !== null && (!isPlain(method) || climbs(method))) return null;
    const rest = this.#after === null ? this.#before : this.#before + method + this.#after;
    const text = escaped(rest.split('#', 1)[0]!);
    if (text === '') return '/';
    if (text.startsWith('/')) return text;
    return text.startsWith('?') ? `/${text}` : null;
  }

  /** The whole url of a target that `targetOf` gave. */
  urlOf(target: string): string {
    return `${this.scheme}://${this.host}${target}`;
  }
}

/** Without control characters. */
function isPlain(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return !/[\0-\x1f\x7f]/.test(text);
}

/** Has a segment `.` or `..`, however it is spelled. */
function climbs(text: string): boolean {
  const path = text.split(/[?#]/, 1)[0]!;
  return /(?:^|[/\\])\.{1,2}(?:[/\\]|$)/.test(path.replace(/%2e/gi, '.').replace(/%2f|%5c/gi, '/'));
}

/** Blanks, quotes and bytes beyond ASCII cannot stand in a request line; escapes that are there stay. */
export function escaped(text: string): string {
  return text.replace(
    /[\x20"<>\\^`{|}\x80-\xff]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
