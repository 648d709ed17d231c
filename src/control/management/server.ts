/**
 * The management API: HTTP/1.1 on a port, the first free port of a range, or a unix socket. Spec agent 4, 7.
 *
 * As the peers: any method, parameters from query or form, unknown paths answer the status. Unlike them: what changes state passes
 * access-rules.ts first, and everything that a client sends is bounded in size and time.
 */
import http from 'node:http';
import os from 'node:os';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { type Logger, type ManagementView, messageOf } from '../../core/index.js';
import { type AccessRules, isLoopback, refusalOf } from './access-rules.js';
import { controlPaths } from './control-paths.js';
import { discoveryPaths } from './discovery-paths.js';
import { readForm } from './form.js';
import { holdConnection, isHeld } from './held-connection.js';
import { badUrl, cleanPath, pathOf, redirect, sendAnswer } from './http-answer.js';
import { informationPaths } from './information-paths.js';
import { listenOn, type ManagementAddress } from './listen.js';
import { type ManagementPath, plain } from './path.js';
import { registrationPaths } from './registration-paths.js';
import { registrationsV1 } from './registrations-v1.js';
import { statusPath, statusPaths } from './status-paths.js';
import { unservedPaths } from './unserved-paths.js';

export interface ManagementOptions {
  readonly address: ManagementAddress;
  /** Lets other machines change state; null lets none. */
  readonly token: string | null;
  /** Further names of this host that a Host header may carry. */
  readonly hostNames: readonly string[];
  readonly logger: Logger;
}

export interface ManagementServer {
  /** Resolves with `host:port` or `unix:path`. Throws AgentError `E_PORT_BUSY`, `E_SOCKET_PATH` or `E_LISTEN`. */
  listen(): Promise<string>;
  /** Answers what was begun, at most about a second, and closes. */
  close(): Promise<void>;
  /** The application without its socket: for tests. */
  readonly app: FastifyInstance;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    path?: ManagementPath;
  }
}

/** A url of a dynamic registration is a few KiB. */
const BODY_BYTES_MAX = 256 * 1024;
const HEADER_BYTES_MAX = 16 * 1024;
const HEADERS_MS_MAX = 10_000;
const REQUEST_MS_MAX = 30_000;
/** A reader of an answer that takes nothing for so long is cut off. */
const SILENCE_MS_MAX = 30_000;
/** As the peers. */
const KEEP_ALIVE_MS = 180_000;
const CONNECTIONS_MAX = 512;
const CLOSE_MS = 1_000;
const NO_BODY = Buffer.alloc(0);

export function createManagementServer(view: ManagementView, options: ManagementOptions): ManagementServer {
  const isUnix = options.address.unixSock !== null;
  const rules: AccessRules = { token: options.token, hostNames: [...ownNames(), ...options.hostNames] };
  const { logger } = options;
  let server: http.Server | null = null;
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    exposeHeadRoutes: false,
    serverFactory: (handler) => {
      server = makeServer(handler);
      return server;
    },
    // A path that cannot be decoded does not reach the routes.
    frameworkErrors: (_error, _request, reply) => sendAnswer(reply, badUrl()),
  });

  takeAnyRequest(app);
  addGuard(app, rules, isUnix, logger);
  addPaths(app, view, isUnix);
  app.setErrorHandler((error: FastifyError, request, reply) => {
    logger.error({ path: pathOf(request), error: messageOf(error) }, 'management request failed');
    const status = error.statusCode ?? (error.code === 'E_FORM' ? 400 : 500);
    const body = `process request err: ${messageOf(error)}\n`;
    return sendAnswer(reply, plain(body, status >= 400 ? status : 500));
  });

  return {
    app,
    async listen() {
      await app.ready();
      return await listenOn(server!, options.address);
    },
    async close() {
      if (server?.listening) await closeServer(server);
      await app.close();
    },
  };
}

/** Any method and any content type: the peers do not look at them. */
function takeAnyRequest(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  for (const method of http.METHODS) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
  }
}

/** Runs before the body is read: who is refused sends nothing. */
function addGuard(app: FastifyInstance, rules: AccessRules, isUnix: boolean, logger: Logger): void {
  app.addHook('onRequest', async (request, reply) => {
    const path = pathOf(request);
    const remoteAddress = isUnix ? null : (request.socket.remoteAddress ?? '');
    logger.info({ method: request.method, path, peer: remoteAddress ?? 'unix' }, 'management request');
    const cleaned = cleanPath(path);
    if (cleaned !== path) return redirect(request, reply, cleaned);
    const changes = request.routeOptions.config.path?.changesState ?? false;
    if (changes === false || (changes !== true && !changes(request.method))) return;
    const refusal = refusalOf({ remoteAddress, headers: request.headers }, rules);
    if (refusal === null) return;
    logger.warn({ path, peer: remoteAddress, reason: refusal }, 'management request refused');
    return sendAnswer(reply, plain(refusal, 403));
  });
}

function addPaths(app: FastifyInstance, view: ManagementView, isUnix: boolean): void {
  const handle = async (
    path: ManagementPath,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply> => {
    const form = await readForm(request.method, request.url, request.headers['content-type'], request.body);
    const answer = await path.answer({
      view,
      parameter: (name) => form.get(name),
      method: request.method,
      target: request.url,
      body: Buffer.isBuffer(request.body) ? request.body : NO_BODY,
      id: (request.params as { id?: string } | undefined)?.id ?? null,
      isLocal: isUnix || isLoopback(request.socket.remoteAddress ?? ''),
      hold: () => holdConnection(request.socket),
    });
    return sendAnswer(reply, answer);
  };
  const method = http.METHODS.filter((one) => one !== 'CONNECT');
  for (const [url, path] of Object.entries({
    ...unservedPaths,
    ...statusPaths,
    ...informationPaths,
    ...controlPaths,
    ...discoveryPaths,
    ...registrationPaths,
    ...registrationsV1,
  })) {
    app.route({ method, url, config: { path }, handler: (request, reply) => handle(path, request, reply) });
  }
  app.setNotFoundHandler((request, reply) => handle(statusPath, request, reply));
}

function makeServer(handler: http.RequestListener): http.Server {
  const server = http.createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_MS_MAX,
      requestTimeout: REQUEST_MS_MAX,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 2_000,
      noDelay: true,
    },
    handler,
  );
  server.timeout = SILENCE_MS_MAX;
  server.on('timeout', (socket) => {
    if (!isHeld(socket)) socket.destroy();
  });
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

async function closeServer(server: http.Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
  await closed;
  clearTimeout(timer);
}

function ownNames(): string[] {
  const name = os.hostname();
  return [name, name.split('.')[0]!];
}
