/**
 * W3C Trace Context, level 1: `traceparent` and `tracestate` of a request as they may travel on. What is not valid is left out, as the
 * recommendation demands, and with `traceparent` goes `tracestate`.
 */
import type { RequestHead } from '../../../../wire/http1/index.js';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const TRACESTATE_CHARACTERS_MAX = 512;
const TRACESTATE_MEMBER = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}$/;
const TRACESTATE_MEMBERS_MAX = 32;
const TRACEPARENT_CHARACTERS_MAX = 256;

/** Null when the request is not part of a trace. An empty `tracestate` stands for none. */
export function traceContext(head: RequestHead): { traceparent: string; tracestate: string } | null {
  const [traceparent, another] = head.getAll('traceparent');
  if (traceparent === undefined || another !== undefined || !isTraceparent(traceparent)) return null;
  const tracestate = head.getAll('tracestate').join(',');
  return { traceparent, tracestate: isTracestate(tracestate) ? tracestate : '' };
}

function isTraceparent(text: string): boolean {
  if (text.length > TRACEPARENT_CHARACTERS_MAX) return false;
  const found = TRACEPARENT.exec(text);
  if (found === null) return false;
  const [, version, traceId, parentId, more] = found;
  // Later versions may append to what version 00 has; ff is forbidden.
  if (version === 'ff' || (version === '00' && more !== undefined)) return false;
  return !/^0+$/.test(traceId!) && !/^0+$/.test(parentId!);
}

function isTracestate(text: string): boolean {
  if (text === '' || text.length > TRACESTATE_CHARACTERS_MAX) return false;
  const members = text.split(',').map((member) => member.trim());
  return (
    members.length <= TRACESTATE_MEMBERS_MAX &&
    members.every((member) => member === '' || TRACESTATE_MEMBER.test(member))
  );
}
