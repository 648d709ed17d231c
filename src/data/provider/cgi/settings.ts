/** Settings of provider `cgi`, out of the service's url (spec traffic 4, and what is new here: docs/config.md). */
import path from 'node:path';
import { latin1Text, type MeshUrl } from '../../../core/index.js';
import type { ConnectTarget } from '../probe-connect.js';

/** What scripts are told of themselves: latin1 text, out of the configuration alone. */
export interface ScriptSettings {
  /** Empty for none: as in motan-go each is sent only when it is configured. */
  readonly filename: string;
  readonly documentRoot: string;
  /** The path under which the script would be asked for. */
  readonly name: string;
  /** Method of calls that are no HTTP. */
  readonly method: string;
  readonly serverName: string;
  readonly serverPort: string;
}

export interface CgiSettings {
  readonly service: string;
  readonly target: ConnectTarget;
  /** As reports name it: `127.0.0.1:9000`, `unix:/run/php.sock`. */
  readonly backend: string;
  readonly script: ScriptSettings;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** From the request to the first byte of the answer; 0 for no bound of its own. */
  readonly firstByteTimeoutMs: number;
  readonly queueMax: number;
  readonly queueTimeoutMs: number;
  /** Most connections; 0 when it is to be learnt, or guessed. */
  readonly childrenMax: number;
  /** `pm.status_path`; empty for none. */
  readonly statusPath: string;
  /** Largest output of a script. */
  readonly answerBytesMax: number;
  /** A status from 400 on becomes an exception for calls that are no HTTP. */
  readonly throwsStatus: boolean;
  /** For timeouts of single methods; null when there are none. */
  readonly methodUrl: MeshUrl | null;
}

const REQUEST_TIMEOUT_MS = 1000;
const ANSWER_BYTES_MAX = 10 * 1024 * 1024;
const UNIX = 'unix://';

export function cgiSettings(url: MeshUrl): CgiSettings {
  const host = url.text('CGI_HOST', '127.0.0.1');
  const port = portOf(url);
  const isUnix = host.startsWith(UNIX);
  const socketPath = host.slice(UNIX.length);
  return {
    service: url.path,
    target: isUnix ? { path: socketPath } : { host, port },
    backend: isUnix ? `unix:${socketPath}` : `${host}:${port}`,
    script: scriptSettings(url),
    connectTimeoutMs: url.positiveInt('connectTimeout', 1000),
    requestTimeoutMs: url.positiveInt('requestTimeout', REQUEST_TIMEOUT_MS),
    firstByteTimeoutMs: Math.max(0, url.int('firstByteTimeout', 0)),
    queueMax: Math.max(0, url.int('queueMax', 128)),
    queueTimeoutMs: url.positiveInt('queueTimeout', 1000),
    childrenMax: Math.max(0, url.int('maxChildren', 0)),
    statusPath: latin1Text(url.text('fpmStatusPath')),
    answerBytesMax: url.positiveInt('maxContentLength', ANSWER_BYTES_MAX),
    throwsStatus: url.bool('enableHttpException', false),
    methodUrl: [...url.parameters.keys()].some((name) => name.endsWith(').requestTimeout')) ? url : null,
  };
}

/** Time for a whole call, ms: the method's own or the service's, and less when the caller waits less long (`M_tmo`). */
export function timeoutOf(settings: CgiSettings, method: string, desc: string, wishMs: number): number {
  let timeoutMs = settings.requestTimeoutMs;
  if (settings.methodUrl !== null) {
    const own = settings.methodUrl.methodInt(method, desc, 'requestTimeout', timeoutMs);
    if (own > 0) timeoutMs = own;
  }
  return wishMs > 0 ? Math.min(wishMs, timeoutMs) : timeoutMs;
}

/** Port 0 leads nowhere, as in motan-go: an unreadable port is not taken for the default. */
function portOf(url: MeshUrl): number {
  const port = url.parameters.has('CGI_PORT') ? url.int('CGI_PORT', 0) : 9000;
  return port > 0 && port <= 0xffff ? port : 0;
}

function scriptSettings(url: MeshUrl): ScriptSettings {
  const filename = url.text('CGI_SCRIPT_FILENAME');
  const documentRoot = url.text('CGI_DOCUMENT_ROOT');
  return {
    filename: latin1Text(filename),
    documentRoot: latin1Text(documentRoot),
    name: latin1Text(scriptName(filename, documentRoot)),
    method: latin1Text(url.text('CGI_REQUEST_METHOD')),
    serverName: latin1Text(url.text('domain') || url.path),
    serverPort: String(url.port),
  };
}

/** The script's path below the document root; its file name when it is elsewhere. */
function scriptName(filename: string, documentRoot: string): string {
  if (filename === '') return '/';
  const root = documentRoot.replace(/\/+$/, '');
  if (root !== '' && filename.startsWith(`${root}/`)) return filename.slice(root.length);
  return `/${path.posix.basename(filename)}`;
}
