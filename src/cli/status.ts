/** `peony status`: what a running agent does and what keeps it from doing more, on one screen. */
import type { Command } from 'commander';
import type {
  ClusterReport,
  EndpointReport,
  ExportReport,
  ListenerReport,
  LogReport,
  RegistryReport,
} from '../core/index.js';
import { ask, asking, type ManagementOptions, takeManagementOptions, targetOf } from './management-client.js';
import {
  ageText,
  type Cell,
  type CliIo,
  countText,
  durationText,
  printable,
  processIo,
  table,
} from './output.js';

/** The part of `/v1/status` that is shown. */
export interface AgentStatus {
  readonly version: string;
  readonly status: number;
  readonly uptimeSeconds: number;
  readonly application: string;
  readonly state: { readonly number: number; readonly cause: string; readonly createdAtMs: number } | null;
  readonly appliedStateNumber: number;
  readonly listeners: readonly ListenerReport[];
  readonly clusters: readonly (ClusterReport & {
    readonly source: string;
    /** Null unless the source is a snapshot. */
    readonly snapshotSavedAtMs?: number | null;
    readonly endpointsAvailable: number;
  })[];
  readonly exports: readonly ExportReport[];
  readonly registries: readonly RegistryReport[];
  readonly quarantined: readonly ShownProblem[];
  readonly warnings: readonly ShownProblem[];
  readonly logs: readonly LogReport[];
}

/** A problem of the configuration as the agent tells it: without the value, with the place as text. */
export interface ShownProblem {
  readonly entry: string | null;
  readonly key: string;
  readonly message: string;
  readonly expected: string | null;
  readonly didYouMean: string | null;
  readonly place: string;
}

export function addStatusCommand(program: Command, io: CliIo = processIo): void {
  takeManagementOptions(
    program.command('status').description('show what a running agent does, and what is wrong'),
  )
    .addHelpText('after', EXAMPLES)
    .action((options: ManagementOptions) =>
      asking(io, async () => {
        const answer = await ask(targetOf(options), '/v1/status');
        io.out(
          options.json
            ? `${JSON.stringify(answer, null, 2)}\n`
            : statusText(answer as AgentStatus, Date.now()),
        );
      }),
    );
}

export function statusText(status: AgentStatus, nowMs: number): string {
  const sections = [
    headText(status, nowMs),
    `Listeners\n${listenersText(status.listeners)}`,
    `Clusters\n${clustersText(status.clusters, nowMs)}`,
    `Exported services\n${exportsText(status.exports)}`,
    `Registries\n${registriesText(status.registries, nowMs)}`,
  ];
  if (status.quarantined.length > 0) {
    sections.push(`Configuration entries that do not serve\n${problemsText(status.quarantined)}`);
  }
  if (status.warnings.length > 0) sections.push(`Warnings\n${problemsText(status.warnings)}`);
  const logs = status.logs.filter((log) => log.trouble !== null || log.linesDropped > 0);
  if (logs.length > 0) sections.push(`Logs in trouble\n${logsText(logs)}`);
  return sections.join('\n');
}

function headText(status: AgentStatus, nowMs: number): string {
  const serving =
    status.status === 200
      ? '200: the services of this machine are announced'
      : `${status.status}: the services of this machine are not announced; calls through the agent are carried all the same`;
  const { state } = status;
  const lines = [
    `peony ${status.version}, application ${printable(status.application)}, up ${durationText(status.uptimeSeconds * 1000)}`,
    `status ${serving}`,
    state === null
      ? 'no state yet'
      : `state ${state.number}, ${ageText(state.createdAtMs, nowMs)}: ${printable(state.cause)}${
          state.number === status.appliedStateNumber ? '' : ` (state ${status.appliedStateNumber} is applied)`
        }`,
  ];
  return `${lines.join('\n')}\n`;
}

function listenersText(listeners: readonly ListenerReport[]): string {
  const rows = listeners.map((each) => [
    each.name,
    each.address,
    each.in,
    each.ok,
    each.failed,
    each.shed,
    each.inFlight,
    each.connections,
    each.protocolErrors,
  ]);
  const headline = [
    'name',
    'address',
    'calls in',
    '= ok',
    '+ failed',
    '+ shed',
    '+ in flight',
    'connections',
    'bad bytes',
  ];
  return table(headline, rows, 'none is open');
}

function snapshotText(savedAtMs: number | null, nowMs: number): string {
  const age = savedAtMs === null ? '' : ` of ${ageText(savedAtMs, nowMs)}`;
  return `, from the snapshot${age}: no registry has answered yet`;
}

function clustersText(clusters: AgentStatus['clusters'], nowMs: number): string {
  const rows: Cell[][] = [];
  for (const cluster of clusters) {
    const { available, endpoints, endpointsAvailable } = cluster;
    const nodes = `${endpointsAvailable} of ${endpoints.length} available`;
    const source =
      cluster.source === 'snapshot' ? snapshotText(cluster.snapshotSavedAtMs ?? null, nowMs) : '';
    const service =
      cluster.domain === null ? cluster.service : `${cluster.service} (http://${cluster.domain})`;
    rows.push([service, cluster.group, `${nodes}${available ? '' : ', switched off'}${source}`]);
    for (const endpoint of endpoints) rows.push([`  ${endpoint.address}`, '', endpointText(endpoint)]);
  }
  return table(['service, nodes', 'group', 'state'], rows, 'none: the configuration has no refers');
}

/** For one that is not available, why. */
function endpointText(endpoint: EndpointReport): string {
  const { available, lastError, errorCount, keepaliveType } = endpoint;
  const load = `${countText(endpoint.connections, 'connection')}, ${endpoint.inFlight} in flight`;
  const errors = errorCount > 0 ? `, ${countText(errorCount, 'error')} in a row` : '';
  if (available)
    return `available, ${load}${errors}${errorCount > 0 && lastError !== null ? `, last: ${lastError}` : ''}`;
  const reason =
    keepaliveType === 2 ? 'the node does not provide the service' : (lastError ?? 'no connection yet');
  return `NOT AVAILABLE: ${reason}${errors}`;
}

/** For one whose backend fails its health check, why. */
function exportsText(exports: readonly ExportReport[]): string {
  const rows: Cell[][] = exports.map((each) => [
    each.service,
    each.group,
    each.listener.replace(/^export:/, ''),
    `${each.provider} ${each.backend.backend}`,
    exportText(each),
  ]);
  return table(['service', 'group', 'port', 'backend', 'state'], rows, 'none: the configuration offers none');
}

/** Of what a backend tells of itself, the part that explains why calls wait; `--json` has all. */
const SHOWN_DETAILS = ['active processes', 'listen queue', 'max children reached', 'slow requests'];

function exportText({ isHealthy, healthTrouble, backend }: ExportReport): string {
  const { inFlight, queued, refused, connections, connectionsMax, lastError } = backend;
  const bound = connectionsMax === 0 ? '' : ` of ${connectionsMax}`;
  const load = `${connections}${bound} connections, ${inFlight} in flight, ${queued} queued, ${refused} refused`;
  const details = SHOWN_DETAILS.flatMap((name) =>
    name in backend.details ? [`, ${name} ${backend.details[name]}`] : [],
  );
  const trouble = lastError === null ? '' : `, last trouble: ${lastError}`;
  const text = `${load}${details.join('')}${trouble}`;
  return isHealthy ? text : `NOT HEALTHY: ${healthTrouble ?? 'failed its checks'}; ${text}`;
}

function registriesText(registries: readonly RegistryReport[], nowMs: number): string {
  const rows = registries.map((each) => [
    each.id,
    each.protocol,
    each.address,
    ageText(each.lastContactMs, nowMs),
    `${each.subscribed.length} watched, ${each.announced.length} announced`,
    each.lastError === null ? 'none' : each.lastError,
  ]);
  return table(
    ['id', 'protocol', 'address', 'last answer', 'services', 'trouble'],
    rows,
    'none is configured',
  );
}

function problemsText(problems: readonly ShownProblem[]): string {
  const lines = problems.map(({ place, entry, key, message, expected, didYouMean }) => {
    const more = [
      expected === null ? '' : `; expected ${expected}`,
      didYouMean === null ? '' : `; did you mean ${didYouMean}?`,
    ].join('');
    return `  ${printable(place)}: ${printable(entry ?? key)}: ${printable(message + more)}\n`;
  });
  return lines.join('');
}

function logsText(logs: readonly LogReport[]): string {
  const rows = logs.map((each) => [each.name, each.target, each.linesDropped, each.trouble ?? 'over']);
  return table(['log', 'target', 'lines dropped', 'trouble'], rows, 'none');
}

const EXAMPLES = `
The calls of a listener always add up: calls in = ok + failed + shed + in flight. "ok" is every answer of a service, exceptions
included; "failed" was answered by the agent; "shed" was refused at once because a bound was reached.

Exit code: 0; 3 when no agent answers there.

Examples:
  $ peony status
  $ peony status --mport 8003 --json | jq '.clusters[] | select(.endpointsAvailable == 0).service'
  $ peony status --unix /run/peony/management.sock
`;
