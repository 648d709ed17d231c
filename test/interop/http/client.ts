/** HTTP callers that show everything: Node's own client, and one that speaks raw bytes. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

export interface Question {
  readonly method?: string;
  /** Path and query as they go onto the wire. */
  readonly path: string;
  /** As a pair each; `Host` first. */
  readonly host?: string;
  readonly fields?: readonly (readonly [string, string])[];
  readonly body?: Buffer | string;
}

export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** Name, value, name, value ... as they came. */
  readonly fields: readonly string[];
  readonly body: Buffer;
}

/** Asks a port on loopback, or a unix socket; each question on a connection of its own unless `agent` is given. */
export async function ask(at: number | string, question: Question, agent?: http.Agent): Promise<Answer> {
  const { method = 'GET', path, host = 'localhost', fields = [], body = '' } = question;
  const length = body.length > 0 ? [['Content-Length', `${Buffer.byteLength(body)}`] as const] : [];
  const where = typeof at === 'number' ? { host: '127.0.0.1', port: at } : { socketPath: at };
  const request = http.request({
    ...where,
    method,
    path,
    agent: agent ?? false,
    headers: [['Host', host], ...length, ...fields].flat() as unknown as http.OutgoingHttpHeaders,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? '',
    fields: response.rawHeaders,
    body: Buffer.concat(chunks),
  };
}

/** All values of a field, by its name in any case. */
export function valuesOf(fields: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index]!.toLowerCase() === name.toLowerCase()) values.push(fields[index + 1]!);
  }
  return values;
}

/** Sends bytes and gives all that comes until the other side ends the connection. */
export async function exchangeBytes(port: number, bytes: string | Buffer): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}
