/**
 * Section `motan-agent` with flags, environment and defaults (spec agent 1.2, 2.8).
 *
 * A value of a wrong type makes motan-go panic. Here it is fatal for what decides where the agent listens, because an
 * agent on another port helps nobody; elsewhere it is an error and the default is used.
 */
import type { AgentSettings, HttpSettings } from '../../core/index.js';
import { isSecretName, MeshUrl } from '../../core/index.js';
import { readAllowedTargets } from './allowed-targets.js';
import { expectedText } from './check-keys.js';
import type { LoadContext } from './context.js';
import { URL_FIELDS } from './entry.js';
import { commaList, isPort } from './environment.js';
import type { AgentFlags } from './flags.js';
import { AGENT_KEY_TRAPS, AGENT_KEYS } from './keys.js';
import { readMetadataNames } from './metadata-names.js';
import { LOG_LEVELS } from './names.js';
import { nearestName } from './near.js';
import { type ConfigNode, type MapNode, parameterText, placeOf } from './node.js';
import type { Finding } from './problems.js';
import { entryOrigins, type Origin } from './provenance.js';

const SECTION = 'motan-agent';
const DEFAULT_APPLICATION = 'default_agent_group';
/** Limit of `sun_path` on Linux, without the closing zero byte. */
const SOCKET_PATH_BYTES_MAX = 107;
const LISTEN_KEYS = new Set([
  'port',
  'eport',
  'hport',
  'mport',
  'host',
  'unixSock',
  'managementUnixSock',
  'httpProxyUnixSock',
  'managementPortRange',
]);

export function readAgentSettings(context: LoadContext): AgentSettings {
  return new AgentReader(context).read();
}

class AgentReader {
  readonly #context: LoadContext;
  readonly #section: MapNode | null;
  /** Keys whose effective value is decided and recorded. */
  readonly #settled = new Set<string>();
  /** Keys whose value is of a wrong type: ignored here, so nobody else may read them from the url. */
  readonly #refused = new Set<string>();

  constructor(context: LoadContext) {
    this.#context = context;
    const node = context.tree.get(SECTION);
    this.#section = node?.kind === 'map' ? node : null;
    if (node !== undefined && node.kind !== 'map' && !(node.kind === 'scalar' && node.type === 'null')) {
      context.problems.fatal({
        code: 'type',
        key: SECTION,
        node,
        message: 'the settings of the agent cannot be read',
        expected: 'a map of keys',
      });
    }
  }

  read(): AgentSettings {
    const { flags, localIp, provenance } = this.#context;
    this.#checkKeys();
    const names = this.#names();
    const host = this.#text('host', '');
    const managementPort = this.#managementPort();
    const settings = {
      ...names,
      host,
      port: this.#port('port', 'port', 9981),
      exportPort: this.#port('eport', 'eport', 9982),
      httpPort: this.#port('hport', 'hport', 9983),
      managementPort,
      managementPortRange: this.#portRange(),
      unixSock: this.#socket('unixSock'),
      managementUnixSock: this.#socket('managementUnixSock'),
      httpProxyUnixSock: this.#socket('httpProxyUnixSock'),
      httpProxyEnable: this.#boolean('httpProxyEnable', false),
      http: this.#http(host),
      registry: this.#text('registry', '') || null,
      pidFile: this.#withFlag('pidfile', 'pidfile', './agent.pid'),
      runtimeDir: this.#text('runtime_dir', './agent_runtime'),
      snapshotDir: this.#text('snapshot_dir', './snapshot'),
      logDir: this.#withFlag('log_dir', 'log_dir', '.'),
      logLevel: this.#logLevel(),
      logAsync: this.#logBoolean('log_async'),
      logBufferSize: this.#logInteger('log_buffer_size'),
      logStructured: this.#logBoolean('log_structured'),
      rotatePerHour: this.#logBoolean('rotate_per_hour'),
      localIp,
      idc: flags.idc,
      recover: flags.recover,
      frameBytesMax: this.#integer('maxContentLength', 10_485_760),
      callsMax: this.#integer('processPoolSize', 50_000),
      initClusterTimeoutMs: this.#integer('initClusterTimeout', 10_000),
      hold: Object.freeze({
        lossPercent: this.#integer('discoveryHoldLoss', 50),
        holdMs: this.#integer('discoveryHoldTime', 3600) * 1000,
        silenceMs: this.#integer('discoveryHoldSilence', 15) * 1000,
      }),
      asyncInitConnection: this.#boolean('motanEpAsyncInit', true),
    };
    this.#checkRegistryId(settings.registry);
    this.#explainRest();
    for (const name of ['localIP', 'idc', 'recover'] as const) {
      if (!flags.given.has(name)) continue;
      const value = String(flags[name]);
      provenance.addSetting({
        key: `flag.${name}`,
        value,
        origin: { kind: 'flag', value, place: null, note: `-${name}` },
        overrode: [],
      });
    }
    const url = this.#url(names, host || localIp, managementPort);
    const at = this.#context.tree.entries.get(SECTION)?.keyAt;
    return Object.freeze({ ...settings, url, place: at === undefined ? null : placeOf(at) });
  }

  #node(name: string): ConfigNode | null {
    const node = this.#section?.get(name);
    return node === undefined || (node.kind === 'scalar' && node.type === 'null') ? null : node;
  }

  #checkKeys(): void {
    for (const entry of this.#section?.entries.values() ?? []) {
      if (Object.hasOwn(AGENT_KEYS, entry.key)) continue;
      const near = AGENT_KEY_TRAPS.get(entry.key) ?? nearestName(entry.key, Object.keys(AGENT_KEYS));
      if (near === null) continue;
      this.#context.problems.warning({
        code: 'unknown-key',
        key: `${SECTION}.${entry.key}`,
        node: entry.node,
        // Who misspells the name of a secret has written the secret beside it.
        ...(isSecretName(near) ? { value: '[redacted]' } : {}),
        at: entry.keyAt,
        message: 'unknown key, kept as a parameter without meaning to the agent',
        didYouMean: near,
      });
    }
  }

  #wrong(
    name: string,
    node: ConfigNode,
    otherwise: string,
    didYouMean: string | null,
    expected?: string,
  ): void {
    this.#refused.add(name);
    const key = `${SECTION}.${name}`;
    const isQuoted = didYouMean !== null && node.kind === 'scalar' && node.type === 'string';
    const finding: Finding = {
      code: 'type',
      key,
      node,
      message: '',
      expected: expected ?? expectedText(AGENT_KEYS[name]!) + (isQuoted ? ', without quotes' : ''),
      didYouMean: isSecretName(name) ? null : didYouMean,
    };
    const { problems } = this.#context;
    if (LISTEN_KEYS.has(name))
      problems.fatal({ ...finding, message: 'the agent would not listen where it should' });
    else
      problems.error({
        ...finding,
        message: `wrong type; ${otherwise === '' ? 'it is ignored' : `the default ${otherwise} is used`}`,
        entry: key,
      });
  }

  /** The value of a text key, or null when it is missing, empty or of a wrong type. */
  #fileText(name: string, otherwise: string): string | null {
    const node = this.#node(name);
    if (node === null) return null;
    if (node.kind === 'scalar' && node.type === 'string') return String(node.value) || null;
    this.#wrong(name, node, otherwise, node.kind === 'scalar' ? JSON.stringify(node.source) : null);
    return null;
  }

  #fileInteger(name: string, otherwise: number): number | null {
    const node = this.#node(name);
    if (node === null) return null;
    const least = AGENT_KEYS[name]!.min ?? 0;
    if (
      node.kind === 'scalar' &&
      node.type === 'integer' &&
      typeof node.value === 'number' &&
      node.value >= least
    )
      return node.value;
    this.#wrong(
      name,
      node,
      String(otherwise),
      node.kind === 'scalar' && /^\d+$/.test(node.source) && node.type === 'string' ? node.source : null,
    );
    return null;
  }

  #fileBoolean(name: string, otherwise: boolean): boolean | null {
    const node = this.#node(name);
    if (node === null) return null;
    if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
    const isQuoted = node.kind === 'scalar' && /^(?:true|false)$/i.test(node.source);
    this.#wrong(name, node, String(otherwise), isQuoted ? node.source.toLowerCase() : null);
    return null;
  }

  #text(name: string, otherwise: string): string {
    return this.#settle(name, this.#fileText(name, otherwise), otherwise, null);
  }

  #integer(name: string, otherwise: number): number {
    return this.#settle(name, this.#fileInteger(name, otherwise), otherwise, null);
  }

  #boolean(name: string, otherwise: boolean): boolean {
    return this.#settle(name, this.#fileBoolean(name, otherwise), otherwise, null);
  }

  /** Chooses `stronger` (a flag or variable), then the file, then the default, and records the choice. */
  #settle<T extends string | number | boolean>(
    name: string,
    fromFile: T | null,
    otherwise: T,
    stronger: { kind: 'flag' | 'environment'; value: T; note: string } | null,
  ): T {
    this.#settled.add(name);
    const entry = this.#section?.entries.get(name);
    const value = stronger?.value ?? fromFile ?? otherwise;
    const origins: Origin[] = [{ kind: 'default', value: String(otherwise), place: null, note: null }];
    if (entry !== undefined)
      origins[fromFile === null ? 'unshift' : 'push'](
        ...entryOrigins(entry, fromFile === null ? 'not used' : null),
      );
    if (stronger !== null)
      origins.push({ kind: stronger.kind, value: String(stronger.value), place: null, note: stronger.note });
    const origin = origins.pop()!;
    const overrode = origins.filter((one) => one.kind !== 'default');
    this.#context.provenance.addSetting({
      key: `${SECTION}.${name}`,
      value: String(value),
      origin,
      overrode,
    });
    return value;
  }

  #flag<N extends 'port' | 'eport' | 'hport' | 'mport' | 'pidfile' | 'log_dir'>(
    name: N,
  ): { kind: 'flag'; value: AgentFlags[N]; note: string } | null {
    const { flags } = this.#context;
    // An integer flag of 0 and an empty text mean "not given" (spec agent 1.1).
    if (!flags.given.has(name) || flags[name] === 0 || flags[name] === '') return null;
    return { kind: 'flag', value: flags[name], note: `-${name}` };
  }

  #withFlag(name: string, flag: 'pidfile' | 'log_dir', otherwise: string): string {
    return this.#settle<string>(name, this.#fileText(name, otherwise), otherwise, this.#flag(flag));
  }

  #port(name: string, flag: 'port' | 'eport' | 'hport' | 'mport', otherwise: number): number {
    const stronger = this.#flag(flag);
    if (stronger !== null && !isPort(stronger.value)) {
      this.#context.problems.fatal({
        code: 'value',
        key: `-${flag}`,
        value: String(stronger.value),
        message: 'not a port',
        expected: '1 to 65535',
      });
    }
    return this.#settle<number>(name, this.#filePort(name, otherwise), otherwise, stronger);
  }

  /** 0 means "not set", as in motan-go. */
  #filePort(name: string, otherwise: number): number | null {
    const port = this.#fileInteger(name, otherwise);
    if (port === null || port === 0 || isPort(port)) return port || null;
    this.#wrong(name, this.#node(name)!, String(otherwise), null, 'a port from 1 to 65535');
    return null;
  }

  /** `-mport`, then the variable `mport`: when it exists the file is not looked at, and a non-number gives the default. */
  #managementPort(): number {
    const text = this.#context.environment.managementPort;
    if (this.#flag('mport') !== null || text === null) return this.#port('mport', 'mport', 8002);
    const port = /^[+-]?\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
    if (!isPort(port)) {
      this.#context.problems.warning({
        code: 'value',
        key: 'mport',
        value: text,
        message: 'the variable is not a port; 8002 is used, as motan-go does',
        expected: '1 to 65535',
      });
    }
    const value = isPort(port) ? port : 8002;
    return this.#settle<number>('mport', this.#filePort('mport', 8002), 8002, {
      kind: 'environment',
      value,
      note: 'mport',
    });
  }

  #portRange(): readonly [number, number] | null {
    const text = this.#text('managementPortRange', '');
    if (text === '') return null;
    const match = /^\s*(\d{1,5})\s*-\s*(\d{1,5})\s*$/.exec(text);
    const [from, to] = [Number(match?.[1]), Number(match?.[2])];
    if (isPort(from) && isPort(to) && from <= to) return Object.freeze([from, to] as const);
    this.#wrong(
      'managementPortRange',
      this.#node('managementPortRange')!,
      '',
      null,
      '`from-to`, ports from 1 to 65535',
    );
    return null;
  }

  #socket(name: string): string | null {
    const path = this.#text(name, '');
    if (path === '') return null;
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
      this.#wrong(name, this.#node(name)!, '', null, `a path of at most ${SOCKET_PATH_BYTES_MAX} bytes`);
    }
    return path;
  }

  /** Log options of the file beat the command line (spec agent 1.1); a flag that loses is worth a word. */
  #logOption<T extends string | number | boolean>(
    name: keyof AgentFlags & string,
    fromFile: T | null,
    otherwise: T,
  ): T {
    const { flags, problems } = this.#context;
    if (!flags.given.has(name)) return this.#settle(name, fromFile, otherwise, null);
    const value = flags[name as 'log_level'] as unknown as T;
    if (fromFile === null)
      return this.#settle(name, null, otherwise, { kind: 'flag', value, note: `-${name}` });
    if (fromFile !== value) {
      problems.warning({
        code: 'flag-loses',
        key: `-${name}`,
        value: String(value),
        message: `${SECTION}.${name} of the file (${fromFile}) beats this flag, as in motan-go`,
      });
    }
    return this.#settle(name, fromFile, otherwise, null);
  }

  #logBoolean(name: 'log_async' | 'log_structured' | 'rotate_per_hour'): boolean {
    const otherwise = name !== 'log_structured';
    return this.#logOption(name, this.#fileBoolean(name, otherwise), otherwise);
  }

  #logInteger(name: 'log_buffer_size'): number {
    const value = this.#logOption(name, this.#fileInteger(name, 5000), 5000);
    return value >= 1 ? value : 5000;
  }

  #logLevel(): string {
    const level = this.#logOption('log_level', this.#fileText('log_level', 'info'), 'info');
    const known = LOG_LEVELS.find((one) => one === level.toLowerCase());
    if (known !== undefined) return known;
    const node = this.#node('log_level');
    this.#context.problems.warning({
      code: 'value',
      key: node === null ? '-log_level' : `${SECTION}.log_level`,
      ...(node === null ? { value: level } : { node }),
      message: 'unknown level; info is used',
      expected: `one of ${LOG_LEVELS.join(', ')}`,
      didYouMean: nearestName(level, LOG_LEVELS),
    });
    return 'info';
  }

  #http(host: string): HttpSettings {
    const own = [host, 'localhost', '127.0.0.1', '[::1]', this.#context.localIp];
    return Object.freeze({
      keepalive: this.#boolean('httpProxyKeepalive', true),
      upstreamIdleMs: this.#integer('httpProxyKeepaliveTimeout', 5000),
      upstreamTimeoutMs: this.#integer('httpProxyTimeout', 5000),
      defaultDomain: this.#text('httpProxyDefaultDomain', ''),
      bodyBytesMax: this.#integer('httpProxyMaxRequestBodySize', 2_147_483_647),
      headBytesMax: this.#integer('httpProxyMaxHeaderSize', 32_768),
      headTimeoutMs: this.#integer('httpProxyHeaderTimeout', 10_000),
      bodyTimeoutMs: this.#integer('httpProxyBodyTimeout', 30_000),
      idleTimeoutMs: this.#integer('httpProxyIdleTimeout', 75_000),
      allow: readAllowedTargets(
        commaList(this.#text('httpProxyAllow', '')),
        this.#node('httpProxyAllow'),
        this.#context.problems,
      ),
      metadataAllow: readMetadataNames(
        commaList(this.#text('httpMetadataAllow', '')),
        this.#node('httpMetadataAllow'),
        this.#context.problems,
      ),
      ownHosts: Object.freeze([...new Set(own.filter((name) => name !== ''))]),
    });
  }

  #names(): { application: string; group: string; path: string } {
    const written = this.#fileText('group', DEFAULT_APPLICATION);
    const own = this.#fileText('application', written ?? DEFAULT_APPLICATION);
    const application = this.#settle('application', own, written ?? DEFAULT_APPLICATION, null);
    const group = this.#settle('group', own === null ? written : null, application, null);
    return { application, group, path: this.#text('path', group) };
  }

  #checkRegistryId(id: string | null): void {
    const registries = this.#context.tree.get('motan-registry');
    const ids = registries?.kind === 'map' ? [...registries.entries.keys()] : [];
    if (id === null || ids.includes(id)) return;
    this.#context.problems.error({
      code: 'unknown-registry',
      key: `${SECTION}.registry`,
      node: this.#node('registry'),
      message: id.includes(',')
        ? 'the agent announces itself in one registry only'
        : 'no such registry; the agent does not announce itself',
      expected: 'one id in motan-registry',
      didYouMean: id.includes(',') ? id.split(',')[0]!.trim() : nearestName(id, ids),
    });
  }

  /** The keys that are read elsewhere or by nobody. */
  #explainRest(): void {
    const names = new Set([...Object.keys(AGENT_KEYS), ...(this.#section?.entries.keys() ?? [])]);
    for (const name of names) {
      if (this.#settled.has(name)) continue;
      const spec = Object.hasOwn(AGENT_KEYS, name) ? AGENT_KEYS[name]! : null;
      const node = this.#node(name);
      if (spec?.type === 'integer') this.#integer(name, Number(spec.initial));
      else if (spec?.type === 'boolean') this.#boolean(name, spec.initial === 'true');
      else if (spec !== null) this.#text(name, spec.initial ?? '');
      else if (node !== null) this.#settle(name, parameterText(node), '', null);
    }
  }

  /**
   * The agent as registries see it. The port is the management port in use; motan-go publishes what stands in the file and
   * ignores flag and environment, so a manager calls the wrong port there.
   */
  #url(names: { application: string; group: string; path: string }, host: string, port: number): MeshUrl {
    const parameters = new Map<string, string>();
    for (const entry of this.#section?.entries.values() ?? []) {
      if (!URL_FIELDS.has(entry.key) && !this.#refused.has(entry.key))
        parameters.set(entry.key, parameterText(entry.node));
    }
    parameters.set('application', names.application);
    return new MeshUrl({ host, port, path: names.path, group: names.group, parameters });
  }
}
