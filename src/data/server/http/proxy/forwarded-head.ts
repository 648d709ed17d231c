/**
 * Heads that the direct proxy passes on: requests to a server, answers to a caller (RFC 9110 7.6).
 *
 * What is for one connection alone stays behind, `Via` and the caller's address are added, the path goes on as it was sent. Framing is not in
 * here: it is written with each message.
 */
import type { ResponseHead } from '../../../../wire/http1/index.js';
import { connectionOptions, HOP_BY_HOP } from '../../../../wire/http1/index.js';
import { connectionNames, isForwarded } from '../client-fields.js';
import type { HttpExchange } from '../exchange.js';

/** Proxies that a request may have passed, however they are called. */
const HOPS_MAX = 16;
/**
 * Times that a request may pass this agent. Once more than the first time is an ordinary way: through a server on this machine that asks
 * another one through the agent, too.
 */
const OWN_PASSES_MAX = 2;

/** What all requests with the same head share. */
export interface ForwardedRequest {
  readonly authority: string;
  /** Host of `authority`, as written. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Request line and fields, without framing and the blank line. */
  readonly front: Buffer;
  /** Why the request goes round in circles; null when it does not. */
  readonly loop: string | null;
}

/** What of an exchange a request is made from. */
export type RequestSource = Pick<HttpExchange, 'authority' | 'head' | 'memo' | 'remoteHost' | 'target'>;

/** @param viaName how this agent calls itself in `Via` */
export function forwardedRequest(exchange: RequestSource, viaName: string): ForwardedRequest {
  const known = exchange.memo.direct as ForwardedRequest | null;
  if (known !== null && known.authority === exchange.authority) return known;
  const made = makeRequest(exchange, viaName);
  exchange.memo.direct = made;
  return made;
}

function makeRequest(exchange: RequestSource, viaName: string): ForwardedRequest {
  const { head, target, remoteHost, authority } = exchange;
  const isTls = target.scheme === 'https';
  const colon = authority.indexOf(':', authority.lastIndexOf(']') + 1);
  const port = colon < 0 ? (isTls ? 443 : 80) : Number(authority.slice(colon + 1));
  const connection = connectionNames(head);
  const path = target.hasQuery ? `${target.rawPath}?${target.query}` : target.rawPath;
  let text = `${head.method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n`;
  let via = '';
  let forwardedFor = '';
  let hasAgentName = false;
  for (let index = 0; index < head.fields.length; index += 2) {
    const name = head.fields[index]!;
    const lowerName = name.toLowerCase();
    const value = head.fields[index + 1]!;
    if (!isForwarded(lowerName, connection)) continue;
    if (lowerName === 'via') via = joined(via, value);
    else if (lowerName === 'x-forwarded-for') forwardedFor = joined(forwardedFor, value);
    else text += `${name}: ${value}\r\n`;
    hasAgentName ||= lowerName === 'user-agent';
  }
  if (!hasAgentName) text += 'User-Agent: motan\r\n';
  // A peer on a unix socket has no address.
  if (remoteHost !== '' && remoteHost !== '@') forwardedFor = joined(forwardedFor, remoteHost);
  if (forwardedFor !== '') text += `X-Forwarded-For: ${forwardedFor}\r\n`;
  text += `Via: ${joined(via, `1.${head.minorVersion} ${viaName}`)}\r\n`;
  return {
    authority,
    host: colon < 0 ? authority : authority.slice(0, colon),
    port,
    isTls,
    front: Buffer.from(text, 'latin1'),
    loop: loopIn(via, viaName),
  };
}

function loopIn(via: string, viaName: string): string | null {
  if (via === '') return null;
  const hops = via.split(',').map((hop) =>
    hop
      .trim()
      .split(/[ \t]+/)[1]
      ?.toLowerCase(),
  );
  if (hops.length > HOPS_MAX) return `passed ${hops.length} proxies`;
  const passes = hops.filter((hop) => hop === viaName).length;
  return passes >= OWN_PASSES_MAX ? `passed this agent ${passes} times` : null;
}

/**
 * Fields of an answer for the caller: name, value, name, value ...; Content-Length is among them, for answers without body. The memo of the head
 * is not ours: calls of domains use the same connections.
 */
export function forwardedFields(head: ResponseHead, viaName: string): readonly string[] {
  const connection = head.get('connection') === undefined ? [] : connectionOptions(head);
  const fields: string[] = [];
  let via = '';
  for (let index = 0; index < head.fields.length; index += 2) {
    const name = head.fields[index]!;
    const lowerName = name.toLowerCase();
    const value = head.fields[index + 1]!;
    if (HOP_BY_HOP.has(lowerName) || (connection.includes(lowerName) && lowerName !== 'content-length')) {
      continue;
    }
    if (lowerName === 'via') via = joined(via, value);
    else fields.push(name, value);
  }
  fields.push('Via', joined(via, `1.${head.minorVersion} ${viaName}`));
  return fields;
}

function joined(before: string, value: string): string {
  return before === '' || value === '' ? before + value : `${before}, ${value}`;
}
