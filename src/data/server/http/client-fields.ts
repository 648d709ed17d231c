/** Which fields of a client's request go on, and how: security rules that both bridges share. */
import { connectionOptions, HOP_BY_HOP, type MessageHead } from '../../../wire/http1/index.js';

const NO_OPTIONS: readonly string[] = [];

/** Field by which callers bound a call, in ms: what they have left. */
const TIMEOUT_FIELD = 'x-peony-timeout-ms';

/** Fields that the agent acts on, or says anew. Lower case. */
const CONSUMED: ReadonlySet<string> = new Set(['host', 'content-length', 'expect', TIMEOUT_FIELD]);

/** Lower-case names that the Connection field makes hop-by-hop. */
export function connectionNames(head: MessageHead): readonly string[] {
  return head.get('connection') === undefined ? NO_OPTIONS : connectionOptions(head);
}

/**
 * Whether a field goes on. Never: what is for this hop alone, and `Proxy`, which CGI programs would read as HTTP_PROXY (CVE-2016-5385).
 * @param connection of `connectionNames`
 */
export function isForwarded(lowerName: string, connection: readonly string[]): boolean {
  if (HOP_BY_HOP.has(lowerName) || CONSUMED.has(lowerName) || lowerName === 'proxy') return false;
  return !connection.includes(lowerName);
}

/**
 * Whether a client's field may be metadata of that key. Never: keys that route a call or that agents set (`M_p`, `host`, `HTTP_PROXY` ...), in any
 * case, because readers fold it.
 */
export function isMetadataKey(lowerName: string): boolean {
  return !lowerName.startsWith('m_') && !RESERVED_KEYS.has(lowerName);
}

const RESERVED_KEYS: ReadonlySet<string> = new Set([
  'host',
  'remoteip',
  'http_proxy',
  'http_method',
  'http_querystring',
  'http_host',
]);

/** What `M_tmo` becomes; empty when the caller names no time. */
export function timeoutText(head: MessageHead): string {
  const text = head.get(TIMEOUT_FIELD) ?? '';
  return /^[1-9][0-9]{0,8}$/.test(text) ? text : '';
}
