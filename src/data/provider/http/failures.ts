/**
 * What is told when the backend was not asked or did not answer: spec traffic 3.8. The texts are those of fasthttp and Go, which
 * people and log searches know; where they stand for several causes our code tells these apart.
 */
import { type Failure, type FailureCode, failure, type MotanException } from '../../../core/index.js';
import type { HttpFailure, HttpTarget } from '../../http-client/index.js';

export const NO_FIRST_BYTE =
  'the server closed connection before returning the first response byte. ' +
  "Make sure the server returns 'Connection: close' response header before closing the connection";

/** Type of the exceptions that backend trouble becomes: 2, which callers do not count, and 503 for httpx. */
export type TroubleType = 2 | 503;

/** A failure with code 503 and that type, whatever the table says. */
export function trouble(code: FailureCode, text: string, type: TroubleType): Failure {
  return failure(code, text, { code: 503, type, message: text } satisfies MotanException);
}

/** Arguments that the backend cannot be given; provider httpx has one exception for everything. */
export function badArguments(text: string, type: TroubleType): Failure {
  return type === 2 ? failure('E_BAD_ARGUMENTS', text) : trouble('E_BAD_ARGUMENTS', text, type);
}

/** @param hasHead the head of the answer had come */
export function backendCode(cause: HttpFailure): FailureCode {
  switch (cause.kind) {
    case 'refused':
    case 'connect-timeout':
      return 'E_BACKEND_DOWN';
    case 'no-connection':
      return 'E_BACKEND_BUSY';
    case 'timeout':
      return 'E_BACKEND_TIMEOUT';
    case 'lost':
    case 'cut':
      return 'E_BACKEND_LOST';
    case 'malformed':
      return 'E_BACKEND_BAD_ANSWER';
  }
}

/** In the words of fasthttp: modes A and B, and httpx. */
export function fasthttpText(cause: HttpFailure, target: HttpTarget, hasHead: boolean): string {
  switch (cause.kind) {
    case 'refused':
      return dialText(cause, target, 'tcp4');
    case 'connect-timeout':
      return 'dialing to the given TCP address timed out';
    case 'no-connection':
      return cause.text;
    case 'timeout':
      return hasHead ? 'timeout while reading the answer' : NO_FIRST_BYTE;
    case 'lost':
      return NO_FIRST_BYTE;
    case 'cut':
      return 'unexpected EOF';
    case 'malformed':
      return `error when reading response ${hasHead ? 'body' : 'headers'}: ${cause.text}`;
  }
}

/** In the words of Go's net/http: mode C. */
export function goText(cause: HttpFailure, target: HttpTarget, method: string, url: string): string {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  const what =
    cause.kind === 'refused'
      ? dialText(cause, target, 'tcp')
      : cause.kind === 'timeout' || cause.kind === 'connect-timeout'
        ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        : cause.kind === 'lost'
          ? 'EOF'
          : cause.kind === 'cut'
            ? 'unexpected EOF'
            : cause.text;
  return `${verb} "${url}": ${what}`;
}

const SYSTEM_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  ECONNRESET: 'connect: connection reset by peer',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ENOENT: 'connect: no such file or directory',
  EACCES: 'connect: permission denied',
  EMFILE: 'socket: too many open files',
  ENOTFOUND: 'lookup: no such host',
};

/** `dial tcp4 127.0.0.1:80: connect: connection refused`, from what the system said. */
function dialText(cause: HttpFailure, target: HttpTarget, network: string): string {
  const code = /\bE[A-Z]{3,}\b/.exec(cause.text)?.[0] ?? '';
  const words = SYSTEM_WORDS[code] ?? cause.text;
  if ('path' in target) return `dial unix ${target.path}: ${words}`;
  // The system names the address that a host name led to.
  const resolved = / ([0-9A-Fa-f.:]+:\d+)$/.exec(cause.text)?.[1];
  return `dial ${network} ${resolved ?? `${target.host}:${target.port}`}: ${words}`;
}
