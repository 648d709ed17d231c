/**
 * Who may change the state of the agent: a pure decision over what is known of a request.
 *
 * Three walls, each for an attacker of its own: a web page in the browser of somebody on this machine (it can send requests to
 * localhost, and by DNS rebinding even read answers), another machine, and another machine that comes through a proxy on this one.
 */
import { timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

export interface RequestFacts {
  /** Null on a unix socket. */
  readonly remoteAddress: string | null;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface AccessRules {
  /** Null when none is configured. */
  readonly token: string | null;
  /** Names, besides IP literals and localhost, under which this host is addressed. */
  readonly hostNames: readonly string[];
}

/** Why the request may not change state; null when it may. The text is for the client. */
export function refusalOf(request: RequestFacts, rules: AccessRules): string | null {
  if (comesFromPage(request)) return 'refused: the request comes from a web page';
  const given = bearerToken(request);
  if (given !== null && rules.token !== null) {
    return isSameSecret(given, rules.token) ? null : 'refused: wrong token';
  }
  if (request.remoteAddress === null) return null;
  if (!isOwnHost(headerOf(request, 'host'), rules.hostNames)) {
    return 'refused: the Host header is neither an address, localhost nor the name of this host';
  }
  if (!isLoopback(request.remoteAddress)) {
    return 'refused: served to loopback, the unix socket, or with "Authorization: Bearer <managementToken>"';
  }
  if (wasForwarded(request)) return 'refused: the request was forwarded by a proxy; send the token';
  return null;
}

export function isLoopback(address: string): boolean {
  const plain = address.toLowerCase().replace(/^::ffff:/, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/** Browsers send Origin or Sec-Fetch-Site with requests of pages; older ones at least Referer. Tools send none of them. */
function comesFromPage(request: RequestFacts): boolean {
  if (headerOf(request, 'origin') !== null) return true;
  const site = headerOf(request, 'sec-fetch-site');
  if (site !== null && site !== 'none' && site !== 'same-origin') return true;
  const referer = headerOf(request, 'referer');
  return referer !== null && hostOf(referer) !== headerOf(request, 'host');
}

/** A name that an attacker's DNS can point at 127.0.0.1 is not ours. No Host at all is HTTP/1.0: no browser sends that. */
function isOwnHost(host: string | null, names: readonly string[]): boolean {
  if (host === null || host === '') return true;
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(host);
  const name = (bracketed?.[1] ?? host.replace(/:\d+$/, '')).toLowerCase().replace(/\.$/, '');
  return isIP(name) !== 0 || name === 'localhost' || names.some((own) => own.toLowerCase() === name);
}

/** A proxy on this machine makes everybody a loopback peer. */
function wasForwarded(request: RequestFacts): boolean {
  return ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'].some(
    (name) => headerOf(request, name) !== null,
  );
}

function bearerToken(request: RequestFacts): string | null {
  return /^Bearer +(\S+) *$/i.exec(headerOf(request, 'authorization') ?? '')?.[1] ?? null;
}

/** Takes as long for a wrong first byte as for a wrong last one. */
function isSameSecret(given: string, secret: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(secret);
  // Comparing the secret with itself keeps the time when the lengths differ; only the length can be learned.
  return timingSafeEqual(a.length === b.length ? a : b, b) && a.length === b.length;
}

function hostOf(url: string): string | null {
  return /^https?:\/\/([^/?#]*)/i.exec(url)?.[1] ?? null;
}

function headerOf(request: RequestFacts, name: string): string | null {
  const value = request.headers[name];
  return value === undefined ? null : Array.isArray(value) ? value.join(',') : value;
}
