/** The programs of test/interop/go: the motan-go library as server and as mesh client. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import {
  accepts,
  buildPeer,
  eventually,
  freePort,
  jsonLines,
  makeFolder,
  type Peer,
  type Running,
  run,
  saysReady,
  start,
} from '../support.js';

const FOLDER = fileURLToPath(new URL('../go/', import.meta.url));

export const motanGo: Peer = await buildPeer(
  'motan-go',
  FOLDER,
  'needs Go 1.21 or newer and its module proxy',
);

export function motanGoBin(program: 'agent' | 'echo-server' | 'client' | 'mesh-client'): string {
  return `${FOLDER}bin/${program}`;
}

export interface GoServer {
  readonly process: Running;
  /** A port, or the path of the unix socket. */
  readonly at: number | string;
}

/** The Go echo server, in group `go-rpc` unless told otherwise. */
export async function startGoServer(
  options: { at?: number | string; group?: string } = {},
): Promise<GoServer> {
  const folder = makeFolder();
  const at = options.at ?? (await freePort());
  const listen = typeof at === 'number' ? ['-port', `${at}`] : ['-unix-sock', at, '-port', '1'];
  const args = [...listen, '-group', options.group ?? 'go-rpc', '-log-dir', folder];
  const program = { name: 'Go server', command: motanGoBin('echo-server'), args, cwd: folder };
  const process = await start(program, async (running) => (await saysReady(running)) && accepts(at));
  return { process, at };
}

export interface GoException {
  readonly errcode: number;
  readonly errmsg: string;
  readonly errtype: number;
}

/** One call as the Go client saw it. */
export interface GoResult {
  readonly method: string;
  readonly ok: boolean;
  /** Go type of the value. */
  readonly type: string;
  readonly value: string;
  /** Bytes of a value that is text or bytes, up to 64 KiB. */
  readonly base64: string;
  readonly exception: GoException | null;
  readonly metadata: Record<string, string>;
  readonly ms: number;
}

export interface GoCall {
  /** A port, or the path of a unix socket. */
  readonly at: number | string;
  readonly group?: string;
  readonly service?: string;
  readonly serialization?: string;
  /** Empty for a caller that does not name itself. */
  readonly application?: string;
  /** ms, default 5000. */
  readonly timeoutMs?: number;
  readonly metadata?: Record<string, string>;
}

/**
 * Calls one method, `times` times, `parallel` of them at a time; argument as `string:...`, `int64:...`, `bytes:...`,
 * `map:key=value,...`, `null:`, or nothing for none.
 */
export async function goCalls(
  call: GoCall,
  method: string,
  argument: string,
  times: number,
  parallel = 1,
): Promise<GoResult[]> {
  const args = [...toFlags(call), '-method', method, '-arg', argument];
  return jsonLines<GoResult>(await runClient([...args, '-times', `${times}`, '-parallel', `${parallel}`]));
}

export async function goCall(call: GoCall, method: string, argument: string): Promise<GoResult> {
  const [result] = await goCalls(call, method, argument, 1);
  return result!;
}

/** What the server saw as metadata of the call. */
export async function goMetadata(
  call: GoCall,
): Promise<{ arrived: Record<string, string>; answer: GoResult }> {
  const answer = await goCall(call, 'meta', 'string:x');
  assert.equal(answer.exception, null, JSON.stringify(answer));
  return { arrived: JSON.parse(answer.value) as Record<string, string>, answer };
}

/** Every value that the serialization can carry comes back as it went. */
export async function assertGoSuite(
  call: GoCall,
  options: { server?: string; only?: string[] } = {},
): Promise<void> {
  const args = [...toFlags(call), '-server', options.server ?? 'go'];
  const finished = await runClient(
    options.only === undefined ? args : [...args, '-only', options.only.join(',')],
  );
  const wrong = jsonLines<GoResult>(finished).filter((result) => !result.ok);
  assert.deepEqual(wrong, []);
  assert.equal(finished.code, 0);
}

/** Calls until an answer is as wanted. */
export function goCallUntil(
  claim: string,
  withinMs: number,
  call: GoCall,
  isWanted: (result: GoResult) => boolean,
): Promise<GoResult> {
  return eventually(claim, withinMs, async () => {
    const result = await goCall(call, 'hello', 'string:again');
    return isWanted(result) ? result : null;
  });
}

function runClient(args: readonly string[]): ReturnType<typeof run> {
  return run({ name: 'Go client', command: motanGoBin('client'), args, cwd: FOLDER });
}

function toFlags(call: GoCall): string[] {
  const { at, group, service, serialization, application, timeoutMs, metadata } = call;
  const flags = ['-addr', typeof at === 'number' ? `127.0.0.1:${at}` : `unix://${at}`];
  const optional: [string, string | undefined][] = [
    ['-group', group],
    ['-service', service],
    ['-ser', serialization],
    ['-application', application],
    ['-timeout', timeoutMs?.toString()],
    [
      '-meta',
      metadata &&
        Object.entries(metadata)
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
    ],
  ];
  for (const [flag, value] of optional) if (value !== undefined) flags.push(`${flag}=${value}`);
  return flags;
}
