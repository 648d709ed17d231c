/**
 * What we ask of the other agent, in its dynamic API (spec agent 7.3). A question is asked once; when and how often is decided elsewhere.
 *
 *   GET  /registry/info  /registry/list                                 {"code":200,"message":"ok","body":{...}}
 *   POST /registry/register  /registry/unregister  /registry/subscribe  the url as JSON, with `proxyRegistry` among its parameters
 */
import http from 'node:http';
import { MeshUrl, messageOf } from '../../../core/index.js';
import { Exchange } from '../consul/exchange.js';

const CONTENT_TYPE = 'application/json;charset=utf-8';
/** Of `/registry/list` with ten thousand services. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;
const REQUESTS_AT_ONCE = 8;
const MESSAGE_CHARS_MAX = 200;

export interface MeshApiOptions {
  readonly host: string;
  readonly port: number;
  /** Which registry of the other agent is meant, as it calls it. */
  readonly proxyRegistry: string;
  readonly requestTimeoutMs: number;
}

/** What the other agent has been told by all its clients. */
export interface Listed {
  readonly registered: readonly MeshUrl[];
  readonly subscribed: readonly MeshUrl[];
}

/** `wire`: nobody answered, or nobody that speaks HTTP. `answer`: it was refused, or the answer makes no sense. */
export class MeshApiError extends Error {
  readonly kind: 'wire' | 'answer';

  constructor(kind: 'wire' | 'answer', message: string) {
    super(message);
    this.name = 'MeshApiError';
    this.kind = kind;
  }
}

export type RegistryVerb = 'register' | 'unregister' | 'subscribe';

export class MeshApi {
  readonly address: string;
  readonly #options: MeshApiOptions;
  // Connections are not kept: one that the other agent has closed meanwhile would be taken for its end.
  readonly #pool = new http.Agent({ keepAlive: false, maxSockets: REQUESTS_AT_ONCE });
  readonly #requests = new Set<http.ClientRequest>();

  constructor(options: MeshApiOptions) {
    const { host, port } = options;
    this.address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#options = options;
  }

  /** The port at which the other agent takes calls. */
  async meshPort(): Promise<number> {
    const path = '/registry/info';
    const port = fieldsOf(await this.#ask('GET', path)).mesh_port;
    if (typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536) return port;
    throw this.#error('answer', path, `the answer has no mesh_port, which is a port`);
  }

  async list(): Promise<Listed> {
    const body = fieldsOf(await this.#ask('GET', '/registry/list'));
    return { registered: urlsOf(body.register_nodes), subscribed: urlsOf(body.subscribe_nodes) };
  }

  async tell(verb: RegistryVerb, url: MeshUrl): Promise<void> {
    const named = url.withParameter('proxyRegistry', this.#options.proxyRegistry);
    await this.#ask('POST', `/registry/${verb}`, JSON.stringify(named));
  }

  close(): void {
    for (const request of this.#requests) request.destroy(new Error('closed'));
    this.#pool.destroy();
  }

  /** `body` of a good answer. */
  async #ask(method: string, path: string, body: string | null = null): Promise<unknown> {
    let status: number;
    let text: string;
    try {
      ({ status, text } = await this.#exchange(method, path, body));
    } catch (error) {
      const { code } = error as { code?: string };
      throw this.#error('wire', path, messageOf(error) || (code ?? 'no answer'));
    }
    const answer = parsed(text);
    if (status === 404 && answer === null) throw this.#error('answer', path, 'HTTP 404: no such API there');
    if (answer === null)
      throw this.#error('answer', path, `HTTP ${status}, and the answer is no JSON object`);
    const { code, message, detail, body: content } = answer;
    if (status === 200 && code === 200) return content;
    const said = [message, detail].find((each) => typeof each === 'string' && each !== '') ?? '';
    const number = typeof code === 'number' && code !== status ? ` with code ${code}` : '';
    throw this.#error('answer', path, `HTTP ${status}${number}${said === '' ? '' : `: ${said}`}`);
  }

  #exchange(method: string, path: string, body: string | null): Promise<{ status: number; text: string }> {
    const { host, port, requestTimeoutMs } = this.#options;
    const headers: http.OutgoingHttpHeaders = { accept: 'application/json' };
    if (body !== null) {
      headers['content-type'] = CONTENT_TYPE;
      headers['content-length'] = Buffer.byteLength(body);
    }
    const limits = { timeoutMs: requestTimeoutMs, answerBytesMax: ANSWER_BYTES_MAX };
    return new Promise((resolve, reject) => {
      const request = new Exchange(limits)
        .through(http)
        .request({ host, port, method, path, headers, agent: this.#pool });
      this.#requests.add(request);
      request.on('error', reject);
      request.on('close', () => {
        this.#requests.delete(request);
        reject(new Error('the connection ended without an answer'));
      });
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      });
      request.end(body ?? undefined);
    });
  }

  #error(kind: 'wire' | 'answer', path: string, reason: string): MeshApiError {
    const short = reason.length > MESSAGE_CHARS_MAX ? `${reason.slice(0, MESSAGE_CHARS_MAX)}...` : reason;
    return new MeshApiError(kind, `${this.address}${path}: ${short}`);
  }
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null; // whatever it is, it is no answer of this API
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** What makes no sense is not ours. */
function urlsOf(value: unknown): MeshUrl[] {
  const urls: MeshUrl[] = [];
  for (const element of Array.isArray(value) ? value : []) {
    try {
      urls.push(MeshUrl.fromJson(element));
    } catch {
      // listed by another client, and not worth a word each time
    }
  }
  return urls;
}
