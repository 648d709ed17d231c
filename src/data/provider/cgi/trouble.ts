/** Why a request has no answer, and how failed connections are told: in the words of Go, which operators know from motan-go. */
import type { FailureCode } from '../../../core/index.js';
import type { ConnectTarget } from '../probe-connect.js';

export interface Trouble {
  readonly code: FailureCode;
  readonly message: string;
}

/** Output without a head: the words of motan-go, which gives it a code of its own (spec traffic 4). */
export const CANNOT_PARSE = 'Cannot parse FastCGI Response';

const WORDS: readonly (readonly [string, string])[] = [
  ['ECONNREFUSED', 'connect: connection refused'],
  ['ENOENT', 'connect: no such file or directory'],
  ['EACCES', 'connect: permission denied'],
  ['EAGAIN', 'connect: resource temporarily unavailable'],
  ['EHOSTUNREACH', 'connect: no route to host'],
  ['ENETUNREACH', 'connect: network is unreachable'],
];
const TIMED_OUT = 'i/o timeout';

/** @param error what the system, or a deadline, said */
export function dialTrouble(target: ConnectTarget, error: string): Trouble {
  const name = 'path' in target ? `unix ${target.path}` : `tcp ${target.host}:${target.port}`;
  const known = WORDS.find(([code]) => error.includes(code));
  const isTimeout = known === undefined && /within|in time/.test(error);
  const words = known?.[1] ?? (isTimeout ? TIMED_OUT : error);
  // A unix socket whose backlog is full refuses with EAGAIN: the backend lives and has too much to do.
  const code = error.includes('EAGAIN') ? 'E_BACKEND_BUSY' : 'E_BACKEND_DOWN';
  return { code, message: `dial ${name}: ${words}` };
}
