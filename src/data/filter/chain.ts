/**
 * Runs the filters around a call. What can be empty is null and skipped; filters of a chain are fixed when it is built.
 */
import type { Call, ChainBuilder, Filter, FilterChain, FilterFactory, Reply } from '../../core/index.js';

class OrderedChain implements FilterChain {
  readonly #filters: readonly Filter[];

  constructor(filters: readonly Filter[]) {
    this.#filters = filters;
  }

  before(call: Call, startedMs: number): Reply | null {
    const filters = this.#filters;
    for (let index = 0; index < filters.length; index += 1) {
      const filter = filters[index]!;
      const reply = filter.before === null ? null : filter.before(call);
      if (reply === null) continue;
      for (let passed = index - 1; passed >= 0; passed -= 1)
        filters[passed]!.after?.(call, reply, startedMs, startedMs);
      return reply;
    }
    return null;
  }

  after(call: Call, reply: Reply, startedMs: number, nowMs: number): void {
    const filters = this.#filters;
    for (let index = filters.length - 1; index >= 0; index -= 1) {
      const filter = filters[index]!;
      if (filter.after !== null) filter.after(call, reply, startedMs, nowMs);
    }
  }
}

/** Chains out of the filters of `table`. Names of the other scope and unknown ones are left out. */
export function chainBuilder(table: ReadonlyMap<string, FilterFactory>): ChainBuilder {
  return (names, scope, target) => {
    const factories: FilterFactory[] = [];
    for (const name of names.split(',')) {
      const factory = table.get(name.trim());
      if (factory !== undefined && factory.scope === scope) factories.push(factory);
    }
    if (factories.length === 0) return null;
    factories.sort((left, right) => left.order - right.order);
    return new OrderedChain(factories.map((factory) => factory.create(target)));
  };
}
