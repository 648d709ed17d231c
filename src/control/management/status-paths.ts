/**
 * Status and availability: spec agent 7.1. Load balancers and deploy scripts live by the bytes of `/`, `/200` and `/503`.
 */
import {
  type ManagementView,
  MeshUrl,
  type Problem,
  placeText,
  type RegistryReport,
} from '../../core/index.js';
import { goJson } from './go-json.js';
import { type Answer, changing, type ManagementPath, plain, reading } from './path.js';

/** Also the answer of every unknown path. */
export const statusPath: ManagementPath = reading(({ view }) =>
  view.isServing() ? plain('OK') : plain('Service Unavailable', 503),
);

export const statusPaths: Readonly<Record<string, ManagementPath>> = {
  '/': statusPath,
  '/200': changing(({ view }) => setServing(view, true)),
  '/503': changing(({ view }) => setServing(view, false)),
  '/version': reading(({ view }) => plain(view.version)),
  '/status': reading(({ view }) => plain(statusText(view))),
  '/registry/status': reading(({ view }) => plain(registryStatusText(view))),
};

async function setServing(view: ManagementView, isServing: boolean): Promise<Answer> {
  await view.setServing(isServing);
  return plain('ok.');
}

interface ServiceCount {
  readonly group: string;
  readonly name: string;
  readonly methods: { name: string; period_call_count: number }[];
}

/** The shape of motan-go; `quarantined`, `snapshots` and `held` are added only when there is something to name. */
function statusText(view: ManagementView): string {
  const services = new Map<string, ServiceCount>();
  let calls = 0;
  for (const count of view.lastPeriod()) {
    if (count.role !== 'motan-server-agent' || count.scope !== 'endpoint') continue;
    const key = `${count.group}\n${count.service}`;
    const service = services.get(key) ?? { group: count.group, name: count.service, methods: [] };
    services.set(key, service);
    if (count.calls > 0) service.methods.push({ name: count.method, period_call_count: count.calls });
    calls += count.calls;
  }
  const quarantined = quarantinedOf(view);
  const body = {
    status: view.isServing() ? 200 : 503,
    service_period_call_count: calls,
    services: [...services.values()],
    ...(quarantined.length === 0 ? {} : { quarantined }),
    ...withoutRegistry(view),
  };
  return goJson({ code: 200, body }, '    ');
}

/** Services whose nodes no registry lists: read from a snapshot, or held although they were lost. */
function withoutRegistry(view: ManagementView): object {
  const { refers } = view.discovery();
  const snapshots = refers.flatMap(({ service, group, snapshotSavedAtMs }) =>
    snapshotSavedAtMs === null
      ? []
      : [{ group, name: service, age_seconds: wholeSecondsSince(snapshotSavedAtMs) }],
  );
  const held = refers.flatMap(({ service, group, registries }) => {
    const nodes = registries.reduce((sum, one) => sum + one.held.length, 0);
    return nodes === 0 ? [] : [{ group, name: service, nodes }];
  });
  return {
    ...(snapshots.length === 0 ? {} : { snapshots }),
    ...(held.length === 0 ? {} : { held }),
  };
}

export function wholeSecondsSince(thenMs: number): number {
  return Math.max(0, Math.round((Date.now() - thenMs) / 1000));
}

/** Configuration entries that do not serve, each with the reason and the place. */
export function quarantinedOf(view: ManagementView): object[] {
  return view
    .config()
    .problems.filter((problem) => problem.severity === 'error' && problem.entry !== null)
    .map(shownProblem);
}

export function shownProblem(problem: Problem): object {
  const { entry, key, code, severity, message, expected, didYouMean, place } = problem;
  // The value is left out: it may be a secret that was written at the wrong place.
  return { entry, key, code, severity, message, expected, didYouMean, place: placeText(place) };
}

type RegistryStatus =
  | 'register-success'
  | 'register-failed'
  | 'unregister-success'
  | 'unregister-failed'
  | 'not-register';

interface RegistryEntry {
  readonly group: string;
  readonly service: string;
  readonly registry: string;
  readonly status: RegistryStatus;
  readonly errMsg: string;
  /** True: the entry counts for the overall status. */
  readonly isCheck: boolean;
}

/** Failed beats not-register beats success. */
function registryStatusText(view: ManagementView): string {
  const entries = view.registries().flatMap(registryEntries);
  const words = entries.map((entry) => entry.status);
  const success = view.isServing() ? 'register-success' : 'unregister-success';
  const status =
    words.find((word) => word.endsWith('-failed')) ??
    words.find((word) => word === 'not-register') ??
    success;
  return goJson({ status, registryStatus: entries.length === 0 ? null : entries });
}

function registryEntries(report: RegistryReport): RegistryEntry[] {
  return report.announced.map(({ node, desired, seen }) => {
    const url = MeshUrl.parse(node);
    const isTrue = desired === seen;
    const failed = desired === 'available' ? 'register-failed' : 'unregister-failed';
    const success = desired === 'available' ? 'register-success' : 'unregister-success';
    // Not there and no trouble known: the registry has not got to it yet.
    const pending = seen === 'absent' && report.lastError === null ? 'not-register' : failed;
    const status = isTrue ? success : pending;
    const errMsg = isTrue ? '' : (report.lastError ?? `wanted ${desired}, seen ${seen}`);
    return { group: url.group, service: url.path, registry: report.id, status, errMsg, isCheck: true };
  });
}
