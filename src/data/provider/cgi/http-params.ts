/**
 * Headers of transparent HTTP calls as `HTTP_*` parameters, without what callers use to be taken for something else:
 *
 *   Proxy                becomes HTTP_PROXY, which programs take for a setting of theirs: httpoxy, CVE-2016-5385
 *   X_Real_IP            is the same parameter as X-Real-IP: names with anything but letters, digits and `-` are dropped
 *   repeated names       are one parameter, joined as HTTP joins them: by `, `, and cookies by `; `
 *   hop-by-hop headers   were for the connection of the caller, as were those that its Connection header names
 */
import {
  connectionOptions,
  HOP_BY_HOP,
  HTTP1_LIMITS,
  type Http1Limits,
  type RequestHead,
} from '../../../wire/http1/index.js';

/** Whoever read the head from its client has bounded it; here it is the memory of one call that counts. */
export const HEADER_BLOCK_LIMITS: Http1Limits = { ...HTTP1_LIMITS, headBytesMax: 256 * 1024, fieldsMax: 512 };

/** Has parameters of its own, or is set by the agent alone. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  'proxy',
  'content-type',
  'content-length',
  'expect',
  'x-peony-timeout-ms',
]);

const SAFE_NAME = /^[A-Za-z0-9-]+$/;

/** Parameter to value, in the order in which the names first came. */
export function headerParams(head: RequestHead): Map<string, string> {
  const params = new Map<string, string>();
  const named = new Set(connectionOptions(head));
  const { fields } = head;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    if (!SAFE_NAME.test(name)) continue;
    const lower = name.toLowerCase();
    if (NOT_PASSED.has(lower) || HOP_BY_HOP.has(lower) || named.has(lower)) continue;
    const param = `HTTP_${name.toUpperCase().replaceAll('-', '_')}`;
    const value = fields[index + 1]!;
    const known = params.get(param);
    params.set(param, known === undefined ? value : `${known}${lower === 'cookie' ? '; ' : ', '}${value}`);
  }
  return params;
}
