/** Addresses of this machine's interfaces, as text. An interface that comes later is not seen: its ports are ours all the same. */
import os from 'node:os';

export function ownAddresses(): string[] {
  return Object.values(os.networkInterfaces()).flatMap((found) =>
    (found ?? []).map(({ address }) => address),
  );
}
