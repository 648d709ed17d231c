/**
 * Transparent HTTP from one agent to another: what is offered, under which domain, and the agents of both roles.
 *
 *   HTTP -> agent in front (http-client, http-locations) -> agent behind (provider http) -> backend
 */
import { type Agent, type AgentConfig, type AgentKind, startAgent } from '../agent.js';
import { accepts, eventually, freePort } from '../support.js';

const BACKEND_MS = 3000;

/** Services of the agent behind. */
export const PAGES = 'peony.interop.Pages';
/** The same backend, whose errors are exceptions. */
export const STRICT = 'peony.interop.Strict';
/** Exported, but nobody listens at its backend. */
export const DOWN = 'peony.interop.Down';
/** Exported with a domain whose locations have nothing of it. */
export const LOST = 'peony.interop.Lost';
/** Not exported. */
export const MISSING = 'peony.interop.Missing';

export interface Behind {
  readonly kind: AgentKind;
  readonly agent: Agent;
  readonly exportPort: number;
  readonly domain: string;
  readonly group: string;
}

export interface Front {
  readonly agent: Agent;
  /** Nobody listens there when `httpProxyUnixSock` is set. */
  readonly httpPort: number;
}

/** What one agent behind offers under `domain`, and how its paths are found; the same for both roles, as users have it. */
function locations(domain: string): Record<string, unknown> {
  return {
    [domain]: [
      { match: '/missing', type: 'exact', upstream: MISSING },
      { match: '^/down/.*', type: 'regexp', upstream: DOWN },
      { match: '^/LOST/', type: 'iregexp', upstream: LOST },
      {
        match: '/strict/',
        type: 'start',
        upstream: STRICT,
        rewriteRules: ['start /strict/ ^/strict(/.*)$ $1'],
      },
      {
        match: '/',
        type: 'start',
        upstream: PAGES,
        rewriteRules: [
          'exact /exactly ^.*$ /echo/exact',
          'start /v0/ ^/v0/(?P<rest>.*)$ /echo/$rest',
          // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of the rule
          'iregexp ^/UPPER/(.*) ^/[^/]*/(.*)$ /echo/${1}/lower',
          'regexpVar ^/user$ ^/(user)$ /echo/$1/{id}',
          '!regexp ^/(echo|body|status|fields|chunked|length|closing|late|drop|cut) ^/(.*)$ /echo/other/$1',
        ],
      },
    ],
  };
}

export interface BehindOptions {
  readonly kind: AgentKind;
  readonly backendPort: number;
  readonly name: string;
}

/** An agent that exports the backend on a port of its own. */
export async function startBehind({ kind, backendPort, name }: BehindOptions): Promise<Behind> {
  const exportPort = await freePort();
  const domain = `${name}.example`;
  const group = `${name}-group`;
  const service = (path: string, parameters: Record<string, unknown>): Record<string, unknown> => ({
    path,
    group,
    registry: 'none',
    protocol: 'motan2',
    provider: 'http',
    export: `motan2:${exportPort}`,
    proxyAddress: `127.0.0.1:${backendPort}`,
    domain,
    requestTimeout: BACKEND_MS,
    ...parameters,
  });
  const config: AgentConfig = {
    'motan-registry': { none: { protocol: 'direct' } },
    'motan-service': {
      pages: service(PAGES, {}),
      strict: service(STRICT, { enableHttpException: true }),
      down: service(DOWN, { proxyAddress: `127.0.0.1:${await freePort()}` }),
      lost: service(LOST, { domain: 'unknown.example' }),
    },
    'http-locations': locations(domain),
  };
  const agent = await startAgent(config, kind);
  await eventually('the export port accepts', 10_000, () => accepts(exportPort));
  return { kind, agent, exportPort, domain, group };
}

/** An agent whose HTTP port has the domains of these, and whose Motan port their services. */
export async function startFront(
  kind: AgentKind,
  behinds: readonly Behind[],
  settings: Record<string, unknown> = {},
  more: AgentConfig = {},
): Promise<Front> {
  const httpPort = await freePort();
  const registries: Record<string, unknown> = {};
  const clients: Record<string, unknown> = {};
  const refers: Record<string, unknown> = {};
  for (const { domain, group, exportPort } of behinds) {
    const common = {
      group,
      protocol: 'motan2',
      registry: group,
      requestTimeout: 4000,
      connectRetryInterval: 200,
    };
    registries[group] = { protocol: 'direct', address: `127.0.0.1:${exportPort}` };
    clients[group] = { ...common, domain, preload: [PAGES, STRICT, DOWN, LOST, MISSING].join(',') };
    // Errors are what the tests are about: a node must not be taken out for them.
    Object.assign(clients[group] as object, { errorCountThreshold: 0 });
    for (const path of [PAGES, STRICT, DOWN, LOST]) {
      refers[`${group}-${path}`] = { ...common, path, errorCountThreshold: 0 };
    }
  }
  const config: AgentConfig = {
    ...more,
    'motan-agent': { hport: httpPort, httpProxyEnable: true, host: '127.0.0.1', ...settings },
    'motan-registry': { ...registries, ...more['motan-registry'] },
    'http-client': { ...clients, ...more['http-client'] },
    'motan-refer': { ...refers, ...more['motan-refer'] },
    'http-locations': Object.assign(
      {},
      ...behinds.map(({ domain }) => locations(domain)),
      more['http-locations'],
    ) as Record<string, unknown>,
  };
  const agent = await startAgent(config, kind);
  const listener = typeof settings.httpProxyUnixSock === 'string' ? settings.httpProxyUnixSock : httpPort;
  await eventually('the HTTP port accepts', 10_000, () => accepts(listener));
  return { agent, httpPort };
}
