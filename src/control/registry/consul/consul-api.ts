/**
 * What we ask of one Consul agent, in its HTTP API (spec agent 6.6). A question is asked once; when and whom to ask is decided elsewhere.
 *
 * The package is loaded with the first agent: whoever has no Consul does not pay for it. None of its types leave this file, and no error has
 * the token in it.
 */
import http from 'node:http';
import https from 'node:https';
import type Consul from 'consul';
import { type Availability, messageOf } from '../../../core/index.js';
import { AnswerTooLongError, Exchange, type ExchangeLimits, type Transport } from './exchange.js';
import { PutLine } from './put-line.js';

/** Short requests at the same time; more wait for a connection. */
const REQUESTS_AT_ONCE = 16;
/** Blocking queries at the same time. An agent takes 200 connections from one address, which others share. */
export const QUERIES_AT_ONCE = 100;
/** Of keys, likewise. */
export const KEY_QUERIES_AT_ONCE = 32;
/** A list of ten thousand services of one agent. */
const LIST_BYTES_MAX = 32 * 1024 * 1024;
/** Twenty thousand nodes. */
const NODES_BYTES_MAX = 64 * 1024 * 1024;
/** Services that are taken out at the same time, each with a question of its own whose it is. */
const REMOVALS_FEW = 8;
const SHORT_ANSWER_BYTES_MAX = 64 * 1024;
/** Somewhat more than a command may have, in base64. */
const KEY_BYTES_MAX = 2 * 1024 * 1024;
const REASON_CHARS_MAX = 200;
/** Above what the agent adds to the time to wait: a sixteenth, so that not all come back together. */
const WAIT_MARGIN = 1.1;

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ApiOptions {
  readonly isSecure: boolean;
  /** Empty without. */
  readonly token: string;
  /** Where nodes are looked for; empty: the agent's own. */
  readonly datacenter: string;
  readonly requestTimeoutMs: number;
}

/** `wire`: nobody answered, or nobody that speaks HTTP. `answer`: it was refused. `cancelled`: by us. */
export type ConsulFailure = 'wire' | 'answer' | 'cancelled';

export class ConsulError extends Error {
  readonly kind: ConsulFailure;
  /** Of the answer; 0 without one. */
  readonly status: number;

  constructor(kind: ConsulFailure, message: string, status = 0) {
    super(message);
    this.name = 'ConsulError';
    this.kind = kind;
    this.status = status;
  }
}

export interface Registration {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly address: string;
  readonly port: number;
  /** Who registered it, for whoever wants to take it out. */
  readonly owner: string;
  readonly ttlMs: number;
  readonly availability: Availability;
}

export interface NodesQuery {
  readonly serviceName: string;
  /** 0 asks at once, another waits for a change. */
  readonly index: number;
  readonly waitMs: number;
  /** Takes what any server knows, also without a leader. */
  readonly isStale: boolean;
}

export interface NodesAnswer {
  readonly index: number;
  /** A JSON list. */
  readonly body: Buffer;
  readonly hasLeader: boolean;
  /** Our token may not see all of it. */
  readonly isFiltered: boolean;
}

export interface KeyQuery {
  readonly key: string;
  /** As in `NodesQuery`. */
  readonly index: number;
  readonly waitMs: number;
  readonly isStale: boolean;
}

export interface KeyAnswer {
  readonly index: number;
  /** Null when there is no such key. */
  readonly value: Buffer | null;
  readonly hasLeader: boolean;
}

/** What an agent says of a check that it runs. */
export interface ListedCheck {
  readonly status: string;
  /** Null from versions that do not tell. */
  readonly tags: readonly string[] | null;
}

/** Taken out of Consul when nobody has kept it alive for so long: nothing is left of hosts that are gone. */
const FORGOTTEN_AFTER = '24h';
const OWNER_META = 'peony-owner';

/** What the package can do and its types do not say. */
interface Extensible {
  _ext(name: 'onRequest', extension: (request: PapiRequest, next: () => void) => void): void;
}

interface PapiRequest {
  readonly ctx?: unknown;
  transport: Transport;
}

interface Response {
  readonly headers: http.IncomingHttpHeaders;
  readonly statusCode?: number;
  /** Missing when empty. */
  readonly body?: Buffer | string;
}

export class ConsulApi {
  readonly address: string;
  readonly #server: ServerAddress;
  readonly #options: ApiOptions;
  readonly #pools: readonly (http.Agent | https.Agent)[];
  readonly #exchanges = new Set<Exchange>();
  readonly #puts: PutLine;
  #removals = 0;
  #listing: Promise<Record<string, unknown> | null> | null = null;
  /** The last list of checks: it is long, and nearly always as before. */
  #checksBefore: { readonly body: Buffer; readonly checks: ReadonlyMap<string, ListedCheck> } | null = null;
  #clients: Promise<readonly Consul[]> | null = null;
  #isClosed = false;

  constructor(server: ServerAddress, options: ApiOptions) {
    this.address = `${server.host}:${server.port}`;
    this.#server = server;
    this.#options = options;
    this.#puts = new PutLine({ ...server, ...options });
    const Pool = options.isSecure ? https.Agent : http.Agent;
    this.#pools = [REQUESTS_AT_ONCE, QUERIES_AT_ONCE, KEY_QUERIES_AT_ONCE].map(
      (maxSockets) => new Pool({ keepAlive: true, maxSockets }),
    );
  }

  /** Resolves when a Consul agent answers and takes our token. Needs no leader and no right. */
  async ping(): Promise<void> {
    const services = await this.#services('Service == ""');
    if (services === null) throw new ConsulError('answer', 'what answers there is no Consul agent');
  }

  async register(registration: Registration): Promise<void> {
    const { id, name, tags, address, port, owner, ttlMs, availability } = registration;
    await this.#ask(SHORT_ANSWER_BYTES_MAX, ({ agent }, common) =>
      agent.service.register({
        id,
        name,
        tags: [...tags],
        address,
        port,
        meta: { [OWNER_META]: owner },
        check: {
          name: `Service '${name}' check`,
          ttl: `${ttlMs / 1000}s`,
          // The types ask for one; the package sends none with a TTL.
          timeout: '',
          status: toStatus(availability),
          deregistercriticalserviceafter: FORGOTTEN_AFTER,
        },
        ...common,
      }),
    );
  }

  /** Keeps a service as it is for one TTL more. */
  async mark(checkId: string, availability: Availability): Promise<void> {
    const verb = availability === 'available' ? 'pass' : 'fail';
    await this.#put(`/v1/agent/check/${verb}/${encodeURIComponent(checkId)}`);
  }

  /** Takes a service out, unless another process has registered it meanwhile. */
  async deregister(id: string, owner: string): Promise<void> {
    this.#removals += 1;
    try {
      await this.#remove(id, owner);
    } finally {
      this.#removals -= 1;
    }
  }

  async #remove(id: string, owner: string): Promise<void> {
    const isPlain = !/["\\`]/.test(id);
    const isOneOfMany = this.#removals > REMOVALS_FEW;
    const services = isOneOfMany
      ? await this.#sharedServices()
      : await this.#services(isPlain ? `ID == "${id}"` : undefined);
    const found = services?.[id];
    const meta = isFields(found) && isFields(found.Meta) ? found.Meta : {};
    if (found === undefined || (meta[OWNER_META] ?? owner) !== owner) return;
    try {
      await this.#put(`/v1/agent/service/deregister/${encodeURIComponent(id)}`);
    } catch (error) {
      if (!isUnknown(error)) throw error;
    }
  }

  /** All checks of the agent by their id. */
  async checks(): Promise<ReadonlyMap<string, ListedCheck>> {
    const { body } = await this.#ask(LIST_BYTES_MAX, ({ agent }, common) => agent.check.list(common));
    const before = this.#checksBefore;
    if (before !== null && Buffer.isBuffer(body) && body.equals(before.body)) return before.checks;
    const parsed = parseFields(body);
    if (parsed === null) throw new ConsulError('answer', 'the list of checks makes no sense');
    const checks = new Map<string, ListedCheck>();
    for (const [id, value] of Object.entries(parsed)) {
      if (!isFields(value)) continue;
      const { Status, ServiceTags } = value;
      const tags = Array.isArray(ServiceTags) ? ServiceTags.map(String) : null;
      checks.set(id, { status: String(Status), tags });
    }
    this.#checksBefore = Buffer.isBuffer(body) ? { body, checks } : null;
    return checks;
  }

  /** Names of the catalog, each with the tags of all its entries. */
  async catalog(): Promise<ReadonlyMap<string, readonly string[]>> {
    const { datacenter } = this.#options;
    const where = datacenter === '' ? {} : { dc: datacenter };
    const { body } = await this.#ask(NODES_BYTES_MAX, ({ catalog }, common) =>
      catalog.service.list({ ...where, ...common }),
    );
    const parsed = parseFields(body);
    if (parsed === null) throw new ConsulError('answer', 'the catalog makes no sense');
    return new Map(
      Object.entries(parsed).map(([name, tags]) => [name, Array.isArray(tags) ? tags.map(String) : []]),
    );
  }

  /** The passing nodes of a group; held back by the agent until they change, when an index is given. */
  async nodes(query: NodesQuery, signal: AbortSignal): Promise<NodesAnswer> {
    const { serviceName, index, waitMs, isStale } = query;
    const { datacenter, requestTimeoutMs } = this.#options;
    const waits = index > 0 ? { index: `${index}`, wait: `${waitMs / 1000}s` } : {};
    const { body, headers } = await this.#ask(
      NODES_BYTES_MAX,
      ({ health }, common) =>
        health.service({
          service: serviceName,
          passing: true,
          ...(datacenter === '' ? {} : { dc: datacenter }),
          ...(isStale ? { stale: true } : {}),
          ...waits,
          ...common,
        }),
      { pool: 'nodes', signal, timeoutMs: requestTimeoutMs + (index > 0 ? waitMs * WAIT_MARGIN : 0) },
    );
    return {
      index: toIndex(headers['x-consul-index']),
      body: Buffer.isBuffer(body) ? body : Buffer.from(body ?? ''),
      hasLeader: headers['x-consul-knownleader'] !== 'false',
      isFiltered: headers['x-consul-results-filtered-by-acls'] === 'true',
    };
  }

  /** What stands at a key; held back by the agent until it changes, when an index is given. */
  async key(query: KeyQuery, signal: AbortSignal): Promise<KeyAnswer> {
    const { key, index, waitMs, isStale } = query;
    const { datacenter, requestTimeoutMs } = this.#options;
    const waits = index > 0 ? { index: `${index}`, wait: `${waitMs / 1000}s` } : {};
    const { body, headers, statusCode } = await this.#ask(
      KEY_BYTES_MAX,
      ({ kv }, common) =>
        kv.get({
          key,
          ...(datacenter === '' ? {} : { dc: datacenter }),
          ...(isStale ? { stale: true } : {}),
          ...waits,
          ...common,
        }),
      { pool: 'keys', signal, timeoutMs: requestTimeoutMs + (index > 0 ? waitMs * WAIT_MARGIN : 0) },
    );
    return {
      index: toIndex(headers['x-consul-index']),
      value: statusCode === 404 ? null : bytesOf(body),
      hasLeader: headers['x-consul-knownleader'] !== 'false',
    };
  }

  /** Ends all requests. */
  close(): void {
    this.#isClosed = true;
    this.#puts.close();
    for (const exchange of [...this.#exchanges]) exchange.cancel();
    for (const pool of this.#pools) pool.destroy();
  }

  /** All who ask while a list is on its way share it: a filter that is asked for a thousand services costs Consul a million looks. */
  async #sharedServices(): Promise<Record<string, unknown> | null> {
    this.#listing ??= this.#services(undefined);
    const listing = this.#listing;
    try {
      return await listing;
    } finally {
      if (this.#listing === listing) this.#listing = null;
    }
  }

  #put(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#puts.put(path, (outcome, text, status) => {
        if (outcome === 'done') resolve();
        else if (outcome !== 'answer') reject(new ConsulError(outcome, this.#withoutToken(text)));
        else reject(new ConsulError('answer', this.#withoutToken(`${status} ${text}`.trim()), status));
      });
    });
  }

  /** Null when what came is no list of services. Old versions ignore the filter. */
  async #services(filter: string | undefined): Promise<Record<string, unknown> | null> {
    const wish = filter === undefined ? {} : { filter };
    const { body } = await this.#ask(LIST_BYTES_MAX, ({ agent }, common) =>
      agent.service.list({ ...wish, ...common }),
    );
    return parseFields(body);
  }

  async #ask(
    answerBytesMax: number,
    call: (consul: Consul, common: object) => Promise<unknown>,
    waiting: {
      readonly pool: 'nodes' | 'keys';
      readonly signal: AbortSignal;
      readonly timeoutMs: number;
    } | null = null,
  ): Promise<Response> {
    const [short, nodes, keys] = await this.#open();
    const timeoutMs = waiting?.timeoutMs ?? this.#options.requestTimeoutMs;
    const exchange = new Exchange({ timeoutMs, answerBytesMax } satisfies ExchangeLimits);
    if (this.#isClosed || waiting?.signal.aborted) throw new ConsulError('cancelled', 'cancelled');
    const onAbort = (): void => exchange.cancel();
    waiting?.signal.addEventListener('abort', onAbort);
    this.#exchanges.add(exchange);
    try {
      const client = waiting === null ? short! : waiting.pool === 'nodes' ? nodes! : keys!;
      const answer = await call(client, { ctx: exchange });
      return (answer as [Response])[0];
    } catch (error) {
      throw this.#toError(error);
    } finally {
      this.#exchanges.delete(exchange);
      waiting?.signal.removeEventListener('abort', onAbort);
    }
  }

  /** One for each pool. */
  async #open(): Promise<readonly Consul[]> {
    this.#clients ??= import('consul').then(({ default: Client }) =>
      this.#pools.map((agent) => this.#make(Client, agent)),
    );
    return await this.#clients;
  }

  #make(Client: typeof Consul, agent: http.Agent | https.Agent): Consul {
    const { isSecure, token } = this.#options;
    const options = {
      host: this.#server.host.includes(':') ? `[${this.#server.host}]` : this.#server.host,
      port: this.#server.port,
      secure: isSecure,
      agent,
      defaults: token === '' ? {} : { token },
      // Bytes are parsed here, where a long list can be taken in slices.
      decoders: { 'application/json': (body: Buffer) => body },
    };
    const client = new Client(options);
    (client as unknown as Extensible)._ext('onRequest', (request, next) => {
      if (request.ctx instanceof Exchange) request.transport = request.ctx.through(request.transport);
      next();
    });
    return client;
  }

  #toError(error: unknown): ConsulError {
    const { isAbort, isResponse, response, code } = error as {
      isAbort?: boolean;
      isResponse?: boolean;
      response?: http.IncomingMessage & Response;
      code?: string;
    };
    if (isAbort) return new ConsulError('cancelled', 'cancelled');
    if (isResponse && response !== undefined) {
      const status = response.statusCode ?? 0;
      const said = String(response.body ?? '').trim();
      return new ConsulError('answer', this.#withoutToken(`${status} ${said}`.trim()), status);
    }
    // Some have a code and no message, others a message in which the package names itself.
    const reason = messageOf(error).replace(/^consul: (?:[\w.]+: )?/, '');
    const kind = error instanceof AnswerTooLongError ? 'answer' : 'wire';
    return new ConsulError(kind, this.#withoutToken(reason === '' ? (code ?? 'unknown') : reason));
  }

  #withoutToken(text: string): string {
    const { token } = this.#options;
    const safe = token === '' ? text : text.replaceAll(token, '[redacted]');
    return safe.length > REASON_CHARS_MAX ? `${safe.slice(0, REASON_CHARS_MAX)}...` : safe;
  }
}

/** The agent knows no such service or check: it was wiped, or somebody took it out. */
export function isUnknown(error: unknown): boolean {
  if (!(error instanceof ConsulError) || error.kind !== 'answer') return false;
  return (
    error.status === 404 || /does not have associated TTL|unknown (?:check|service)/i.test(error.message)
  );
}

function toStatus(availability: Availability): 'passing' | 'critical' {
  return availability === 'available' ? 'passing' : 'critical';
}

/** The value of the only entry, which stands there in base64. Throws for what is no entry. */
function bytesOf(body: Buffer | string | undefined): Buffer {
  let entries: unknown = null;
  try {
    entries = JSON.parse(String(body ?? ''));
  } catch {
    // said below
  }
  const [entry] = Array.isArray(entries) ? entries : [];
  if (!isFields(entry)) throw new ConsulError('answer', 'the value of a key makes no sense');
  const { Value } = entry;
  return typeof Value === 'string' ? Buffer.from(Value, 'base64') : Buffer.alloc(0);
}

/** 0 for anything that is no index. */
function toIndex(header: string | string[] | undefined): number {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : 0;
}

function parseFields(body: Buffer | string | undefined): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(String(body ?? ''));
    return isFields(value) ? value : null;
  } catch {
    return null; // said by the null
  }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
