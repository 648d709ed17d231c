/**
 * HTTP status of an exception that a service, or an agent in front of it, answered a typed call with. What this agent itself could not serve
 * has its status in core/failure-codes.ts. Both tables are printed in docs/errors.md and in `/v1/openapi.json`.
 */
import type { MotanException } from '../../../../core/index.js';

export interface ExceptionRow {
  /** Codes of the row; empty for all. */
  readonly codes: readonly number[];
  /** `errtype`: 0 framework, 1 service, 2 business; null for all. */
  readonly type: number | null;
  readonly status: number | 'the code';
  readonly meaning: string;
}

function row(
  codes: readonly number[],
  type: number | null,
  status: ExceptionRow['status'],
  meaning: string,
): ExceptionRow {
  return { codes, type, status, meaning };
}

/** An endpoint of a Go agent in front of gRPC gives code and type both the gRPC status (spec wire 4.3). */
function grpc(code: number, status: number, name: string): ExceptionRow {
  return row([code], code, status, `gRPC ${name}`);
}

/** The first row that fits counts. */
export const EXCEPTION_STATUSES: readonly ExceptionRow[] = [
  row([30001], null, 422, 'Motan Java: business exception'),
  row([10002], null, 503, 'Motan Java: rejected, the pool of the service is full'),
  row([10003], null, 504, 'Motan Java: timeout'),
  row([10101], null, 404, 'Motan Java: no such method'),
  row([10201], null, 413, 'Motan Java: the request is too long'),
  row([20003], null, 400, 'Motan Java: the arguments cannot be decoded'),
  row([1001], null, 503, 'an agent: no node of the service can be used'),
  row([1002, 1003, 1004], null, 502, 'an agent: no connection to the node, or an unreadable answer'),
  row([503], null, 503, 'an agent or HTTP service: the backend is not available'),
  row([404], null, 404, 'no such service at the node, or no such path at its backend'),
  row([403], null, 403, 'refused by the service'),
  row([501], null, 501, 'not implemented'),
  row([400], 2, 400, 'the backend cannot be given these arguments'),
  row([400], null, 502, 'an agent: timeout, lost connection or no route on the far side'),
  // Those that need fields which an exception does not carry (401, 405, 407, 426 ...) and those about other fields (412, 415, 428) are left to the rows below.
  row(
    [402, 409, 410, 413, 422, 423, 424, 429, 451, 502, 504, 507],
    2,
    'the code',
    'an HTTP service: status of its backend',
  ),
  grpc(3, 400, 'INVALID_ARGUMENT'),
  grpc(4, 504, 'DEADLINE_EXCEEDED'),
  grpc(5, 404, 'NOT_FOUND'),
  grpc(6, 409, 'ALREADY_EXISTS'),
  grpc(7, 403, 'PERMISSION_DENIED'),
  grpc(8, 429, 'RESOURCE_EXHAUSTED'),
  grpc(9, 400, 'FAILED_PRECONDITION'),
  grpc(10, 409, 'ABORTED'),
  grpc(11, 400, 'OUT_OF_RANGE'),
  grpc(12, 501, 'UNIMPLEMENTED'),
  grpc(14, 503, 'UNAVAILABLE'),
  // 401 would need a challenge.
  grpc(16, 403, 'UNAUTHENTICATED'),
  row([500], null, 500, 'a fault in the service'),
  row([], 2, 422, 'any other business exception: the service understood the call and said no'),
  row([], null, 500, 'any other exception'),
];

export function statusOfException({ code, type }: MotanException): number {
  for (const { codes, type: wanted, status } of EXCEPTION_STATUSES) {
    if (wanted !== null && wanted !== type) continue;
    if (codes.length === 0 || codes.includes(code)) return status === 'the code' ? code : status;
  }
  return 500;
}
