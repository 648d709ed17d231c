/**
 * What a request is aimed at, taken apart once for all requests with the same head.
 *
 *   origin form      GET /a%20b?x=1              host of the Host field
 *   absolute form    GET http://h:81/a HTTP/1.1  its authority beats the Host field (RFC 9112 3.2.2)
 *   authority form   CONNECT h:443
 *   asterisk form    OPTIONS *                   host of the Host field
 *
 * The codec has checked the form. All texts are latin1: one character is one byte.
 */
import {
  decodePath,
  HttpError,
  normalizePath,
  type RequestHead,
  splitTarget,
} from '../../../wire/http1/index.js';

export interface RequestTarget {
  readonly form: 'origin' | 'absolute' | 'authority' | 'asterisk';
  /** `http` unless the absolute form says otherwise; lower case. */
  readonly scheme: string;
  /** `host[:port]` as sent; empty when a caller of HTTP/1.0 named none. */
  readonly authority: string;
  /** Lower case, without port and final dot; IPv6 in brackets. */
  readonly host: string;
  /** Of the authority, else the one of the scheme; 0 for schemes nobody knows. */
  readonly port: number;
  /** Path as sent, not decoded; `/` when the absolute form has none, `*` in asterisk form, empty in authority form. */
  readonly rawPath: string;
  /** Query as sent, without `?`. */
  readonly query: string;
  readonly hasQuery: boolean;
  /** Path decoded and normalised: what is matched on, never what is sent on. */
  readonly path: string;
}

const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['https', 443],
]);

/** Throws HttpError 400 for a path that cannot be decoded. */
export function requestTarget(head: RequestHead): RequestTarget {
  const parts = splitTarget(head.target);
  const form = formOf(head, parts.scheme);
  const scheme = form === 'absolute' ? parts.scheme : 'http';
  const authority = form === 'absolute' || form === 'authority' ? parts.authority : head.host;
  const isPath = form === 'origin' || form === 'absolute';
  const decoded = isPath ? decodePath(parts.path) : parts.path;
  if (decoded === null) throw new HttpError(400, 'a path that cannot be decoded');
  return {
    form,
    scheme,
    authority,
    ...hostAndPort(authority, DEFAULT_PORTS.get(scheme) ?? 0),
    rawPath: parts.path,
    query: parts.query,
    hasQuery: parts.hasQuery,
    path: isPath ? normalizePath(decoded) : decoded,
  };
}

function formOf(head: RequestHead, scheme: string): RequestTarget['form'] {
  if (head.method === 'CONNECT') return 'authority';
  if (head.target === '*') return 'asterisk';
  return scheme === '' ? 'origin' : 'absolute';
}

function hostAndPort(authority: string, defaultPort: number): { host: string; port: number } {
  const colon = authority.indexOf(':', authority.lastIndexOf(']') + 1);
  const name = (colon < 0 ? authority : authority.slice(0, colon)).toLowerCase();
  const host = name.endsWith('.') ? name.slice(0, -1) : name;
  return { host, port: colon < 0 ? defaultPort : Number(authority.slice(colon + 1)) };
}
