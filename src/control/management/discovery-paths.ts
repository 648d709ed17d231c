/** What discovery knows, and the word of an operator that a registry is right. Ours: the peers have nothing like it. */
import type { ManagementView, ReferReport } from '../../core/index.js';
import { changing, json, type ManagementPath, problem, reading } from './path.js';
import { wholeSecondsSince } from './status-paths.js';

export const discoveryPaths: Readonly<Record<string, ManagementPath>> = {
  '/v1/discovery': reading(({ view }) => json(JSON.stringify(shownDiscovery(view)))),
  '/v1/discovery/accept': changing(({ view, parameter, method }) => {
    if (method !== 'POST')
      return problem(405, 'Method Not Allowed', 'E_METHOD', 'it changes what is used: POST it');
    const group = parameter('group') || null;
    const service = parameter('service') || null;
    // Who forgets to name the service must not let go of everything.
    if (group === null && service === null && parameter('all') !== 'true')
      return problem(400, 'Bad Request', 'E_ARGUMENT', 'group, service or all=true is needed');
    const accepted = [...view.acceptRegistries(group, service)].map(([refer, nodes]) => ({ refer, nodes }));
    return json(JSON.stringify({ accepted }));
  }),
};

function shownDiscovery(view: ManagementView): object {
  const { stateNumber, refers } = view.discovery();
  return { stateNumber, refers: refers.map(shownRefer) };
}

function shownRefer(refer: ReferReport): object {
  const { snapshotSavedAtMs } = refer;
  const snapshotAgeSeconds = snapshotSavedAtMs === null ? null : wholeSecondsSince(snapshotSavedAtMs);
  return { ...refer, snapshotAgeSeconds };
}
