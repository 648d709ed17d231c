/**
 * One rewrite rule of a location: four words, `condition value pattern replacement` (spec traffic 2.5).
 *
 * The replacement is a template as Go's regexp.Expand reads it; what it makes is the whole path, and text outside the match is gone.
 */
import { compile, type Expression, isAscii, toBytes, toCharacters } from './re2.js';

type Condition = 'exact' | 'start' | 'regexp' | 'iregexp' | 'regexpVar';
const CONDITIONS: readonly string[] = ['exact', 'start', 'regexp', 'iregexp', 'regexpVar'];
const VARIABLE = /\{([0-9A-Za-z_-]+)\}/g;

export class RewriteRule {
  readonly #condition: Condition;
  readonly #isNegated: boolean;
  /** latin1; for `exact` and `start`. */
  readonly #literal: string;
  /** For the others. */
  readonly #test: Expression | null;
  readonly #pattern: Expression;
  readonly #groups: Readonly<Record<string, number>>;
  /** latin1. */
  readonly #template: string;

  private constructor(
    condition: Condition,
    isNegated: boolean,
    value: string,
    test: Expression | null,
    pattern: Expression,
    template: string,
  ) {
    this.#condition = condition;
    this.#isNegated = isNegated;
    this.#literal = toBytes(value, true);
    this.#test = test;
    this.#pattern = pattern;
    this.#groups = pattern.namedGroups();
    this.#template = toBytes(template, true);
  }

  /** Null for a rule that is illegal: the configuration has told. */
  static parse(text: string): RewriteRule | null {
    const words = text.split(/[\t\n\f\r ]+/);
    if (words.length !== 4 || words.includes('')) return null;
    const [word, value, pattern, template] = words as [string, string, string, string];
    const isNegated = word.startsWith('!');
    const condition = isNegated ? word.slice(1) : word;
    if (!CONDITIONS.includes(condition)) return null;
    const isLiteral = condition === 'exact' || condition === 'start';
    const test = isLiteral ? null : compile(condition === 'iregexp' ? `(?i)${value}` : value);
    const expression = compile(pattern);
    if ((!isLiteral && test === null) || expression === null) return null;
    return new RewriteRule(condition as Condition, isNegated, value, test, expression, template);
  }

  /** The new path, or null when the rule does not apply. */
  apply(path: string, query: string): string | null {
    const characters = toCharacters(path);
    if (this.#holds(path, characters) === this.#isNegated) return null;
    const match = this.#pattern.matcher(characters);
    if (!match.find()) return null;
    const isUtf8 = characters !== path || isAscii(path);
    const bytes = this.#expand((group) =>
      group > match.groupCount() ? '' : toBytes(match.group(group) ?? '', isUtf8),
    );
    if (this.#condition !== 'regexpVar' || query === '') return bytes;
    return bytes.replace(VARIABLE, (_, name: string) => queryValue(query, name));
  }

  #holds(path: string, characters: string): boolean {
    if (this.#condition === 'exact') return path === this.#literal;
    if (this.#condition === 'start') return path.startsWith(this.#literal);
    return this.#test!.matcher(characters).find();
  }

  #expand(groupText: (group: number) => string): string {
    const template = this.#template;
    let result = '';
    let at = 0;
    for (;;) {
      const dollar = template.indexOf('$', at);
      if (dollar < 0) return result + template.slice(at);
      result += template.slice(at, dollar);
      at = dollar + 1;
      if (template[at] === '$') {
        result += '$';
        at += 1;
        continue;
      }
      const name = /^(?:\{([0-9A-Za-z_]+)\}|([0-9A-Za-z_]+))/.exec(template.slice(at));
      if (name === null) {
        result += '$';
        continue;
      }
      at += name[0].length;
      const group = this.#groupOf(name[1] ?? name[2]!);
      if (group !== null) result += groupText(group);
    }
  }

  /** Digits are a number unless they begin with a superfluous 0. */
  #groupOf(name: string): number | null {
    if (/^(?:0|[1-9]\d{0,7})$/.test(name)) return Number(name);
    return Object.hasOwn(this.#groups, name) ? this.#groups[name]! : null;
  }
}

/** First value of a parameter of a raw query, unescaped; empty when there is none. latin1. */
function queryValue(query: string, name: string): string {
  for (const pair of query.split('&')) {
    const mark = pair.indexOf('=');
    const key = mark < 0 ? pair : pair.slice(0, mark);
    if (unescaped(key) === name) return mark < 0 ? '' : unescaped(pair.slice(mark + 1));
  }
  return '';
}

/** A broken escape stays as it is written. */
function unescaped(text: string): string {
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
