/**
 * An agent that exports an HTTP backend and PHP in every way there is, all of it on one port, and what the Go client is told about it in
 * a form that can be compared.
 */
import { type Agent, type AgentConfig, type AgentKind, startAgent } from '../agent.js';
import { type GoException, type GoResult, goCalls } from '../motan-go/peers.js';
import { accepts, eventually, freePort } from '../support.js';

export const GROUP = 'exports';
const DOMAIN = 'pages.example';

/** Services by what exports them. */
export const SERVICES = {
  /** Provider http with proxyAddress. */
  rpc: 'peony.interop.Rpc',
  /** The same with POST as its method, without locations. */
  rpcPost: 'peony.interop.RpcPost',
  /** The same, errors are exceptions. */
  rpcStrict: 'peony.interop.RpcStrict',
  rpcDown: 'peony.interop.RpcDown',
  /** Provider http with URL_FORMAT, and a table of methods. */
  url: 'peony.interop.Url',
  urlStrict: 'peony.interop.UrlStrict',
  urlDown: 'peony.interop.UrlDown',
  httpx: 'peony.interop.Httpx',
  httpxPost: 'peony.interop.HttpxPost',
  httpxDown: 'peony.interop.HttpxDown',
  cgiGet: 'peony.interop.CgiGet',
  cgiPost: 'peony.interop.CgiPost',
  cgiBroken: 'peony.interop.CgiBroken',
  cgiDown: 'peony.interop.CgiDown',
} as const;

export type ServiceKey = keyof typeof SERVICES;

export interface PhpPages {
  /** Settings of a script: `CGI_SCRIPT_FILENAME` and so on. */
  readonly parameters: (script: string) => Record<string, string>;
}

export interface Exporter {
  readonly kind: AgentKind;
  readonly agent: Agent;
  readonly port: number;
}

export interface Backends {
  /** Of `startBackend`. */
  readonly http: number;
  /** Where nobody listens. */
  readonly down: number;
  readonly php: PhpPages;
}

export async function startExporter(kind: AgentKind, { http, down, php }: Backends): Promise<Exporter> {
  const port = await freePort();
  const url = (path: string): string => `http://127.0.0.1:${http}/echo/${path}`;
  const entry = (
    key: ServiceKey,
    provider: string,
    parameters: Record<string, unknown>,
  ): [string, unknown] => [
    key,
    {
      path: SERVICES[key],
      group: GROUP,
      registry: 'none',
      protocol: 'motan2',
      export: `motan2:${port}`,
      requestTimeout: 2000,
      provider,
      ...parameters,
    },
  ];
  const proxied = { proxyAddress: `127.0.0.1:${http}`, domain: DOMAIN };
  const cgi = (script: string, method: string): Record<string, unknown> => ({
    ...php.parameters(script),
    CGI_REQUEST_METHOD: method,
  });
  const services = Object.fromEntries([
    entry('rpc', 'http', proxied),
    entry('rpcPost', 'http', { ...proxied, HTTP_REQUEST_METHOD: 'POST', enableRewrite: false }),
    entry('rpcStrict', 'http', { ...proxied, enableHttpException: true, enableRewrite: false }),
    entry('rpcDown', 'http', { ...proxied, proxyAddress: `127.0.0.1:${down}`, enableRewrite: false }),
    entry('url', 'http', { URL_FORMAT: url('service/%s') }),
    entry('urlStrict', 'http', {
      URL_FORMAT: `http://127.0.0.1:${http}/status/%s`,
      enableHttpException: true,
    }),
    entry('urlDown', 'http', { URL_FORMAT: `http://127.0.0.1:${down}/%s` }),
    entry('httpx', 'httpx', { URL_FORMAT: url('httpx/%s') }),
    entry('httpxPost', 'httpx', { URL_FORMAT: url('httpx/%s'), HTTP_REQUEST_METHOD: 'POST' }),
    entry('httpxDown', 'httpx', { URL_FORMAT: `http://127.0.0.1:${down}/%s` }),
    entry('cgiGet', 'cgi', cgi('echo.php', 'GET')),
    entry('cgiPost', 'cgi', cgi('echo.php', 'POST')),
    entry('cgiBroken', 'cgi', cgi('nothing.php', 'GET')),
    entry('cgiDown', 'cgi', { ...cgi('echo.php', 'GET'), CGI_PORT: `${down}` }),
  ]);
  const config: AgentConfig = {
    'motan-registry': { none: { protocol: 'direct' } },
    'motan-service': services,
    'http-service': {
      url: {
        'list,find': { URL_FORMAT: url('table/%s'), HTTP_REQUEST_METHOD: 'POST' },
        status: { URL_FORMAT: `http://127.0.0.1:${http}/status/404` },
        slow: { URL_FORMAT: `http://127.0.0.1:${http}/late/url?ms=5000` },
        moved: { URL_FORMAT: `http://127.0.0.1:${http}/moved` },
        http_default_motan_method: { URL_FORMAT: url('other/%s') },
      },
      httpxPost: { slow: { URL_FORMAT: `http://127.0.0.1:${http}/late/httpxPost?ms=5000` } },
    },
    'http-locations': {
      [DOMAIN]: [
        {
          match: '/',
          type: 'start',
          upstream: SERVICES.rpc,
          rewriteRules: ['start /v0/ ^/v0/(.*)$ /echo/new/$1', 'regexpVar ^/user ^/user$ /echo/{id}'],
        },
      ],
    },
  };
  const agent = await startAgent(config, kind);
  await eventually('the export port accepts', 10_000, () => accepts(port));
  return { kind, agent, port };
}

/** A client agent that refers to all services of an exporter. */
export async function startReferrer(kind: AgentKind, exporter: Exporter): Promise<Agent> {
  const refers = Object.entries(SERVICES).map(([key, path]) => [
    key,
    {
      path,
      group: GROUP,
      protocol: 'motan2',
      registry: 'exporter',
      requestTimeout: 4000,
      connectRetryInterval: 200,
      errorCountThreshold: 0,
    },
  ]);
  return startAgent(
    {
      'motan-registry': { exporter: { protocol: 'direct', address: `127.0.0.1:${exporter.port}` } },
      'motan-refer': Object.fromEntries(refers) as Record<string, unknown>,
    },
    kind,
  );
}

export interface Question {
  readonly service: ServiceKey;
  readonly method: string;
  /** As the Go client takes it. */
  readonly argument?: string;
  readonly metadata?: Record<string, string>;
}

/** What the backend or the page says that it was asked, in an order that does not change. */
export type Arrived = Readonly<Record<string, unknown>>;

/** What a caller is told, without what is different at every call. */
export interface Told {
  /** Go type of the value. */
  readonly type: string;
  readonly value: string | Arrived;
  readonly exception: GoException | null;
  readonly metadata: Record<string, string>;
}

/**
 * Different at every call, or said by the agents between. motan-go also tells its caller what its connection to the backend is like, and
 * in answers of urls the caller's own address; nobody can use either.
 */
const CHANGING = new Set([
  ...['M_pt', 'M_e', 'M_rid', 'Motan-Rid', 'Date', 'x-forwarded-for'],
  ...['Connection', 'Keep-Alive', 'Content-Length', 'host'],
]);

export async function tell(port: number, { service, ...question }: Question): Promise<Told> {
  return tellFor({ at: port, group: GROUP, service: SERVICES[service] }, question);
}

/** Calls once with the id 42. */
export async function tellFor(
  call: { at: number; group: string; service: string },
  { method, argument = '', metadata = {} }: Omit<Question, 'service'>,
): Promise<Told> {
  const [result] = await goCalls({ ...call, metadata: { M_rid: '42', ...metadata } }, method, argument, 1);
  return toldBy(result!);
}

function toldBy(result: GoResult): Told {
  const metadata: Record<string, string> = {};
  for (const key of Object.keys(result.metadata).sort()) {
    if (!CHANGING.has(key)) metadata[key] = result.metadata[key]!;
  }
  return { type: result.type, value: plainValue(result), exception: result.exception, metadata };
}

/** The echo of the backend or of the page, with its fields in order; any other value as text. */
function plainValue(result: GoResult): string | Arrived {
  const text = Buffer.from(result.base64, 'base64').toString('latin1');
  if (!text.startsWith('{')) return text;
  const echo = JSON.parse(Buffer.from(text, 'latin1').toString()) as Record<string, unknown>;
  if (!Array.isArray(echo.fields)) return echo;
  const fields = echo.fields as string[];
  const lines: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (!CHANGING.has(fields[index]!)) lines.push(`${fields[index]}: ${fields[index + 1]}`);
  }
  const [path, query] = (echo.url as string).split(/\?(.*)/s);
  // Maps have no order in Go, so neither have parameters that were a map.
  const url = query === undefined ? path : `${path}?${inOrder(query)}`;
  return {
    method: echo.method,
    url,
    body: inOrder(echo.body as string),
    bytes: echo.bytes,
    fields: lines.sort(),
  };
}

function inOrder(parameters: string): string {
  return parameters.split('&').sort().join('&');
}
