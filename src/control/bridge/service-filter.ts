/** Which services are bridged: by patterns in which `*` stands for any text and `?` for one character. */
import type { ServiceName } from '../../core/index.js';

export class ServiceFilter {
  readonly #groups: readonly RegExp[];
  readonly #services: readonly RegExp[];

  /** No patterns take everything. */
  constructor(groups: readonly string[], services: readonly string[]) {
    this.#groups = groups.map(toExpression);
    this.#services = services.map(toExpression);
  }

  takes({ group, path }: ServiceName): boolean {
    return matches(this.#groups, group) && matches(this.#services, path);
  }
}

function matches(expressions: readonly RegExp[], text: string): boolean {
  return expressions.length === 0 || expressions.some((expression) => expression.test(text));
}

function toExpression(pattern: string): RegExp {
  const escaped = pattern.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  // Neighbouring stars mean one, and would take long to fail.
  const source = escaped.replace(/(?:\\\*)+/g, '.*').replace(/\\\?/g, '.');
  return new RegExp(`^${source}$`, 'su');
}
