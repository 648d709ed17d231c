/** What only tells: spec agent 7.2, our own `/v1` and `/metrics`. */
import { stringify } from 'yaml';
import { type ManagementView, MeshUrl, redactText, redactTree } from '../../core/index.js';
import { commandsAnswer } from './commands-answer.js';
import { goJson, sorted } from './go-json.js';
import { json, type ManagementPath, plain, reading } from './path.js';
import { runtimeInfo } from './runtime-info.js';
import { quarantinedOf, shownProblem } from './status-paths.js';

export const informationPaths: Readonly<Record<string, ManagementPath>> = {
  '/getConfig': reading(({ view }) => plain(configYaml(view))),
  '/getReferService': reading(({ view }) =>
    plain(goJson({ code: 200, body: { service: clusterList(view) } })),
  ),
  '/getAllService': reading(({ view }) => plain(goJson(serviceLists(view)))),
  '/runtime/info': reading((request) => plain(goJson(runtimeInfo(request.view, request.parameter('keys'))))),
  '/metrics': reading(async ({ view }) => {
    const { contentType, text } = await view.metricsText();
    return { status: 200, contentType, body: text };
  }),
  '/v1/status': reading(({ view }) => json(JSON.stringify(fullStatus(view)))),
  '/v1/state': reading(({ view }) => json(JSON.stringify(redactTree(toPlain(view.state()))))),
  '/v1/commands': reading(({ view }) => json(JSON.stringify(commandsAnswer(view)))),
  '/v1/config': reading(({ view }) =>
    json(
      JSON.stringify({
        config: redactTree(view.config().tree),
        problems: view.config().problems.map(shownProblem),
      }),
    ),
  ),
};

/** Sorted keys, lists not indented, YAML 1.1 quoting: as go-yaml writes it. */
function configYaml(view: ManagementView): string {
  return stringify(redactTree(view.config().tree), {
    version: '1.1',
    sortMapEntries: true,
    indentSeq: false,
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
}

/** `status` is false only under a degrade command; it says nothing about nodes. */
function clusterList(view: ManagementView): object[] {
  return view
    .report()
    .clusters.filter((cluster) => cluster.domain === null)
    .map((cluster) => ({ name: cluster.key, status: cluster.available }));
}

function serviceLists(view: ManagementView): object {
  const services = view.services().map(shownUrl);
  // Go's nil slice.
  return {
    dynamic_services: view.dynamicServices().map(shownUrl),
    services: services.length === 0 ? null : services,
  };
}

export function shownUrl(url: MeshUrl): object {
  const plainUrl = url.toJSON();
  return redactTree({ ...plainUrl, parameters: sorted(Object.entries(plainUrl.parameters)) }) as object;
}

/** Urls become their JSON form, so that what is in them can be redacted. */
function toPlain(value: unknown): unknown {
  if (value instanceof MeshUrl) return shownUrl(value);
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== 'object' || value === null) return value;
  if ('severity' in value && 'didYouMean' in value) return { ...value, value: null };
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, toPlain(item)]));
}

function fullStatus(view: ManagementView): object {
  const report = view.report();
  const state = view.state();
  const states = new Map(state?.clusters.map((cluster) => [cluster.key, cluster]));
  return {
    version: view.version,
    status: view.isServing() ? 200 : 503,
    startedAt: new Date(view.startedAtMs).toISOString(),
    uptimeSeconds: Math.floor(process.uptime()),
    application: view.config().agent.application,
    state:
      state === null ? null : { number: state.number, cause: state.cause, createdAtMs: state.createdAtMs },
    // What the data plane runs: it may lag behind `state` for a moment.
    appliedStateNumber: report.stateNumber,
    listeners: report.listeners,
    clusters: report.clusters.map((cluster) => ({
      ...cluster,
      source: states.get(cluster.key)?.source ?? 'none',
      snapshotSavedAtMs: states.get(cluster.key)?.snapshotSavedAtMs ?? null,
      endpointsAvailable: cluster.endpoints.filter((endpoint) => endpoint.available).length,
    })),
    exports: report.exports,
    registries: view.registries().map((registry) => ({
      ...registry,
      address: redactText(registry.address),
      announced: registry.announced.map((one) => ({ ...one, node: redactText(one.node) })),
    })),
    quarantined: quarantinedOf(view),
    warnings: view
      .config()
      .problems.filter((problem) => problem.severity === 'warning')
      .map(shownProblem),
    logs: view.logs.reports(),
  };
}
