/** Addresses of this machine's interfaces, as text. An interface that comes later is not seen: its ports are ours all the same. */
import os from 'node:os';
import type { AgentSettings, MeshUrl } from '../core/index.js';

export function ownAddresses(): string[] {
  return Object.values(os.networkInterfaces()).flatMap((found) =>
    (found ?? []).map(({ address }) => address),
  );
}

/** Tells whether a node is the forward port of this agent: at any address of this machine unless the port is open at one alone. */
export function ownForwardTest(
  { host: boundHost, port, unixSock }: Pick<AgentSettings, 'host' | 'port' | 'unixSock'>,
  addresses: readonly string[],
): (node: MeshUrl) => boolean {
  const own = new Set(addresses);
  const isOwn = (host: string): boolean =>
    boundHost === '' ? isLoopback(host) || own.has(host) : host === boundHost || isSameLoopback(host);
  const isSameLoopback = (host: string): boolean => isLoopback(host) && isLoopback(boundHost);
  return (node) =>
    unixSock === null ? node.port === port && isOwn(node.host) : node.host === `unix://${unixSock}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
