/** Another agent's dynamic API as a test plays it: what it lists can be read and wiped, and the next answers can be given. */
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';

interface UrlFields {
  protocol: string;
  host: string;
  port: number;
  path: string;
  group: string;
  parameters: Record<string, string>;
}

export interface GivenAnswer {
  readonly status: number;
  readonly text: string;
}

export class MeshAgent {
  /** Verb and url of every POST. */
  readonly told: { readonly verb: string; readonly url: UrlFields; readonly contentType: string }[] = [];
  registered: UrlFields[] = [];
  subscribed: UrlFields[] = [];
  meshPort = 9981;
  /** How often its list was read. */
  looks = 0;
  /** Says ok and does not list it, as motan-go does when an export fails. */
  forgetsRegistrations = false;
  /** By path: given instead of the right answer for as long as it stands here. */
  readonly given = new Map<string, GivenAnswer>();
  /** By path: never answered. */
  readonly silent = new Set<string>();
  readonly #server = http.createServer((request, response) => void this.#answer(request, response));
  #port = 0;

  /** On the same port again after `stop`. */
  async start(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as net.AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? '';
    if (this.silent.has(path)) return;
    const given = this.given.get(path);
    if (given !== undefined) {
      response.writeHead(given.status).end(given.text);
      return;
    }
    let body: object | undefined;
    if (path === '/registry/info') body = { mesh_port: this.meshPort };
    else if (path === '/registry/list') {
      this.looks += 1;
      body = { register_nodes: this.registered, subscribe_nodes: this.subscribed };
    } else this.#take(path, Buffer.concat(chunks).toString(), request.headers['content-type'] ?? '');
    response.writeHead(200).end(JSON.stringify({ body, code: 200, message: 'ok' }));
  }

  #take(path: string, text: string, contentType: string): void {
    const verb = path.slice('/registry/'.length);
    const url = JSON.parse(text) as UrlFields;
    this.told.push({ verb, url, contentType });
    if (verb === 'subscribe') {
      this.subscribed.push(url);
      return;
    }
    const proxy = `${url.protocol}:${url.port}`;
    const isOther = (each: UrlFields): boolean => each.path !== url.path || each.parameters.proxy !== proxy;
    this.registered = this.registered.filter(isOther);
    if (verb !== 'register' || this.forgetsRegistrations) return;
    this.registered.push({ ...url, port: 9982, parameters: { ...url.parameters, proxy } });
  }
}
