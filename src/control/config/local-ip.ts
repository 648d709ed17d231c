/** The address that is published in registries when none is configured. */
import { networkInterfaces } from 'node:os';

/** The first IPv4 address that is not loopback, in interface order; `unknown` when there is none, as the peers publish. */
export function findLocalIp(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) {
      if (address.family === 'IPv4' && !address.internal) return address.address;
    }
  }
  return 'unknown';
}
