/**
 * The one table from cause to what each kind of caller sees. Servers read it; docs/errors.md is made from it.
 * Motan codes and types: spec wire 4.3.
 */

/** `elsewhere`: nothing was sent, another node may be tried; `if-idempotent`: the service may have done something. */
export type Retry = 'never' | 'elsewhere' | 'if-idempotent';

interface FailureRow {
  readonly meaning: string;
  readonly side: 'downstream' | 'upstream' | 'internal';
  readonly retry: Retry;
  readonly motanCode: number;
  readonly motanType: number;
  readonly httpStatus: number;
  readonly grpcStatus: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

function row(
  meaning: string,
  side: FailureRow['side'],
  retry: Retry,
  [motanCode, httpStatus, grpcStatus, motanType = 1]: readonly [number, number, number, number?],
  logLevel: FailureRow['logLevel'] = 'info',
): FailureRow {
  return { meaning, side, retry, motanCode, motanType, httpStatus, grpcStatus, logLevel };
}

export const failureCodes = {
  E_NO_CLUSTER: row('no refer matches the call', 'downstream', 'never', [400, 404, 5]),
  E_BAD_REQUEST: row('the request cannot be understood', 'downstream', 'never', [400, 400, 3]),
  E_TOO_LARGE: row('the message is larger than the limit', 'downstream', 'never', [400, 413, 8]),
  E_NO_ENDPOINT: row('no node of the service can be used', 'upstream', 'elsewhere', [1001, 503, 14]),
  E_NO_CONNECTION: row('no connection to the node could be had', 'upstream', 'elsewhere', [1002, 502, 14]),
  E_TIMEOUT: row('the node did not answer in time', 'upstream', 'if-idempotent', [400, 504, 4]),
  E_CONNECTION_LOST: row(
    'the connection ended before the answer',
    'upstream',
    'if-idempotent',
    [400, 502, 14],
  ),
  E_SEND_QUEUE_FULL: row('the node takes requests too slowly', 'upstream', 'elsewhere', [400, 503, 8]),
  E_ANSWER_TOO_LARGE: row('the answer is larger than the limit', 'upstream', 'if-idempotent', [400, 502, 8]),
  E_BAD_ANSWER: row(
    'the node answered with something unreadable',
    'upstream',
    'if-idempotent',
    [1003, 502, 13],
    'warn',
  ),
  E_BAD_EXCEPTION: row(
    'the exception of the node is unreadable',
    'upstream',
    'if-idempotent',
    [1004, 502, 13],
    'warn',
  ),
  E_NO_EXPORT: row('no exported service matches the call', 'downstream', 'never', [404, 404, 5]),
  E_NO_FRAMEWORK_SERVICE: row('no such framework service', 'downstream', 'never', [501, 501, 12]),
  E_NO_LOCATION: row('no location of the domain matches the path', 'downstream', 'never', [404, 404, 5, 2]),
  E_BAD_ARGUMENTS: row(
    'the backend cannot be given these arguments',
    'downstream',
    'never',
    [400, 400, 3, 2],
  ),
  // Type 2 for the four below because motan-go's provider http says so: backend outages must not fuse its callers' endpoints.
  // Providers cgi and httpx have exceptions of their own for them (spec traffic 3.7, 3.8, 4).
  E_BACKEND_DOWN: row(
    'no connection to the local backend could be had',
    'upstream',
    'elsewhere',
    [503, 502, 14, 2],
  ),
  E_BACKEND_TIMEOUT: row(
    'the local backend did not answer in time',
    'upstream',
    'if-idempotent',
    [503, 504, 4, 2],
  ),
  E_BACKEND_LOST: row(
    'the local backend ended the connection before its answer',
    'upstream',
    'if-idempotent',
    [503, 502, 14, 2],
  ),
  E_BACKEND_BAD_ANSWER: row(
    'the local backend answered with something unreadable',
    'upstream',
    'if-idempotent',
    [503, 502, 13, 2],
    'warn',
  ),
  E_BACKEND_BUSY: row(
    'the local backend has as many calls as it may',
    'internal',
    'elsewhere',
    [503, 503, 8, 2],
  ),
  E_FORBIDDEN: row('the target is not on the allow list', 'downstream', 'never', [403, 403, 7]),
  E_UNAVAILABLE: row('the service is switched off by a command', 'internal', 'never', [500, 503, 14]),
  E_OVERLOADED: row(
    'the agent has as many calls in flight as it may',
    'internal',
    'elsewhere',
    [503, 503, 8],
    'warn',
  ),
  E_DRAINING: row('the agent is shutting down', 'internal', 'elsewhere', [503, 503, 14]),
  E_INTERNAL: row('a fault inside the agent', 'internal', 'never', [500, 500, 13], 'error'),
} as const satisfies Record<string, FailureRow>;

export type FailureCode = keyof typeof failureCodes;
