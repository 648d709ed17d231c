/**
 * The final filters of an entry (spec agent 2.7): agent defaults minus what the entry disables, environment, own list. The set is
 * written to parameter `filter` in execution order; motan-go writes it in random order.
 */
import type { AgentParts, LoadContext } from './context.js';
import type { EntryDraft } from './entry.js';
import { commaList } from './environment.js';
import { inExecutionOrder } from './names.js';
import { nearestName } from './near.js';

export function assembleFilters(draft: EntryDraft, agent: AgentParts, context: LoadContext): void {
  const own = commaList(draft.text('filter'));
  const chosen = new Set([
    ...without(agent.defaultFilters, commaList(draft.text('disableDefaultFilter'))),
    ...without(agent.globalFilters, commaList(draft.text('disableGlobalFilter'))),
    ...context.environment.filters,
    ...usableFilters(own, draft, context),
  ]);
  if (draft.text('haStrategy') === 'backupRequest') chosen.add('metrics');
  if (chosen.size === 0 && !draft.parameters.has('filter')) return;
  const text = inExecutionOrder(chosen).join(',');
  if (text !== draft.text('filter'))
    draft.derive('filter', text, 'assembled from defaultFilter, globalFilter, MESH_FILTERS and filter');
}

function without(names: readonly string[], disabled: readonly string[]): string[] {
  return names.filter((name) => !disabled.includes(name));
}

function usableFilters(names: readonly string[], draft: EntryDraft, context: LoadContext): string[] {
  const node = draft.nodeOf('filter');
  return usableNames(names, { key: `${draft.key}.filter`, ...(node === undefined ? {} : { node }) }, context);
}

type About = { readonly key: string; readonly node?: NonNullable<ReturnType<EntryDraft['nodeOf']>> };

/** Names that this version runs; others are reported and skipped, as motan-go skips unknown ones. */
export function usableNames(
  names: readonly string[],
  about: About,
  context: Pick<LoadContext, 'names' | 'built' | 'problems'>,
): string[] {
  const legal = context.names.filters;
  return names.filter((name) => {
    if (!legal.includes(name)) {
      context.problems.warning({
        ...about,
        code: 'unknown-filter',
        value: name,
        message: 'unknown filter, skipped',
        expected: `one of ${legal.join(', ')}`,
        didYouMean: nearestName(name, legal),
      });
      return false;
    }
    if (context.built.filters === undefined || context.built.filters.includes(name)) return true;
    context.problems.warning({
      ...about,
      code: 'not-built',
      value: name,
      message: 'this version does not run this filter yet; it is skipped',
    });
    return false;
  });
}
