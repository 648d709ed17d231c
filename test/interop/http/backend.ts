/**
 * An HTTP service on Node's own server, in the process of the test: what it saw it tells, and what it is asked for it answers. It knows
 * nothing of a mesh.
 *
 *   /echo/...       what arrived, as JSON           /status/N    an answer with that status
 *   /body           the body of the request         /fields      fields that come twice, and one in latin1
 *   /chunked?n=N    N chunks of 1000 bytes          /length      its body is 12345 bytes
 *   /closing        ends its connection after       /late?ms=N   takes that long
 *   /drop           dies without an answer          /cut         dies in the middle of its answer
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { atEnd } from '../support.js';

/** What arrived, as `/echo` tells it. */
export interface Echo {
  readonly method: string;
  /** Path and query as they came. */
  readonly url: string;
  /** Name, value, name, value ... as they came. */
  readonly fields: readonly string[];
  readonly bytes: number;
  readonly sha256: string;
  /** The body, latin1, when it is short. */
  readonly body: string;
}

const BODY_BYTES_SHOWN = 4096;
export const LENGTH_BYTES = 12_345;
const CHUNK = Buffer.from('0123456789'.repeat(100));

export interface Backend {
  readonly port: number;
  /** Requests so far, by path without query. */
  readonly counts: ReadonlyMap<string, number>;
  /** Method and url of all requests so far. */
  readonly requests: readonly string[];
}

export async function startBackend(): Promise<Backend> {
  const counts = new Map<string, number>();
  const requests: string[] = [];
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://backend');
    counts.set(url.pathname, (counts.get(url.pathname) ?? 0) + 1);
    requests.push(`${request.method} ${request.url}`);
    void answer(request, response, url);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as net.AddressInfo).port, counts, requests };
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function answer(request: http.IncomingMessage, response: http.ServerResponse, url: URL): Promise<void> {
  const body = await bodyOf(request);
  if (body === null) return;
  const [, first, second] = url.pathname.split('/');
  switch (first) {
    case 'body':
      return end(response, 200, ['Content-Type', 'application/octet-stream'], body);
    case 'status':
      return answerStatus(response, Number(second));
    case 'fields':
      return end(
        response,
        200,
        [
          'Set-Cookie',
          'a=1; Path=/',
          'Set-Cookie',
          'b=2',
          'X-Twice',
          'one',
          'X-Twice',
          'two',
          'X-Latin',
          'gr\xfcn',
        ],
        Buffer.from('fields'),
      );
    case 'chunked':
      return answerChunks(response, Number(url.searchParams.get('n')));
    case 'length':
      return end(response, 200, ['Content-Type', 'text/plain'], Buffer.alloc(LENGTH_BYTES, 'x'));
    case 'closing':
      return end(response, 200, ['Connection', 'close'], Buffer.from('closing'));
    case 'late':
      return void setTimeout(
        () => end(response, 200, [], Buffer.from('late')),
        Number(url.searchParams.get('ms')),
      );
    case 'drop':
      return void request.socket.destroy();
    case 'cut':
      response.writeHead(200, { 'Content-Length': 1000 });
      return void response.write('half', () => request.socket.destroy());
    default:
      return end(response, 200, ['Content-Type', 'application/json'], echoOf(request, body));
  }
}

/** Null when the caller went away. */
async function bodyOf(request: http.IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return null; // there is nobody to answer
  }
  return Buffer.concat(chunks);
}

function echoOf(request: http.IncomingMessage, body: Buffer): Buffer {
  const echo: Echo = {
    method: request.method ?? '',
    url: request.url ?? '',
    fields: request.rawHeaders,
    bytes: body.length,
    sha256: sha256(body),
    body: body.toString('latin1', 0, BODY_BYTES_SHOWN),
  };
  return Buffer.from(JSON.stringify(echo));
}

function answerStatus(response: http.ServerResponse, status: number): void {
  const fields = status === 302 ? ['Location', 'http://elsewhere.example/x?y=1'] : [];
  end(response, status, fields, Buffer.from(status === 204 ? '' : `status ${status}`));
}

async function answerChunks(response: http.ServerResponse, count: number): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  for (let index = 0; index < count; index += 1) {
    if (!response.write(CHUNK)) await once(response, 'drain');
  }
  response.end();
}

function end(response: http.ServerResponse, status: number, fields: string[], body: Buffer): void {
  const type = fields.includes('Content-Type') ? [] : ['Content-Type', 'text/plain'];
  const length = status === 204 ? [] : ['Content-Length', `${body.length}`];
  response.writeHead(status, [...fields, ...type, ...length]);
  response.end(body);
}
