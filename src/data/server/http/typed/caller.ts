/**
 * Whether a browser stands behind a request. A web page can send requests to this machine, and by DNS rebinding (a name of its own that
 * points here) even read the answers; no CORS field is ever answered, so what is left are these two.
 */
import type { RequestHead } from '../../../../wire/http1/index.js';
import type { RequestTarget } from '../request-target.js';

const IPV4 = /^[0-9]{1,3}(?:\.[0-9]{1,3}){3}$/;

/** Browsers send Origin with every POST of a page, and Sec-Fetch-Site where they may; other programs send neither. */
export function comesFromPage(head: RequestHead): boolean {
  if (head.get('origin') !== undefined) return true;
  const site = head.get('sec-fetch-site');
  return site !== undefined && site !== 'none';
}

/**
 * Whether the agent is addressed by a name that nobody else's DNS can give it: an address, localhost, or one of `ownHosts`. Reading a list
 * with GET, a page of a rebound name says nothing else that tells it from curl.
 */
export function isOwnName(target: RequestTarget, remoteHost: string, ownHosts: readonly string[]): boolean {
  const { host } = target;
  const isUnixSocket = !IPV4.test(remoteHost) && !remoteHost.includes(':');
  if (isUnixSocket || host === '' || host === 'localhost' || IPV4.test(host) || host.startsWith('['))
    return true;
  return ownHosts.some((own) => own.toLowerCase() === host);
}
