/** What is derived from a request head once, and kept with it: heads that are equal on one connection are one object. */
import type { RequestHead } from '../../../wire/http1/index.js';
import { type RequestTarget, requestTarget } from './request-target.js';

export class RequestMemo {
  readonly target: RequestTarget;
  /** Owned by the bridge of `/proxy_to_rpc`. */
  bridge: unknown = null;
  /** Owned by transparent HTTP. */
  transparent: unknown = null;
  /** Owned by the typed calls. */
  typed: unknown = null;
  /** Owned by the direct proxy. */
  direct: unknown = null;

  constructor(target: RequestTarget) {
    this.target = target;
  }
}

/** Throws HttpError 400 when the head names no target. */
export function requestMemo(head: RequestHead): RequestMemo {
  if (head.memo instanceof RequestMemo) return head.memo;
  const memo = new RequestMemo(requestTarget(head));
  head.memo = memo;
  return memo;
}
