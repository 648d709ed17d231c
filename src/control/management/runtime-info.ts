/**
 * `/runtime/info`: spec agent 7.7, made of the reports. Keys of every object are sorted, as Go sorts its maps.
 *
 * Left out is what this version does not have: the history of node lists, and weights, because commands are not applied.
 */
import {
  type ClusterReport,
  type ClusterState,
  type CommandReport,
  type EndpointReport,
  type ListenerState,
  type ManagementView,
  type MeshUrl,
  redactText,
} from '../../core/index.js';
import { cutText } from './commands-answer.js';
import { sorted } from './go-json.js';

const KEYS: Readonly<Record<string, (view: ManagementView) => object>> = {
  clusters: clusterPart,
  httpClusters: httpClusterPart,
  exporters: exporterPart,
  servers: serverPart,
  extensionFactory: (view) => ({ registries: registryNames(view, null, null) }),
  basic: basicPart,
};

/** As many as the peers keep. */
const HISTORY_MAX = 10;
/** Every cluster shows its commands, and there may be thousands: longer ones are cut here. */
const COMMAND_CHARS_MAX = 16 * 1024;
const OLD_COMMAND_CHARS_MAX = 1024;

/** Index and type of the known filters; the smaller index is the outer one: spec agent 2.7. */
const FILTERS: ReadonlyMap<string, { readonly index: number; readonly type: 0 | 1 }> = new Map([
  ['accessLog', { index: 1, type: 0 }],
  ['failfast', { index: 1, type: 0 }],
  ['metrics', { index: 2, type: 0 }],
  ['trace', { index: 2, type: 0 }],
  ['rateLimit', { index: 3, type: 0 }],
  ['circuitBreaker', { index: 20, type: 0 }],
  ['clusterAccessLog', { index: 1, type: 1 }],
  ['clusterMetrics', { index: 5, type: 1 }],
  ['clusterCircuitBreaker', { index: 20, type: 1 }],
]);

/** `keys` is a comma list; absent or empty means all, unknown ones are ignored. */
export function runtimeInfo(view: ManagementView, keys: string | null): object {
  const wanted = keys === null || keys === '' ? Object.keys(KEYS) : keys.split(',').map((key) => key.trim());
  const parts = wanted.flatMap((key) => (Object.hasOwn(KEYS, key) ? [[key, KEYS[key]!(view)] as const] : []));
  return sorted<unknown>([...parts, ['instanceType', 'motan-agent'], ['result', 'ok']]);
}

function basicPart(view: ManagementView): object {
  const { user, system } = process.cpuUsage();
  const cpuPercent = Math.round((user + system) / 1e4 / Math.max(process.uptime(), 1e-3));
  const rssMemory = Math.round(process.memoryUsage.rss() / 1024 / 1024);
  return { cpuPercent, rssMemory, startTime: new Date(view.startedAtMs).toISOString() };
}

function clusterPart(view: ManagementView): object {
  const reports = new Map(view.report().clusters.map((report) => [report.key, report]));
  const clusters = view.state()?.clusters.filter((cluster) => cluster.domain === null) ?? [];
  const commands = commandTable(view);
  return sorted(
    clusters.map((state) => [state.key, clusterInfo(view, state, reports.get(state.key), commands)]),
  );
}

function clusterInfo(
  view: ManagementView,
  state: ClusterState,
  report: ClusterReport | undefined,
  commands: CommandTable,
): object {
  const names = state.url
    .text('filter')
    .split(',')
    .map((name) => name.trim());
  const filters = filterList(names, 0);
  const endpoints = [...(report?.endpoints ?? [])].map((endpoint, index) => ({ endpoint, index }));
  const referersOf = (isAvailable: boolean): object =>
    sorted(
      endpoints
        .filter(({ endpoint }) => endpoint.available === isAvailable)
        .map(({ endpoint, index }) => [
          `${index}-${endpointIdentity(state, endpoint)}`,
          endpointInfo(endpoint),
        ]),
    );
  return {
    clusterFilters: [...filterList(names, 1), { index: 100, name: 'lastClusterFilter', type: 1 }],
    ...(filters.length === 0 ? {} : { filters }),
    name: 'MotanCluster',
    refererSize: endpoints.length,
    referers: { available: referersOf(true), unavailable: referersOf(false) },
    registries: registryNames(view, state.url, commands),
    url: redactText(state.url.toText()),
  };
}

function endpointIdentity(state: ClusterState, report: EndpointReport): string {
  return state.endpoints.find((endpoint) => endpoint.id === report.id)?.node.identity ?? report.id;
}

function endpointInfo(endpoint: EndpointReport): object {
  const { errorCount, keepaliveRunning, keepaliveType } = endpoint;
  return { errorCount, keepaliveRunning, keepaliveType, name: 'motanCommonsEndpoint' };
}

function filterList(names: readonly string[], type: 0 | 1): object[] {
  return names.flatMap((name) => {
    const filter = FILTERS.get(name);
    return filter?.type === type ? [{ index: filter.index, name, type }] : [];
  });
}

/** All registries, or those that a refer names. */
function registryNames(view: ManagementView, refer: MeshUrl | null, commands: CommandTable | null): object {
  const named = refer
    ?.text('registry')
    .split(',')
    .map((id) => id.trim());
  const registries = [...view.config().registries.values()].filter(({ id }) => named?.includes(id) ?? true);
  // The address belongs to the identity: two registries with a list of addresses must not collapse into one.
  return sorted(
    registries.map(({ id, url }) => [
      redactText(`${url.identity}&address=${url.text('address')}`),
      (refer !== null && commands?.infoOf(id, url.protocol, refer.group)) || { name: url.protocol },
    ]),
  );
}

interface CommandTable {
  /** Null for a registry that holds no commands. */
  infoOf(registryId: string, protocol: string, group: string): object | null;
}

/** As the peers show a registry that is wrapped for commands. */
function commandTable(view: ManagementView): CommandTable {
  const ofGroups = new Map<string, CommandReport>();
  let ofAgent: CommandReport | null = null;
  for (const report of view.commands()) {
    if (report.scope.kind === 'agent') ofAgent = report;
    else ofGroups.set(`${report.registry}\n${report.scope.group}`, report);
  }
  const agentCommand = cutText(ofAgent?.text ?? '', COMMAND_CHARS_MAX);
  return {
    infoOf(registryId, protocol, group) {
      const report = ofGroups.get(`${registryId}\n${group}`);
      if (report === undefined) return null;
      return {
        agentCommand,
        commandHistory: historyOf([...report.history, ...(ofAgent?.history ?? [])]),
        name: `commandWrapper:${protocol}`,
        notifyHistory: {},
        serviceCommand: cutText(report.text ?? '', COMMAND_CHARS_MAX),
        weight: {},
      };
    },
  };
}

/** The last ten of both, the oldest first. */
function historyOf(history: CommandReport['history']): object {
  const last = [...history].sort((one, other) => one.atMs - other.atMs).slice(-HISTORY_MAX);
  return sorted(
    last.map(({ atMs, text }, index) => [`${index}:${atMs}`, cutText(text ?? '', OLD_COMMAND_CHARS_MAX)]),
  );
}

function httpClusterPart(view: ManagementView): object {
  const domains = view.state()?.httpDomains ?? [];
  return sorted(
    domains.map(({ domain, url }) => [domain, { name: 'httpCluster', url: redactText(url.toText()) }]),
  );
}

function exporterPart(view: ManagementView): object {
  return sorted(
    view.services().map((url) => {
      const text = redactText(url.toText());
      const identity = `${url.identity}&registry=${url.text('registry')}`;
      return [identity, { isAvailable: true, provider: { url: text }, url: text }];
    }),
  );
}

function serverPart(view: ManagementView): object {
  const { agent } = view.config();
  const listeners = view.state()?.listeners ?? [];
  const http = listeners.find((listener) => listener.kind === 'http')?.http ?? null;
  return {
    agentPortServer: sorted(
      listeners
        .filter((listener) => listener.kind === 'export')
        .map((listener) => [String(listener.port), exportServer(view, listener)]),
    ),
    agentServer: {
      heartbeatEnabled: true,
      maxContentLength: agent.frameBytesMax,
      messageHandler: { messageHandlerType: 'agentMessageHandler' },
      proxy: true,
      url: redactText(agent.url.with({ protocol: 'motan2', host: agent.host, port: agent.port }).toText()),
    },
    ...(http === null
      ? {}
      : {
          httpProxyServer: {
            defaultDomain: http.defaultDomain,
            deny: http.ownHosts.map((host) => `${host}:${agent.httpPort}`),
            keepalive: http.keepalive,
            url: redactText(
              agent.url.with({ protocol: 'http', host: agent.host, port: agent.httpPort }).toText(),
            ),
          },
        }),
  };
}

function exportServer(view: ManagementView, listener: ListenerState): object {
  const exported = view.state()?.exports.filter((one) => one.listener === listener.name) ?? [];
  const first = exported[0]?.url;
  return {
    heartbeatEnabled: true,
    maxContentLength: listener.frameBytesMax,
    messageHandler: {
      messageHandlerType: 'serverAgentMessageHandler',
      providers: sorted(
        exported.map(({ url }) => [`${url.group}_${url.path}`, { url: redactText(url.toText()) }]),
      ),
    },
    proxy: true,
    url: first === undefined ? '' : redactText(first.toText()),
  };
}
