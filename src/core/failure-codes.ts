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
  [motanCode, httpStatus, grpcStatus]: readonly [number, number, number],
  logLevel: FailureRow['logLevel'] = 'info',
): FailureRow {
  return { meaning, side, retry, motanCode, motanType: 1, httpStatus, grpcStatus, logLevel };
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
