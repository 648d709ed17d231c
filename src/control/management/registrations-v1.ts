/**
 * Dynamic registration in Peony's own form:
 *
 *   GET    /v1/registrations        all
 *   POST   /v1/registrations        {"kind":"service"|"refer","url":{...},"lease":{...}}; 201, one registration for each group
 *   GET    /v1/registrations/{id}
 *   PUT    /v1/registrations/{id}   renews; a body {"lease":{...}} gives it another lease
 *   DELETE /v1/registrations/{id}   204
 *
 * `lease` is {"ttlSeconds":n}, {"pid":n} or {"connection":true}; without one the registration stays until it is taken back. `?wait=ms`
 * answers when the registries have it, or when that time is over. What is wrong comes as a problem document (RFC 9457).
 */
import {
  AgentError,
  type LeaseWish,
  type ManagementView,
  MeshUrl,
  REGISTRATION_STATUS,
  type Registration,
  type RegistryReport,
  redactText,
} from '../../core/index.js';
import { shownUrl } from './information-paths.js';
import { type Answer, json, type ManagementPath, type ManagementRequest, problem } from './path.js';

const WAIT_MS_MAX = 20_000;

/** Known by its title to people, by `code` to programs. */
const TITLES: Readonly<Record<number, string>> = {
  400: 'the request makes no sense',
  404: 'no such registration',
  405: 'not for this method',
  500: 'it cannot be registered',
  503: 'not now',
};

const isChanging = (method: string): boolean => method !== 'GET' && method !== 'HEAD';

export const registrationsV1: Readonly<Record<string, ManagementPath>> = {
  '/v1/registrations': { changesState: isChanging, answer: (request) => guarded(() => ofAll(request)) },
  '/v1/registrations/:id': { changesState: isChanging, answer: (request) => guarded(() => ofOne(request)) },
};

async function ofAll(request: ManagementRequest): Promise<Answer> {
  const { view, method } = request;
  if (!isChanging(method)) return shownList(view, view.registrations.list(), 200);
  if (method !== 'POST') return wrongMethod('GET, POST');
  const { kind, url, lease } = bodyOf(request);
  if (kind !== 'service' && kind !== 'refer') throw bad('"kind" must be "service" or "refer"');
  const wish = leaseOf(lease, request);
  const waitMs = waitOf(request);
  const made = await view.registrations.add(kind, url, wish);
  await waited(view, made, waitMs);
  const answer = shownList(view, made, 201);
  return made.length === 1
    ? { ...answer, headers: { location: `/v1/registrations/${made[0]!.id}` } }
    : answer;
}

async function ofOne(request: ManagementRequest): Promise<Answer> {
  const { view, method } = request;
  const id = request.id ?? '';
  const { registrations } = view;
  if (!isChanging(method)) {
    const found = registrations.list().find((one) => one.id === id);
    return found === undefined ? unknown(id) : json(JSON.stringify(shownOf(view)(found)));
  }
  if (method === 'DELETE') {
    const waitMs = waitOf(request);
    const removed = await registrations.removeById(id);
    if (removed === null) return unknown(id);
    await waited(view, [removed], waitMs);
    return { status: 204, contentType: null, body: '' };
  }
  if (method !== 'PUT') return wrongMethod('GET, PUT, DELETE');
  const { lease } = request.body.length === 0 ? { lease: undefined } : bodyOf(request);
  const renewed = await registrations.renew(id, leaseOf(lease, request));
  return renewed === null ? unknown(id) : json(JSON.stringify(shownOf(view)(renewed)));
}

async function guarded(answer: () => Promise<Answer>): Promise<Answer> {
  try {
    return await answer();
  } catch (error) {
    const status = error instanceof AgentError ? REGISTRATION_STATUS[error.code] : undefined;
    if (status === undefined) throw error;
    const { code, message } = error as AgentError;
    return problem(status, TITLES[status]!, code, message);
  }
}

async function waited(view: ManagementView, made: readonly Registration[], waitMs: number): Promise<void> {
  if (waitMs > 0) await view.registrations.settled(made, waitMs);
}

function shownList(view: ManagementView, registrations: readonly Registration[], status: number): Answer {
  return json(JSON.stringify({ registrations: registrations.map(shownOf(view)) }), status);
}

/** With what was wished and what the registries have: looked up once for all that are shown. */
function shownOf(view: ManagementView): (registration: Registration) => object {
  const reports = new Map(view.registries().map((report) => [report.id, report]));
  const announced = new Map<string, RegistryReport['announced'][number]>();
  for (const { id, announced: list } of reports.values())
    for (const one of list) announced.set(`${id}\n${MeshUrl.parse(one.node).identity}`, one);
  const dataPlane = view.report();
  const clusters = new Map(dataPlane.clusters.map((cluster) => [cluster.referId, cluster]));
  const clusterStates = new Map(view.state()?.clusters.map((cluster) => [cluster.referId, cluster]));
  const portOf = (port: number): number => {
    if (port !== 0) return port;
    const listener = dataPlane.listeners.find(({ name }) => name === 'export:0');
    return Number(/:(\d+)$/.exec(listener?.address ?? '')?.[1] ?? 0);
  };
  return (registration) => {
    const { id, kind, url, registryIds, referIds, lease, registeredAtMs } = registration;
    const { identity } = url.with({ port: portOf(url.port) });
    const registries = registryIds.map((name) => {
      const report = reports.get(name);
      const one = announced.get(`${name}\n${identity}`);
      const state =
        kind === 'service' ? { desired: one?.desired ?? 'absent', seen: one?.seen ?? 'absent' } : {};
      return { id: name, ...state, lastError: report?.lastError ?? null };
    });
    const used = referIds.map((referId) => ({
      name: clusters.get(referId)?.key ?? null,
      source: clusterStates.get(referId)?.source ?? 'none',
      nodes: clusters.get(referId)?.endpoints.length ?? 0,
      nodesAvailable: clusters.get(referId)?.endpoints.filter((endpoint) => endpoint.available).length ?? 0,
    }));
    return {
      id,
      kind,
      service: url.path,
      group: url.group,
      url: shownUrl(url),
      registries: registries.map((one) => ({
        ...one,
        lastError: one.lastError === null ? null : redactText(one.lastError),
      })),
      ...(kind === 'refer' ? { clusters: used } : {}),
      lease,
      registeredAt: new Date(registeredAtMs).toISOString(),
    };
  };
}

function bodyOf({ body }: ManagementRequest): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw bad(`the body is not JSON: ${error.message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad('the body must be a JSON object');
  return value as Record<string, unknown>;
}

function leaseOf(value: unknown, request: ManagementRequest): LeaseWish | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'object' || Object.keys(value).length !== 1)
    throw bad('"lease" must be {"ttlSeconds":n}, {"pid":n} or {"connection":true}');
  const { ttlSeconds, pid, connection } = value as Record<string, unknown>;
  if (typeof ttlSeconds === 'number') return { kind: 'ttl', seconds: ttlSeconds };
  const isProcess = typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0;
  if (!isProcess && connection !== true)
    throw bad('"lease" must be {"ttlSeconds":n}, {"pid":n} or {"connection":true}');
  if (!request.isLocal) throw bad('a lease of a process or connection is for callers on this machine');
  return isProcess ? { kind: 'process', pid } : { kind: 'connection', connection: request.hold() };
}

function waitOf({ parameter }: ManagementRequest): number {
  const text = parameter('wait');
  if (text === null || text === '') return 0;
  if (!/^\d{1,5}$/.test(text) || Number(text) > WAIT_MS_MAX)
    throw bad(`"wait" must be milliseconds from 0 to ${WAIT_MS_MAX}`);
  return Number(text);
}

function bad(message: string): AgentError {
  return new AgentError('E_REGISTRATION', message);
}

function unknown(id: string): Answer {
  return problem(404, TITLES[404]!, 'E_NO_REGISTRATION', `no registration has the id ${JSON.stringify(id)}`);
}

function wrongMethod(allow: string): Answer {
  return { ...problem(405, TITLES[405]!, 'E_METHOD', `allowed are ${allow}`), headers: { allow } };
}
