/** Requests that PHP-FPM itself answers, and no script: its status page and its ping. Also a look at the script for health checks. */
import { RequestEncoder } from '../../../wire/fastcgi/index.js';
import type { Job, ScriptAnswer } from './exchange.js';
import type { ScriptSettings } from './settings.js';
import type { Trouble } from './trouble.js';

const NO_BYTES = Buffer.alloc(0);
/** The status page has about 500 bytes. */
const ANSWER_BYTES_MAX = 64 * 1024;

/** A small GET of the agent's own. */
export class OwnRequest implements Job {
  readonly endMs: number;
  readonly queueEndMs: number;
  readonly firstByteTimeoutMs = 0;
  readonly answerBytesMax: number;
  readonly bytes = 0;
  readonly pooled = null;
  readonly #encoder: RequestEncoder;
  readonly #done: (answer: ScriptAnswer | null, trouble: Trouble | null) => void;

  constructor(
    encoder: RequestEncoder,
    endMs: number,
    answerBytesMax: number,
    done: (answer: ScriptAnswer | null, trouble: Trouble | null) => void,
  ) {
    this.#encoder = encoder;
    this.endMs = endMs;
    this.queueEndMs = endMs;
    this.answerBytesMax = answerBytesMax;
    this.#done = done;
  }

  slices(): readonly Uint8Array[] {
    return this.#encoder.finish(NO_BYTES);
  }

  onStderr(): void {}

  onAnswer(answer: ScriptAnswer): void {
    this.#done(answer, null);
  }

  onTrouble(trouble: Trouble): void {
    this.#done(null, trouble);
  }

  onReleased(): void {}
}

/** Asks FPM for one of its own pages: it compares SCRIPT_NAME, and looks for no file. */
export function fpmPage(
  path: string,
  query: string,
  endMs: number,
  done: (answer: ScriptAnswer | null, trouble: Trouble | null) => void,
): OwnRequest {
  const encoder = begin(path, query);
  encoder.param('SCRIPT_NAME', path);
  encoder.param('SCRIPT_FILENAME', path);
  return new OwnRequest(encoder, endMs, ANSWER_BYTES_MAX, done);
}

/** Asks the service's script for `path`, as an HTTP client would. */
export function scriptPage(
  path: string,
  script: ScriptSettings,
  endMs: number,
  answerBytesMax: number,
  done: (answer: ScriptAnswer | null, trouble: Trouble | null) => void,
): OwnRequest {
  const encoder = begin(path, '');
  encoder.param('SCRIPT_NAME', script.name);
  encoder.param('SCRIPT_FILENAME', script.filename);
  encoder.param('DOCUMENT_ROOT', script.documentRoot);
  encoder.param('SERVER_NAME', script.serverName);
  return new OwnRequest(encoder, endMs, answerBytesMax, done);
}

function begin(path: string, query: string): RequestEncoder {
  const encoder = new RequestEncoder();
  encoder.param('REQUEST_METHOD', 'GET');
  encoder.param('REQUEST_URI', query === '' ? path : `${path}?${query}`);
  encoder.param('QUERY_STRING', query);
  encoder.param('GATEWAY_INTERFACE', 'CGI/1.1');
  encoder.param('SERVER_PROTOCOL', 'HTTP/1.1');
  encoder.param('SERVER_SOFTWARE', 'Motan / CGI');
  encoder.param('REMOTE_ADDR', '127.0.0.1');
  encoder.param('REDIRECT_STATUS', '200');
  return encoder;
}
