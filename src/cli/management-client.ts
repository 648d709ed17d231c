/**
 * Asks the management API of a running agent (docs/operations.md). No token is sent: what changes state is done on its machine.
 *
 * An agent that does not answer, or something else that does, is an AgentError `E_NO_AGENT` that says where was asked.
 */
import http from 'node:http';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { AgentError, messageOf } from '../core/index.js';
import { type CliIo, EXIT_FAILURE, EXIT_NO_AGENT, printable } from './output.js';

export const MANAGEMENT_PORT_DEFAULT = 8002;
const ANSWER_MS_MAX = 10_000;
/** The state of an agent with 20,000 endpoints is about 10 MiB. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

export interface ManagementTarget {
  readonly host: string;
  readonly port: number;
  /** Takes the place of host and port. */
  readonly unix: string | null;
}

export interface ManagementOptions {
  readonly host: string;
  readonly mport: number;
  readonly unix?: string;
  readonly json?: boolean;
}

/** Adds `--host`, `--mport`, `--unix` and `--json`. */
export function takeManagementOptions(command: Command, env: NodeJS.ProcessEnv = process.env): Command {
  return command
    .option('--host <host>', 'where the agent is', '127.0.0.1')
    .addOption(
      new Option('--mport <port>', 'its management port; default: environment variable mport, then 8002')
        .argParser(parsePort)
        .default(portFromEnvironment(env.mport)),
    )
    .option('--unix <path>', 'its management socket (managementUnixSock) instead of host and port')
    .option('--json', 'print what the agent answers as JSON');
}

export function targetOf(options: ManagementOptions): ManagementTarget {
  return { host: options.host, port: options.mport, unix: options.unix ?? null };
}

/** A port that is not one is taken as none, as the agent does with this variable. */
export function portFromEnvironment(text: string | undefined): number {
  const port = Number(text);
  return text !== undefined && /^\d{1,5}$/.test(text) && port > 0 && port < 65_536
    ? port
    : MANAGEMENT_PORT_DEFAULT;
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('Expected a port from 1 to 65535.');
  return port;
}

/** Runs a command that asks; turns an absent agent into its message and exit code. */
export async function asking(io: CliIo, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    io.setExitCode(0);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    io.error(`peony: ${printable(error.message)}\n`);
    io.setExitCode(error.code === 'E_NO_AGENT' ? EXIT_NO_AGENT : EXIT_FAILURE);
  }
}

/** The JSON that the agent answers. Throws AgentError `E_NO_AGENT`. */
export async function ask(target: ManagementTarget, path: string): Promise<unknown> {
  const { status, text } = await exchange(target, path, null);
  const value = status === 200 ? jsonObject(text) : null;
  if (value !== null) return value;
  const said = `HTTP ${status} ${JSON.stringify(text.slice(0, 60))}`;
  throw new AgentError(
    'E_NO_AGENT',
    `what answers at ${placeOf(target)} is no Peony agent: ${path} gives ${said}`,
  );
}

/** Has the agent do something: its JSON answer. Throws AgentError `E_NO_AGENT`, or `E_REFUSED` with its reason. */
export async function order(target: ManagementTarget, path: string, form: URLSearchParams): Promise<unknown> {
  const type = 'application/x-www-form-urlencoded';
  return await tell(target, path, { method: 'POST', type, body: form.toString() });
}

/** What is sent besides a path. */
export interface Sent {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  readonly type: string;
  readonly body: string;
}

/** As `order`, with any method and body; null where the agent says no more than that it is done. */
export async function tell(target: ManagementTarget, path: string, sent: Sent): Promise<unknown> {
  const { status, text } = await exchange(target, path, sent);
  const value = jsonObject(text);
  if (status === 204) return null;
  if (status >= 200 && status < 300 && value !== null) return value;
  const detail = value !== null && 'detail' in value ? String(value.detail) : text.slice(0, 200);
  throw new AgentError('E_REFUSED', `the agent at ${placeOf(target)} refuses (HTTP ${status}): ${detail}`);
}

function jsonObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
}

function placeOf({ host, port, unix }: ManagementTarget): string {
  return unix === null ? `${host}:${port}` : `unix:${unix}`;
}

interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** GET, unless something is sent. */
function exchange(target: ManagementTarget, path: string, sent: Sent | null): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const where =
      target.unix === null ? { host: target.host, port: target.port } : { socketPath: target.unix };
    const headers = { host: 'localhost', connection: 'close' };
    const request = http.request({
      ...where,
      path,
      method: sent?.method ?? 'GET',
      headers: sent === null ? headers : { ...headers, 'content-type': sent.type },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    request.on('error', (error) => reject(noAgent(target, error)));
    request.end(sent?.body);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > ANSWER_BYTES_MAX)
          response.destroy(new Error(`the answer is over ${ANSWER_BYTES_MAX} bytes`));
      });
      response.on('error', (error) => reject(noAgent(target, error)));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
  });
}

function noAgent(target: ManagementTarget, cause: Error): AgentError {
  const reason = cause.name === 'AbortError' ? `no answer within ${ANSWER_MS_MAX / 1000} s` : reasonOf(cause);
  const hint = target.unix === null ? '--mport, --host or --unix name another place' : 'is the path right?';
  return new AgentError('E_NO_AGENT', `no agent answers at ${placeOf(target)}: ${reason}; ${hint}`, {
    cause,
  });
}

/** A name with several addresses fails with one error for each and no text of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ');
  return messageOf(error);
}
