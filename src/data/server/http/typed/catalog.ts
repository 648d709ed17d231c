/**
 * `GET /v1/services`: what can be called from here, and what this agent offers to others.
 *
 *   services   refers, one entry for each group and version: `?limit=` (at most 1000) and `?offset=`, `next` names the page that follows
 *   domains    domains that HTTP callers address on this port; on the first page only, as `exports`
 *   exports    services of this machine, as the mesh sees them
 */
import type {
  ClusterReport,
  ClusterState,
  ExportReport,
  MeshState,
  MethodSchema,
} from '../../../../core/index.js';
import { parseForm } from '../../../../wire/http1/index.js';
import { encodeSegment } from './segment.js';

const LIMIT_MAX = 1000;

/** What the data plane counts. */
export interface Catalog {
  readonly clusters: readonly ClusterReport[];
  readonly exports: readonly ExportReport[];
}

/** The page that the query asks for, as JSON; or what is wrong with the query. */
export function servicesPage(state: MeshState, counted: Catalog, query: string): object | string {
  const page = readPage(query);
  if (typeof page === 'string') return page;
  const { limit, offset } = page;
  const refers = state.clusters.filter((cluster) => cluster.domain === null);
  const reports = new Map(counted.clusters.map((report) => [report.referId, report]));
  const counts = new Map<string, number>();
  for (const { url } of refers) counts.set(url.path, (counts.get(url.path) ?? 0) + 1);
  const shown = refers.slice(offset, offset + limit);
  const nextOffset = offset + shown.length;
  return {
    application: state.application,
    total: refers.length,
    services: shown.map((cluster) => ({
      ...serviceEntry(cluster, counts.get(cluster.url.path) === 1),
      ...endpointCounts(cluster, reports.get(cluster.referId)),
      methods: methodEntries(state.schemas.get(cluster.url.path)),
    })),
    ...(nextOffset < refers.length && shown.length > 0
      ? { next: `/v1/services?limit=${limit}&offset=${nextOffset}` }
      : {}),
    ...(offset > 0 ? {} : { domains: domainEntries(state), exports: exportEntries(state, counted.exports) }),
  };
}

function readPage(query: string): { limit: number; offset: number } | string {
  const page = { limit: LIMIT_MAX, offset: 0 };
  for (const [name, value] of query === '' ? [] : parseForm(query, Number.MAX_SAFE_INTEGER)) {
    if (name !== 'limit' && name !== 'offset') return 'the query takes limit and offset only';
    if (!/^[0-9]{1,9}$/.test(value)) return `${name} must be a number`;
    page[name] = Number(value);
  }
  return page.limit < 1 || page.limit > LIMIT_MAX ? `limit must be from 1 to ${LIMIT_MAX}` : page;
}

function serviceEntry({ url, referId }: ClusterState, isOnly: boolean): object {
  const { path, group, protocol } = url;
  const version = url.text('version');
  const call = `/v1/call/${encodeSegment(path)}/{method}${isOnly ? '' : choiceQuery(group, version)}`;
  return { service: path, group, version, protocol, refer: referId, call };
}

function endpointCounts({ endpoints }: ClusterState, report: ClusterReport | undefined): object {
  return {
    isAvailable: report?.available ?? true,
    endpoints: endpoints.length,
    endpointsAvailable: report?.endpoints.filter((endpoint) => endpoint.available).length ?? 0,
  };
}

/** Of several refers of a service the group chooses, then the version: spec wire 7.2. */
function choiceQuery(group: string, version: string): string {
  return `?group=${encodeSegment(group)}${version === '' ? '' : `&version=${encodeSegment(version)}`}`;
}

/** Null prototype: a method may be called `__proto__`. */
function methodEntries(methods: ReadonlyMap<string, MethodSchema> | undefined): object {
  const entries: Record<string, object> = Object.create(null);
  for (const [name, { args, returns, desc, description }] of methods ?? []) {
    entries[name] = { args, returns, desc, description };
  }
  return entries;
}

function domainEntries(state: MeshState): object[] {
  return state.httpDomains.map(({ domain, services }) => ({ domain, services: [...services.keys()] }));
}

function exportEntries(state: MeshState, reports: readonly ExportReport[]): object[] {
  const known = new Map(reports.map((report) => [report.id, report]));
  return state.exports.map(({ id, url, provider, listener }) => ({
    service: url.path,
    group: url.group,
    version: url.text('version'),
    protocol: url.protocol,
    provider,
    listener,
    isHealthy: known.get(id)?.isHealthy ?? true,
  }));
}
